//! Rank 2: Aegis's own database. The only folder that speaks SQL to it.
//!
//! [`Store`] is a cheap handle. Writes go to one writer, which groups whatever waits into one transaction and answers
//! after the commit is on disk; reads go to a small pool. SQLite and PostgreSQL behave alike.
//!
//! `sql/` lets one text serve both databases; `write/` executes commands in the writer's transaction; `read/` has the
//! queries; `target`, `link` and `schema` know what differs between the two.

mod check;
mod fault;
mod follow;
mod handle;
mod link;
mod metrics;
mod prune;
mod read;
mod schema;
mod sql;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod types;
mod write;
mod writer;

pub use follow::Follow;
pub use handle::Store;
pub use metrics::StoreMetrics;
pub use read::restore;
pub use types::*;
pub use writer::Writer;
