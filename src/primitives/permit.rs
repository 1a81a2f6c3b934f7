//! Proofs that a run may do what it is about to do. Only this file makes them, out of a run's [`Grants`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::net::{HostPattern, Policy};
use crate::base::Fault;
use crate::model::grants::{Access, DockerGrant, matches};
use crate::model::{Grants, JobSpec};

/// A permission is missing. Becomes the fault `permission.denied`, whose hint is the line to add to the script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} needs a permission that this script does not have: {needed}")]
pub struct Denied {
    /// What was attempted, as the subject of a sentence.
    pub what: String,
    /// The permission in words, such as `docker = "write"`.
    pub needed: String,
    /// The line that grants it, with what is granted already.
    pub line: String,
}

impl Denied {
    fn new(what: impl Into<String>, entry: String) -> Self {
        Self { what: what.into(), line: format!("permissions = {{ {entry} }}"), needed: entry }
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        let hint = format!("add to the job's table: {}", denied.line);
        let details = serde_json::json!({ "needed": denied.needed, "line": denied.line });
        Self::new("permission.denied", denied.to_string()).hint(hint).details(details)
    }
}

/// May use Docker up to a level, on the objects that the grant's patterns cover.
#[derive(Debug, Clone)]
pub struct DockerPermit {
    grant: DockerGrant,
}

/// Gives a permit when the grants reach `access` on anything, or on `name` when the name of the object is known. The
/// service checks again, on the object's real name: an id or a prefix of one may stand for any container.
pub fn docker(grants: &Grants, access: Access, name: Option<&str>) -> Result<DockerPermit, Denied> {
    let missing = || Denied::new("this call to Docker", format!("docker = \"{}\"", access.as_str()));
    let permit = DockerPermit { grant: grants.docker.clone().ok_or_else(missing)? };
    match name {
        Some(name) => permit.check(access, name)?,
        None if !permit.reaches(access) => return Err(permit.denied("this call to Docker", access, "*")),
        None => {}
    }
    Ok(permit)
}

impl DockerPermit {
    /// May act at `access` on the object called `name`.
    pub fn check(&self, access: Access, name: &str) -> Result<(), Denied> {
        self.check_as(&format!("the container or object {name:?}"), access, name)
    }

    /// The same, with the words that the denial begins with.
    pub fn check_as(&self, what: &str, access: Access, name: &str) -> Result<(), Denied> {
        if self.covers(access, name) { Ok(()) } else { Err(self.denied(what, access, name)) }
    }

    /// May act at `access` on things that have no owner's name: images, the host, everything at once.
    pub fn check_all(&self, access: Access, what: &str) -> Result<(), Denied> {
        if self.covers_everything(access) { Ok(()) } else { Err(self.denied(what, access, "*")) }
    }

    /// May act at `access` on at least something: enough for what belongs to nobody, such as pulling an image.
    pub fn check_any(&self, access: Access, what: &str) -> Result<(), Denied> {
        if self.reaches(access) { Ok(()) } else { Err(self.denied(what, access, "*")) }
    }

    pub fn covers(&self, access: Access, name: &str) -> bool {
        match &self.grant {
            DockerGrant::Everything(level) => *level >= access,
            DockerGrant::Named(levels) => {
                levels.range(access..).any(|(_, patterns)| patterns.iter().any(|pattern| matches(pattern, name)))
            }
        }
    }

    pub fn covers_everything(&self, access: Access) -> bool {
        match &self.grant {
            DockerGrant::Everything(level) => *level >= access,
            DockerGrant::Named(levels) => levels.range(access..).any(|(_, patterns)| patterns.iter().any(|p| p == "*")),
        }
    }

    fn reaches(&self, access: Access) -> bool {
        match &self.grant {
            DockerGrant::Everything(level) => *level >= access,
            DockerGrant::Named(levels) => levels.range(access..).any(|(_, patterns)| !patterns.is_empty()),
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
        Denied::new(what, entry)
    }
}

/// May send HTTP requests to the hosts that the grant names.
#[derive(Debug, Clone)]
pub struct HttpPermit {
    policy: Policy,
    granted: Arc<[String]>,
}

/// Always gives a permit; one without patterns reaches nothing. Patterns that cannot be read are left out: loading a
/// job refuses them.
pub fn http(grants: &Grants) -> HttpPermit {
    let patterns: Vec<HostPattern> = grants.http.iter().filter_map(|text| text.parse().ok()).collect();
    HttpPermit { policy: Policy::new(patterns, Arc::default()), granted: grants.http.clone().into() }
}

impl HttpPermit {
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The denial for a target that the policy blocked, `add` being the pattern that would open it.
    pub fn denied(&self, what: String, add: &str) -> Denied {
        Denied::new(what, format!("http = {}", extended(&self.granted, add)))
    }
}

/// May send to one notification route.
#[derive(Debug, Clone)]
pub struct NotifyPermit {
    route: String,
}

pub fn notify(grants: &Grants, route: &str) -> Result<NotifyPermit, Denied> {
    listed(&grants.notify, "notify", route, || format!("sending to the notification route {route:?}"))
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
    let covering = grants.sql.iter().filter(|(pattern, _)| matches(pattern, source));
    match covering.map(|(_, access)| *access).max() {
        Some(access) => Ok(SqlPermit { source: source.to_owned(), access }),
        None => Err(sql_denied(source, Access::Read)),
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

/// May reach a named source of the configuration, up to a level.
#[derive(Debug, Clone)]
pub struct SourcePermit {
    area: &'static str,
    source: String,
    level: Option<Access>,
    granted: BTreeMap<String, Access>,
}

/// May read from a Redis source; [`SourcePermit::check`] for more.
pub fn redis(grants: &Grants, source: &str) -> Result<SourcePermit, Denied> {
    source_permit("redis", &grants.redis, source)
}

/// May read the graphs of a source; [`SourcePermit::check`] for more.
pub fn graph(grants: &Grants, source: &str) -> Result<SourcePermit, Denied> {
    source_permit("graph", &grants.graph, source)
}

fn source_permit(area: &'static str, granted: &BTreeMap<String, Access>, source: &str) -> Result<SourcePermit, Denied> {
    let covering = granted.iter().filter(|(pattern, _)| matches(pattern, source));
    let level = covering.map(|(_, level)| *level).max();
    let permit = SourcePermit { area, source: source.to_owned(), level, granted: granted.clone() };
    permit.check(Access::Read, &format!("the {area} source {source:?}"))?;
    Ok(permit)
}

impl SourcePermit {
    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn reaches(&self, access: Access) -> bool {
        self.level.is_some_and(|level| level >= access)
    }

    /// May act at `access`; `what` begins the denial.
    pub fn check(&self, access: Access, what: &str) -> Result<(), Denied> {
        if self.reaches(access) {
            return Ok(());
        }
        let mut levels = self.granted.clone();
        levels.insert(self.source.clone(), access);
        let shown: Vec<_> =
            levels.iter().map(|(name, level)| format!("{} = \"{}\"", lua_key(name), level.as_str())).collect();
        Err(Denied::new(what, format!("{} = {{ {} }}", self.area, shown.join(", "))))
    }
}

/// May ask a language model that the configuration names.
#[derive(Debug, Clone)]
pub struct LlmPermit {
    source: String,
}

pub fn llm(grants: &Grants, source: &str) -> Result<LlmPermit, Denied> {
    listed(&grants.llm, "llm", source, || format!("the language model {source:?}"))
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
    let granted = || grants.secrets.iter().chain(&grants.reveal);
    if granted().any(|pattern| matches(pattern, name)) {
        return Ok(SecretPermit { name: name.to_owned() });
    }
    Err(Denied::new(
        format!("the secret {name:?}"),
        secrets_entry(&[grants.secrets.clone(), vec![name.to_owned()]].concat(), &grants.reveal),
    ))
}

/// May read the text of one secret.
pub fn reveal(grants: &Grants, name: &str) -> Result<SecretPermit, Denied> {
    if grants.reveal.iter().any(|pattern| matches(pattern, name)) {
        return Ok(SecretPermit { name: name.to_owned() });
    }
    let others: Vec<String> = grants.secrets.iter().filter(|pattern| *pattern != name).cloned().collect();
    let revealed = [grants.reveal.clone(), vec![name.to_owned()]].concat();
    Err(Denied::new(format!("reading the text of the secret {name:?}"), secrets_entry(&others, &revealed)))
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
    listed(&grants.kv, "kv", scope, || format!("the key-value scope {scope:?}"))
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
    listed(&grants.jobs, "jobs", job, || format!("triggering the job {job:?}"))
        .map(|()| JobPermit { job: job.to_owned() })
}

impl JobPermit {
    pub fn job(&self) -> &str {
        &self.job
    }
}

/// May look at the machine.
#[derive(Debug, Clone)]
pub struct HostPermit(());

pub fn host(grants: &Grants) -> Result<HostPermit, Denied> {
    match grants.host {
        Some(_) => Ok(HostPermit(())),
        None => Err(Denied::new("looking at this machine", "host = \"read\"".to_owned())),
    }
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
    listed(&grants.process, "process", program, || format!("running the program {program:?}"))
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
    let granted = grants.fs.iter().filter(|(pattern, _)| matches(pattern, root)).map(|(_, access)| *access).max();
    if granted.is_some_and(|granted| granted >= access) {
        return Ok(FsPermit { root: root.to_owned(), access });
    }
    let mut wanted = grants.fs.clone();
    wanted.insert(root.to_owned(), access);
    let shown: Vec<_> = wanted.iter().map(|(root, access)| format!("[{root:?}] = {:?}", access.as_str())).collect();
    let what = format!("{} files of the root {root:?}", if access == Access::Read { "reading" } else { "changing" });
    Err(Denied::new(what, format!("fs = {{ {} }}", shown.join(", "))))
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

/// Patterns in `permissions` that cannot be read, each with its problem: for loading a job.
pub fn problems(spec: &JobSpec) -> Vec<String> {
    let parse = |text: &String| text.parse::<HostPattern>().err().map(|problem| format!("permissions.http: {problem}"));
    spec.permissions.http.iter().filter_map(parse).collect()
}

fn listed(patterns: &[String], key: &str, name: &str, what: impl FnOnce() -> String) -> Result<(), Denied> {
    if patterns.iter().any(|pattern| matches(pattern, name)) {
        return Ok(());
    }
    Err(Denied::new(what(), format!("{key} = {}", extended(patterns, name))))
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
mod tests {
    use super::*;

    #[test]
    fn a_source_is_granted_by_name_and_level() {
        let levels = [("main".to_owned(), Access::Read), ("shop-*".to_owned(), Access::Admin)];
        let grants = Grants { redis: levels.into(), ..Grants::default() };
        let permit = redis(&grants, "main").expect("a permit");
        assert!(permit.reaches(Access::Read) && !permit.reaches(Access::Write));
        let denied = permit.check(Access::Write, "SET on redis.main").expect_err("read only");
        assert_eq!(denied.line, "permissions = { redis = { main = \"write\", [\"shop-*\"] = \"admin\" } }");
        assert!(redis(&grants, "shop-1").is_ok_and(|permit| permit.reaches(Access::Admin)));
        assert!(redis(&grants, "other").is_err());
        let denied = graph(&grants, "main").map(|_| ()).expect_err("another area");
        assert_eq!(denied.line, "permissions = { graph = { main = \"read\" } }");
        let denied = llm(&grants, "main").map(|_| ()).expect_err("nothing");
        assert_eq!(denied.line, "permissions = { llm = { \"main\" } }");
    }

    fn named(levels: &[(Access, &[&str])]) -> Grants {
        let levels = levels.iter().map(|(level, names)| (*level, names.iter().map(|n| (*n).to_owned()).collect()));
        Grants { docker: Some(DockerGrant::Named(levels.collect())), ..Grants::default() }
    }

    #[test]
    fn a_docker_level_includes_the_lower_ones() {
        let grants = Grants { docker: Some(DockerGrant::Everything(Access::Write)), ..Grants::default() };
        assert!(docker(&grants, Access::Read, None).is_ok());
        let permit = docker(&grants, Access::Write, Some("web")).expect("a permit");
        assert!(permit.check(Access::Admin, "web").is_err());
        assert_eq!(
            docker(&grants, Access::Admin, None).map(|_| ()).map_err(|denied| denied.line),
            Err("permissions = { docker = \"admin\" }".to_owned())
        );
    }

    #[test]
    fn docker_patterns_cover_names_and_the_hint_keeps_them() {
        let grants = named(&[(Access::Read, &["*"]), (Access::Write, &["web-*"])]);
        let permit = docker(&grants, Access::Write, None).expect("a permit");
        assert!(permit.covers(Access::Write, "web-1") && permit.covers(Access::Read, "db"));
        assert!(permit.covers_everything(Access::Read) && !permit.covers_everything(Access::Write));
        let denied = permit.check(Access::Write, "db").expect_err("not covered");
        assert_eq!(denied.line, r#"permissions = { docker = { read = { "*" }, write = { "web-*", "db" } } }"#);
        assert!(docker(&grants, Access::Write, Some("db")).is_err());
    }

    #[test]
    fn nothing_granted_is_nothing_allowed() {
        let none = Grants::default();
        let denied = docker(&none, Access::Read, None).expect_err("denied");
        assert_eq!(
            Fault::from(denied).hint.as_deref(),
            Some("add to the job's table: permissions = { docker = \"read\" }")
        );
        let empty = named(&[(Access::Admin, &[])]);
        assert!(docker(&empty, Access::Read, None).is_err());
        assert!(notify(&none, "alerts").is_err() && jobs(&none, "backup").is_err());
        assert!(http(&none).policy().patterns().is_empty());
    }

    #[test]
    fn a_job_owns_its_scope_and_no_other_job_s() {
        let grants = Grants { kv: vec!["shared:deploys".into()], ..Grants::default() };
        assert_eq!(kv(&grants, "sweep", "job").map(|permit| permit.scope().to_owned()), Ok("job:sweep".into()));
        assert!(kv(&grants, "sweep", "job:sweep").is_ok() && kv(&grants, "sweep", "shared:deploys").is_ok());
        let denied = kv(&grants, "sweep", "shared:other").expect_err("denied");
        assert_eq!(denied.line, r#"permissions = { kv = { "shared:deploys", "shared:other" } }"#);
        assert!(kv(&grants, "sweep", "job:backup").is_err());
    }

    #[test]
    fn sources_are_granted_by_name_and_access() {
        let sql_grants = [("main", Access::Read), ("app-*", Access::Write)];
        let sql_grants = sql_grants.map(|(name, access)| (name.to_owned(), access)).into();
        let grants = Grants { sql: sql_grants, ..Grants::default() };
        assert_eq!(sql(&grants, "main").map(|permit| permit.writes()), Ok(false));
        assert_eq!(sql(&grants, "app-1").map(|permit| permit.writes()), Ok(true));
        let denied = sql(&grants, "my-db").expect_err("denied");
        assert_eq!(denied.line, r#"permissions = { sql = { ["my-db"] = "read" } }"#);
        assert_eq!(sql(&Grants::all(), "any").map(|permit| permit.writes()), Ok(true));
    }

    #[test]
    fn lists_name_routes_and_jobs() {
        let grants = Grants { notify: vec!["alerts".into()], jobs: vec!["backup-*".into()], ..Grants::default() };
        assert_eq!(notify(&grants, "alerts").map(|permit| permit.route().to_owned()), Ok("alerts".into()));
        assert_eq!(jobs(&grants, "backup-db").map(|permit| permit.job().to_owned()), Ok("backup-db".into()));
        let fault = Fault::from(notify(&grants, "pages").expect_err("denied"));
        assert_eq!(fault.code, "permission.denied");
        assert_eq!(fault.details["line"], r#"permissions = { notify = { "alerts", "pages" } }"#);
    }
}
