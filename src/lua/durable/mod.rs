//! Durable runs: what `ctx:step` and its kin do, and how a script is replayed from its journal.
//!
//! A [`Course`] is one VM's way along the journal. Each `Strand` (the run itself, and each function of a group) counts
//! its calls; the count is the key by which a call finds its entry. What has an entry is answered by it; what has none
//! is done and recorded. [`turns`] keeps strands in step with each other, [`halt`] says how a VM is given up.

mod call;
mod course;
mod diverged;
mod halt;
mod memory;
mod step;
mod strand;
mod turns;
mod undo;
mod values;
mod waits;
mod writer;

pub use call::{Operation, call, check_name, check_open};
pub use course::{Course, Mode};
pub use halt::Halt;
pub use memory::MemoryJournal;
pub use strand::{Away, Branch, Place};
pub use undo::{Broken, undo};
pub use values::{Given, Reads, now, random, reseed};

/// The library functions of a durable run whose answers are recorded.
pub const PRELUDE: &str = include_str!("prelude.luau");
