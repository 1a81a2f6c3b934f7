//! Rank 4: the Luau runtime. The only folder that imports mlua.

mod attempt;
pub mod bind;
mod bundle;
mod compile;
mod console;
mod docs;
mod durable;
mod engine;
mod error;
mod inspect;
mod interrupt;
mod json;
mod scope;
mod show;
mod standard;
mod syntax;
mod testing;
#[cfg(test)]
mod tests;
mod trace;
mod vm;

pub use bundle::Bundle;
pub use console::{Console, EvalOutcome, is_incomplete};
pub use docs::{doc, reference, types};
pub use durable::MemoryJournal;
pub use engine::{Engine, EngineOptions, Inspected, Seat};
pub use scope::{
    ArtifactPort, AuditPort, Durable, JobsPort, JournalPort, KvPort, LogSink, Outcome, RunScope, WatchPort,
};
pub use testing::TestResult;
