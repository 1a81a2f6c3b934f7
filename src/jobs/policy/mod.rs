//! The operator's policy: what scripts of a folder may be granted at most, and which of their rights wait for a person.
//!
//! Without a policy every script is granted what its manifest asks for, and nothing waits.

mod glob;
mod read;
mod report;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

pub use report::{Capped, Report};

use crate::base::{Fault, limits};
use crate::model::grants::{Access, Cap, Origin};
use crate::model::{Grants, Right};

/// The rules of one file, in its order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// As it is shown; empty without a policy.
    pub file: Arc<str>,
    rules: Vec<Rule>,
}

/// What holds for the scripts that one of its patterns covers.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    scripts: Vec<String>,
    /// None: whatever they ask for.
    allow: Option<Allowed>,
    approve: Approve,
}

#[derive(Debug, Clone, PartialEq)]
struct Allowed {
    grants: Arc<Grants>,
    /// Of the key `allow`.
    line: u64,
    /// Of its entries, by area.
    lines: Arc<BTreeMap<String, u64>>,
}

/// Which rights wait, by class (`docker.admin`, `process`), and what is not named.
#[derive(Debug, Clone, Default, PartialEq)]
struct Approve {
    by_class: BTreeMap<String, (When, u64)>,
    default: When,
}

/// When a right waits for a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    #[default]
    Never,
    /// When the job did not have it before.
    Additions,
    /// Unless a person has approved it.
    Always,
}

impl When {
    const ALL: [Self; 3] = [Self::Never, Self::Additions, Self::Always];

    fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Additions => "additions",
            Self::Always => "always",
        }
    }
}

impl Approve {
    /// The nearest word: of the level itself, of a lower level, of the area, of everything.
    fn when(&self, right: &Right) -> When {
        let levels = [Access::Admin, Access::Write, Access::Read].into_iter();
        let below = levels.filter(|level| Some(*level) <= right.level);
        let named = below.filter_map(|level| self.by_class.get(&format!("{}.{}", right.area, level.as_str()))).next();
        named.or_else(|| self.by_class.get(&right.area)).map_or(self.default, |(when, _)| *when)
    }

    fn asks(&self) -> bool {
        self.default != When::Never || self.by_class.values().any(|(when, _)| *when != When::Never)
    }
}

impl Policy {
    /// Reads the file. One that is not there is no policy.
    ///
    /// # Errors
    /// It cannot be read, or something is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        match text_of(path)? {
            Some(text) => read::read(&path.display().to_string(), &text),
            None => Ok(Self::default()),
        }
    }

    /// Whether a file says anything at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that is about `script`, a path relative to the scripts folder.
    fn rule(&self, script: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.scripts.iter().any(|pattern| glob::covers(pattern, script)))
    }

    /// The bound of what `script` may be granted, if there is one.
    pub fn cap(&self, script: &str) -> Option<Arc<Cap>> {
        let allowed = self.rule(script)?.allow.as_ref()?;
        let (file, line, lines) = (self.file.clone(), allowed.line, allowed.lines.clone());
        Some(Arc::new(Cap { grants: Grants::clone(&allowed.grants), origin: Origin::Policy { file, line, lines } }))
    }

    /// Whether rights of any script may have to wait.
    pub fn asks(&self) -> bool {
        self.rules.iter().any(|rule| rule.approve.asks())
    }

    /// Whether rights of this script may have to wait.
    pub fn asks_about(&self, script: &str) -> bool {
        self.rule(script).is_some_and(|rule| rule.approve.asks())
    }

    /// When this right of `script` waits.
    pub fn when(&self, script: &str, right: &Right) -> When {
        self.rule(script).map_or(When::Never, |rule| rule.approve.when(right))
    }
}

/// None when there is no file.
fn text_of(path: &Path) -> Result<Option<String>, Vec<Fault>> {
    let unreadable = |problem: String| {
        let message = format!("cannot read the policy {}: {problem}", path.display());
        vec![Fault::new("policy.unreadable", message).hint("let the daemon's user read it, or set scripts.policy")]
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let mut text = String::new();
    let limit = limits::CONFIG_FILE_BYTES_MAX;
    file.take(limit + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > limit {
        return Err(unreadable(format!("it is larger than {limit} bytes")));
    }
    Ok(Some(text))
}
