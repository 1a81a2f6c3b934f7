//! The real `aegis` binary, started in a folder of its own and used the way people and programs use it.
//!
//! One file a behaviour. Tests that need Docker are in modules called `docker_real…`, those that need a browser in
//! `browser…`, those that measure time in `timing…`: `tests/run --quick` and `.config/nextest.toml` go by these names.

// Helpers fail a test by panicking, as tests do; the product's own bans stay in force in `src/`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "tests wait for a real process and have no Supervisor")]

#[path = "../postgres/server.rs"]
mod server;
mod support;

mod auth;
mod bad_input;
mod browser;
mod commands;
mod crash;
mod daily;
mod disk_full;
mod docker_real;
mod docker_real_egress;
mod docker_real_executions;
mod docker_real_failures;
mod docker_real_rollout;
mod docker_real_stack;
mod docker_real_traffic;
mod durable;
mod first_job;
mod keeper;
mod log_flood;
mod luau;
mod notify;
mod reload;
mod secrets;
mod shutdown;
mod timing;
mod triggers;
mod volumes;
mod ways_in;
