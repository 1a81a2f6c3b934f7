//! The model's rules and grants in words, for people.

use std::time::Duration;

use crate::base::quantity::show_duration;
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::model::schedule::{CatchUp, Rule, ScheduleSpec};

/// `every 5m`, `cron 0 6 * * * (Europe/Berlin)`, `once at 2027-01-01T00:00:00Z`.
pub fn rule(rule: &Rule) -> String {
    match rule {
        Rule::Cron { expression, timezone } => format!("cron {expression} ({timezone})"),
        Rule::Every { interval } => format!("every {}", show_duration(*interval)),
        Rule::At { at } => format!("once at {at}"),
    }
}

/// The rule and what else was said of it.
pub fn schedule(spec: &ScheduleSpec) -> String {
    let mut text = rule(&spec.rule);
    if spec.jitter > Duration::ZERO {
        text += &format!(", up to {} later", show_duration(spec.jitter));
    }
    // What is usual for the kind of rule goes without saying.
    match (&spec.rule, spec.catch_up) {
        (Rule::Every { .. }, CatchUp::None) | (Rule::Cron { .. } | Rule::At { .. }, CatchUp::Latest) => {}
        (_, CatchUp::None) => text += ", missed times are not caught up",
        (_, CatchUp::Latest) => text += ", the latest missed time is caught up",
        (_, CatchUp::All) => text += ", every missed time is caught up",
    }
    if let Some(window) = spec.window {
        text += &format!(" for {}", show_duration(window));
    }
    if !spec.skip.is_empty() {
        text += &format!(", not during {}", spec.skip.join(", "));
    }
    text
}

/// `(resource, what)` pairs, such as `("docker", "read: *; write: web-*")`.
pub fn grants(grants: &Grants) -> Vec<(&'static str, String)> {
    let access = |access: Option<Access>| access.map(|access| access.as_str().to_owned());
    let docker = grants.docker.as_ref().map(|grant| match grant {
        DockerGrant::Everything(access) => access.as_str().to_owned(),
        DockerGrant::Named(named) => {
            let each = named.iter().map(|(access, names)| format!("{}: {}", access.as_str(), names.join(", ")));
            each.collect::<Vec<_>>().join("; ")
        }
    });
    let list = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let map = |named: &std::collections::BTreeMap<String, Access>| {
        let each = named.iter().map(|(name, access)| format!("{name}: {}", access.as_str()));
        (!named.is_empty()).then(|| each.collect::<Vec<_>>().join(", "))
    };
    let all = [
        ("docker", docker),
        ("host", access(grants.host)),
        ("proxy", map(&grants.proxy)),
        ("stack", list(&grants.stack)),
        ("sql", map(&grants.sql)),
        ("redis", map(&grants.redis)),
        ("graph", map(&grants.graph)),
        ("llm", list(&grants.llm)),
        ("http", list(&grants.http)),
        ("egress", list(&grants.egress)),
        ("notify", list(&grants.notify)),
        ("secrets", list(&grants.secrets)),
        ("secrets in plain text", list(&grants.reveal)),
        ("volumes", map(&grants.volumes)),
        ("process", list(&grants.process)),
        ("fs", map(&grants.fs)),
        ("kv", list(&grants.kv)),
        ("jobs", list(&grants.jobs)),
        ("runs", list(&grants.runs)),
        ("events", list(&grants.events)),
        ("alerts", access(grants.alerts)),
    ];
    all.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn schedules_read_as_sentences() {
        let spec = ScheduleSpec {
            rule: Rule::Cron { expression: "0 6 * * *".into(), timezone: "Europe/Berlin".into() },
            jitter: Duration::from_secs(30),
            catch_up: CatchUp::None,
            window: None,
            skip: vec!["holidays".into()],
        };
        let text =
            "cron 0 6 * * * (Europe/Berlin), up to 30s later, missed times are not caught up, not during holidays";
        assert_eq!(schedule(&spec), text);
        assert_eq!(rule(&Rule::Every { interval: Duration::from_secs(300) }), "every 5m");
    }

    #[test]
    fn only_what_is_granted_is_listed() {
        let named = BTreeMap::from([(Access::Read, vec!["*".to_owned()]), (Access::Write, vec!["web-*".to_owned()])]);
        let some =
            Grants { docker: Some(DockerGrant::Named(named)), http: vec!["a".into(), "b".into()], ..Grants::default() };
        assert_eq!(grants(&some), [("docker", "read: *; write: web-*".to_owned()), ("http", "a, b".to_owned())]);
        assert!(grants(&Grants::default()).is_empty());
        assert_eq!(grants(&Grants::all()).len(), 21);
    }
}
