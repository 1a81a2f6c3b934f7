//! The `on` field: what sets a job off besides its schedule.

use serde::Serialize;
use serde_json::Value;

use super::reader::{Reader, Table};
use crate::base::limits;
use crate::base::quantity::show_duration;
use crate::base::suggest::did_you_mean;
use crate::model::Grants;
use crate::model::grants::Access;
use crate::model::job::TriggerSpec;
use crate::model::triggers::{
    AlertTrigger, DockerTrigger, FileTrigger, JobTrigger, Scheme, SqlTrigger, WebhookTrigger,
};
use crate::primitives::fs::FsPath;
use crate::primitives::permit::{self, Denied};

const KINDS: [&str; 6] = [
    WebhookTrigger::KIND,
    DockerTrigger::KIND,
    SqlTrigger::KIND,
    FileTrigger::KIND,
    JobTrigger::KIND,
    AlertTrigger::KIND,
];

/// What happens to containers, as the engine calls it.
const CONTAINER_EVENTS: [&str; 25] = [
    "attach",
    "commit",
    "copy",
    "create",
    "destroy",
    "detach",
    "die",
    "exec_create",
    "exec_detach",
    "exec_die",
    "exec_start",
    "export",
    "health_status",
    "kill",
    "oom",
    "pause",
    "prune",
    "rename",
    "resize",
    "restart",
    "start",
    "stop",
    "top",
    "unpause",
    "update",
];

pub fn read(reader: &mut Reader, job: &Table, grants: &Grants) -> Vec<TriggerSpec> {
    let mut found = Vec::new();
    for entry in job.tables(reader, "on", "on = { docker = { event = \"die\" } }") {
        entry.only(reader, &KINDS);
        for kind in KINDS {
            let Some(table) = entry.table(reader, kind) else { continue };
            let options = match kind {
                DockerTrigger::KIND => docker(reader, &entry, &table, grants).map(stored),
                SqlTrigger::KIND => sql(reader, &entry, &table, grants).map(stored),
                JobTrigger::KIND => ended(reader, &entry, &table, grants).map(stored),
                WebhookTrigger::KIND => webhook(reader, &entry, &table, grants).map(stored),
                FileTrigger::KIND => file(reader, &entry, &table, grants).map(stored),
                _ => alert(reader, &entry, &table).map(stored),
            };
            found.extend(options.map(|options| TriggerSpec { kind: kind.to_owned(), options }));
        }
    }
    if found.len() > limits::JOB_TRIGGERS_MAX {
        reader.wrong(job, "on", format!("more than {} entries", limits::JOB_TRIGGERS_MAX));
    }
    found
}

fn stored(trigger: impl Serialize) -> Value {
    serde_json::to_value(trigger).unwrap_or_default()
}

fn docker(reader: &mut Reader, entry: &Table, table: &Table, grants: &Grants) -> Option<DockerTrigger> {
    table.only(reader, &["event", "type", "container", "label"]);
    granted(reader, entry, DockerTrigger::KIND, permit::docker(grants, Access::Read, None));
    let types = DockerTrigger::TYPES.map(|name| (name, name));
    let kind = table.choice(reader, "type", &types).unwrap_or("container");
    if table.get("event").is_none() {
        reader.wrong(entry, DockerTrigger::KIND, "event is missing; write { event = \"die\" }");
        return None;
    }
    let event = one_or_more(reader, table, "event");
    for name in event.iter().filter(|_| kind == "container") {
        let action = name.split(": ").next().unwrap_or(name);
        if !CONTAINER_EVENTS.contains(&action) {
            let near = did_you_mean(action, CONTAINER_EVENTS);
            reader.wrong(table, "event", format!("{action:?} is not an event of a container{near}"));
        }
    }
    let container = one_or_more(reader, table, "container");
    if kind != "container" && !container.is_empty() {
        reader.wrong(table, "container", format!("the type is {kind:?}, whose events are about no container"));
    }
    let label = one_or_more(reader, table, "label");
    Some(DockerTrigger { event, kind: kind.to_owned(), container, label })
}

fn sql(reader: &mut Reader, entry: &Table, table: &Table, grants: &Grants) -> Option<SqlTrigger> {
    /// What PostgreSQL keeps of a name.
    const CHANNEL_BYTES_MAX: usize = 63;
    table.only(reader, &["source", "channel"]);
    let mut need = |field| {
        if table.get(field).is_none() {
            let problem = format!("{field} is missing; write {{ source = \"main\", channel = \"jobs\" }}");
            reader.wrong(entry, SqlTrigger::KIND, problem);
        }
        table.string(reader, field).map(str::to_owned)
    };
    let (source, channel) = (need("source")?, need("channel")?);
    if channel.is_empty() || channel.len() > CHANNEL_BYTES_MAX || channel.contains('\0') {
        reader.wrong(table, "channel", format!("a channel's name has 1 to {CHANNEL_BYTES_MAX} bytes"));
    }
    granted(reader, entry, SqlTrigger::KIND, permit::sql(grants, &source).map(drop));
    Some(SqlTrigger { source, channel })
}

fn webhook(reader: &mut Reader, entry: &Table, table: &Table, grants: &Grants) -> Option<WebhookTrigger> {
    table.only(reader, &["secret", "scheme"]);
    if table.get("secret").is_none() {
        reader.wrong(entry, WebhookTrigger::KIND, "secret is missing; write { secret = \"HOOK_KEY\" }");
        return None;
    }
    let secret = table.string(reader, "secret")?.to_owned();
    let scheme = table.choice(reader, "scheme", &Scheme::NAMES).unwrap_or_default();
    granted(reader, entry, WebhookTrigger::KIND, permit::secret(grants, &secret));
    Some(WebhookTrigger { secret, scheme })
}

fn file(reader: &mut Reader, entry: &Table, table: &Table, grants: &Grants) -> Option<FileTrigger> {
    table.only(reader, &["path", "settle"]);
    if table.get("path").is_none() {
        reader.wrong(entry, FileTrigger::KIND, "path is missing; write { path = \"inbox:*.csv\" }");
        return None;
    }
    let path = match table.string(reader, "path")?.parse::<FsPath>() {
        Ok(path) => path,
        Err(problem) => {
            reader.wrong(table, "path", problem.to_string());
            return None;
        }
    };
    match path.above() {
        None => reader.wrong(table, "path", "it names a root and no files in it; write \"inbox:*.csv\""),
        Some((folder, _)) if folder.to_string().contains('*') => {
            reader.wrong(table, "path", "only its last name may hold *: one folder is watched");
        }
        Some(_) => {}
    }
    let settle = table.duration(reader, "settle").unwrap_or(limits::TRIGGER_FILE_SETTLE_DEFAULT);
    let (least, most) = (limits::TRIGGER_FILE_SETTLE_MIN, limits::TRIGGER_FILE_SETTLE_MAX);
    if !(least..=most).contains(&settle) {
        let problem = format!("expected {} to {}", show_duration(least), show_duration(most));
        reader.wrong(table, "settle", problem);
    }
    granted(reader, entry, FileTrigger::KIND, permit::fs(grants, path.root(), Access::Read));
    Some(FileTrigger { path: path.to_string(), settle })
}

fn ended(reader: &mut Reader, entry: &Table, table: &Table, grants: &Grants) -> Option<JobTrigger> {
    table.only(reader, &["name", "state"]);
    let name = needed(reader, entry, table, JobTrigger::KIND, "name", "{ name = \"backup\" }")?;
    let state = states(reader, table, &JobTrigger::STATES);
    for job in &name {
        granted(reader, entry, JobTrigger::KIND, permit::runs(grants, "", Some(job)));
    }
    Some(JobTrigger { name, state })
}

fn alert(reader: &mut Reader, entry: &Table, table: &Table) -> Option<AlertTrigger> {
    table.only(reader, &["rule", "state"]);
    let rule = needed(reader, entry, table, AlertTrigger::KIND, "rule", "{ rule = \"disk_full\" }")?;
    let state = states(reader, table, &AlertTrigger::STATES);
    Some(AlertTrigger { rule, state })
}

fn needed(
    reader: &mut Reader,
    entry: &Table,
    table: &Table,
    kind: &str,
    field: &str,
    example: &str,
) -> Option<Vec<String>> {
    if table.get(field).is_none() {
        reader.wrong(entry, kind, format!("{field} is missing; write {example}"));
        return None;
    }
    Some(one_or_more(reader, table, field))
}

/// Those asked for, or the first of those that there are.
fn states(reader: &mut Reader, table: &Table, known: &[&str]) -> Vec<String> {
    let asked = one_or_more(reader, table, "state");
    for state in asked.iter().filter(|state| !known.contains(&state.as_str())) {
        let near = did_you_mean(state, known.iter().copied());
        reader.wrong(table, "state", format!("expected {}, got {state:?}{near}", known.join(", ")));
    }
    match asked.is_empty() {
        true => known.iter().take(1).map(|state| (*state).to_owned()).collect(),
        false => asked,
    }
}

/// Hearing of something takes the permission to look at it.
fn granted<T>(reader: &mut Reader, entry: &Table, kind: &str, permit: Result<T, Denied>) {
    if let Err(denied) = permit {
        reader.wrong(entry, kind, format!("the job may not listen there; add {}", denied.line));
    }
}

/// A text, or a list of texts.
fn one_or_more(reader: &mut Reader, table: &Table, field: &str) -> Vec<String> {
    match table.get(field) {
        Some(Value::String(text)) => vec![text.clone()],
        _ => table.strings(reader, field),
    }
}
