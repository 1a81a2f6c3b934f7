//! Rank 1: the nouns and rules of Aegis as pure data. No IO, no async, no clock.

pub mod absence;
pub mod alerts;
pub mod audit;
pub mod calendar;
pub mod checks;
pub mod event;
pub mod grants;
pub mod identity;
pub mod job;
pub mod journal;
pub mod log;
pub mod metrics;
pub mod millis;
pub mod occurrence;
pub mod params;
pub mod rights;
pub mod run;
pub mod schedule;
pub mod triggers;

pub use absence::{Absence, AbsenceCause};
pub use audit::{AuditRecord, NewAudit};
pub use calendar::{Calendar, Calendars};
pub use event::{Event, NewEvent};
pub use grants::Grants;
pub use identity::{Identity, Role};
pub use job::JobSpec;
pub use journal::{Decision, Entry, EntryKind, EntryState, Signal, StepKey};
pub use log::{LogLevel, LogLine};
pub use occurrence::{Occurrence, OccurrenceState};
pub use rights::Right;
pub use run::{Actor, Run, RunState, Trigger, TriggerKind};
