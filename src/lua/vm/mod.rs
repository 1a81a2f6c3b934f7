//! Virtual machines: one for each run, thrown away with it.

mod around;
mod context;
mod group;
mod host;
pub mod library;
mod machine;
mod native;
mod pattern;

pub use around::{Around, Within};
pub use host::Host;
pub use machine::{Budget, Ended, Vm};
pub use native::{known_names, operation_names};

/// The runtime's own Lua.
pub const PRELUDE: &str = include_str!("prelude.luau");
