//! Rank 4: the Luau runtime. The only folder that imports mlua.

mod bundle;
mod engine;
mod scope;

pub use bundle::Bundle;
pub use engine::{Console, Engine, EngineOptions, EvalOutcome, Inspected};
pub use scope::{JobsPort, KvPort, LogSink, Outcome, RunScope};
