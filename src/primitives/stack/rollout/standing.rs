//! How a service stands: what a rollout must know of it before it touches anything.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::primitives::stack::desired::{Condition, Desired, Service};
use crate::primitives::stack::order;
use crate::primitives::stack::plan::Observed;

/// What stands for a volume that the files give no name.
const UNNAMED: &str = "a volume without a name";

/// A service before a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub name: String,
    pub image: String,
    /// What the image's name stands for on the host; None when it is not there.
    pub image_id: Option<String>,
    /// Its image is built here.
    pub build: bool,
    pub replicas: u32,
    /// Of all that makes its containers what they are.
    pub hash: String,
    pub needs: BTreeSet<String>,
    /// Services whose namespaces or volumes it has too.
    pub shares: BTreeSet<String>,
    /// The files say how it is seen that it is well.
    pub healthcheck: bool,
    /// Others wait for its end.
    pub completes: bool,
    /// Ports of the host that no two containers can have.
    pub ports: Vec<PublishedTo>,
    /// Volumes and paths of the host that it may write to.
    pub writes: Vec<String>,
    /// Why the old and the new container cannot run at the same time; None when they can.
    pub alone: Option<String>,
}

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedTo {
    pub port: u16,
    pub protocol: String,
    /// All addresses of the host if there is none.
    pub host_ip: Option<String>,
}

/// The services in the order in which they start.
pub(super) fn of(desired: &Desired, observed: &Observed) -> Vec<Standing> {
    // There is an order: no `Desired` is made without one.
    let order = order::of(&desired.waits()).unwrap_or_default();
    order
        .into_iter()
        .filter_map(|name| desired.services.get(name))
        .map(|one| standing(desired, observed, one))
        .collect()
}

fn standing(desired: &Desired, observed: &Observed, service: &Service) -> Standing {
    let is_awaited =
        |other: &Service| other.needs.get(&service.name).is_some_and(|need| need.condition == Condition::Completed);
    let (ports, writes) = (ports(service), writes(service));
    let inherits = observed.containers.iter().any(|one| one.service == service.name && !one.anonymous.is_empty());
    Standing {
        name: service.name.clone(),
        image: service.image.clone(),
        image_id: observed.images.get(&service.image).cloned(),
        build: service.build.is_some(),
        replicas: service.replicas,
        hash: service.hash.clone(),
        needs: service.needs.keys().cloned().collect(),
        shares: service.shares.clone(),
        healthcheck: checks_health(service),
        completes: desired.services.values().any(is_awaited),
        alone: alone(desired, service, &ports, &writes, inherits),
        ports,
        writes,
    }
}

fn checks_health(service: &Service) -> bool {
    let Some(check) = service.options.get("healthcheck") else { return false };
    let is_disabled = check.get("disable").and_then(Value::as_bool) == Some(true);
    let is_none = check.pointer("/test/0").and_then(Value::as_str) == Some("NONE");
    check.get("test").is_some() && !is_disabled && !is_none
}

/// What stands in the way of a second container beside the first.
fn alone(
    desired: &Desired,
    service: &Service,
    ports: &[PublishedTo],
    writes: &[String],
    inherits: bool,
) -> Option<String> {
    if let Some(port) = ports.first() {
        return Some(format!("it publishes port {} of the host", port.port));
    }
    let text = |key: &str| service.options.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("network_mode") == "host" {
        return Some("it is on the host's network".to_owned());
    }
    let partner = desired.services.values().find(|other| other.shares.contains(&service.name));
    if let Some(name) = service.shares.first().or(partner.map(|other| &other.name)) {
        return Some(format!("it shares a namespace or volumes with {name}"));
    }
    let networks = service.options.get("networks").and_then(Value::as_array).into_iter().flatten();
    let fixed = |network: &Value| {
        ["ipv4_address", "ipv6_address", "mac_address"]
            .into_iter()
            .find_map(|key| network.get(key)?.as_str().map(str::to_owned))
    };
    if let Some(address) = networks.into_iter().find_map(fixed) {
        return Some(format!("its address is always {address}"));
    }
    // Each replica has its own, and the new container takes over that of the old one.
    if inherits || writes.iter().any(|place| place == UNNAMED) {
        return Some("the new one takes over its volume without a name".to_owned());
    }
    if service.replicas > 1 {
        return None;
    }
    writes.first().map(|place| format!("it writes to {place}, and there is one of it"))
}

/// Those that are said: one that the engine chooses is another one for each container.
fn ports(service: &Service) -> Vec<PublishedTo> {
    let entries = service.options.get("ports").and_then(Value::as_array).into_iter().flatten();
    let published = |entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        Some(PublishedTo {
            port: text("published")?.parse().ok()?,
            protocol: text("protocol").unwrap_or("tcp").to_owned(),
            host_ip: text("host_ip").map(str::to_owned),
        })
    };
    entries.filter_map(published).collect()
}

/// Sockets are talked to, not written to.
fn writes(service: &Service) -> Vec<String> {
    let entries = service.options.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let written = |entry: &Value| match entry {
        Value::String(text) => {
            let mut parts = text.split(':');
            let (source, modes) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
            (!modes.split(',').any(|mode| mode == "ro")).then(|| source.to_owned())
        }
        table => {
            let is_read = table.get("read_only").and_then(Value::as_bool) == Some(true);
            let is_kept = table.get("type").and_then(Value::as_str) != Some("tmpfs");
            let source = table.get("source").and_then(Value::as_str).unwrap_or(UNNAMED);
            (is_kept && !is_read).then(|| source.to_owned())
        }
    };
    entries.filter_map(written).filter(|place| !place.ends_with(".sock")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::stack::desired::tests::desired;

    fn standing_of(text: &str, name: &str) -> Standing {
        let found = of(&desired(text), &Observed::default());
        found.into_iter().find(|one| one.name == name).expect("it is there")
    }

    /// Why the service `web` with these keys cannot stand beside itself.
    fn reason(keys: &str) -> String {
        let text = format!(
            "services: {{ web: {{ image: w, {keys} }}, db: {{ image: d }} }}\nvolumes: {{ data: {{}} }}\n\
             networks: {{ front: {{}} }}\n"
        );
        standing_of(&text, "web").alone.unwrap_or_default()
    }

    #[test]
    fn what_keeps_two_containers_from_running_at_once_is_said() {
        for (keys, expected) in [
            ("environment: { A: 1 }", ""),
            ("ports: ['80']", ""),
            ("ports: ['8080:80']", "it publishes port 8080 of the host"),
            ("network_mode: host", "it is on the host's network"),
            ("network_mode: 'service:db'", "it shares a namespace or volumes with db"),
            ("networks: { front: { ipv4_address: 10.9.0.4 } }", "its address is always 10.9.0.4"),
            ("volumes: ['data:/data']", "it writes to shop_data, and there is one of it"),
            ("volumes: ['data:/data'], scale: 2", ""),
            ("volumes: ['data:/data:ro']", ""),
            ("volumes: ['/scratch']", "the new one takes over its volume without a name"),
            ("volumes: ['/scratch'], scale: 2", "the new one takes over its volume without a name"),
            ("volumes: ['./conf:/conf']", "it writes to /srv/shop/conf, and there is one of it"),
            ("volumes: ['/run/docker.sock:/run/docker.sock']", ""),
            ("tmpfs: ['/tmp']", ""),
        ] {
            assert_eq!(reason(keys), expected, "{keys}");
        }
        let shared = standing_of("services: { web: { image: w }, side: { image: s, pid: 'service:web' } }", "web");
        assert_eq!(shared.alone.as_deref(), Some("it shares a namespace or volumes with side"));
        let side = standing_of("services: { web: { image: w }, side: { image: s, pid: 'service:web' } }", "side");
        assert_eq!(side.shares.iter().collect::<Vec<_>>(), ["web"]);
    }

    #[test]
    fn services_come_in_their_order_with_what_others_expect_of_them() {
        let text = "services:\n  web:\n    image: w\n    healthcheck: { test: [CMD, 'true'] }\n    \
                    depends_on: { job: { condition: service_completed_successfully } }\n  \
                    job: { image: j, healthcheck: { test: [NONE] }, ports: ['127.0.0.1:53:53/udp'] }\n";
        let found = of(&desired(text), &Observed::default());
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["job", "web"]);
        let (job, web) = (&found[0], &found[1]);
        assert_eq!((job.completes, job.healthcheck, web.completes, web.healthcheck), (true, false, false, true));
        let port = PublishedTo { port: 53, protocol: "udp".into(), host_ip: Some("127.0.0.1".into()) };
        assert_eq!(job.ports, [port]);
        assert_eq!((web.image_id.as_deref(), web.needs.iter().next().map(String::as_str)), (None, Some("job")));
    }
}
