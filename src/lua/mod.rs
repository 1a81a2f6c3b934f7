//! Rank 4: the Luau runtime. The only folder that imports mlua.

pub mod bind;
mod bundle;
mod engine;
mod json;
mod scope;
mod trace;
mod vm;

pub use bundle::Bundle;
pub use engine::{Console, Engine, EngineOptions, EvalOutcome, Inspected};
pub use scope::{JobsPort, KvPort, LogSink, Outcome, RunScope};
