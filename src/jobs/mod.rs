//! Rank 5: job files become a registry that changes as a whole or not at all.

mod declare;
mod registry;

pub use declare::{declare, warnings};
pub use registry::{Diagnostic, Job, Registry, Severity, Snapshot};
