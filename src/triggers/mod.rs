//! Rank 7: what sets runs off. Each trigger ends in [`crate::runner::Handle::submit`].

mod desk;
pub mod housekeeping;
pub mod outside;
pub mod schedule;

#[cfg(test)]
mod sim;

pub use desk::{Desk, LiveDesk};
