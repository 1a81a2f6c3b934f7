//! What the engine has of a stack, as labels tell.

use std::collections::{BTreeMap, BTreeSet};

use super::Label;
use crate::base::Timestamp;

/// What is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Of the stack, those that were started by hand for one command left out.
    pub containers: Vec<Container>,
    /// All that have a name that the stack uses, or its label.
    pub networks: BTreeMap<String, Surrounding>,
    pub volumes: BTreeMap<String, Surrounding>,
    /// Ids of images by the references of the stack's services, of those that are on the host.
    pub images: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surrounding {
    pub labels: BTreeMap<String, String>,
}

/// A container of the stack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub service: String,
    pub number: u32,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub state: String,
    pub exit_code: Option<i64>,
    pub created_at: Option<Timestamp>,
    pub image_id: String,
    pub networks: BTreeSet<String>,
    pub labels: BTreeMap<String, String>,
    /// The id of the container whose place it is to take.
    pub replaces: Option<String>,
    /// Volumes without a name of their own: another container in its place gets them.
    pub anonymous: Vec<Inherited>,
}

/// A volume that goes on with the next container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    pub name: String,
    pub target: String,
    pub read_only: bool,
}

impl Container {
    pub fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "restarting" | "paused")
    }
}

impl Surrounding {
    /// Whether Aegis made it with other settings. What others made is left as it is.
    pub(super) fn differs(&self, hash: &str) -> bool {
        Label::OwnHash.of(&self.labels).is_some_and(|own| own != hash)
    }
}
