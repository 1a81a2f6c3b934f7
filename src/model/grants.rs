//! What a script may touch: the `permissions` of its job table, typed. Absent means no.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::JobName;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grants {
    pub docker: Option<DockerGrant>,
    pub host: Option<Access>,
    /// By the name of a load balancer.
    #[serde(deserialize_with = "level_or_levels")]
    pub proxy: BTreeMap<String, Access>,
    pub stack: Vec<String>,
    /// By source name.
    pub sql: BTreeMap<String, Access>,
    /// By source name.
    pub redis: BTreeMap<String, Access>,
    /// By source name.
    pub graph: BTreeMap<String, Access>,
    /// Source names.
    pub llm: Vec<String>,
    /// Host patterns with an optional port: `api.github.com`, `*.example.com:443`, `10.0.0.5:8080`, `10.0.0.0/8`.
    pub http: Vec<String>,
    /// Host patterns, written like those of `http`: what executions that it starts may be let out to.
    pub egress: Vec<String>,
    /// Route names.
    pub notify: Vec<String>,
    /// Names of secrets that may be used without being seen.
    pub secrets: Vec<String>,
    /// Names of secrets whose text may be read too.
    pub reveal: Vec<String>,
    /// By pattern of `tenant/volume`.
    #[serde(deserialize_with = "levels_or_names")]
    pub volumes: BTreeMap<String, Access>,
    pub process: Vec<String>,
    /// By root name.
    pub fs: BTreeMap<String, Access>,
    /// `shared:<name>`; a job's own scope needs no grant.
    pub kv: Vec<String>,
    /// Jobs that it may trigger.
    pub jobs: Vec<String>,
    /// Jobs whose runs it may look at, besides its own and those that it may trigger.
    pub runs: Vec<String>,
    /// Events that it may send.
    pub events: Vec<String>,
    /// Silencing and acknowledging alerts needs `write`; reporting and reading need nothing.
    pub alerts: Option<Access>,
    /// What bounds all of the above from outside: a call must be allowed by the fields and by each of these.
    #[serde(skip)]
    pub caps: Vec<Arc<Cap>>,
}

/// A bound that a script's own manifest cannot move.
#[derive(Debug, Clone, PartialEq)]
pub struct Cap {
    /// What is left; its own caps mean nothing.
    pub grants: Grants,
    pub origin: Origin,
}

/// Who set a bound.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// The operator's policy. Lines count from 1: that of `allow`, and those of its entries by area.
    Policy { file: Arc<str>, line: u64, lines: Arc<BTreeMap<String, u64>> },
    /// Rights of the job that no person has approved yet are left out.
    Approval { job: String },
    /// The job that started this run.
    Caller { job: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    Read,
    Write,
    Admin,
}

impl Access {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// `docker = "read"`, or `docker = { read = {"*"}, write = {"web-*"} }` with patterns of container names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DockerGrant {
    Everything(Access),
    Named(BTreeMap<Access, Vec<String>>),
}

/// Where the payload of a run that a job started has its bounds.
pub const CALLER: &str = "caller";

impl Grants {
    /// Everything: for the administrator's own console.
    pub fn all() -> Self {
        let any = || vec!["*".to_owned()];
        let all = |access| BTreeMap::from([("*".to_owned(), access)]);
        Self {
            docker: Some(DockerGrant::Everything(Access::Admin)),
            host: Some(Access::Admin),
            proxy: all(Access::Admin),
            stack: any(),
            sql: all(Access::Admin),
            redis: all(Access::Admin),
            graph: all(Access::Write),
            llm: any(),
            http: any(),
            egress: any(),
            notify: any(),
            secrets: any(),
            reveal: any(),
            volumes: all(Access::Admin),
            process: any(),
            fs: all(Access::Write),
            kv: any(),
            jobs: any(),
            runs: any(),
            events: any(),
            alerts: Some(Access::Admin),
            caps: Vec::new(),
        }
    }

    /// What goes with a run that a job of that name starts: the grants by which that run is bounded.
    pub fn as_caller(&self, job: &JobName) -> Value {
        json!({ CALLER: { "job": job, "rights": self.layers() } })
    }

    /// The bounds of a run that was started with this payload. What cannot be understood bounds it to nothing.
    pub fn callers(payload: &Value) -> Vec<Arc<Cap>> {
        let Some(caller) = payload.get(CALLER) else { return Vec::new() };
        let origin = Origin::Caller { job: caller["job"].as_str().unwrap_or_default().to_owned() };
        let layers: Vec<Self> =
            serde_json::from_value(caller["rights"].clone()).unwrap_or_else(|_| vec![Self::default()]);
        layers.into_iter().map(|grants| Arc::new(Cap { grants, origin: origin.clone() })).collect()
    }

    /// These grants and their bounds, each once.
    fn layers(&self) -> Vec<Self> {
        let own = Self { caps: Vec::new(), ..self.clone() };
        let mut layers = vec![own];
        for cap in &self.caps {
            if !layers.contains(&cap.grants) {
                layers.push(cap.grants.clone());
            }
        }
        layers
    }
}

/// Levels by name; a list of names, as grants were written down before they had levels, reaches for reading.
fn levels_or_names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Access>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Levels(BTreeMap<String, Access>),
        Names(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Levels(levels) => levels,
        Written::Names(names) => names.into_iter().map(|name| (name, Access::Read)).collect(),
    })
}

/// Levels by name; one level, as grants were written down before they had names, is of everything.
fn level_or_levels<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Access>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Levels(BTreeMap<String, Access>),
        Level(Access),
    }
    Ok(match Option::deserialize(deserializer)? {
        Some(Written::Levels(levels)) => levels,
        Some(Written::Level(level)) => BTreeMap::from([("*".to_owned(), level)]),
        None => BTreeMap::new(),
    })
}

/// Whether `name` matches `pattern`, where `*` stands for any run of characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let mut pieces = tail.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(found) = rest.find(piece) else { return false };
        rest = &rest[found + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_of_earlier_grants_are_understood() {
        let read = |text: &str| serde_json::from_str::<Grants>(text).map(|grants| grants.volumes).expect("grants");
        assert_eq!(read(r#"{ "volumes": ["a/*"] }"#), BTreeMap::from([("a/*".to_owned(), Access::Read)]));
        assert_eq!(read(r#"{ "volumes": { "a/*": "admin" } }"#), BTreeMap::from([("a/*".to_owned(), Access::Admin)]));
        assert!(read(r#"{ "volumes": [] }"#).is_empty() && read("{}").is_empty());
    }

    #[test]
    fn proxies_of_earlier_grants_are_understood() {
        let read = |text: &str| serde_json::from_str::<Grants>(text).map(|grants| grants.proxy).expect("grants");
        assert_eq!(read(r#"{ "proxy": "write" }"#), BTreeMap::from([("*".to_owned(), Access::Write)]));
        assert_eq!(read(r#"{ "proxy": { "edge": "read" } }"#), BTreeMap::from([("edge".to_owned(), Access::Read)]));
        assert!(read(r#"{ "proxy": null }"#).is_empty() && read("{}").is_empty());
    }

    #[test]
    fn patterns_match_whole_names() {
        let yes = [("*", ""), ("*", "x"), ("web-*", "web-1"), ("*-db", "a-db"), ("a*b*c", "a1b2c"), ("web", "web")];
        let no = [("web", "web2"), ("web-*", "web"), ("*-db", "db"), ("a*b*c", "a1c"), ("a*a", "a"), ("", "x")];
        for (pattern, name) in yes {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
