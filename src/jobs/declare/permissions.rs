//! The `permissions` field.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reader::{Reader, Table};
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};

const FIELDS: [&str; 20] = [
    "docker", "host", "proxy", "stack", "sql", "http", "notify", "secrets", "volumes", "process", "fs", "kv", "jobs",
    "runs", "events", "redis", "graph", "llm", "alerts", "egress",
];
const ACCESSES: [(&str, Access); 3] = [("read", Access::Read), ("write", Access::Write), ("admin", Access::Admin)];

pub fn read(reader: &mut Reader, job: &Table) -> Grants {
    let Some(table) = job.table(reader, "permissions") else { return Grants::default() };
    table.only(reader, &FIELDS);
    let (secrets, reveal) = secrets(reader, &table);
    Grants {
        docker: docker(reader, &table),
        host: table.choice(reader, "host", &ACCESSES),
        proxy: proxy(reader, &table),
        stack: table.strings(reader, "stack"),
        sql: by_name(reader, &table, "sql", &ACCESSES),
        redis: by_name(reader, &table, "redis", &ACCESSES),
        graph: by_name(reader, &table, "graph", &ACCESSES[..2]),
        llm: table.strings(reader, "llm"),
        http: hosts(reader, &table, "http"),
        egress: hosts(reader, &table, "egress"),
        notify: table.strings(reader, "notify"),
        secrets,
        reveal,
        volumes: by_name(reader, &table, "volumes", &ACCESSES),
        process: table.strings(reader, "process"),
        fs: by_name(reader, &table, "fs", &ACCESSES[..2]),
        kv: kv(reader, &table),
        jobs: table.strings(reader, "jobs"),
        runs: table.strings(reader, "runs"),
        events: table.strings(reader, "events"),
        alerts: table.choice(reader, "alerts", &ACCESSES[..2]),
        caps: Vec::new(),
    }
}

/// Names to be used, and names with `"reveal"`: `{ "TOKEN", KEY = "reveal" }`. JSON has the numbers of a table that is
/// both as keys.
fn secrets(reader: &mut Reader, permissions: &Table) -> (Vec<String>, Vec<String>) {
    if !matches!(permissions.get("secrets"), Some(Value::Object(_))) {
        return (permissions.strings(reader, "secrets"), Vec::new());
    }
    let Some(table) = permissions.table(reader, "secrets") else { return Default::default() };
    let (mut used, mut revealed) = (Vec::new(), Vec::new());
    for name in table.names() {
        if name.parse::<usize>().is_ok() {
            used.extend(table.string(reader, name).map(str::to_owned));
        } else if let Some(reveals) = table.choice(reader, name, &[("use", false), ("reveal", true)]) {
            if reveals { &mut revealed } else { &mut used }.push(name.to_owned());
        }
    }
    (used, revealed)
}

/// One access for everything, or name patterns by access.
fn docker(reader: &mut Reader, permissions: &Table) -> Option<DockerGrant> {
    if let Some(Value::String(_)) = permissions.get("docker") {
        return permissions.choice(reader, "docker", &ACCESSES).map(DockerGrant::Everything);
    }
    let table = permissions.table(reader, "docker")?;
    table.only(reader, &ACCESSES.map(|(name, _)| name));
    let named = ACCESSES.iter().filter(|(name, _)| table.get(name).is_some());
    let named: Vec<_> = named.map(|(name, access)| (*access, table.strings(reader, name))).collect();
    Some(DockerGrant::Named(named.into_iter().collect()))
}

/// One access for every load balancer, or one for each.
fn proxy(reader: &mut Reader, permissions: &Table) -> BTreeMap<String, Access> {
    if let Some(Value::String(_)) = permissions.get("proxy") {
        let access = permissions.choice(reader, "proxy", &ACCESSES);
        return access.map(|access| ("*".to_owned(), access)).into_iter().collect();
    }
    by_name(reader, permissions, "proxy", &ACCESSES)
}

/// `{ main = "read" }`.
fn by_name(
    reader: &mut Reader,
    permissions: &Table,
    field: &str,
    accesses: &[(&str, Access)],
) -> BTreeMap<String, Access> {
    let Some(table) = permissions.table(reader, field) else { return BTreeMap::new() };
    let accesses = |name: &str, reader: &mut Reader| table.choice(reader, name, accesses);
    table.names().filter_map(|name| Some((name.to_owned(), accesses(name, reader)?))).collect()
}

/// Hosts with an optional port, or networks; not addresses of pages.
fn hosts(reader: &mut Reader, permissions: &Table, field: &str) -> Vec<String> {
    let hosts = permissions.strings(reader, field);
    for host in &hosts {
        let network = host.parse::<ipnet::IpNet>().is_ok();
        if host.is_empty() || !network && host.contains('/') || host.contains(char::is_whitespace) {
            let problem =
                format!("{host:?} is not a host such as \"api.example.com\", \"*.example.com:443\" or \"10.0.0.0/8\"");
            reader.wrong(permissions, field, problem);
        }
    }
    hosts
}

fn kv(reader: &mut Reader, permissions: &Table) -> Vec<String> {
    let scopes = permissions.strings(reader, "kv");
    for scope in &scopes {
        if scope.strip_prefix("shared:").is_none_or(str::is_empty) {
            let problem = format!("{scope:?} is not a scope such as \"shared:deploys\"; a job's own needs no grant");
            reader.wrong(permissions, "kv", problem);
        }
    }
    scopes
}
