//! Alerts that nobody is to be told of for a while.

use serde::{Deserialize, Serialize};

use super::Alert;
use crate::base::Timestamp;
use crate::model::grants::matches;
use crate::model::metrics::Labels;

/// Label under which a silence asks for the alert's own name.
const NAME: &str = "alert";
const SEVERITY: &str = "severity";

/// From `starts_at` to `ends_at` alerts with these labels are quiet; they fire and are over all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    /// What an alert must have, values being patterns with `*`; `alert` and `severity` stand for those of the alert.
    pub matching: Labels,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub by: String,
    pub note: String,
}

impl Silence {
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    pub fn covers(&self, alert: &Alert) -> bool {
        let value = |label: &str| match label {
            NAME => Some(alert.name.as_str()),
            SEVERITY => Some(alert.severity.as_str()),
            other => alert.labels.get(other).map(String::as_str),
        };
        !self.matching.is_empty()
            && self.matching.iter().all(|(label, pattern)| value(label).is_some_and(|value| matches(pattern, value)))
    }
}
