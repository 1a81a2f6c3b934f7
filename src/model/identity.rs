//! Who is at the door: the authenticated caller of a request, whichever of the ways in it came.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::grants;
use super::run::{Actor, Trigger, TriggerKind};
use crate::base::JobName;

/// What a caller may do. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything that is not a secret.
    Viewer,
    /// Triggers, cancels, retries, enables and disables.
    Operator,
    /// Tokens and the console.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether this role may do what `needed` may.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Put into a request's extensions by the door that let it in: the admin socket, a bearer token or a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub actor: Actor,
    pub role: Role,
    /// What runs are recorded as when this caller sets them off.
    pub via: TriggerKind,
    /// Patterns of the jobs it is confined to; empty: no confinement.
    pub jobs: Vec<String>,
}

impl Identity {
    pub fn new(actor: impl Into<String>, role: Role, via: TriggerKind) -> Self {
        Self { actor: Actor::new(actor), role, via, jobs: Vec::new() }
    }

    /// The same caller, confined to the jobs that match one of `patterns` (none: not confined).
    #[must_use]
    pub fn confined_to(mut self, patterns: Vec<String>) -> Self {
        self.jobs = patterns;
        self
    }

    /// Whether this caller may see and trigger `job`.
    pub fn covers(&self, job: &JobName) -> bool {
        self.jobs.is_empty() || self.jobs.iter().any(|pattern| grants::matches(pattern, job.as_str()))
    }

    /// The trigger of a run that this caller asks for.
    pub fn trigger(&self) -> Trigger {
        Trigger::new(self.via, self.actor.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confined_caller_covers_only_its_jobs() {
        let anyone = Identity::new("token:ci", Role::Operator, TriggerKind::Api);
        let job = |name: &str| name.parse::<JobName>().expect("a name");
        assert!(anyone.covers(&job("deploy")));
        let confined = anyone.confined_to(vec!["backup".into(), "web-*".into()]);
        assert!(confined.covers(&job("web-1")) && confined.covers(&job("backup")));
        assert!(!confined.covers(&job("deploy")));
    }

    #[test]
    fn roles_include_the_lesser_ones() {
        assert!(Role::Admin.allows(Role::Viewer) && Role::Operator.allows(Role::Operator));
        assert!(!Role::Viewer.allows(Role::Operator) && !Role::Operator.allows(Role::Admin));
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
    }
}
