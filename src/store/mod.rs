//! Rank 2: Aegis's own database. The only folder that speaks SQL to it.
//!
//! [`Store`] is a cheap handle. Writes go to one writer, which groups whatever waits into one transaction and answers
//! after the commit is on disk; reads go to a small pool. SQLite and PostgreSQL behave alike.
//!
//! `sql/` lets one text serve both databases; `write/` executes commands in the writer's transaction; `read/` has the
//! queries; `target`, `link` and `schema` know what differs between the two.

mod backup;
mod check;
mod copy;
mod fault;
mod follow;
mod handle;
mod known;
mod leader;
mod link;
mod listen;
mod lock;
mod metrics;
mod nodes;
mod outbox;
mod prune;
mod read;
mod restore;
mod schema;
mod sql;
mod target;
#[cfg(test)]
pub mod tests;
mod text;
mod trust;
mod types;
mod write;
mod writer;

pub use follow::Follow;
pub use handle::Store;
pub use leader::{Candidate, Leadership};
pub use listen::Listener;
pub use metrics::StoreMetrics;
pub use outbox::{OutboxCounts, OutboxWrite, ParcelChange, ParcelRow, ParcelState};
pub use restore::{Restored, restore};
pub use trust::{AuditFilter, RightsRow, TrustWrite};
pub use types::*;
pub use writer::Writer;
