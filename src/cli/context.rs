//! What every command is given.

use std::path::PathBuf;

use super::args::Global;
use super::client::Client;
use super::failure::Failure;
use super::output::Output;
use crate::base::Clock;
use crate::config::{Environment, Loaded, Sources, find_file};

#[derive(Debug)]
pub(super) struct Context {
    pub global: Global,
    pub clock: Clock,
    pub out: Output,
}

impl Context {
    pub fn new(global: Global) -> Self {
        let out = Output::new(global.json);
        Self { global, clock: Clock::system(), out }
    }

    /// The configuration as a daemon started here would have it, with `flags` as `(flag, key, value)`.
    pub fn config(&self, flags: &[(&'static str, &'static str, String)]) -> Result<Loaded, Failure> {
        let file = find_file(self.global.config.as_deref());
        Ok(Sources { file: file.as_deref(), environment: &Environment, flags }.load()?)
    }

    /// The daemon's socket: `--socket` or `AEGIS_SOCKET`, else the configuration's.
    pub fn socket(&self) -> Result<PathBuf, Failure> {
        match &self.global.socket {
            Some(socket) => Ok(socket.clone()),
            None => Ok(self.config(&[])?.config.admin.socket),
        }
    }

    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.socket()?))
    }
}
