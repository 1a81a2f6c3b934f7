//! Proofs that a run may do what it is about to do. Only this file and `source_permit` make them, out of a run's
//! [`Grants`].

use std::collections::BTreeMap;
use std::sync::Arc;

pub use super::denied::Denied;
use super::denied::within;
use super::net::{HostPattern, Policy};
pub use super::reach::Reach;
use super::source_permit::level_on;
pub use super::source_permit::{SourcePermit, VolumesPermit, graph, proxy, redis, volumes};
use crate::base::{Fault, RunId};
use crate::model::grants::{Access, DockerGrant, Origin, matches};
use crate::model::rights::host_covers;
use crate::model::{Grants, JobSpec};

/// May use Docker up to a level, on the objects that the grant's patterns cover.
#[derive(Debug, Clone)]
pub struct DockerPermit {
    /// The script's own grant, then each bound.
    layers: Vec<DockerLayer>,
    reach: Reach,
    behalf: Behalf,
}

/// For whom Docker is used: networks of executions are for the run that they were opened for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Behalf {
    #[default]
    Nobody,
    Run(RunId),
    Daemon,
}

#[derive(Debug, Clone)]
struct DockerLayer {
    grant: DockerGrant,
    origin: Option<Origin>,
}

/// Gives a permit when the grants reach `access` on anything, or on `name` when the name of the object is known. The
/// service checks again, on the object's real name: an id or a prefix of one may stand for any container.
pub fn docker(grants: &Grants, access: Access, name: Option<&str>) -> Result<DockerPermit, Denied> {
    let missing = || Denied::new("this call to Docker", format!("docker = \"{}\"", access.as_str()));
    let given = within(grants, |grants| grants.docker.clone().ok_or_else(missing))?;
    let origins = std::iter::once(None).chain(grants.caps.iter().map(|cap| Some(cap.origin.clone())));
    let layers = given.into_iter().zip(origins).map(|(grant, origin)| DockerLayer { grant, origin });
    let permit = DockerPermit { layers: layers.collect(), reach: Reach::default(), behalf: Behalf::default() };
    match name {
        Some(name) => permit.check(access, name)?,
        None => permit.check_any(access, "this call to Docker")?,
    }
    Ok(permit)
}

impl DockerPermit {
    /// The same, noting in `reach` what it is used for.
    #[must_use]
    pub fn noting(self, reach: &Reach) -> Self {
        Self { reach: reach.clone(), ..self }
    }

    /// The same, for a run.
    #[must_use]
    pub fn of_run(self, run: RunId) -> Self {
        Self { behalf: Behalf::Run(run), ..self }
    }

    /// The run that it is for; None for what no run does.
    pub fn run(&self) -> Option<RunId> {
        match self.behalf {
            Behalf::Run(run) => Some(run),
            Behalf::Nobody | Behalf::Daemon => None,
        }
    }

    /// Whether it is the daemon's own: [`executions`].
    pub fn is_daemon(&self) -> bool {
        self.behalf == Behalf::Daemon
    }

    /// May act at `access` on the object called `name`.
    pub fn check(&self, access: Access, name: &str) -> Result<(), Denied> {
        self.check_as(&format!("the container or object {name:?}"), access, name)
    }

    /// The same, with the words that the denial begins with.
    pub fn check_as(&self, what: &str, access: Access, name: &str) -> Result<(), Denied> {
        self.each(what, access, name, |layer| layer.covers(access, name))
    }

    /// May act at `access` on things that have no owner's name: images, the host, everything at once.
    pub fn check_all(&self, access: Access, what: &str) -> Result<(), Denied> {
        self.each(what, access, "*", |layer| layer.covers_everything(access))
    }

    /// May act at `access` on at least something: enough for what belongs to nobody, such as pulling an image.
    pub fn check_any(&self, access: Access, what: &str) -> Result<(), Denied> {
        self.each(what, access, "*", |layer| layer.reaches(access))
    }

    pub fn covers(&self, access: Access, name: &str) -> bool {
        self.layers.iter().all(|layer| layer.covers(access, name))
    }

    pub fn covers_everything(&self, access: Access) -> bool {
        self.layers.iter().all(|layer| layer.covers_everything(access))
    }

    fn each(&self, what: &str, access: Access, name: &str, may: impl Fn(&DockerLayer) -> bool) -> Result<(), Denied> {
        match self.layers.iter().find(|layer| !may(layer)) {
            Some(layer) => Err(layer.denied(what, access, name)),
            None => {
                self.reach.note(access);
                Ok(())
            }
        }
    }
}

impl DockerLayer {
    fn covers(&self, access: Access, name: &str) -> bool {
        self.some(access, |pattern| matches(pattern, name))
    }

    fn covers_everything(&self, access: Access) -> bool {
        self.some(access, |pattern| pattern == "*")
    }

    fn reaches(&self, access: Access) -> bool {
        self.some(access, |_| true)
    }

    /// Whether a pattern of that level or a higher one is as asked.
    fn some(&self, access: Access, fits: impl Fn(&str) -> bool) -> bool {
        match &self.grant {
            DockerGrant::Everything(level) => *level >= access,
            DockerGrant::Named(levels) => levels.range(access..).any(|(_, names)| names.iter().any(|name| fits(name))),
        }
    }

    fn denied(&self, what: &str, access: Access, name: &str) -> Denied {
        let entry = match &self.grant {
            DockerGrant::Everything(_) => format!("docker = \"{}\"", access.as_str()),
            DockerGrant::Named(levels) => {
                let mut levels: BTreeMap<Access, Vec<String>> = levels.clone();
                levels.entry(access).or_default().push(name.to_owned());
                let shown: Vec<_> =
                    levels.iter().map(|(level, names)| format!("{} = {}", level.as_str(), lua_list(names))).collect();
                format!("docker = {{ {} }}", shown.join(", "))
            }
        };
        let denied = Denied::new(what, entry);
        match &self.origin {
            Some(origin) => denied.by(origin),
            None => denied,
        }
    }
}

/// May look at a stack of the configuration and change it, as far as the grant for Docker goes.
#[derive(Debug, Clone)]
pub struct StackPermit {
    name: String,
    docker: DockerPermit,
}

/// Needs both: the stack by its name, and `access` to Docker on anything; the service of Docker checks each object.
pub fn stack(grants: &Grants, name: &str, access: Access) -> Result<StackPermit, Denied> {
    listed(grants, "stack", |grants| &grants.stack, name, || format!("the stack {name:?}"))?;
    docker(grants, access, None).map(|docker| StackPermit { name: name.to_owned(), docker })
}

impl StackPermit {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn docker(&self) -> &DockerPermit {
        &self.docker
    }
}

/// May send HTTP requests to the hosts that the grant names.
#[derive(Debug, Clone)]
pub struct HttpPermit {
    policy: Policy,
    grants: Arc<Grants>,
}

/// Always gives a permit; one without patterns reaches nothing. Patterns that cannot be read are left out: loading a
/// job refuses them.
pub fn http(grants: &Grants) -> HttpPermit {
    let caps = grants.caps.iter().map(|cap| patterns(&cap.grants.http)).collect();
    let policy = Policy::new(patterns(&grants.http), Arc::default()).bounded_by(caps);
    let grants = Grants { http: grants.http.clone(), caps: grants.caps.clone(), ..Grants::default() };
    HttpPermit { policy, grants: Arc::new(grants) }
}

impl HttpPermit {
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The denial for a target that the policy blocked, `add` being the pattern that would open it.
    pub fn denied(&self, what: String, add: &str) -> Denied {
        let asked = within(&self.grants, |grants| match grants.http.iter().any(|pattern| host_covers(pattern, add)) {
            true => Ok(()),
            false => Err(Denied::new(&what, format!("http = {}", extended(&grants.http, add)))),
        });
        let own = || Denied::new(&what, format!("http = {}", extended(&self.grants.http, add)));
        asked.err().unwrap_or_else(own)
    }
}

fn patterns(list: &[String]) -> Vec<HostPattern> {
    list.iter().filter_map(|text| text.parse().ok()).collect()
}

/// May let an execution out to the hosts that the grant names.
#[derive(Debug, Clone)]
pub struct EgressPermit {
    /// The script's own grant, then each bound: what is reached must be in all of them.
    bounds: Vec<Vec<HostPattern>>,
}

/// Needs each of `names` to be granted; `*` stands for a list of what is closed, which leaves everything else open.
pub fn egress(grants: &Grants, names: &[String]) -> Result<EgressPermit, Denied> {
    let bounds = within(grants, |grants| {
        let denied = |name: &str| {
            let what = format!("letting an execution out to {name:?}");
            Denied::new(what, format!("egress = {}", extended(&grants.egress, name)))
        };
        let covers = |name: &String| grants.egress.iter().any(|pattern| host_covers(pattern, name));
        match names.iter().find(|name| !covers(name)) {
            Some(name) => Err(denied(name)),
            None if grants.egress.is_empty() => Err(denied("*")),
            None => Ok(patterns(&grants.egress)),
        }
    })?;
    Ok(EgressPermit { bounds })
}

impl EgressPermit {
    pub fn bounds(&self) -> &[Vec<HostPattern>] {
        &self.bounds
    }
}

/// What the daemon itself may do to containers of executions, whose runs are over, and to what belongs to them.
pub fn executions(prefixes: &[&str]) -> Result<DockerPermit, Denied> {
    let names = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
    let grant = DockerGrant::Named(BTreeMap::from([(Access::Write, names)]));
    let permit = docker(&Grants { docker: Some(grant), ..Grants::default() }, Access::Write, None)?;
    Ok(DockerPermit { behalf: Behalf::Daemon, ..permit })
}

/// May send to one notification route.
#[derive(Debug, Clone)]
pub struct NotifyPermit {
    route: String,
}

pub fn notify(grants: &Grants, route: &str) -> Result<NotifyPermit, Denied> {
    listed(grants, "notify", |grants| &grants.notify, route, || format!("sending to the notification route {route:?}"))
        .map(|()| NotifyPermit { route: route.to_owned() })
}

impl NotifyPermit {
    pub fn route(&self) -> &str {
        &self.route
    }
}

/// May use one data source, for reading or for writing as well.
#[derive(Debug, Clone)]
pub struct SqlPermit {
    source: String,
    access: Access,
}

pub fn sql(grants: &Grants, source: &str) -> Result<SqlPermit, Denied> {
    let levels = within(grants, |grants| match level_on(&grants.sql, source) {
        Some(access) => Ok(access),
        None => Err(sql_denied(source, Access::Read)),
    })?;
    let access = levels.into_iter().min().unwrap_or(Access::Read);
    Ok(SqlPermit { source: source.to_owned(), access })
}

/// Says of a fault that a missing right lies behind who keeps the right away, where that is not the script's own table.
pub fn explained(grants: &Grants, fault: Fault) -> Fault {
    let Some(source) = fault.details["source"].as_str().filter(|_| fault.code == "sql.read_only") else {
        return fault;
    };
    let asked = within(grants, |grants| match level_on(&grants.sql, source) >= Some(Access::Write) {
        true => Ok(()),
        false => Err(sql_denied(source, Access::Write)),
    });
    match asked {
        Err(denied) if denied.forbidden_by.is_some() => fault.hint(denied.remedy()),
        _ => fault,
    }
}

fn sql_denied(source: &str, access: Access) -> Denied {
    let entry = format!("sql = {{ {} = \"{}\" }}", lua_key(source), access.as_str());
    Denied::new(format!("the data source {source:?}"), entry)
}

impl SqlPermit {
    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn writes(&self) -> bool {
        self.access >= Access::Write
    }
}

/// May ask a language model that the configuration names.
#[derive(Debug, Clone)]
pub struct LlmPermit {
    source: String,
}

pub fn llm(grants: &Grants, source: &str) -> Result<LlmPermit, Denied> {
    listed(grants, "llm", |grants| &grants.llm, source, || format!("the language model {source:?}"))
        .map(|()| LlmPermit { source: source.to_owned() })
}

impl LlmPermit {
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// May use one secret: hand it over where a call takes one.
#[derive(Debug, Clone)]
pub struct SecretPermit {
    name: String,
}

pub fn secret(grants: &Grants, name: &str) -> Result<SecretPermit, Denied> {
    let asked = within(grants, |grants| {
        if grants.secrets.iter().chain(&grants.reveal).any(|pattern| matches(pattern, name)) {
            return Ok(());
        }
        let used = [grants.secrets.clone(), vec![name.to_owned()]].concat();
        Err(Denied::new(format!("the secret {name:?}"), secrets_entry(&used, &grants.reveal)))
    });
    asked.map(|_| SecretPermit { name: name.to_owned() })
}

/// May read the text of one secret.
pub fn reveal(grants: &Grants, name: &str) -> Result<SecretPermit, Denied> {
    let asked = within(grants, |grants| {
        if grants.reveal.iter().any(|pattern| matches(pattern, name)) {
            return Ok(());
        }
        let others: Vec<String> = grants.secrets.iter().filter(|pattern| *pattern != name).cloned().collect();
        let revealed = [grants.reveal.clone(), vec![name.to_owned()]].concat();
        Err(Denied::new(format!("reading the text of the secret {name:?}"), secrets_entry(&others, &revealed)))
    });
    asked.map(|_| SecretPermit { name: name.to_owned() })
}

/// `secrets = { "USED", READ = "reveal" }`.
fn secrets_entry(used: &[String], revealed: &[String]) -> String {
    let used = used.iter().map(|name| format!("{name:?}"));
    let revealed = revealed.iter().map(|name| format!("{} = \"reveal\"", lua_key(name)));
    format!("secrets = {{ {} }}", used.chain(revealed).collect::<Vec<_>>().join(", "))
}

impl SecretPermit {
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// May read and write one scope of the key-value store.
#[derive(Debug, Clone)]
pub struct KvPermit {
    scope: String,
}

/// `scope` is `job`, the job's own, which needs no grant, or `shared:<name>`.
pub fn kv(grants: &Grants, job: &str, scope: &str) -> Result<KvPermit, Denied> {
    if scope == "job" || scope.strip_prefix("job:") == Some(job) {
        return Ok(KvPermit { scope: format!("job:{job}") });
    }
    listed(grants, "kv", |grants| &grants.kv, scope, || format!("the key-value scope {scope:?}"))
        .map(|()| KvPermit { scope: scope.to_owned() })
}

impl KvPermit {
    /// As the store has it: `job:<name>` or `shared:<name>`.
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

/// May trigger and wait for one job.
#[derive(Debug, Clone)]
pub struct JobPermit {
    job: String,
}

pub fn jobs(grants: &Grants, job: &str) -> Result<JobPermit, Denied> {
    listed(grants, "jobs", |grants| &grants.jobs, job, || format!("triggering the job {job:?}"))
        .map(|()| JobPermit { job: job.to_owned() })
}

impl JobPermit {
    pub fn job(&self) -> &str {
        &self.job
    }
}

/// May look at the runs of one job, or of all.
#[derive(Debug, Clone)]
pub struct RunsPermit(());

/// `job` is a name or a pattern of names; None is for the runs of all jobs. A job's own need no grant.
pub fn runs(grants: &Grants, own: &str, job: Option<&str>) -> Result<RunsPermit, Denied> {
    if job == Some(own) {
        return Ok(RunsPermit(()));
    }
    let wanted = job.unwrap_or("*");
    let asked = within(grants, |grants| {
        if grants.runs.iter().chain(&grants.jobs).any(|pattern| matches(pattern, wanted)) {
            return Ok(());
        }
        let what =
            job.map_or_else(|| "looking at the runs of all jobs".into(), |job| format!("looking at runs of {job:?}"));
        Err(Denied::new(what, format!("runs = {}", extended(&grants.runs, wanted))))
    });
    asked.map(|_| RunsPermit(()))
}

/// May look at the machine.
#[derive(Debug, Clone)]
pub struct HostPermit(());

pub fn host(grants: &Grants) -> Result<HostPermit, Denied> {
    let asked = within(grants, |grants| match grants.host {
        Some(_) => Ok(()),
        None => Err(Denied::new("looking at this machine", "host = \"read\"".to_owned())),
    });
    asked.map(|_| HostPermit(()))
}

/// May probe the hosts that the grant for HTTP names.
#[derive(Debug, Clone)]
pub struct ProbePermit {
    http: HttpPermit,
}

/// Needs `host = "read"`, and reaches what `http` names.
pub fn probe(grants: &Grants) -> Result<ProbePermit, Denied> {
    host(grants).map(|_| ProbePermit { http: http(grants) })
}

impl ProbePermit {
    pub fn http(&self) -> &HttpPermit {
        &self.http
    }
}

/// May run one program.
#[derive(Debug, Clone)]
pub struct ProcessPermit {
    program: String,
}

pub fn process(grants: &Grants, program: &str) -> Result<ProcessPermit, Denied> {
    listed(grants, "process", |grants| &grants.process, program, || format!("running the program {program:?}"))
        .map(|()| ProcessPermit { program: program.to_owned() })
}

impl ProcessPermit {
    pub fn program(&self) -> &str {
        &self.program
    }
}

/// May read, or change, what lies beneath one root.
#[derive(Debug, Clone)]
pub struct FsPermit {
    root: String,
    access: Access,
}

pub fn fs(grants: &Grants, root: &str, access: Access) -> Result<FsPermit, Denied> {
    let asked = within(grants, |grants| {
        if level_on(&grants.fs, root) >= Some(access) {
            return Ok(());
        }
        let mut wanted = grants.fs.clone();
        wanted.insert(root.to_owned(), access);
        let shown: Vec<_> = wanted.iter().map(|(root, access)| format!("[{root:?}] = {:?}", access.as_str())).collect();
        let what =
            format!("{} files of the root {root:?}", if access == Access::Read { "reading" } else { "changing" });
        Err(Denied::new(what, format!("fs = {{ {} }}", shown.join(", "))))
    });
    asked.map(|_| FsPermit { root: root.to_owned(), access })
}

impl FsPermit {
    /// For the service: whether this is the permit for what is about to be done.
    pub fn check(&self, root: &str, access: Access) -> Result<(), Denied> {
        if self.root == root && self.access >= access {
            return Ok(());
        }
        Err(Denied::new(format!("the root {root:?}"), format!("fs = {{ [{root:?}] = {:?} }}", access.as_str())))
    }
}

/// May send an event.
pub fn event(grants: &Grants, name: &str) -> Result<EventPermit, Denied> {
    listed(grants, "events", |grants| &grants.events, name, || format!("sending the event {name:?}"))
        .map(|()| EventPermit(name.to_owned()))
}

/// May send one event.
#[derive(Debug, Clone)]
pub struct EventPermit(String);

impl EventPermit {
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// May silence and acknowledge alerts; `what` begins the denial.
pub fn alerts(grants: &Grants, what: &str) -> Result<(), Denied> {
    let asked = within(grants, |grants| match grants.alerts >= Some(Access::Write) {
        true => Ok(()),
        false => Err(Denied::new(what, "alerts = \"write\"".to_owned())),
    });
    asked.map(drop)
}

/// Patterns in `permissions` that cannot be read, each with its problem: for loading a job.
pub fn problems(spec: &JobSpec) -> Vec<String> {
    let grants = &spec.permissions;
    let all = grants.http.iter().map(|text| ("http", text)).chain(grants.egress.iter().map(|text| ("egress", text)));
    let problem = |(area, text): (&str, &String)| {
        text.parse::<HostPattern>().err().map(|problem| format!("permissions.{area}: {problem}"))
    };
    all.filter_map(problem).collect()
}

fn listed(
    grants: &Grants,
    key: &str,
    list: fn(&Grants) -> &Vec<String>,
    name: &str,
    what: impl Fn() -> String,
) -> Result<(), Denied> {
    let asked = within(grants, |grants| match list(grants).iter().any(|pattern| matches(pattern, name)) {
        true => Ok(()),
        false => Err(Denied::new(what(), format!("{key} = {}", extended(list(grants), name)))),
    });
    asked.map(drop)
}

fn extended(list: &[String], add: &str) -> String {
    lua_list(&list.iter().cloned().chain([add.to_owned()]).collect::<Vec<_>>())
}

/// A key of a table constructor.
pub fn lua_key(name: &str) -> String {
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { name.to_owned() } else { format!("[{name:?}]") }
}

fn lua_list(items: &[String]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    format!("{{ {} }}", quoted.join(", "))
}

#[cfg(test)]
#[path = "permit_tests.rs"]
mod tests;
