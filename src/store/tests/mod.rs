//! One suite, run on both databases.

pub mod postgres;
pub mod support;

mod runs;
