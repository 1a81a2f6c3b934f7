//! Rank 2: Aegis's own database. The only folder that speaks SQL to it.
//!
//! [`Store`] is a cheap handle. Writes go to one writer, which groups whatever waits into one transaction and answers
//! after the commit is on disk; reads go to a small pool. SQLite and PostgreSQL behave alike.

mod fault;
mod handle;
mod types;

pub use handle::{Store, Writer};
pub use types::*;
