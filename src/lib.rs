//! Aegis runs a server's operations from hot-reloadable Lua.
//!
//! The house, lowest rank first; a file imports only lower ranks and its own folder (`tests/tidy.rs` holds that):
//!
//! | rank | folder | what lives there |
//! |---|---|---|
//! | 0 | [`base`] | ids, clock, limits, faults, masker, supervisor |
//! | 1 | [`model`] | pure data and rules |
//! | 2 | [`store`], [`primitives`] | Aegis's own database; what scripts can touch |
//! | 3 | [`events`], [`outbox`] | following what was committed; messages on their way |
//! | 4 | [`lua`] | the Luau runtime and its bindings |
//! | 5 | [`jobs`] | files become a registry of jobs |
//! | 6 | [`runner`] | admission, dispatch, lanes |
//! | 7 | [`triggers`], [`watch`], [`web`], [`admin`] | the ways in, and the watch |
//! | - | [`app`], [`config`], [`cli`] | composition, settings, command line |

pub mod admin;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod events;
pub mod jobs;
pub mod lua;
pub mod model;
pub mod outbox;
pub mod primitives;
pub mod runner;
pub mod store;
pub mod triggers;
pub mod watch;
pub mod web;
