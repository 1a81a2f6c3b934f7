//! How tasks are placed, begun again and replaced, and what they may use.

use serde_json::{Value, json};

use super::draft::Draft;
use crate::primitives::stack::compose::model::{Deploy, Placement, Resource, RestartPolicy, Service, UpdatePolicy};

const NANOS_OF_A_CPU: f64 = 1e9;

pub(super) fn put(service: &Service, draft: &mut Draft) {
    let nothing = Deploy::default();
    let deploy = service.deploy.as_ref().unwrap_or(&nothing);
    for (key, place, policy) in [
        ("deploy.update_config", "/UpdateConfig", &deploy.update_config),
        ("deploy.rollback_config", "/RollbackConfig", &deploy.rollback_config),
    ] {
        if let Some(policy) = policy {
            draft.put(key, place, update(policy));
        }
    }
    match &deploy.restart_policy {
        Some(policy) => draft.put("deploy.restart_policy", "/TaskTemplate/RestartPolicy", restart(policy)),
        None => draft.put_some("restart", "/TaskTemplate/RestartPolicy", restart_of_compose(&service.restart)),
    }
    draft.put_some("deploy.placement", "/TaskTemplate/Placement", placement(&deploy.placement, &service.platform));
    let (limits, reserved) = (deploy.resources.limits.as_ref(), deploy.resources.reservations.as_ref());
    draft.put_some("deploy.resources", "/TaskTemplate/Resources/Limits", limits_of(service, limits));
    draft.put_some("deploy.resources", "/TaskTemplate/Resources/Reservations", reserved_of(service, reserved));
}

fn update(policy: &UpdatePolicy) -> Value {
    // Whoever says how services are updated and not how many at once gets one at a time.
    let mut table = json!({ "Parallelism": policy.parallelism.unwrap_or(1) });
    for (key, nanoseconds) in [("Delay", policy.delay.0), ("Monitor", policy.monitor.0)] {
        if nanoseconds != 0 {
            table[key] = json!(nanoseconds);
        }
    }
    for (key, text) in [("FailureAction", &policy.failure_action), ("Order", &policy.order)] {
        if !text.is_empty() {
            table[key] = json!(text);
        }
    }
    if policy.max_failure_ratio.0 != 0.0 {
        table["MaxFailureRatio"] = json!(policy.max_failure_ratio.0);
    }
    table
}

fn restart(policy: &RestartPolicy) -> Value {
    let mut table = json!({});
    if !policy.condition.is_empty() {
        table["Condition"] = json!(policy.condition);
    }
    for (key, span) in [("Delay", policy.delay), ("Window", policy.window)] {
        if let Some(span) = span {
            table[key] = json!(span.0);
        }
    }
    if let Some(attempts) = policy.max_attempts {
        table["MaxAttempts"] = json!(attempts);
    }
    table
}

/// `restart`, which a stack of containers has in its place.
fn restart_of_compose(restart: &str) -> Value {
    match restart.split_once(':').unwrap_or((restart, "")) {
        ("no", _) => json!({ "Condition": "none" }),
        ("always" | "unless-stopped", _) => json!({ "Condition": "any" }),
        ("on-failure", attempts) => match attempts.parse::<u64>() {
            Ok(attempts) => json!({ "Condition": "on-failure", "MaxAttempts": attempts }),
            Err(_) => json!({ "Condition": "on-failure" }),
        },
        _ => Value::Null,
    }
}

fn placement(placement: &Placement, platform: &str) -> Value {
    let mut table = json!({});
    if !placement.constraints.is_empty() {
        table["Constraints"] = json!(placement.constraints);
    }
    if !placement.preferences.is_empty() {
        let spread = placement.preferences.iter().map(|one| json!({ "Spread": { "SpreadDescriptor": one.spread } }));
        table["Preferences"] = spread.collect();
    }
    if placement.max_replicas_per_node != 0 {
        table["MaxReplicas"] = json!(placement.max_replicas_per_node);
    }
    if !platform.is_empty() {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        table["Platforms"] = json!([{ "OS": os, "Architecture": architecture }]);
    }
    table
}

/// What `deploy.resources` says, else what the service itself says of the same.
fn limits_of(service: &Service, limits: Option<&Resource>) -> Value {
    let first = |theirs: Option<i64>, ours: i64| theirs.filter(|value| *value > 0).unwrap_or(ours);
    let cpus = limits.map(|of| of.cpus.0).filter(|cpus| *cpus > 0.0).unwrap_or(service.cpus.0);
    amounts(&[
        ("NanoCPUs", nanos(cpus)),
        ("MemoryBytes", first(limits.map(|of| of.memory), service.mem_limit)),
        ("Pids", first(limits.map(|of| of.pids), service.pids_limit)),
    ])
}

fn reserved_of(service: &Service, reserved: Option<&Resource>) -> Value {
    let memory = reserved.map(|of| of.memory).filter(|memory| *memory > 0).unwrap_or(service.mem_reservation);
    let cpus = reserved.map(|of| of.cpus.0).unwrap_or_default();
    let mut table = amounts(&[("NanoCPUs", nanos(cpus)), ("MemoryBytes", memory)]);
    let generic =
        reserved.iter().flat_map(|of| &of.generic_resources).filter_map(|of| of.discrete_resource_spec.as_ref());
    let generic: Vec<Value> =
        generic.map(|of| json!({ "DiscreteResourceSpec": { "Kind": of.kind, "Value": of.value } })).collect();
    if !generic.is_empty() {
        table["GenericResources"] = json!(generic);
    }
    table
}

fn amounts(list: &[(&str, i64)]) -> Value {
    let said = list.iter().filter(|(_, amount)| *amount != 0);
    Value::Object(said.map(|(key, amount)| ((*key).to_owned(), json!(amount))).collect())
}

/// Through the shortest text, so that 0.1 does not become 0.10000000149.
fn nanos(cpus: f32) -> i64 {
    let exact: f64 = cpus.to_string().parse().unwrap_or_default();
    (exact * NANOS_OF_A_CPU).round() as i64
}
