//! Virtual machines: each has one run at a time, and is thrown away or made as new after it.

mod around;
mod context;
mod group;
mod host;
pub mod library;
mod machine;
mod native;
mod pattern;
mod spares;

pub use around::{Around, Within};
pub use host::Host;
pub use machine::{Budget, Ended, Vm};
pub use native::{known_names, operation_names};
pub use spares::{Kind, Spares};

/// The runtime's own Lua.
pub const PRELUDE: &str = include_str!("prelude.luau");
