//! The servers that the configuration names for scripts.

use super::Finding;
use crate::base::Clock;
use crate::config::Config;

/// One finding for each Redis and graph source; none where the configuration names none.
pub(super) async fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    if config.redis.is_empty() && config.graph.is_empty() {
        return Vec::new();
    }
    let primitives = match crate::app::primitives(config, clock) {
        Ok(primitives) => primitives,
        Err(problem) => return vec![Finding::problem("sources", problem.to_string(), "correct the configuration")],
    };
    let (redis, graph) = (primitives.redis.ping().await, primitives.graph.ping().await);
    let redis = redis.into_iter().map(|answer| ("redis", answer));
    let graph = graph.into_iter().map(|answer| ("graph", answer));
    let finding = |(check, (place, answer))| match answer {
        Ok(()) => Finding::ok(check, format!("{place} answers")),
        Err(problem) => {
            let fault: crate::base::Fault = crate::primitives::redis::Problem::fault(&problem, &place);
            Finding::problem(check, fault.message, fault.hint.unwrap_or_else(|| "see the server's own log".into()))
        }
    };
    redis.chain(graph).map(finding).collect()
}
