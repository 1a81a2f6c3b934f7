//! The record of a privileged call: made by the choke point when the call begins, written when it ends, however it ends.

use url::Url;

use super::args::{Args, Datum};
use super::context::CallContext;
use crate::base::Fault;
use crate::model::NewAudit;
use crate::model::audit::OK;
use crate::model::grants::Access;

/// Options that name the object of a call which has no such argument.
const NAMING: [&str; 7] = ["url", "name", "image", "container", "source", "path", "job"];
/// The outcome of a call that was given up before it had one.
const ABANDONED: &str = "run.cancelled";

/// A call under way. Dropped without an end, it is recorded as given up.
pub struct Record {
    context: CallContext,
    object: String,
    permission: Option<String>,
    dry_run: bool,
    ended: bool,
}

impl Record {
    /// None for calls that need no permission: they are the run's own business.
    ///
    /// # Errors
    /// The record could not be kept: then the call is not made.
    pub fn begin(context: &CallContext, args: &Args) -> Result<Option<Self>, Fault> {
        let (Some(line), Some(scope)) = (context.function.permission, &context.scope) else { return Ok(None) };
        let Some((object, permission)) = named(context, args, line) else { return Ok(None) };
        scope.audit.has_room()?;
        let (context, dry_run) = (context.clone(), context.dry_run(args));
        Ok(Some(Self { context, object, permission, dry_run, ended: false }))
    }

    pub fn end(mut self, result: &Result<Datum, Fault>) {
        match result {
            Ok(_) => self.write(OK.into(), None),
            Err(fault) => {
                let needed = fault.details["needed"].as_str().filter(|_| fault.code == "permission.denied");
                self.permission = needed.map(str::to_owned).or(self.permission.take());
                self.write(fault.code.to_string(), fault.details.get("policy").cloned());
            }
        }
        self.ended = true;
    }

    fn write(&self, outcome: String, policy: Option<serde_json::Value>) {
        let Some(scope) = &self.context.scope else { return };
        let (at, actor) = (self.context.clock.now(), scope.trigger.actor.0.clone());
        let mut data = serde_json::Map::new();
        if self.dry_run {
            data.insert("dry_run".into(), true.into());
        }
        if let Some(policy) = policy {
            data.insert("policy".into(), policy);
        }
        let data = if data.is_empty() { serde_json::Value::Null } else { data.into() };
        let record = NewAudit::new(at, actor, &*self.context.name, self.object.as_str());
        let record = record.job(&scope.job).run(scope.run).outcome(outcome).data(data);
        let reached = self.context.reach.level();
        let permission = self.permission.as_deref().map(|line| reached.map_or(line.to_owned(), |to| raised(line, to)));
        let record = NewAudit { permission, ..record };
        tracing::info!(
            target: "aegis::audit",
            function = record.action,
            object = record.object,
            permission = record.permission,
            run = %scope.run,
            job = %scope.job,
            actor = record.actor,
            dry_run = self.dry_run,
            outcome = record.outcome,
        );
        scope.audit.record(record);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.ended {
            self.write(ABANDONED.into(), None);
        }
    }
}

/// What the call is about, and the permission that it needs; None when it needs none after all.
fn named(context: &CallContext, args: &Args, line: &str) -> Option<(String, Option<String>)> {
    if let Some(function) = context.name.strip_prefix("aegis.kv.") {
        return kv(function, args, line);
    }
    if context.name.starts_with("aegis.proxy.") {
        let proxy = args.text("proxy").unwrap_or_default();
        let words = ["backend", "server", "name"].into_iter().filter_map(|word| args.text(word));
        let object: Vec<&str> = std::iter::once(proxy).chain(words).collect();
        return Some((object.join("/"), Some(filled(line, proxy))));
    }
    if &*context.name == "aegis.egress.open" {
        let names = args.record("options").texts("names").unwrap_or_default();
        return Some((names.join(", "), Some(filled(line, &names.join("\", \"")))));
    }
    let object = object(context, args);
    let name = match () {
        () if line.contains("HOST") => host(&object),
        () if line.contains("ROOT") => object.split(':').next().unwrap_or_default().to_owned(),
        () => object.clone(),
    };
    let own = context.scope.as_ref().map(|scope| scope.job.as_str());
    if &*context.name == "aegis.jobs.runs" && own == Some(name.as_str()) {
        return None;
    }
    // Of a run it is not known yet which job it is of.
    let permission = match (&*context.name, name.is_empty()) {
        ("aegis.jobs.wait", _) => None,
        ("aegis.jobs.runs", true) => Some(filled(line, "*")),
        (_, true) => Some(line.to_owned()),
        _ => Some(filled(line, &name)),
    };
    Some((object, permission))
}

/// Keys of the job's own need no permission.
fn kv(function: &str, args: &Args, line: &str) -> Option<(String, Option<String>)> {
    let options = args.record("options");
    let scope = options.text("scope").filter(|scope| *scope != "job")?.to_owned();
    let key = if function == "list" { options.text("prefix") } else { args.text("key") };
    let object = key.map_or_else(|| scope.clone(), |key| format!("{scope}/{key}"));
    Some((object, Some(line.replace("shared:NAME", &scope))))
}

/// The first text among the arguments, or what the options name.
fn object(context: &CallContext, args: &Args) -> String {
    for param in context.function.params {
        match args.0.get(param.name) {
            Some(Datum::Text(text)) => return shown(text),
            Some(Datum::Bytes(bytes)) => return shown(&String::from_utf8_lossy(bytes)),
            Some(Datum::Integer(number)) => return format!("#{number}"),
            Some(Datum::Map(options)) => {
                let text = |name: &&str| match options.get(*name) {
                    Some(Datum::Text(text)) => Some(shown(text)),
                    _ => None,
                };
                if let Some(found) = NAMING.iter().find_map(text) {
                    return found;
                }
            }
            _ => {}
        }
    }
    String::new()
}

/// Of an address only what names the place: credentials and what is asked may be secret.
fn shown(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    if !url.has_host() {
        return text.to_owned();
    }
    let (_, _) = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The line with the level that the call turned out to need, where that is a higher one.
fn raised(line: &str, to: Access) -> String {
    let quoted = |access: Access| format!("\"{}\"", access.as_str());
    let lower = [Access::Read, Access::Write].into_iter().filter(|access| *access < to);
    lower.fold(line.to_owned(), |line, access| line.replace(&quoted(access), &quoted(to)))
}

fn host(object: &str) -> String {
    let host = Url::parse(object).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| object.to_owned())
}

/// The line with its placeholder replaced.
fn filled(line: &str, name: &str) -> String {
    for word in ["NAME", "ROUTE", "PROGRAM", "HOST"] {
        if line.contains(word) {
            return line.replace(word, name);
        }
    }
    let key = crate::primitives::permit::lua_key(name);
    line.replace("SOURCE", &key).replace("ROOT", &key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_what_may_be_secret() {
        assert_eq!(shown("https://u:p@api.example.com:8443/a/b?key=1#x"), "https://api.example.com:8443/a/b");
        assert_eq!(shown("backups:daily/db.sql"), "backups:daily/db.sql");
        assert_eq!(host("https://api.example.com/a"), "api.example.com");
    }

    #[test]
    fn lines_have_the_level_that_was_needed() {
        assert_eq!(raised("docker = \"read\"", Access::Admin), "docker = \"admin\"");
        assert_eq!(raised("docker = \"admin\"", Access::Write), "docker = \"admin\"");
        assert_eq!(raised("redis = { main = \"read\" }", Access::Write), "redis = { main = \"write\" }");
    }

    #[test]
    fn lines_name_the_object() {
        assert_eq!(filled("http = { \"HOST\" }", "a.example.com"), "http = { \"a.example.com\" }");
        assert_eq!(filled("sql = { SOURCE = \"read\" }", "my-db"), "sql = { [\"my-db\"] = \"read\" }");
        assert_eq!(filled("docker = \"read\"", "web"), "docker = \"read\"");
    }
}
