//! The thin layer that lets one SQL text serve both databases.
//!
//! Statements use `$1` placeholders, integers and text only, and what both dialects share. Many rows travel as one
//! JSON array of arrays: `{rows}` stands for the function that yields its elements in a column called `value`, and
//! `value->>0` reads a field in both dialects. `{skip_locked}` ends a selection that leaves out what others have locked.

mod conn;
mod error;
mod pool;
mod query;
mod row;

pub(super) use conn::{Conn, Dialect, Raw, Uncommitted};
pub(super) use pool::Readers;
pub(super) use query::{Arg, Query, Rows, query};
pub(super) use row::Row;
