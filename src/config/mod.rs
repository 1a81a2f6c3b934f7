//! The configuration: built-in defaults, then the file, then the environment, then flags.

mod calendars;
mod egress;
mod environment;
mod error;
mod load;
mod nfs;
mod redact;
mod sections;
mod values;
mod watch;

#[cfg(test)]
mod tests;

pub use calendars::{Calendar, CalendarName, Calendars, Window};
pub use egress::Egress;
pub use environment::{Environment, Variables};
pub use error::ConfigError;
pub use load::{Loaded, Sources, find_file};
pub use nfs::Nfs;
pub use redact::redact_urls;
pub use sections::*;
pub use values::check_log_level;
pub use watch::{Alerts, CheckConfig, Metrics, RuleConfig};

/// The commented default that ships with Aegis; it loads to exactly [`Config::default`].
pub const DEFAULT_FILE: &str = include_str!("../../config/aegis.yaml");
/// Read when no `--config` is given and it is there.
pub const DEFAULT_PATH: &str = "config/aegis.yaml";

impl Config {
    /// Reads `path`, or the defaults when there is none; applies the environment; checks what fields mean together.
    pub fn load(path: Option<&std::path::Path>) -> Result<Self, ConfigError> {
        let sources = Sources { file: path, environment: &Environment, flags: &[] };
        sources.load().map(|loaded| loaded.config)
    }

    /// The calendars, ready for arithmetic.
    ///
    /// # Errors
    /// A zone or an expression that is none; what was read from a file was checked there.
    pub fn calendars(&self) -> Result<crate::model::Calendars, crate::model::schedule::BadSchedule> {
        calendars::calendars(&self.calendars)
    }
}
