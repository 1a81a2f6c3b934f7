//! HAProxy through its runtime API: one connection a call, some commands on it, one answer each.

mod client;
mod records;
mod table;

pub use client::Client;
pub use records::{Backend, Mode, Server, State};
