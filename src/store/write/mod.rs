//! Everything that changes the database, all of it executed by the one writer.

mod accept;
mod access;
mod command;
mod events;
mod jobs;
mod kv;
mod logs;
mod occurrences;
mod removal;
mod runs;
mod sheet;

pub(super) use command::{Answer, Command, Request};
pub(super) use removal::Removal;
pub(super) use sheet::{Applied, apply};
