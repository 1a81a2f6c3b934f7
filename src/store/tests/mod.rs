//! One suite, run on both databases.

pub mod postgres;
pub mod support;

mod access;
mod audit;
mod backup;
mod cluster;
mod history;
mod jobs;
mod journal;
mod kv;
mod logs;
mod migration;
mod nodes;
mod opening;
mod outages;
mod outbox;
mod plans;
mod retention;
mod runs;
mod signals;
mod starts;
mod watch;
mod writer;
