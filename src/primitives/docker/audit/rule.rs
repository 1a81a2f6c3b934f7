//! What a rule is, and what it says.

use serde::Serialize;
use serde_json::Value;

use super::AuditCheck;
use super::facts::{ContainerFacts, Facts};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Warn,
    /// Somebody has to look: the API does not say whether it is meant so.
    Info,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditObject {
    /// Of the container, image or network; `engine` for the engine.
    pub name: String,
    pub detail: String,
}

pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) section: &'static str,
    pub(super) title: &'static str,
    pub(super) level: u8,
    /// What it says when it has found something.
    pub(super) fires: Verdict,
    pub(super) find: fn(&Facts) -> Vec<AuditObject>,
    pub(super) remedy: &'static str,
}

impl Rule {
    pub(super) fn apply(&self, facts: &Facts) -> AuditCheck {
        let objects = (self.find)(facts);
        AuditCheck {
            id: self.id,
            section: self.section,
            title: self.title,
            level: self.level,
            result: if objects.is_empty() { Verdict::Pass } else { self.fires },
            objects,
            remedy: self.remedy,
        }
    }
}

/// Every container of which `problem` has something to say.
pub(super) fn each(facts: &Facts, problem: impl Fn(&ContainerFacts) -> Option<String>) -> Vec<AuditObject> {
    let found = |container: &ContainerFacts| {
        let name = container.name.clone();
        problem(container).map(|detail| AuditObject { name, detail })
    };
    facts.containers.iter().filter_map(found).collect()
}

/// The engine itself, if `problem` holds.
pub(super) fn engine(problem: bool, detail: impl Into<String>) -> Vec<AuditObject> {
    if problem { vec![AuditObject { name: "engine".to_owned(), detail: detail.into() }] } else { Vec::new() }
}

pub(super) fn text<'a>(raw: &'a Value, pointer: &str) -> &'a str {
    raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(raw: &Value, pointer: &str) -> i64 {
    raw.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

pub(super) fn flag(raw: &Value, pointer: &str) -> bool {
    raw.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

pub(super) fn items<'a>(raw: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    raw.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn texts<'a>(raw: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    items(raw, pointer).filter_map(Value::as_str)
}

/// Names of variables that hold a credential: by what they are called, or by a password in an address. Never values.
pub(super) fn credentials(raw: &Value) -> Option<String> {
    let names: Vec<&str> = texts(raw, "/Config/Env")
        .filter_map(|pair| pair.split_once('='))
        .filter(reveals)
        .map(|(name, _)| name)
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn reveals((name, value): &(&str, &str)) -> bool {
    const PARTS: [&str; 8] =
        ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE_KEY", "CREDENTIAL"];
    const ENDS: [&str; 4] = ["_KEY", "_PASS", "_PWD", "_AUTH"];
    let name = name.to_ascii_uppercase();
    let is_called_so = PARTS.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| name.ends_with(end));
    // A name of a file is where a credential should be.
    let is_elsewhere = name.ends_with("_FILE") || name.ends_with("_PATH") || value.starts_with("/run/secrets/");
    let in_address = url::Url::parse(value).is_ok_and(|url| url.password().is_some_and(|word| !word.is_empty()));
    !value.is_empty() && (is_called_so && !is_elsewhere || in_address)
}
