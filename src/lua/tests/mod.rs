//! The runtime as a whole, on lanes like those of the daemon.

mod api;
mod console;
mod docker;
mod durable;
mod errors;
mod hostile;
mod http;
mod inspecting;
mod interrupts;
mod names;
mod run;
pub mod support;
mod watch;
