//! Databases of other programs: PostgreSQL, SQLite, MySQL and MariaDB, each under a name of the configuration.
//!
//! Values travel beside the statement, never inside it, and one call carries out one statement. Who may only read is
//! kept from writing by the database itself: by a read-only transaction that no statement can leave, or by a file
//! that was opened for reading. What a text begins with is looked at as well, so that most refusals name the remedy.

mod cell;
mod config;
mod driver;
mod error;
mod listen;
mod mysql;
mod open;
mod pool;
mod postgres;
mod service;
mod session;
mod sink;
mod sqlite;
mod statement;
mod stream;
mod text;
mod transaction;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use cell::{Cell, Rows};
pub use config::{Source, Url};
pub use error::SqlError;
pub use listen::{Listening, Notice};
pub use open::Open;
pub use service::{Known, Options, Sql};
pub use statement::{Bounds, Statement};
pub use text::Dialect;
