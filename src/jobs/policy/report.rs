//! What becomes of a manifest's rights under a policy.

use std::fmt;

use serde::Serialize;

use super::{Policy, When};
use crate::base::Fault;
use crate::model::grants::Origin;
use crate::model::rights::beyond;
use crate::model::{Grants, Right};

/// A right that the policy bounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capped {
    pub right: Right,
    /// `config/policy.yaml:12`.
    pub policy: String,
    /// What is left of the area; empty when nothing is.
    pub allowed: Vec<Right>,
    /// Something of the right itself may be left.
    pub has_effect: bool,
}

impl fmt::Display for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ", self.right, self.policy)?;
        let allowed: Vec<String> = self.allowed.iter().map(ToString::to_string).collect();
        if allowed.is_empty() {
            write!(f, "allows nothing of {}", self.right.area)
        } else {
            write!(f, "allows {}", allowed.join(", "))
        }
    }
}

/// A manifest's rights, sorted by what the policy says to them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    pub granted: Vec<Right>,
    /// Granted only as far as the policy goes.
    pub capped: Vec<Capped>,
    /// Those of the above that wait for a person if the job did not have them before, or whenever nobody approved them.
    pub asked: Vec<Right>,
}

impl Policy {
    /// What becomes of the rights that `script` asks for.
    pub fn report(&self, script: &str, manifest: &Grants) -> Report {
        let rights = manifest.rights();
        let cap = self.cap(script);
        let allowed = cap.as_ref().map(|cap| cap.grants.rights());
        let over: Vec<Right> = match &allowed {
            Some(allowed) => beyond(&rights, allowed).into_iter().cloned().collect(),
            None => Vec::new(),
        };
        let granted: Vec<Right> = rights.iter().filter(|right| !over.contains(right)).cloned().collect();
        let capped = over.into_iter().map(|right| {
            let left = allowed.iter().flatten().filter(|left| left.area == right.area).cloned().collect::<Vec<_>>();
            let has_effect = left.iter().any(|left| may_meet(&right, left));
            let policy = cap.as_ref().map_or_else(String::new, |cap| line_of(&cap.origin, &right.area));
            Capped { right, policy, allowed: left, has_effect }
        });
        let capped: Vec<Capped> = capped.collect();
        let possible = granted.iter().chain(capped.iter().filter(|one| one.has_effect).map(|one| &one.right));
        let asked = possible.filter(|right| self.when(script, right) != When::Never).cloned().collect();
        Report { granted, capped, asked }
    }
}

impl Report {
    /// What the operator's policy leaves of the manifest, each as a warning at the job's file.
    pub fn warnings(&self) -> Vec<Fault> {
        let warn = |capped: &Capped| {
            Fault::new("policy.capped", format!("not granted as asked: {capped}"))
                .hint("ask for less in permissions, or let the operator allow it in the policy")
        };
        self.capped.iter().map(warn).collect()
    }

    /// Rights that have an effect, whole or in part.
    pub fn effective(&self) -> Vec<Right> {
        let partly = self.capped.iter().filter(|one| one.has_effect).map(|one| &one.right);
        self.granted.iter().chain(partly).cloned().collect()
    }
}

/// Whether there may be something that both name, at whatever level. Where that is hard to tell, yes.
fn may_meet(one: &Right, other: &Right) -> bool {
    let bare = |right: &Right| Right { level: None, ..right.clone() };
    let has_pattern = |right: &Right| right.on.as_deref().is_some_and(|on| on.contains('*'));
    one.area == "http"
        || (has_pattern(one) && has_pattern(other))
        || bare(one).covers(&bare(other))
        || bare(other).covers(&bare(one))
}

fn line_of(origin: &Origin, area: &str) -> String {
    match origin {
        Origin::Policy { file, line, lines } => format!("{file}:{}", lines.get(area).unwrap_or(line)),
        Origin::Approval { .. } | Origin::Caller { .. } => String::new(),
    }
}
