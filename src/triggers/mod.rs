//! Rank 7: what sets runs off. Each trigger ends in [`crate::runner::Handle::submit`].

pub mod housekeeping;
pub mod schedule;
