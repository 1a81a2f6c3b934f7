//! What runs, and as what: a task's container.

use serde_json::{Value, json};

use super::draft::Draft;
use crate::primitives::stack::compose::model::{HealthCheck, Service, Span, Ulimit};

/// The place of a container's description.
macro_rules! at {
    ($name:literal) => {
        concat!("/TaskTemplate/ContainerSpec/", $name)
    };
}

pub(super) fn put(service: &Service, draft: &mut Draft) {
    draft.put("image", at!("Image"), service.image.clone());
    draft.put_some("labels", at!("Labels"), json!(service.labels));
    if let Some(entrypoint) = &service.entrypoint {
        draft.put("entrypoint", at!("Command"), entrypoint.clone());
    }
    if let Some(command) = &service.command {
        draft.put("command", at!("Args"), command.clone());
    }
    for (key, place, value) in [
        ("hostname", at!("Hostname"), json!(service.hostname)),
        ("environment", at!("Env"), json!(environment(service))),
        ("working_dir", at!("Dir"), json!(service.working_dir)),
        ("user", at!("User"), json!(service.user)),
        ("group_add", at!("Groups"), json!(service.group_add)),
        ("stop_signal", at!("StopSignal"), json!(service.stop_signal)),
        ("extra_hosts", at!("Hosts"), json!(hosts(service))),
        ("dns", at!("DNSConfig/Nameservers"), json!(service.dns)),
        ("dns_search", at!("DNSConfig/Search"), json!(service.dns_search)),
        ("dns_opt", at!("DNSConfig/Options"), json!(service.dns_opt)),
        ("sysctls", at!("Sysctls"), json!(service.sysctls)),
        ("cap_add", at!("CapabilityAdd"), json!(capabilities(&service.cap_add))),
        ("cap_drop", at!("CapabilityDrop"), json!(capabilities(&service.cap_drop))),
        ("ulimits", at!("Ulimits"), json!(ulimits(service))),
    ] {
        draft.put_some(key, place, value);
    }
    for (key, place, is_set) in [
        ("tty", at!("TTY"), service.tty),
        ("stdin_open", at!("OpenStdin"), service.stdin_open),
        ("read_only", at!("ReadOnly"), service.read_only),
    ] {
        if is_set {
            draft.put(key, place, true);
        }
    }
    if let Some(init) = service.init {
        draft.put("init", at!("Init"), init);
    }
    if let Some(grace) = service.stop_grace_period {
        draft.put("stop_grace_period", at!("StopGracePeriod"), grace.0);
    }
    if let Some(check) = &service.healthcheck {
        draft.put("healthcheck", at!("Healthcheck"), health(check));
    }
    if let Some(logging) = &service.logging {
        let mut driver = json!({ "Name": logging.driver });
        if !logging.options.is_empty() {
            driver["Options"] = json!(logging.options);
        }
        draft.put("logging", "/TaskTemplate/LogDriver", driver);
    }
}

/// A variable without a value is taken away.
fn environment(service: &Service) -> Vec<String> {
    let entry = |(name, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    service.environment.iter().map(entry).collect()
}

fn hosts(service: &Service) -> Vec<String> {
    let hosts = service.extra_hosts.0.iter();
    hosts.flat_map(|(host, list)| list.iter().map(move |address| format!("{address} {host}"))).collect()
}

/// As the engine writes them, so that what it has can be compared with what is wanted.
fn capabilities(names: &[String]) -> Vec<String> {
    let whole = |name: &String| match name.to_ascii_uppercase() {
        all if all == "ALL" => all,
        name if name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    let mut names: Vec<String> = names.iter().map(whole).collect();
    names.sort();
    names.dedup();
    names
}

fn ulimits(service: &Service) -> Vec<Value> {
    let limit = |(name, limit): (&String, &Ulimit)| {
        let (soft, hard) = match *limit {
            Ulimit::Single(both) => (both, both),
            Ulimit::Pair { soft, hard } => (soft, hard),
        };
        json!({ "Name": name, "Soft": soft, "Hard": hard })
    };
    service.ulimits.iter().map(limit).collect()
}

fn health(check: &HealthCheck) -> Value {
    if check.disable {
        return json!({ "Test": ["NONE"] });
    }
    let mut table = json!({});
    if !check.test.is_empty() {
        table["Test"] = json!(check.test);
    }
    for (key, span) in [("Interval", check.interval), ("Timeout", check.timeout), ("StartPeriod", check.start_period)] {
        if let Some(Span(nanoseconds)) = span {
            table[key] = json!(nanoseconds);
        }
    }
    if let Some(retries) = check.retries {
        table["Retries"] = json!(retries);
    }
    table
}
