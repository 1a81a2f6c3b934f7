//! One thing that is wrong, from when it began until it was over.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::model::metrics::{Labels, SeriesKey};

/// How bad it is. An emergency is what cannot wait for anybody to wake up by himself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
    Emergency,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Critical, Self::Emergency];
    pub const NAMES: &'static [&'static str] = &["info", "warning", "critical", "emergency"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Emergency => "emergency",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition holds, and not yet for as long as the rule wants.
    Pending,
    Firing,
    Resolved,
}

impl AlertState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Firing, Self::Resolved];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Rule,
    /// A script, by `aegis.alerts.report`.
    Report,
}

/// Somebody has seen it and looks after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a route was told last of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub state: AlertState,
    pub at: Timestamp,
}

/// One episode of one condition on one thing. The next episode is another alert with the same fingerprint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for the same fingerprint and beginning.
    pub id: String,
    /// Tells one condition on one thing from all others.
    pub fingerprint: String,
    /// Of the rule, or as the script calls it.
    pub name: String,
    pub origin: Origin,
    pub state: AlertState,
    pub severity: Severity,
    pub labels: Labels,
    /// In one sentence.
    pub summary: String,
    /// What it is about: a worse alert about the same makes a lesser one quiet.
    pub subject: String,
    /// The series that a rule looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesKey>,
    /// Where it is told; empty for those of its severity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Since when the condition holds.
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// Since when a firing alert's condition does not hold any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// Why it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last sample or report of it.
    pub last_seen: Timestamp,
    /// When a report that is not repeated is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// By route.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, Told>,
}

impl Alert {
    /// Its id: made of what it is about and when it began, so that finding it again gives the same.
    pub fn id_of(fingerprint: &str, since: Timestamp) -> String {
        short_hash(&format!("{fingerprint} {}", since.as_microsecond()))
    }

    pub fn is_over(&self) -> bool {
        self.state == AlertState::Resolved
    }

    /// Ends it.
    pub fn resolve(&mut self, at: Timestamp, reason: &str) {
        self.state = AlertState::Resolved;
        self.resolved_at = Some(at);
        self.reason = Some(reason.to_owned());
    }
}

/// Of a rule's or report's name with the labels of what it is about.
pub fn fingerprint(origin: Origin, name: &str, labels: &Labels) -> String {
    let origin = match origin {
        Origin::Rule => "rule",
        Origin::Report => "report",
    };
    // The labels' own form quotes them, so that no two sets look alike.
    short_hash(&format!("{origin} {}", SeriesKey { name: name.to_owned(), labels: labels.clone() }))
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_things_apart() {
        let of = |origin, name, labels| fingerprint(origin, name, &SeriesKey::new("", [labels]).labels);
        let one = of(Origin::Rule, "down", ("check", "web"));
        assert_eq!(one, of(Origin::Rule, "down", ("check", "web")));
        assert_eq!(one.len(), 16);
        for other in [
            of(Origin::Report, "down", ("check", "web")),
            of(Origin::Rule, "down", ("check", "db")),
            of(Origin::Rule, "slow", ("check", "web")),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn severities_grow() {
        assert!(Severity::Emergency > Severity::Critical && Severity::Critical > Severity::Warning);
        for (severity, name) in Severity::ALL.into_iter().zip(Severity::NAMES) {
            assert_eq!((severity.as_str(), Severity::parse(name)), (*name, Some(severity)));
        }
    }
}
