//! Everything that only reads, each subject in a file of its own.

mod access;
mod artifacts;
mod events;
mod jobs;
mod journal;
mod kv;
mod logs;
mod nodes;
mod occurrences;
mod parked;
mod runs;
mod stats;
mod watch;

pub(super) use access::session_from;
pub(super) use runs::run_from;
pub(super) use stats::JOB_NAMES;
#[cfg(test)]
pub(super) use {journal::pending, parked::earliest, runs::page, stats::Source};
