//! Rank 5: job files become a registry that changes as a whole or not at all.

mod registry;

pub use registry::{Diagnostic, Job, Registry, Severity, Snapshot};
