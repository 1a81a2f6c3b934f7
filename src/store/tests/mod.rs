//! One suite, run on both databases.

pub mod postgres;
pub mod support;

mod access;
mod history;
mod jobs;
mod kv;
mod logs;
mod opening;
mod outages;
mod plans;
mod retention;
mod runs;
mod writer;
