//! To be built.

use serde::{Deserialize, Serialize};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notify {}

/// One place a route sends to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {}
