//! The operator's policy out of its file. Everything that is wrong is said at once, each with its line and column.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tree::{Kind, Node, Place, parse};
use super::{Allowed, Approve, Policy, Rule, When};
use crate::base::{Fault, ScriptPosition, limits, nearest};
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};

const RULE: [&str; 3] = ["scripts", "allow", "approve"];
const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Admin];
const LEVELLED: [&str; 2] = ["host", "alerts"];
const BY_NAME: [&str; 6] = ["sql", "redis", "graph", "fs", "volumes", "proxy"];
const LISTS: [&str; 12] =
    ["stack", "http", "egress", "notify", "secrets", "reveal", "process", "kv", "jobs", "runs", "events", "llm"];

/// The policy in `text`, which was read from `file`.
///
/// # Errors
/// All that is wrong with it.
pub fn read(file: &str, text: &str) -> Result<Policy, Vec<Fault>> {
    let mut reader = Reader { file, text, faults: Vec::new() };
    let rules = match parse(text) {
        Ok(root) => reader.root(&root),
        Err((place, problem)) => {
            reader.fault(place, problem, None);
            Vec::new()
        }
    };
    if reader.faults.is_empty() { Ok(Policy { file: file.into(), rules }) } else { Err(reader.faults) }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, place: Place, problem: impl Into<String>, hint: Option<String>) {
        let Place { line, column } = place;
        let number = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        let at = ScriptPosition {
            file: self.file.to_owned(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).ok(),
            text: self.text.lines().nth(number).map(str::to_owned),
        };
        let message = format!("{}:{line}:{column}: {}", self.file, problem.into());
        let fault = Fault::new("policy.invalid", message).at(at);
        self.faults.push(match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        });
    }

    fn wants(&mut self, node: &Node, key: &str, what: &str) {
        self.fault(node.place, format!("{key} must be {what}"), None);
    }

    fn root(&mut self, root: &Node) -> Vec<Rule> {
        let entries = self.map(root, "the policy", &["rules"]);
        let Some((_, _, list)) = entries.first() else { return Vec::new() };
        match &list.kind {
            Kind::Nothing => Vec::new(),
            Kind::List(rules) if rules.len() <= limits::POLICY_RULES_MAX => {
                rules.iter().map(|rule| self.rule(rule)).collect()
            }
            Kind::List(_) => {
                self.wants(list, "rules", &format!("at most {} rules", limits::POLICY_RULES_MAX));
                Vec::new()
            }
            _ => {
                self.wants(list, "rules", "a list: - scripts: team/**");
                Vec::new()
            }
        }
    }

    /// The entries of a map with known keys.
    fn map<'n>(&mut self, node: &'n Node, key: &str, known: &[&str]) -> &'n [(String, Place, Node)] {
        let Kind::Map(entries) = &node.kind else {
            self.wants(node, key, "keys with values");
            return &[];
        };
        for (at, (name, place, _)) in entries.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let hint = nearest(name, known.iter().copied()).map(|near| format!("did you mean {near}?"));
                let hint = hint.unwrap_or_else(|| format!("known are {}", known.join(", ")));
                self.fault(*place, format!("unknown key {name:?} in {key}"), Some(hint));
            }
            if entries[..at].iter().any(|(other, _, _)| other == name) {
                self.fault(*place, format!("the key {name:?} is there twice"), None);
            }
        }
        entries
    }

    fn rule(&mut self, node: &Node) -> Rule {
        let entries = self.map(node, "a rule", &RULE);
        let of = |name: &str| entries.iter().find(|(key, _, _)| key == name);
        let scripts = match of("scripts") {
            Some((_, _, value)) => self.texts(value, "scripts"),
            None => {
                let hint = Some("write scripts: \"**\" for all".to_owned());
                self.fault(node.place, "the rule does not say which scripts it is about", hint);
                Vec::new()
            }
        };
        let allow = of("allow").map(|(_, place, value)| self.allow(*place, value));
        let approve = of("approve").map(|(_, _, value)| self.approve(value)).unwrap_or_default();
        Rule { scripts, allow, approve }
    }

    /// One text or a list of them.
    fn texts(&mut self, node: &Node, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        for item in items {
            match &item.kind {
                Kind::Text(text) if !text.is_empty() => found.push(text.clone()),
                _ => self.wants(item, key, "a text or a list of texts"),
            }
        }
        found
    }

    fn access(&mut self, node: &Node, key: &str) -> Option<Access> {
        let Kind::Text(text) = &node.kind else {
            self.wants(node, key, "read, write or admin");
            return None;
        };
        let found = ACCESSES.into_iter().find(|access| access.as_str() == text);
        if found.is_none() {
            let hint = nearest(text, ACCESSES.map(Access::as_str)).map(|near| format!("did you mean {near}?"));
            self.fault(node.place, format!("{key} must be read, write or admin, not {text:?}"), hint);
        }
        found
    }

    fn allow(&mut self, place: Place, node: &Node) -> Allowed {
        let mut allowed = Allowed { grants: Arc::default(), line: place.line, lines: Arc::default() };
        if matches!(node.kind, Kind::Nothing) {
            return allowed;
        }
        let known: Vec<&str> = ["docker"].into_iter().chain(LEVELLED).chain(BY_NAME).chain(LISTS).collect();
        let (mut grants, mut lines) = (Grants::default(), BTreeMap::new());
        for (area, place, value) in self.map(node, "allow", &known) {
            lines.insert(area.clone(), place.line);
            match area.as_str() {
                "docker" => grants.docker = self.docker(value),
                "host" => grants.host = self.access(value, area),
                "proxy" => grants.proxy = self.proxy(value),
                "alerts" => grants.alerts = self.access(value, area),
                "sql" => grants.sql = self.by_name(value, area),
                "redis" => grants.redis = self.by_name(value, area),
                "graph" => grants.graph = self.by_name(value, area),
                "fs" => grants.fs = self.by_name(value, area),
                "stack" => grants.stack = self.texts(value, area),
                "http" => grants.http = self.hosts(value, area),
                "egress" => grants.egress = self.hosts(value, area),
                "notify" => grants.notify = self.texts(value, area),
                "secrets" => grants.secrets = self.texts(value, area),
                "reveal" => grants.reveal = self.texts(value, area),
                "volumes" => grants.volumes = self.by_name(value, area),
                "process" => grants.process = self.texts(value, area),
                "kv" => grants.kv = self.texts(value, area),
                "jobs" => grants.jobs = self.texts(value, area),
                "runs" => grants.runs = self.texts(value, area),
                "events" => grants.events = self.texts(value, area),
                "llm" => grants.llm = self.texts(value, area),
                _ => {}
            }
        }
        (allowed.grants, allowed.lines) = (Arc::new(grants), Arc::new(lines));
        allowed
    }

    fn docker(&mut self, node: &Node) -> Option<DockerGrant> {
        if let Kind::Text(_) = node.kind {
            return self.access(node, "docker").map(DockerGrant::Everything);
        }
        let mut levels = BTreeMap::new();
        for (level, _, names) in self.map(node, "docker", &ACCESSES.map(Access::as_str)) {
            if let Some(access) = ACCESSES.into_iter().find(|access| access.as_str() == level) {
                levels.insert(access, self.texts(names, level));
            }
        }
        Some(DockerGrant::Named(levels))
    }

    /// One level for every load balancer, or one for each.
    fn proxy(&mut self, node: &Node) -> BTreeMap<String, Access> {
        match node.kind {
            Kind::Text(_) => self.access(node, "proxy").map(|level| ("*".to_owned(), level)).into_iter().collect(),
            _ => self.by_name(node, "proxy"),
        }
    }

    fn by_name(&mut self, node: &Node, area: &str) -> BTreeMap<String, Access> {
        let Kind::Map(entries) = &node.kind else {
            self.wants(node, area, "names with levels: { main: read }");
            return BTreeMap::new();
        };
        entries.iter().filter_map(|(name, _, value)| Some((name.clone(), self.access(value, name)?))).collect()
    }

    fn hosts(&mut self, node: &Node, area: &str) -> Vec<String> {
        let hosts = self.texts(node, area);
        for host in &hosts {
            if let Err(problem) = host.parse::<crate::primitives::net::HostPattern>() {
                self.fault(node.place, problem.to_string(), None);
            }
        }
        hosts
    }

    /// A word for all classes, or words by class.
    fn approve(&mut self, node: &Node) -> Approve {
        let Kind::Map(_) = &node.kind else {
            return Approve { by_class: BTreeMap::new(), default: self.when(node, "approve").unwrap_or_default() };
        };
        let classes = classes();
        let known: Vec<&str> = std::iter::once("default").chain(classes.iter().map(String::as_str)).collect();
        let mut approve = Approve::default();
        for (class, place, value) in self.map(node, "approve", &known) {
            let Some(when) = self.when(value, class) else { continue };
            match class.as_str() {
                "default" => approve.default = when,
                class => drop(approve.by_class.insert(class.to_owned(), (when, place.line))),
            }
        }
        approve
    }

    fn when(&mut self, node: &Node, key: &str) -> Option<When> {
        let text = match &node.kind {
            Kind::Text(text) => text.as_str(),
            _ => "",
        };
        let found = When::ALL.into_iter().find(|when| when.as_str() == text);
        if found.is_none() {
            let hint = nearest(text, When::ALL.map(When::as_str)).map(|near| format!("did you mean {near}?"));
            self.fault(node.place, format!("{key} must be never, additions or always, not {text:?}"), hint);
        }
        found
    }
}

/// `docker`, `docker.read`, …: what can be said something else about.
fn classes() -> Vec<String> {
    let levelled = || ["docker"].into_iter().chain(LEVELLED).chain(BY_NAME);
    let with_level = levelled().flat_map(|area| ACCESSES.map(|access| format!("{area}.{}", access.as_str())));
    levelled().chain(LISTS).map(str::to_owned).chain(with_level).collect()
}
