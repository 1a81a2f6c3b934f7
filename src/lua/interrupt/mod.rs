//! Stops scripts that do not stop by themselves, at no cost to those that do.
//!
//! Luau calls an interrupt function at each call, return and loop iteration, if one is set. Set for good it makes
//! scripts several times slower, so here it is set only when needed: a [`Ticker`] thread looks at the VMs that are
//! executing right now and arms the interrupt of one that has computed for a slice ([`limits::RUN_SLICE`]) or has come
//! to its end (deadline, CPU budget, cancellation). An armed slice makes the script yield to the lane; an armed stop
//! makes it yield or, where that is impossible, raise at every step until it is back where it can.
//!
//! [`limits::RUN_SLICE`]: crate::base::limits::RUN_SLICE

mod rewake;
mod switch;
mod ticker;
mod watch;

pub use rewake::Rewake;
pub use switch::{Armed, Connection, Switch, mark_current_driven, mark_driven, slice_mark};
pub use ticker::Ticker;
#[cfg(test)]
pub use watch::thread_time;
pub use watch::{Limits, Stop, Watch};
