//! Virtual machines: one for each run, thrown away with it.

mod host;

pub use host::Host;
