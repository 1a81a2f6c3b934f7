//! One line of a run's log.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{RunId, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

/// `seq` counts from 1 within a run, across its attempts, without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    pub run: RunId,
    pub seq: u64,
    pub at: Timestamp,
    pub attempt: u32,
    pub level: LogLevel,
    pub text: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub fields: Value,
}
