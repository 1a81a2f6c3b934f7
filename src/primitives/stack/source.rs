//! Stacks that the configuration names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// By the name of the stack, which is the project's for Compose.
pub type Sources = BTreeMap<String, Source>;

/// Where a stack's files lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Absolute.
    #[serde(deserialize_with = "absolute")]
    pub folder: PathBuf,
    /// Compose files in it, each laid over those before it; the usual names if there are none.
    #[serde(default)]
    pub files: Vec<String>,
    /// Files of variables; `.env` if there are none.
    #[serde(default)]
    pub env_files: Vec<String>,
    /// Whose services are wanted.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Variables that win over those of files. The daemon's own are not seen.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Who runs it.
    #[serde(default)]
    pub orchestrator: Orchestrator,
}

/// Who runs a stack's containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orchestrator {
    /// Aegis, on the one engine, as Compose would.
    #[default]
    Compose,
    /// The swarm that the engine manages, as services.
    Swarm,
}

fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(deserializer)?;
    match PathBuf::from(&text) {
        path if path.is_absolute() => Ok(path),
        _ => Err(D::Error::custom(format!("{text:?} is not an absolute path: write such as \"/srv/shop\""))),
    }
}

/// Whether Compose takes it as the name of a project.
pub fn is_name(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    starts && name.len() <= 63 && name.chars().all(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_projects() {
        for good in ["shop", "shop-2", "0_a"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Shop", "-a", "_a", "a.b", "a b", "a/b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
