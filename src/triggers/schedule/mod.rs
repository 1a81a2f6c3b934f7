//! Fires the jobs' schedules: one loop over a heap of due times, woken by the clock, by its steps, and by reloads.
//!
//! Every due time ends as a row: fired, coalesced, skipped, held, missed or refused. The key of that row is
//! `(job, scheduled_for)`, so that nothing fires twice, whatever the clock does.

mod catch_up;
mod fire;
mod forecast;
mod run;
mod timetable;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use catch_up::Verdict;
pub use forecast::{Forecast, forecast};
pub use run::{Schedule, Settled};
#[cfg(test)]
pub(super) use timetable::{Firing, Timetable};
