//! What callers are shown: plain views with documented shapes, read by the API and the pages alike.

pub mod audit;
pub mod containers;
pub mod jobs;
pub mod logs;
pub mod missed;
pub mod names;
pub mod occurrences;
pub mod rights;
pub mod rollouts;
pub mod runs;
pub mod schedule;
pub mod simulation;
pub mod stacks;
pub mod steps;
pub mod text;
pub mod volumes;
pub mod watch;
