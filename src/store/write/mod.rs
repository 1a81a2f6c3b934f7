//! Everything that changes the database, all of it executed by the one writer.

mod accept;
mod access;
mod artifacts;
mod audit;
mod command;
mod events;
mod hours;
mod jobs;
mod journal;
mod kv;
mod logs;
mod mask;
mod nodes;
mod occurrences;
mod outbox;
mod park;
mod removal;
mod runs;
mod sheet;
mod signals;
mod start;
mod watch;

pub(super) use command::{Answer, Command, Request};
pub(super) use nodes::NodeCommand;
pub(super) use removal::{NumberRange, Removal, Watched};
pub(super) use sheet::{Applied, apply};
#[cfg(test)]
pub(super) use signals::due;
pub(super) use watch::rollup_from;
