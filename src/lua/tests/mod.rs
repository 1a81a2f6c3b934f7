//! The runtime as a whole, on lanes like those of the daemon.

mod api;
mod audit;
mod codecs;
mod console;
mod docker;
mod durable;
mod egress;
mod errors;
mod hostile;
mod http;
mod http_flow;
mod inspecting;
mod interrupts;
mod machine;
mod names;
mod proxy;
mod run;
mod secrets;
mod sources;
mod spares;
mod sql;
mod stack;
pub mod support;
mod volumes;
mod watch;
mod wrong_uses;
