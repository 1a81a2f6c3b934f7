//! The routers from outside: requests in, answers out, on a real store, runner and Lua runtime.

mod api;
mod audit;
mod auth;
mod durable;
mod hooks;
mod notifications;
mod pages;
mod serving;
mod stacks;
mod streams;
mod support;
mod volumes;
mod watch;
