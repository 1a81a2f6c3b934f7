//! Whether the data sources of scripts answer.

use super::Finding;
use crate::app;
use crate::base::Clock;
use crate::config::Config;

/// Nothing when none is configured.
pub(super) async fn check(config: &Config, clock: &Clock) -> Option<Finding> {
    if config.sql.is_empty() {
        return None;
    }
    let fix = "start the server, or correct the source's url and its secret below sql in the configuration";
    let sql = match app::primitives(config, clock) {
        Ok(primitives) => primitives.sql,
        Err(problem) => return Some(Finding::problem("data sources", problem.to_string(), fix)),
    };
    Some(match sql.ping().await {
        Ok(()) => {
            Finding::ok("data sources", format!("{} answer", config.sql.keys().cloned().collect::<Vec<_>>().join(", ")))
        }
        Err(problem) => Finding::problem("data sources", problem, fix),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::primitives::sql::testing;

    #[tokio::test]
    async fn sources_are_tried_where_there_are_any() {
        let clock = Clock::system();
        let mut config = Config::default();
        assert_eq!(check(&config, &clock).await, None);
        let (_folder, url) = testing::sqlite();
        config.sql = testing::main_source(&url);
        assert_eq!(check(&config, &clock).await, Some(Finding::ok("data sources", "main answer")));
        config.sql = testing::main_source("sqlite:///nowhere/x.db");
        let finding = check(&config, &clock).await.expect("a finding");
        assert!(finding.verdict == Verdict::Problem && finding.found.contains("\"main\""));
    }
}
