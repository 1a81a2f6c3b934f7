//! What a service may use of the machine.

use serde_json::{Map, Value, json};

use crate::primitives::stack::compose::model::{DeviceRequest, Service, Ulimit};

pub(super) fn resources(service: &Service, options: &mut Map<String, Value>) {
    let deploy = service.deploy.as_ref().map(|deploy| &deploy.resources);
    let limits = deploy.and_then(|resources| resources.limits.as_ref());
    let reserved = deploy.and_then(|resources| resources.reservations.as_ref());
    let first = |ours: i64, theirs: Option<i64>| theirs.filter(|value| *value > 0).unwrap_or(ours);
    let cpus = limits.map(|of| of.cpus.0).filter(|cpus| *cpus > 0.0).unwrap_or(service.cpus.0);
    let mut put = |key: &str, value: Value, is_said: bool| {
        if is_said {
            options.insert(key.to_owned(), value);
        }
    };
    let number = |value: i64| (json!(value), value != 0);
    // Through the shortest text, so that 0.1 does not become 0.10000000149.
    put("cpus", json!(cpus.to_string().parse::<f64>().unwrap_or_default()), cpus > 0.0);
    for (key, (value, is_said)) in [
        ("mem_limit", number(first(service.mem_limit, limits.map(|of| of.memory)))),
        ("mem_reservation", number(first(service.mem_reservation, reserved.map(|of| of.memory)))),
        ("memswap_limit", number(service.memswap_limit)),
        ("mem_swappiness", number(service.mem_swappiness)),
        ("pids_limit", number(first(service.pids_limit, limits.map(|of| of.pids)))),
        ("shm_size", number(service.shm_size)),
        ("cpu_shares", number(service.cpu_shares)),
        ("cpu_period", number(service.cpu_period)),
        ("cpu_quota", number(service.cpu_quota)),
        ("oom_score_adj", number(service.oom_score_adj)),
    ] {
        put(key, value, is_said);
    }
    put("cpuset", json!(service.cpuset), !service.cpuset.is_empty());
    put("oom_kill_disable", json!(true), service.oom_kill_disable);
    let ulimits: Map<String, Value> =
        service.ulimits.iter().map(|(name, limit)| (name.clone(), ulimit(limit))).collect();
    put("ulimits", json!(ulimits), !service.ulimits.is_empty());
    let devices = service.devices.iter();
    let devices: Vec<String> = devices.map(|of| format!("{}:{}:{}", of.source, of.target, of.permissions)).collect();
    put("devices", json!(devices), !devices.is_empty());
    let given = reserved.iter().flat_map(|of| &of.devices).map(|of| device_request(of, &[]));
    let gpus = service.gpus.iter().map(|of| device_request(of, &["gpu"]));
    let requests: Vec<Value> = given.chain(gpus).collect();
    put("device_requests", json!(requests), !requests.is_empty());
}

fn device_request(request: &DeviceRequest, further: &[&str]) -> Value {
    let capabilities: Vec<&str> =
        request.capabilities.iter().map(String::as_str).chain(further.iter().copied()).collect();
    let mut table = Map::from_iter([("capabilities".to_owned(), json!(capabilities))]);
    for (key, value, is_said) in [
        ("driver", json!(request.driver), !request.driver.is_empty()),
        ("count", json!(request.count), request.count != 0),
        ("device_ids", json!(request.device_ids), !request.device_ids.is_empty()),
        ("options", json!(request.options), !request.options.is_empty()),
    ] {
        if is_said {
            table.insert(key.to_owned(), value);
        }
    }
    Value::Object(table)
}

fn ulimit(limit: &Ulimit) -> Value {
    match limit {
        Ulimit::Single(both) => json!(both),
        Ulimit::Pair { soft, hard } => json!({ "soft": soft, "hard": hard }),
    }
}
