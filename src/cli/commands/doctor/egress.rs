//! Whether executions can be let out.

use super::Finding;
use crate::base::Clock;
use crate::config::Config;
use crate::primitives::egress;

const CHECK: &str = "egress";

/// Nothing where the configuration does not let them.
pub(super) async fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    if !config.egress.enabled {
        return Vec::new();
    }
    let found = match egress::check(clock).await {
        Ok(()) => Finding::ok(CHECK, "executions can be let out: nft answers"),
        Err(problem) => Finding::problem(
            CHECK,
            format!("executions cannot be let out: {problem}"),
            "the daemon's user needs nft, CAP_NET_ADMIN and CAP_NET_BIND_SERVICE; docs/agents.md has the unit",
        ),
    };
    vec![found]
}
