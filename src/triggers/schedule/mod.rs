//! Fires jobs when they are due, and accounts for every due time.
//!
//! One loop waits for the earliest due time of all jobs. It is woken when the registry changes and when the clock is set.
//! Each due time ends as a run or as an occurrence that says why there is none.

mod agenda;
mod fire;
mod forecast;
mod overdue;
mod ports;
mod scheduler;
mod stats;

pub use forecast::{Forecast, forecast};
pub use ports::{Ledger, Submit};
pub use scheduler::{Options, Scheduler};
pub use stats::{LATENESS_BUCKETS, Lateness, Stats};

#[cfg(test)]
mod tests;
