//! What the CIS Docker Benchmark (v1.6.0) asks and the engine's API alone can answer, and what it does not ask:
//! credentials in environments. Each check is a pure rule over what was gathered.

mod containers;
mod daemon;
mod facts;
mod images;
mod rule;
mod swarm;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use facts::Facts;
use rule::Rule;
pub use rule::{AuditObject, Verdict};

use super::engine::Docker;
use super::error::DockerError;
use crate::base::Timestamp;
use crate::primitives::option::Texts;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditOptions {
    /// Stopped containers too.
    pub all: bool,
    /// Names or patterns of names of containers. Default: all that the grant covers.
    pub containers: Texts,
    /// Ids, or the beginnings of ids: `5`, `5.31`. Default: all.
    pub checks: Texts,
}

/// What the audit found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    pub at: Timestamp,
    pub engine_version: String,
    /// How many containers and images were looked at.
    pub containers: usize,
    pub images: usize,
    pub pass: usize,
    pub warn: usize,
    pub info: usize,
    pub checks: Vec<AuditCheck>,
    /// What was left out, and why.
    pub warnings: Vec<String>,
}

/// One check and its result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditCheck {
    /// Of the benchmark: `5.31`; or our own: `aegis.1`.
    pub id: &'static str,
    pub section: &'static str,
    pub title: &'static str,
    /// The benchmark's: 1 is for everybody, 2 for hosts that need more.
    pub level: u8,
    pub result: Verdict,
    /// What it is about: containers, images, networks or the engine.
    pub objects: Vec<AuditObject>,
    pub remedy: &'static str,
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    daemon::RULES.iter().chain(images::RULES).chain(containers::RULES).chain(swarm::RULES)
}

impl Docker {
    /// Looks at the engine, at the images and at the containers that the permit covers. Changes nothing.
    pub async fn audit(&self, permit: &DockerPermit, options: AuditOptions) -> Result<Audit, DockerError> {
        check_ids(&options.checks)?;
        let (facts, warnings) = Facts::gather(self, permit, &options).await?;
        let wanted =
            |rule: &&Rule| options.checks.0.is_empty() || options.checks.0.iter().any(|asked| is_of(rule.id, asked));
        let checks: Vec<AuditCheck> = rules().filter(wanted).map(|rule| rule.apply(&facts)).collect();
        let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
        for check in &checks {
            *counts.entry(check.result).or_default() += 1;
        }
        let count = |verdict| counts.get(&verdict).copied().unwrap_or_default();
        Ok(Audit {
            at: facts.now,
            engine_version: facts.engine_text("/ServerVersion"),
            containers: facts.containers.len(),
            images: facts.images.len(),
            pass: count(Verdict::Pass),
            warn: count(Verdict::Warn),
            info: count(Verdict::Info),
            checks,
            warnings,
        })
    }
}

/// `5.3` is 5.3 and not 5.31; `5` is all of section 5.
fn is_of(id: &str, asked: &str) -> bool {
    id == asked || id.strip_prefix(asked).is_some_and(|rest| rest.starts_with('.'))
}

fn check_ids(asked: &Texts) -> Result<(), DockerError> {
    let unknown = asked.0.iter().find(|asked| !rules().any(|rule| is_of(rule.id, asked)));
    match unknown {
        None => Ok(()),
        Some(unknown) => {
            let problem =
                format!("there is no check {unknown:?}; write one such as \"5.31\", or a section such as \"5\"");
            Err(DockerError::invalid("checks", problem))
        }
    }
}
