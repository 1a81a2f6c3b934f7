//! What a service reaches besides itself: the hosts that its tasks run on, and what others may have made.

use serde_json::Value;

use super::text;
use crate::primitives::docker::networks::HOST_NETWORK;

/// What its maker must be allowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// Options through which a task reaches its host: they need the permission `admin`.
    pub host: Vec<&'static str>,
    /// By name.
    pub networks: Vec<String>,
    /// Volumes, secrets and configs, by name.
    pub objects: Vec<String>,
}

pub(super) fn of(spec: &Value) -> Reached {
    let container = spec.pointer("/TaskTemplate/ContainerSpec").unwrap_or(&Value::Null);
    let is_said = |key: &str| match container.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    let mounts = list(container.get("Mounts"));
    let networks: Vec<String> =
        list(spec.pointer("/TaskTemplate/Networks")).iter().map(|of| text(of, "/Target")).collect();
    let opened = |of: &Value| of.get("DriverOpts").is_some_and(|options| !options.is_null());
    let table = [
        ("cap_add", is_said("CapabilityAdd")),
        ("sysctls", is_said("Sysctls")),
        ("logging.driver", logs_elsewhere(spec)),
        ("a path of the host in volumes", mounts.iter().any(reaches_host)),
        ("the host's network", networks.iter().any(|name| name == HOST_NETWORK)),
        ("networks.driver_opts", list(spec.pointer("/TaskTemplate/Networks")).iter().any(opened)),
    ];
    let named = |key: &str, pointer: &'static str| {
        let found: Vec<String> = list(container.get(key)).iter().map(|of| text(of, pointer)).collect();
        found
    };
    let volumes = mounts.iter().filter(|of| text(of, "/Type") == "volume").map(|of| text(of, "/Source"));
    let objects = volumes.chain(named("Secrets", "/SecretName")).chain(named("Configs", "/ConfigName"));
    Reached {
        host: table.into_iter().filter_map(|(name, used)| used.then_some(name)).collect(),
        networks,
        objects: objects.filter(|name| !name.is_empty()).collect(),
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A driver of a volume may mount whatever its options say.
fn reaches_host(mount: &Value) -> bool {
    let driver = mount.pointer("/VolumeOptions/DriverConfig");
    let options = driver.and_then(|driver| driver.get("Options")).and_then(Value::as_object);
    let name = driver.map(|driver| text(driver, "/Name")).unwrap_or_default();
    !matches!(text(mount, "/Type").as_str(), "volume" | "tmpfs")
        || !matches!(name.as_str(), "" | "local")
        || options.is_some_and(|options| !options.is_empty())
}

/// Other drivers make the engine itself connect to wherever the options say.
fn logs_elsewhere(spec: &Value) -> bool {
    let Some(driver) = spec.pointer("/TaskTemplate/LogDriver").filter(|driver| !driver.is_null()) else { return false };
    let has_options = driver.get("Options").and_then(Value::as_object).is_some_and(|options| !options.is_empty());
    match text(driver, "/Name").as_str() {
        "json-file" | "local" | "none" | "journald" => false,
        "" => has_options,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(pointer: &str, value: &Value) -> Value {
        let mut spec = json!({ "Name": "shop_web", "TaskTemplate": { "ContainerSpec": { "Image": "web" } } });
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        spec.pointer_mut(parent).expect("its parent")[key] = value.clone();
        spec
    }

    #[test]
    fn what_reaches_the_host_needs_admin() {
        let mounts = "/TaskTemplate/ContainerSpec/Mounts";
        let driver = json!({ "Name": "local", "Options": { "type": "none", "o": "bind", "device": "/etc" } });
        for (pointer, value, expected) in [
            (mounts, json!([{ "Type": "bind", "Source": "/", "Target": "/host" }]), "a path of the host in volumes"),
            (
                mounts,
                json!([{ "Type": "volume", "Source": "x", "VolumeOptions": { "DriverConfig": driver } }]),
                "a path of the host in volumes",
            ),
            ("/TaskTemplate/ContainerSpec/CapabilityAdd", json!(["CAP_NET_ADMIN"]), "cap_add"),
            ("/TaskTemplate/ContainerSpec/Sysctls", json!({ "net.core.somaxconn": "1" }), "sysctls"),
            ("/TaskTemplate/LogDriver", json!({ "Name": "syslog" }), "logging.driver"),
            ("/TaskTemplate/LogDriver", json!({ "Options": { "gelf-address": "udp://x" } }), "logging.driver"),
            ("/TaskTemplate/Networks", json!([{ "Target": "host" }]), "the host's network"),
            ("/TaskTemplate/Networks", json!([{ "Target": "n", "DriverOpts": { "a": "b" } }]), "networks.driver_opts"),
        ] {
            assert_eq!(of(&with(pointer, &value)).host, [expected], "{value}");
        }
    }

    #[test]
    fn what_others_may_have_made_is_named() {
        let mut spec = with("/TaskTemplate/Networks", &json!([{ "Target": "shop_front" }]));
        spec["TaskTemplate"]["ContainerSpec"] = json!({
            "Mounts": [{ "Type": "volume", "Source": "shop_data" }, { "Type": "volume" }, { "Type": "tmpfs" }],
            "Secrets": [{ "SecretName": "shop_token" }], "Configs": [{ "ConfigName": "shop_site" }],
            "CapabilityAdd": [], "Sysctls": {},
        });
        spec["TaskTemplate"]["LogDriver"] = json!({ "Name": "json-file", "Options": { "max-size": "1m" } });
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected = Reached {
            host: vec![],
            networks: named(&["shop_front"]),
            objects: named(&["shop_data", "shop_token", "shop_site"]),
        };
        assert_eq!(of(&spec), expected);
    }
}
