//! The rules that are there without a word in the configuration.

use std::time::Duration;

use super::{Condition, Measure, Rule, Severity};
use crate::base::limits::CHECK_INTERVAL_MAX;

const MINUTE: Duration = Duration::from_secs(60);
/// A check that is asked seldom still says how things are until it is asked again, and once more.
const SILENT_CHECK: Duration = Duration::from_secs(2 * CHECK_INTERVAL_MAX.as_secs());

/// By name. A rule of the configuration with the same name takes the place of one of these.
pub fn defaults() -> Vec<Rule> {
    let minutes = |count: u32| MINUTE * count;
    let above = |name, metric, threshold, clear, hold, summary: &str| Rule {
        hold,
        summary: summary.to_owned(),
        clear_for: MINUTE,
        ..Rule::new(name, metric, Condition::Above { threshold, clear })
    };
    let errors = Measure::Percent { of: "http_requests_total".into(), window: minutes(5) };
    vec![
        Rule {
            hold: minutes(2),
            stale: SILENT_CHECK,
            severity: Severity::Critical,
            summary: "{check} is down".into(),
            ..Rule::new("service_down", "check_up", Condition::Below { threshold: 1.0, clear: 1.0 })
        },
        Rule {
            measure: errors,
            severity: Severity::Critical,
            ..above(
                "http_errors",
                "http_errors_total",
                10.0,
                5.0,
                minutes(5),
                "{value} % of the requests fail (limit {threshold} %)",
            )
        },
        Rule {
            stale: SILENT_CHECK,
            ..above("latency_high", "check_latency_ms", 500.0, 400.0, minutes(10), "{check} takes {value} ms to answer")
        },
        above(
            "bandwidth_high",
            "host_network_percent",
            80.0,
            75.0,
            minutes(15),
            "the network is used to {value} % of its bandwidth",
        ),
        above("cpu_high", "host_cpu_percent", 90.0, 85.0, minutes(5), "the CPU is at {value} %"),
        Rule {
            severity: Severity::Emergency,
            ..above("memory_full", "host_memory_percent", 95.0, 92.0, Duration::ZERO, "the memory is {value} % full")
        },
        above("disk_high", "host_disk_percent", 85.0, 83.0, Duration::ZERO, "the disk is {value} % full"),
        Rule {
            severity: Severity::Emergency,
            ..above("disk_full", "host_disk_percent", 95.0, 93.0, Duration::ZERO, "the disk is {value} % full")
        },
        Rule {
            clear_for: minutes(5),
            ..above(
                "packet_loss",
                "host_packet_loss_percent",
                1.0,
                0.5,
                Duration::ZERO,
                "{value} % of packets are lost",
            )
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_can_all_be_meant_and_have_names_of_their_own() {
        let rules = defaults();
        for rule in &rules {
            assert_eq!(rule.check(), Ok(()), "{}", rule.name);
        }
        let names: std::collections::BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names.len(), rules.len());
    }
}
