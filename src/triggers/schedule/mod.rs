//! Fires the jobs' schedules: one loop over a heap of due times, woken by the clock, by its steps, and by reloads.
//!
//! Every due time ends as a row: fired, coalesced, skipped, held, missed or refused. The key of that row is
//! `(job, scheduled_for)`, so that nothing fires twice, whatever the clock does. Up to when due times have their rows
//! is written down now and then, and never later than the first one that has none: a restart goes on from there.

mod absence;
mod catch_up;
mod fire;
mod forecast;
mod overdue;
mod run;
mod timetable;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use catch_up::{Verdict, look_back};
pub use forecast::{Forecast, forecast};
pub use run::{Schedule, Settled};
#[cfg(test)]
pub(super) use timetable::{Firing, Timetable};
