//! The runtime as a whole, on lanes like those of the daemon.

mod api;
mod errors;
mod http;
mod run;
pub mod support;
