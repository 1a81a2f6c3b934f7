//! The Lua engine without a daemon: for checking and running files.

use tokio::runtime::Handle;

use super::failure::Failure;
use crate::app;
use crate::base::Clock;
use crate::config::Config;
use crate::jobs::Site;
use crate::lua::{Engine, EngineOptions};

pub(super) fn make(config: &Config, clock: &Clock) -> Result<Engine, Failure> {
    let primitives = app::primitives(config, clock).map_err(|error| Failure::new(format!("{error:#}")))?;
    Ok(Engine::new(EngineOptions { io: Handle::current(), clock: clock.clone(), primitives }))
}

/// For files that are looked at, or run against fakes: no source of secrets is opened, which another user may own.
pub(super) fn without_secrets(config: &Config, clock: &Clock) -> Result<Engine, Failure> {
    make(&Config { secrets: Default::default(), ..config.clone() }, clock)
}

pub(super) fn site(config: &Config) -> Result<Site, Failure> {
    app::site(config).map_err(|error| Failure::new(format!("{error:#}")))
}
