//! Values as people write them, typed and checked where they stand, so that an error has the value's line and column.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::Serializer;

use super::redact::redact_urls;
use super::sections::LogFormat;
use crate::base::{limits, suggest};
use crate::model::schedule;
use crate::primitives::sql::Source;
use crate::primitives::{proxy, stack};

const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const LOG_FORMATS: [(&str, LogFormat); 3] =
    [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Durations in text with a unit; a bare number counts seconds.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use crate::base::quantity;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::text(deserializer, |text| quantity::parse_duration(text).map_err(|bad| bad.to_string()))
    }

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let short = quantity::show_duration(*duration);
        match quantity::parse_duration(&short) {
            Ok(same) if same == *duration => serializer.serialize_str(&short),
            _ => serializer.collect_str(&format_args!("{}ms", duration.as_millis())),
        }
    }
}

/// How long a window of a calendar lasts.
pub(super) mod window {
    pub(in crate::config) use super::duration::serialize;

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<std::time::Duration, D::Error> {
        super::text(deserializer, |text| {
            let lasts = crate::base::quantity::parse_duration(text).map_err(|bad| bad.to_string())?;
            crate::model::calendar::check_window(lasts)
        })
    }
}

pub(super) fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, |name| match schedule::zone(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(bad) => Err(bad.to_string()),
    })
}

pub(super) fn cron<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, |expression| match schedule::CronRule::parse(expression, jiff::tz::TimeZone::UTC) {
        Ok(_) => Ok(expression.to_owned()),
        Err(bad) => Err(bad.to_string()),
    })
}

/// A mapping, or nothing but comments in its place.
pub(super) fn maybe_map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

pub(super) fn redacted<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&redact_urls(url))
}

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    text(deserializer, parse_address)
}

pub(super) fn store_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, parse_store_url)
}

/// Sources by name, whose names are as scripts write them.
pub(super) fn sql_sources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Source>, D::Error> {
    BTreeMap::<String, Source>::deserialize(deserializer).and_then(|sources| named("source", sources))
}

/// Load balancers by name, or nothing but comments.
pub(super) fn proxies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<proxy::Sources, D::Error> {
    maybe_map(deserializer).and_then(|proxies| named("proxy", proxies))
}

fn named<T, E: Error>(what: &str, sources: BTreeMap<String, T>) -> Result<BTreeMap<String, T>, E> {
    let is_name = |name: &String| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (1..=limits::PARAM_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(legal)
    };
    match sources.keys().find(|name| !is_name(name)) {
        Some(name) => Err(E::custom(format!(
            "{name:?} is not a name for a {what}: write up to {} letters, digits, '_' and '-'",
            limits::PARAM_NAME_BYTES_MAX
        ))),
        None => Ok(sources),
    }
}

/// Stacks by name, whose names are as Compose takes them for projects.
pub(super) fn stacks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<stack::Sources, D::Error> {
    let stacks: stack::Sources = maybe_map(deserializer)?;
    match stacks.keys().find(|name| !stack::is_name(name)) {
        Some(name) => Err(D::Error::custom(format!(
            "{name:?} is not a name for a stack: write lower-case letters, digits, '-' and '_', such as \"shop\""
        ))),
        None => Ok(stacks),
    }
}

pub(super) fn docker_host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, parse_docker_host)
}

pub(super) fn log_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, |level| check_log_level(level).map(|()| level.to_owned()))
}

pub(super) fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFormat, D::Error> {
    text(deserializer, parse_log_format)
}

pub(super) fn lanes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    usize::deserialize(deserializer).and_then(|count| check_lanes(count).map_err(D::Error::custom))
}

pub(super) fn max_running<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    usize::deserialize(deserializer).and_then(|count| check_max_running(count).map_err(D::Error::custom))
}

/// Absolute paths by name.
pub(super) fn absolute_paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, PathBuf>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Absolute(#[serde(deserialize_with = "absolute_path")] PathBuf);
    let paths: BTreeMap<String, Absolute> = BTreeMap::deserialize(deserializer)?;
    Ok(paths.into_iter().map(|(name, Absolute(path))| (name, path)).collect())
}

fn absolute_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    text(deserializer, |text| match PathBuf::from(text) {
        path if path.is_absolute() => Ok(path),
        _ => Err(format!("{text:?} is not an absolute path: write it from the top, such as \"/var/backups/aegis\"")),
    })
}

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    SocketAddr::from_str(text).map_err(|_| {
        format!("{text:?} is not an address to listen on: write IP:PORT, such as \"127.0.0.1:8080\" or \"[::1]:8080\"")
    })
}

pub(super) fn parse_store_url(text: &str) -> Result<String, String> {
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(text.to_owned());
    }
    let shown = redact_urls(text);
    Err(format!(
        "{shown:?} is not a database Aegis can use: write \"sqlite://path/to/file.db\" or \"postgres://user@host/name\""
    ))
}

pub(super) fn parse_docker_host(text: &str) -> Result<String, String> {
    let path_or_host = ["unix://", "tcp://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match path_or_host {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => {
            Err(format!("{text:?} is not a Docker host: write \"unix:///var/run/docker.sock\" or \"tcp://host:2375\""))
        }
    }
}

pub(super) fn parse_log_format(text: &str) -> Result<LogFormat, String> {
    LOG_FORMATS.into_iter().find(|(name, _)| *name == text).map(|(_, format)| format).ok_or_else(|| {
        let near = suggest::did_you_mean(text, LOG_FORMATS.map(|(name, _)| name));
        format!("{text:?} is not a log format: write auto, text or json{near}")
    })
}

/// Whether `text` is a level, or a list of `target=level` with at most bare levels between.
pub fn check_log_level(text: &str) -> Result<(), String> {
    for part in text.split(',').map(str::trim) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if !LOG_LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            let near = suggest::did_you_mean(level, LOG_LEVELS);
            return Err(format!(
                "{level:?} is not a log level: write error, warn, info, debug or trace, or by target \"info,aegis::web=debug\"{near}"
            ));
        }
    }
    Ok(())
}

pub(super) fn check_lanes(count: usize) -> Result<usize, String> {
    match count {
        1..=limits::LANES_MAX => Ok(count),
        _ => Err(format!("{count} lanes are out of range: write 1 to {}", limits::LANES_MAX)),
    }
}

pub(super) fn check_max_running(count: usize) -> Result<usize, String> {
    const MAX: usize = limits::LANES_MAX * limits::LANE_RUNS_MAX;
    match count {
        1..=MAX => Ok(count),
        _ => Err(format!("{count} runs at once are out of range: write 1 to {MAX}")),
    }
}

/// A scalar as text, through `parse`.
pub(super) fn text<'de, D, T>(deserializer: D, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct Scalar;
    impl Visitor<'_> for Scalar {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("text")
        }
        fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
            Ok(value.to_owned())
        }
        fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
            Ok(value.to_string())
        }
        fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
            Ok(value.to_string())
        }
        fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
            Ok(value.to_string())
        }
    }
    deserializer.deserialize_any(Scalar).and_then(|value| parse(&value).map_err(D::Error::custom))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_levels_are_checked_part_by_part() {
        for good in ["info", "INFO", "info,aegis::web=debug", "warn, hyper=off"] {
            assert_eq!(check_log_level(good), Ok(()), "{good}");
        }
        for bad in ["", "inof", "info,aegis", "info,,debug", "aegis=loud"] {
            assert!(check_log_level(bad).is_err(), "{bad}");
        }
        assert!(check_log_level("wran").is_err_and(|text| text.ends_with("did you mean \"warn\"?")));
    }

    #[test]
    fn a_refused_database_url_keeps_its_password() {
        let problem = parse_store_url("mysql://root:hunter2@db/x").expect_err("mysql is not supported");
        assert!(problem.contains("mysql://root:***@db/x") && !problem.contains("hunter2"), "{problem}");
    }
}
