//! Everything that only reads, each subject in a file of its own.

mod access;
mod events;
mod jobs;
mod kv;
mod logs;
mod occurrences;
mod pending;
mod runs;
mod stats;

pub(super) use access::session_from;
pub use pending::restore;
#[cfg(test)]
pub(super) use runs::page;
pub(super) use stats::JOB_NAMES;
