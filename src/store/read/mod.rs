//! Everything that only reads, each subject in a file of its own.

mod access;
mod artifacts;
mod audit;
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
#[cfg(test)]
pub(super) use occurrences::page as occurrence_page;
pub(super) use runs::understood;
pub(super) use stats::JOB_NAMES;
#[cfg(test)]
pub(super) use {journal::pending, parked::earliest, runs::page, stats::Source};
