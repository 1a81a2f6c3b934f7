//! Where the daemon's own messages go: standard error, as text for people or as JSON for collectors.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use super::failure::Failure;
use super::terminal;
use crate::base::Masker;
use crate::base::mask::MaskWriter;
use crate::config::{Log, LogFormat, check_log_level};

/// Crates that are kept at a level whatever was asked for. The debug output of most holds what must not be written down
/// (bollard prints containers' environments, hyper and h2 headers, sqlx statements); the last has nothing to say.
const CAPPED: [(&str, Level); 7] = [
    ("bollard", Level::INFO),
    ("h2", Level::INFO),
    ("hyper", Level::INFO),
    ("hyper_util", Level::INFO),
    ("reqwest", Level::INFO),
    ("sqlx", Level::INFO),
    ("tokio_cron_scheduler", Level::WARN),
];

/// Installs the process's subscriber.
pub(super) fn install(log: &Log, masker: &Masker) -> Result<(), Failure> {
    let targets = targets(&log.level).map_err(Failure::usage)?;
    let masker = masker.clone();
    let writer = move || MaskWriter::new(std::io::stderr(), masker.clone());
    let registry = tracing_subscriber::registry().with(targets);
    let as_json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal::stderr_is_terminal(),
    };
    let installed = if as_json {
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
        registry.with(layer.with_writer(writer)).try_init()
    } else {
        let layer = tracing_subscriber::fmt::layer().with_ansi(terminal::stderr_has_colour());
        registry.with(layer.with_writer(writer)).try_init()
    };
    installed.map_err(|error| Failure::new(format!("logging cannot be set up: {error}")))
}

/// `info`, or by target: `info,aegis::web=debug`; capped as [`CAPPED`] says.
fn targets(level: &str) -> Result<Targets, String> {
    check_log_level(level)?;
    let asked: Targets = level.parse().map_err(|error| format!("{level:?} is not a log level: {error}"))?;
    let default = asked.default_level().unwrap_or(LevelFilter::ERROR);
    let cap = |target: &str, level: LevelFilter| {
        let capped = CAPPED.iter().find(|(capped, _)| target.starts_with(capped));
        capped.map_or(level, |(_, most)| level.min(LevelFilter::from_level(*most)))
    };
    let mut targets = Targets::new().with_default(default);
    for (capped, _) in CAPPED {
        targets = targets.with_target(capped, cap(capped, default));
    }
    for (target, level) in asked.iter() {
        targets = targets.with_target(target, cap(target, level));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talkative_crates_stay_at_info() {
        let all = targets("trace,bollard=trace,bollard::docker=debug,sqlx=off").expect("it parses");
        assert!(all.would_enable("aegis::runner", &Level::TRACE));
        for capped in ["bollard", "bollard::docker", "hyper::proto", "h2"] {
            assert!(all.would_enable(capped, &Level::INFO) && !all.would_enable(capped, &Level::DEBUG), "{capped}");
        }
        assert!(!all.would_enable("sqlx::query", &Level::ERROR), "less may be asked for");
    }

    #[test]
    fn the_housekeeping_scheduler_is_quiet() {
        let usual = targets("info").expect("it parses");
        assert!(usual.would_enable("tokio_cron_scheduler::job", &Level::WARN));
        assert!(!usual.would_enable("tokio_cron_scheduler::job", &Level::INFO));
    }

    #[test]
    fn targets_have_levels_of_their_own() {
        let some = targets("warn,aegis::web=debug").expect("it parses");
        assert!(
            some.would_enable("aegis::web::api", &Level::DEBUG) && !some.would_enable("aegis::runner", &Level::INFO)
        );
        assert!(!some.would_enable("bollard", &Level::INFO));
        assert!(targets("lowd").is_err());
    }
}
