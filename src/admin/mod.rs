//! Rank 7: the admin socket: the API for peers with operating-system credentials, and console sessions.
//!
//! [`Server::bind`] takes the socket's path; [`Server::run`] serves HTTP/1.1 on it. Only the daemon's own user and
//! root are let in, as administrators. `GET /admin/v1/console` with `Upgrade: aegis-console` turns a connection into a
//! console, where framed [`protocol`] messages flow.

mod bind;
mod console;
mod live;
mod peer;
pub mod protocol;
mod server;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;

pub use bind::{BindError, socket_is_live};
pub use console::{Console, Consoles};
pub use live::LiveConsoles;
pub use server::Server;

/// As the configuration has it.
#[derive(Debug, Clone)]
pub struct Options {
    pub socket: PathBuf,
}

/// Where the console is, and the protocol a connection is upgraded to.
pub const CONSOLE_PATH: &str = "/admin/v1/console";
pub const CONSOLE_UPGRADE: &str = "aegis-console";
