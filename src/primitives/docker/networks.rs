//! Networks.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest,
    NetworkDisconnectRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::containers::{instant, labels};
use super::done::Done;
use super::engine::Docker;
use super::error::DockerError;
use super::executions::{Guest, RUN_LABEL, check_makes, check_removes};
use super::lifecycle::ChangeOptions;
use super::names::check_name;
use crate::base::Timestamp;
use crate::model::grants::{Access, matches};
use crate::primitives::option::{Pairs, Texts};
use crate::primitives::permit::DockerPermit;

/// Name and driver of the network that the host itself is on.
pub(super) const HOST_NETWORK: &str = "host";

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkListOptions {
    /// Names or patterns of names.
    pub names: Texts,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateNetworkOptions {
    /// Default: `bridge`. Others but `overlay` need `admin`.
    pub driver: Option<String>,
    /// `172.28.0.0/16`.
    pub subnet: Option<String>,
    pub gateway: Option<String>,
    pub ip_range: Option<String>,
    /// Several ranges, instead of the three above.
    pub pools: Vec<Pool>,
    /// Who gives addresses out. Default: `default`. Others need `admin`.
    pub ipam_driver: Option<String>,
    /// Cut off from the outside.
    pub internal: bool,
    pub attachable: bool,
    pub enable_ipv6: bool,
    pub driver_opts: Pairs,
    pub labels: Pairs,
    pub dry_run: bool,
}

/// A range of a network's addresses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    pub subnet: Option<String>,
    pub gateway: Option<String>,
    pub ip_range: Option<String>,
    /// Addresses that are taken, by a name for each.
    pub aux_addresses: Pairs,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectOptions {
    /// Further names under which the others on the network find it.
    pub aliases: Texts,
    pub ipv4_address: Option<String>,
    pub ipv6_address: Option<String>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DisconnectOptions {
    pub force: bool,
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    pub id: String,
    pub name: String,
    pub driver: String,
    pub scope: String,
    pub internal: bool,
    pub attachable: bool,
    pub ipv6: bool,
    pub subnets: Vec<String>,
    pub gateways: Vec<String>,
    pub created_at: Option<Timestamp>,
    pub labels: BTreeMap<String, String>,
    /// Running containers by name, with their address; filled in by `network`, not by `networks`.
    pub containers: BTreeMap<String, String>,
}

impl Docker {
    /// Sorted by name.
    pub async fn networks(
        &self,
        permit: &DockerPermit,
        options: NetworkListOptions,
    ) -> Result<Vec<Network>, DockerError> {
        permit.check_any(Access::Read, "listing networks")?;
        let raw = self.read("listing networks", "/networks", &[]).await?;
        let mut networks: Vec<_> = raw.as_array().into_iter().flatten().map(network).collect();
        networks.retain(|network| {
            let asked =
                options.names.0.is_empty() || options.names.0.iter().any(|pattern| matches(pattern, &network.name));
            asked && permit.covers(Access::Read, &network.name)
        });
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(networks)
    }

    pub async fn network(&self, permit: &DockerPermit, name: &str) -> Result<Network, DockerError> {
        self.find_network(permit, Access::Read, name).await
    }

    pub(super) async fn find_network(
        &self,
        permit: &DockerPermit,
        access: Access,
        name: &str,
    ) -> Result<Network, DockerError> {
        let name = check_name("network", name)?;
        let action = format!("looking for the network {name:?}");
        let found = network(&self.read(&action, &format!("/networks/{name}"), &[]).await?);
        permit.check(access, &found.name)?;
        Ok(found)
    }

    /// Fails with `docker.conflict` when the name is taken: engines would make a second network of that name.
    pub async fn create_network(
        &self,
        permit: &DockerPermit,
        name: &str,
        options: CreateNetworkOptions,
    ) -> Result<Done, DockerError> {
        let name = check_name("name", name)?;
        permit.check(Access::Write, name)?;
        check_makes(permit, name)?;
        if reaches_host(&options) {
            let what = format!("a network on interfaces of the host, {name:?},");
            permit.check_as(&what, Access::Admin, name)?;
        }
        let action = format!("creating the network {name:?}");
        match self.find_network(permit, Access::Write, name).await {
            Ok(_) => return Err(DockerError::Conflict { action, message: "there is one of that name already".into() }),
            Err(DockerError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let request = create_request(name, &options)?;
        let done = Done::new("create_network", name, options.dry_run).details(json!(request));
        if options.dry_run {
            return Ok(done);
        }
        let answer = self.call(&action, |client| async move { client.create_network(request).await }).await?;
        let mut done = done.id(&answer.id);
        done.warnings.extend(Some(answer.warning).filter(|warning| !warning.is_empty()));
        Ok(done)
    }

    pub async fn remove_network(
        &self,
        permit: &DockerPermit,
        name: &str,
        options: ChangeOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find_network(permit, Access::Write, name).await?;
        check_removes(permit, &found)?;
        let done = Done::new("remove_network", &found.name, options.dry_run).id(&found.id);
        if !options.dry_run {
            let action = format!("removing the network {:?}", found.name);
            self.call(&action, |client| async move { client.remove_network(&found.id).await }).await?;
        }
        Ok(done)
    }

    /// The permit must cover the container, and at least see the network.
    pub async fn connect_network(
        &self,
        permit: &DockerPermit,
        name: &str,
        container: &str,
        options: ConnectOptions,
    ) -> Result<Done, DockerError> {
        let network = self.find_network(permit, Access::Read, name).await?;
        let container = self.find(permit, Access::Write, container).await?;
        if network.driver == HOST_NETWORK {
            permit.check_as("connecting to the host's network", Access::Admin, &container.name)?;
        }
        let told = labels(container.raw.pointer("/Config/Labels"));
        let dns = container.raw.pointer("/HostConfig/Dns").cloned().unwrap_or_default();
        let dns: Vec<String> = serde_json::from_value(dns).unwrap_or_default();
        let guest = Guest { name: Some(&container.name), run: told.get(RUN_LABEL), dns: &dns };
        guest.check_joins(permit, &network)?;
        let details = json!({ "container": container.name, "aliases": options.aliases.0 });
        let is_on = container.raw.pointer("/NetworkSettings/Networks").and_then(|map| map.get(&network.name)).is_some();
        let done = Done::new("connect_network", &network.name, options.dry_run)
            .id(&network.id)
            .changed(!is_on)
            .details(details);
        if !options.dry_run && !is_on {
            let action = format!("connecting {:?} to the network {:?}", container.name, network.name);
            let endpoint = endpoint(&options.aliases.0, options.ipv4_address, options.ipv6_address);
            let request = NetworkConnectRequest { container: container.id, endpoint_config: Some(endpoint) };
            self.call(&action, |client| async move { client.connect_network(&network.id, request).await }).await?;
        }
        Ok(done)
    }

    pub async fn disconnect_network(
        &self,
        permit: &DockerPermit,
        name: &str,
        container: &str,
        options: DisconnectOptions,
    ) -> Result<Done, DockerError> {
        let network = self.find_network(permit, Access::Read, name).await?;
        let container = self.find(permit, Access::Write, container).await?;
        let is_on = container.raw.pointer("/NetworkSettings/Networks").and_then(|map| map.get(&network.name)).is_some();
        let done = Done::new("disconnect_network", &network.name, options.dry_run)
            .id(&network.id)
            .changed(is_on)
            .details(json!({ "container": container.name }));
        if !options.dry_run && is_on {
            let action = format!("disconnecting {:?} from the network {:?}", container.name, network.name);
            let request = NetworkDisconnectRequest { container: container.id, force: Some(options.force) };
            self.call(&action, |client| async move { client.disconnect_network(&network.id, request).await }).await?;
        }
        Ok(done)
    }
}

/// Whether containers on it would be where the host is: its own network, an interface of its own choice, or without the
/// firewall between. Options are known to be harmless, or taken not to be.
fn reaches_host(options: &CreateNetworkOptions) -> bool {
    const HARMLESS: [&str; 5] = [
        "com.docker.network.driver.mtu",
        "com.docker.network.bridge.enable_icc",
        "com.docker.network.bridge.enable_ip_masquerade",
        "com.docker.network.bridge.host_binding_ipv4",
        "encrypted",
    ];
    !matches!(options.driver.as_deref(), None | Some("" | "bridge" | "overlay"))
        || !matches!(options.ipam_driver.as_deref(), None | Some("" | "default"))
        || options.driver_opts.0.keys().any(|key| !HARMLESS.contains(&key.as_str()))
}

/// How a container sits on a network.
pub(super) fn endpoint(aliases: &[String], ipv4: Option<String>, ipv6: Option<String>) -> EndpointSettings {
    let fixed = ipv4.is_some() || ipv6.is_some();
    EndpointSettings {
        aliases: Some(aliases.to_vec()).filter(|aliases| !aliases.is_empty()),
        ipam_config: fixed.then_some(EndpointIpamConfig {
            ipv4_address: ipv4,
            ipv6_address: ipv6,
            link_local_ips: None,
        }),
        ..EndpointSettings::default()
    }
}

fn create_request(name: &str, options: &CreateNetworkOptions) -> Result<NetworkCreateRequest, DockerError> {
    let own = Pool {
        subnet: options.subnet.clone(),
        gateway: options.gateway.clone(),
        ip_range: options.ip_range.clone(),
        aux_addresses: Pairs::default(),
    };
    let is_said = own.subnet.is_some() || own.gateway.is_some() || own.ip_range.is_some();
    if is_said && !options.pools.is_empty() {
        return Err(DockerError::invalid("pools", "they exclude subnet, gateway and ip_range: give one of the two"));
    }
    let pools: Vec<Pool> = if is_said { vec![own] } else { options.pools.clone() };
    let config = pools.into_iter().map(pool).collect::<Result<Vec<_>, _>>()?;
    let driver = options.ipam_driver.clone();
    let ipam = (driver.is_some() || !config.is_empty()).then(|| Ipam {
        driver,
        config: Some(config).filter(|config| !config.is_empty()),
        ..Ipam::default()
    });
    let map =
        |pairs: &Pairs| Some(pairs.0.clone().into_iter().collect::<HashMap<_, _>>()).filter(|map| !map.is_empty());
    Ok(NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some(options.driver.clone().filter(|driver| !driver.is_empty()).unwrap_or_else(|| "bridge".into())),
        internal: Some(options.internal),
        attachable: Some(options.attachable),
        enable_ipv6: Some(options.enable_ipv6),
        ipam,
        options: map(&options.driver_opts),
        labels: map(&options.labels),
        ..NetworkCreateRequest::default()
    })
}

fn pool(pool: Pool) -> Result<IpamConfig, DockerError> {
    for (field, text) in [("subnet", &pool.subnet), ("ip_range", &pool.ip_range)] {
        if let Some(text) = text.as_ref().filter(|text| text.parse::<ipnet::IpNet>().is_err()) {
            return Err(DockerError::invalid(field, format!("{text:?} is not a range such as \"172.28.0.0/16\"")));
        }
    }
    if let Some(gateway) = pool.gateway.as_ref().filter(|text| text.parse::<std::net::IpAddr>().is_err()) {
        return Err(DockerError::invalid("gateway", format!("{gateway:?} is not an address")));
    }
    if pool.subnet.is_none() && (pool.ip_range.is_some() || pool.gateway.is_some()) {
        return Err(DockerError::invalid("subnet", "ip_range and gateway need it"));
    }
    let addresses = pool.aux_addresses.0;
    Ok(IpamConfig {
        subnet: pool.subnet,
        ip_range: pool.ip_range,
        gateway: pool.gateway,
        auxiliary_addresses: (!addresses.is_empty()).then(|| addresses.into_iter().collect()),
    })
}

fn network(raw: &Value) -> Network {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let flag = |key: &str| raw.get(key).and_then(Value::as_bool).unwrap_or_default();
    let of_ranges = |key: &str| {
        let ranges = raw.pointer("/IPAM/Config").and_then(Value::as_array).into_iter().flatten();
        ranges.filter_map(|range| range.get(key)?.as_str()).map(str::to_owned).collect()
    };
    let containers = raw.get("Containers").and_then(Value::as_object).into_iter().flatten();
    let member = |of: &Value| {
        let text = |key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("Name"), text("IPv4Address"))
    };
    Network {
        id: text("Id"),
        name: text("Name"),
        driver: text("Driver"),
        scope: text("Scope"),
        internal: flag("Internal"),
        attachable: flag("Attachable"),
        ipv6: flag("EnableIPv6"),
        subnets: of_ranges("Subnet"),
        gateways: of_ranges("Gateway"),
        created_at: instant(raw.get("Created")),
        labels: labels(raw.get("Labels")),
        containers: containers.map(|(_, of)| member(of)).collect(),
    }
}

#[cfg(test)]
pub(super) fn none() -> Network {
    network(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_before_docker_sees_them() {
        let options = |subnet: Option<&str>, gateway: Option<&str>| CreateNetworkOptions {
            subnet: subnet.map(str::to_owned),
            gateway: gateway.map(str::to_owned),
            ..CreateNetworkOptions::default()
        };
        let request = create_request("net", &options(Some("172.28.0.0/16"), Some("172.28.0.1"))).expect("a request");
        let config = request.ipam.and_then(|ipam| ipam.config).expect("a range");
        assert_eq!(config[0].gateway.as_deref(), Some("172.28.0.1"));
        assert!(create_request("net", &options(Some("172.28/16"), None)).is_err());
        assert!(create_request("net", &options(None, Some("172.28.0.1"))).is_err());
        assert!(create_request("net", &options(Some("172.28.0.0/16"), Some("x"))).is_err());
    }

    #[test]
    fn networks_on_the_host_s_interfaces_are_told_from_others() {
        let of = |options: Value| serde_json::from_value::<CreateNetworkOptions>(options).expect("options");
        let mtu = json!({"com.docker.network.driver.mtu": "1400"});
        for harmless in [json!({}), json!({"driver": ""}), json!({"driver": "bridge", "driver_opts": mtu})] {
            assert!(!reaches_host(&of(harmless.clone())), "{harmless}");
        }
        for host in [
            json!({"driver": "macvlan", "driver_opts": {"parent": "eth0"}}),
            json!({"driver": "ipvlan"}),
            json!({"driver": "host"}),
            json!({"driver_opts": {"com.docker.network.bridge.name": "br0"}}),
            json!({"driver_opts": {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}}),
        ] {
            assert!(reaches_host(&of(host.clone())), "{host}");
        }
    }

    #[test]
    fn networks_are_read() {
        let raw = json!({"Id": "n", "Name": "front", "Driver": "bridge", "Scope": "local", "IPAM": {"Config": [
            {"Subnet": "172.28.0.0/16", "Gateway": "172.28.0.1"}]}, "Containers": {"0a": {"Name": "web", "IPv4Address": "172.28.0.2/16"}}});
        let front = network(&raw);
        assert_eq!((front.subnets[0].as_str(), front.containers["web"].as_str()), ("172.28.0.0/16", "172.28.0.2/16"));
    }
}
