//! Keys whose strings become numbers and booleans once their variables are filled in.

use super::super::node::Value;
use super::super::path::ITEM;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    Int,
    Float,
    Bool,
}

impl Cast {
    /// What messages ask for.
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Bool => "true or false",
        }
    }

    pub fn apply(self, text: &str) -> Option<Value> {
        match self {
            Self::Int => text.parse::<i64>().ok().map(|number| Value::Int(number.into())),
            Self::Float => text.parse::<f64>().ok().map(Value::Float),
            Self::Bool => truth(text).map(Value::Bool),
        }
    }
}

/// `true`, and what YAML 1.1 had for it, in any case of letters.
pub(in super::super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The cast of a key, by its path.
pub(super) fn cast(path: &[&str]) -> Option<Cast> {
    match path {
        ["services", _, rest @ ..] => of_service(rest),
        ["networks", _, "external" | "internal" | "attachable" | "enable_ipv4" | "enable_ipv6"] => Some(Cast::Bool),
        ["volumes" | "secrets" | "configs", _, "external"] => Some(Cast::Bool),
        _ => None,
    }
}

fn of_service(path: &[&str]) -> Option<Cast> {
    match path {
        [
            "cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime" | "cpu_shares"
            | "oom_score_adj" | "pids_limit" | "scale",
        ] => Some(Cast::Int),
        ["cpu_percent" | "cpus"] => Some(Cast::Float),
        ["init" | "oom_kill_disable" | "privileged" | "read_only" | "stdin_open" | "tty"] => Some(Cast::Bool),
        ["deploy", "update_config" | "rollback_config", "max_failure_ratio"] => Some(Cast::Float),
        ["deploy", "replicas"]
        | ["deploy", "update_config" | "rollback_config", "parallelism"]
        | ["deploy", "restart_policy", "max_attempts"]
        | ["deploy", "placement", "max_replicas_per_node"]
        | ["healthcheck", "retries"]
        | ["ulimits", _]
        | ["ulimits", _, "hard" | "soft"] => Some(Cast::Int),
        ["ports", ITEM, "target"] | ["configs" | "secrets", ITEM, "mode"] => Some(Cast::Int),
        ["healthcheck", "disable"] | ["volumes", ITEM, "read_only"] | ["volumes", ITEM, "volume", "nocopy"] => {
            Some(Cast::Bool)
        }
        _ => None,
    }
}
