//! Reading a configuration from its sources, the weakest first.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_saphyr::Error as Yaml;

use super::environment::{self, Variables};
use super::error::{ConfigError, SyntaxError};
use super::{Config, DEFAULT_PATH};
use crate::base::limits;

/// Where a configuration comes from. Each source overrides the ones before it: defaults, file, environment, flags.
pub struct Sources<'a> {
    pub file: Option<&'a Path>,
    pub environment: &'a dyn Variables,
    /// `(flag as the user typed it, dotted key, value)`.
    pub flags: &'a [(&'static str, &'static str, String)],
}

/// A configuration, and the file that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub file: Option<PathBuf>,
}

/// The file to read: the one asked for, else `config/aegis.yaml` below the working directory if it is there.
pub fn find_file(asked: Option<&Path>) -> Option<PathBuf> {
    let default = Path::new(DEFAULT_PATH);
    asked.or_else(|| default.exists().then_some(default)).map(Path::to_owned)
}

impl Sources<'_> {
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut config = match self.file {
            Some(path) => parse(path, &read(path)?)?,
            None => Config::default(),
        };
        environment::apply(&mut config, self.environment)?;
        for (flag, key, value) in self.flags {
            environment::set(&mut config, flag, key, value)?;
        }
        check(&config)?;
        Ok(Loaded { config, file: self.file.map(Path::to_owned) })
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let limit = limits::CONFIG_FILE_BYTES_MAX;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > limit {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(text)
}

/// The file's text as a configuration, with defaults for what it leaves out.
pub(super) fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    // A file of comments alone is an empty document, not an empty mapping.
    if text.lines().map(str::trim_start).all(|line| line.is_empty() || line.starts_with('#') || line == "---") {
        return Ok(Config::default());
    }
    let mut key = String::new();
    let parsed = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize::<_, Config>(deserializer).map_err(|error| {
            key = error.path().to_string();
            error.into_inner()
        })
    });
    parsed.map_err(|error: Yaml| ConfigError::Syntax(Box::new(SyntaxError::new(path, text, &key, &error))))
}

/// What no single value shows.
fn check(config: &Config) -> Result<(), ConfigError> {
    let wrong = |key: &str, problem: String| Err(ConfigError::Value { key: key.to_owned(), problem });
    let runner = &config.runner;
    if runner.max_running < runner.lanes {
        return wrong(
            "runner.max_running",
            format!("{} is less than runner.lanes ({}): some lanes would never work", runner.max_running, runner.lanes),
        );
    }
    if runner.shutdown_grace > limits::SHUTDOWN_GRACE_MAX {
        return wrong("runner.shutdown_grace", format!("at most {:?} is allowed", limits::SHUTDOWN_GRACE_MAX));
    }
    if config.retention.logs > config.retention.runs {
        return wrong(
            "retention.logs",
            "logs cannot be kept longer than their runs: lower retention.logs or raise retention.runs".into(),
        );
    }
    for (name, kept) in [
        ("runs", config.retention.runs),
        ("logs", config.retention.logs),
        ("events", config.retention.events),
        ("audit", config.retention.audit),
    ] {
        if kept < limits::RETENTION_MIN {
            return wrong(&format!("retention.{name}"), format!("at least {:?} must be kept", limits::RETENTION_MIN));
        }
    }
    for (name, calendar) in &config.calendars {
        if calendar.days.is_empty() && calendar.windows.is_empty() {
            return wrong(&format!("calendars.{name}"), "it is never closed; give it days or windows".into());
        }
    }
    if let Err((key, problem)) = super::watch::check(config) {
        return wrong(&key, problem);
    }
    for (key, path) in [
        ("scripts.dir", &config.scripts.dir),
        ("scripts.policy", &config.scripts.policy),
        ("admin.socket", &config.admin.socket),
    ] {
        if path.as_os_str().is_empty() {
            return wrong(key, "the path is empty".into());
        }
    }
    Ok(())
}
