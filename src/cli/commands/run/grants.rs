//! Permissions as they are written on the command line.

use crate::base::suggest;
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};

const NAMES: [&str; 21] = [
    "alerts", "docker", "egress", "events", "fs", "graph", "host", "http", "jobs", "kv", "llm", "notify", "process",
    "proxy", "redis", "reveal", "runs", "secrets", "sql", "stack", "volumes",
];

/// Adds `name=value`: an access for `alerts`, `docker` and `host`; `source:access` for `sql`, `redis`, `graph`,
/// `volumes`, `fs` and `proxy`, where an access alone is for all proxies; names separated by commas for all others.
pub(super) fn add(grants: &mut Grants, name: &str, value: &str) -> Result<(), String> {
    let words = || value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned);
    let list = match name {
        "docker" => {
            grants.docker = Some(DockerGrant::Everything(access(name, value)?));
            return Ok(());
        }
        "host" => return access(name, value).map(|access| grants.host = Some(access)),
        "alerts" => return access(name, value).map(|access| grants.alerts = Some(access)),
        "proxy" if !value.contains(':') => {
            grants.proxy.insert("*".to_owned(), access(name, value)?);
            return Ok(());
        }
        "sql" | "redis" | "graph" | "fs" | "volumes" | "proxy" => {
            let (source, word) = value.split_once(':').ok_or_else(|| format!("write --grant {name}=NAME:read"))?;
            let access = access(name, word)?;
            let map = match name {
                "sql" => &mut grants.sql,
                "redis" => &mut grants.redis,
                "graph" => &mut grants.graph,
                "volumes" => &mut grants.volumes,
                "proxy" => &mut grants.proxy,
                _ => &mut grants.fs,
            };
            map.insert(source.to_owned(), access);
            return Ok(());
        }
        "stack" => &mut grants.stack,
        "llm" => &mut grants.llm,
        "http" => &mut grants.http,
        "egress" => &mut grants.egress,
        "notify" => &mut grants.notify,
        "secrets" => &mut grants.secrets,
        "reveal" => &mut grants.reveal,
        "process" => &mut grants.process,
        "kv" => &mut grants.kv,
        "jobs" => &mut grants.jobs,
        "runs" => &mut grants.runs,
        "events" => &mut grants.events,
        other => {
            let near = suggest::did_you_mean(other, NAMES);
            return Err(format!("there is no permission {other:?}{near}; there are {}", NAMES.join(", ")));
        }
    };
    list.extend(words());
    Ok(())
}

fn access(name: &str, value: &str) -> Result<Access, String> {
    let all = [Access::Read, Access::Write, Access::Admin];
    all.into_iter()
        .find(|access| access.as_str() == value)
        .ok_or_else(|| format!("{value:?} is no access: write --grant {name}=read, write or admin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_can_be_given() {
        let mut grants = Grants::default();
        let given = [
            ("alerts", "write"),
            ("docker", "read"),
            ("host", "read"),
            ("proxy", "write"),
            ("sql", "main:read"),
            ("redis", "main:admin"),
            ("graph", "knowledge:write"),
            ("llm", "main"),
            ("fs", "backups:write"),
            ("stack", "web"),
            ("http", "a.example, b.example:443"),
            ("egress", "a.example"),
            ("notify", "alerts"),
            ("secrets", "X"),
            ("reveal", "X"),
            ("volumes", "agents/*:write"),
            ("process", "git"),
            ("kv", "shared:x"),
            ("jobs", "backup"),
            ("runs", "backup"),
            ("events", "paid"),
        ];
        assert_eq!(given.len(), NAMES.len());
        for (name, value) in given {
            let before = grants.clone();
            assert_eq!(add(&mut grants, name, value), Ok(()), "{name}");
            assert_ne!(grants, before, "{name}");
        }
        assert_eq!(grants.http, ["a.example", "b.example:443"]);
        assert_eq!(add(&mut grants, "proxy", "edge:read"), Ok(()));
        assert_eq!((grants.proxy["*"], grants.proxy["edge"]), (Access::Write, Access::Read));
        for (name, value) in [("dokcer", "read"), ("docker", "all"), ("sql", "main"), ("sql", "main:all")] {
            assert!(add(&mut grants, name, value).is_err(), "{name}={value}");
        }
    }
}
