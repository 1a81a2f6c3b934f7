//! A call that may not be made: who forbids it, and the line that would allow it.

use std::fmt;
use std::sync::Arc;

use crate::base::Fault;
use crate::model::grants::{Cap, Origin};

/// A permission is missing. Becomes the fault `permission.denied`, whose hint names the line that is to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Denied {
    /// What was attempted, as the subject of a sentence.
    pub what: String,
    /// The permission in words, such as `docker = "write"`.
    pub needed: String,
    /// The line that grants it, with what is granted already.
    pub line: String,
    /// Who keeps it from a script whose own table has the line; None when the table lacks it.
    pub forbidden_by: Option<Origin>,
}

impl Denied {
    pub(super) fn new(what: impl Into<String>, entry: String) -> Self {
        let line = format!("permissions = {{ {entry} }}");
        Self { what: what.into(), line, needed: entry, forbidden_by: None }
    }

    /// The same, by a bound that the script does not set.
    pub(super) fn by(self, origin: &Origin) -> Self {
        Self { forbidden_by: Some(origin.clone()), ..self }
    }

    /// What to change, and where.
    pub fn remedy(&self) -> String {
        match &self.forbidden_by {
            None => format!("add to the job's table: {}", self.line),
            Some(origin @ Origin::Policy { .. }) => {
                format!(
                    "{} bounds what this script may be granted; the operator can allow it there",
                    self.place(origin)
                )
            }
            Some(Origin::Approval { job }) => format!("a person approves it: aegis job approve {job}"),
            Some(Origin::Caller { job }) => {
                format!("add to the table of the job {job}, too: {}; or let something else start this job", self.line)
            }
        }
    }

    /// `config/policy.yaml:12`, for a bound of the policy.
    fn place(&self, origin: &Origin) -> String {
        let Origin::Policy { file, line, lines } = origin else { return String::new() };
        let area = self.needed.split(' ').next().unwrap_or_default();
        format!("{file}:{}", lines.get(area).unwrap_or(line))
    }

    /// For programs.
    pub fn details(&self) -> serde_json::Value {
        let mut details = serde_json::json!({ "needed": self.needed, "line": self.line });
        match &self.forbidden_by {
            Some(origin @ Origin::Policy { .. }) => details["policy"] = self.place(origin).into(),
            Some(Origin::Approval { job }) => details["waits_for_approval"] = job.as_str().into(),
            Some(Origin::Caller { job }) => details["caller"] = job.as_str().into(),
            None => {}
        }
        details
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, needed, .. } = self;
        match &self.forbidden_by {
            None => write!(f, "{what} needs a permission that this script does not have: {needed}"),
            Some(Origin::Policy { .. }) => {
                write!(
                    f,
                    "{what} needs a permission that the operator's policy does not grant to this script: {needed}"
                )
            }
            Some(Origin::Approval { .. }) => {
                write!(f, "{what} needs a permission that waits for a person's approval: {needed}")
            }
            Some(Origin::Caller { job }) => {
                write!(
                    f,
                    "{what} needs a permission that the job {job}, which started this run, does not have: {needed}"
                )
            }
        }
    }
}

impl std::error::Error for Denied {}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        Self::new("permission.denied", denied.to_string()).hint(denied.remedy()).details(denied.details())
    }
}

/// Asks `ask` of the grants' own fields and then of each bound; the answers, the script's own first.
pub(super) fn within<T>(
    grants: &crate::model::Grants,
    ask: impl Fn(&crate::model::Grants) -> Result<T, Denied>,
) -> Result<Vec<T>, Denied> {
    let own = ask(grants)?;
    let caps = grants.caps.iter().map(|cap: &Arc<Cap>| ask(&cap.grants).map_err(|denied| denied.by(&cap.origin)));
    std::iter::once(Ok(own)).chain(caps).collect()
}
