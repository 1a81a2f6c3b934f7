//! What the tests share: a daemon of their own, the ways in, containers, a receiver of notifications, a browser.

pub mod api;
pub mod app;
pub mod browser;
pub mod cli;
pub mod docker;
pub mod dockerd;
pub mod falkordb;
pub mod hook;
pub mod provider;
pub mod scripts;
pub mod shipped;
pub mod wait;

pub use app::TestApp;
pub use wait::{eventually, settles};

/// The JSON value that tests look into.
pub use serde_json::{Value, json};
