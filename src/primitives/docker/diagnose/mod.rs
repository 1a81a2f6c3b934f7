//! Why a container does not start, or does not stay up: everything that people look up by hand, in one call.

mod exit;
mod facts;
mod rules;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use facts::Listening;

use facts::Facts;

use super::engine::Docker;
use super::error::DockerError;
use super::info::status_line;
use super::logs::{LogOptions, LogRecord};
use crate::base::{Timestamp, limits};
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

/// What is known of a container, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    pub id: String,
    pub name: String,
    pub state: String,
    /// As people read it: `Exited (137) 5m ago`.
    pub status: String,
    /// Nothing was found that keeps it from running.
    pub ok: bool,
    /// The most telling finding, or that there is none.
    pub summary: String,
    /// Of its last end; None while it runs or when it never ran.
    pub exit_code: Option<i64>,
    /// What that code means.
    pub exit_meaning: Option<String>,
    pub oom_killed: bool,
    pub restart_count: u64,
    /// What the engine says of a failed start.
    pub error: String,
    /// The cause before what follows from it.
    pub findings: Vec<Finding>,
    /// The last lines that it printed.
    pub log: Vec<LogRecord>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable: `port_taken`, `image_missing`, …
    pub code: &'static str,
    pub message: String,
    pub remedy: String,
}

impl Docker {
    /// Looks at one container. `listening` are the listeners of the host, where the caller may know them: they name who
    /// holds a port that no container holds.
    pub async fn diagnose(
        &self,
        permit: &DockerPermit,
        container: &str,
        listening: Vec<Listening>,
    ) -> Result<Diagnosis, DockerError> {
        let found = self.find(permit, Access::Read, container).await?;
        let tail = LogOptions { tail: limits::DOCKER_DIAGNOSIS_LOG_LINES, ..LogOptions::default() };
        // A log driver that keeps nothing is no reason to say nothing.
        let log = match self.logs(permit, &found.id, tail).await {
            Ok(logs) => logs.lines,
            Err(DockerError::Engine { .. } | DockerError::Invalid { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let facts = Facts::gather(self, permit, found, log, listening).await?;
        Ok(diagnosis(facts, self.clock().now()))
    }
}

fn diagnosis(facts: Facts, now: Timestamp) -> Diagnosis {
    let findings = rules::examine(&facts);
    let summary = findings.first().map_or_else(|| facts.calm(), |first| first.message.clone());
    Diagnosis {
        id: facts.text("/Id"),
        name: facts.name.clone(),
        state: facts.state(),
        status: status_line(&facts.raw, now),
        ok: findings.is_empty(),
        summary,
        exit_code: facts.exit_code(),
        exit_meaning: facts.exit_code().and_then(|code| exit::meaning(code, facts.oom_killed())),
        oom_killed: facts.oom_killed(),
        restart_count: facts.number("/RestartCount"),
        error: facts.error(),
        findings,
        log: facts.log,
    }
}
