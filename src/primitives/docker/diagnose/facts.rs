//! What is asked of the engine about one container.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::docker::client::Address;
use crate::primitives::docker::containers::{instant, name_of};
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::events::EventOptions;
use crate::primitives::docker::logs::LogRecord;
use crate::primitives::docker::names::Found;
use crate::primitives::option::Texts;
use crate::primitives::permit::DockerPermit;

/// A listener of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// `tcp` or `udp`.
    pub protocol: String,
    pub address: String,
    pub port: u16,
    pub process: Option<String>,
}

/// All that the rules look at.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) name: String,
    /// The engine's inspection.
    pub(super) raw: Value,
    pub(super) log: Vec<LogRecord>,
    /// None when the image is gone.
    pub(super) image: Option<Value>,
    /// The engine's own, as images name it: `amd64`.
    pub(super) architecture: String,
    /// Names and ids of all networks.
    pub(super) networks: Vec<String>,
    /// Ports that other containers have on the host.
    pub(super) taken: Vec<Taken>,
    pub(super) listening: Vec<Listening>,
    /// Folders of the host that it mounts and that are not there.
    pub(super) absent_sources: Vec<String>,
    /// The container whose network it shares: its name, and whether it runs.
    pub(super) shares_with: Option<(String, bool)>,
    /// `kill` and `oom` among the engine's events since it was started. An engine remembers its last 256 only.
    pub(super) deaths: Vec<String>,
}

/// A port of the host and the container that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) port: HostPort,
    pub(super) holder: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) protocol: String,
    /// Empty for every address.
    pub(super) address: String,
    pub(super) port: u16,
}

impl HostPort {
    /// Whether both cannot be bound at once.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let everywhere = |address: &str| address.parse::<IpAddr>().map_or(true, |ip| ip.is_unspecified());
        let overlap = self.address == other.address || everywhere(&self.address) || everywhere(&other.address);
        self.port == other.port && self.protocol == other.protocol && overlap
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = if self.address.is_empty() { "0.0.0.0" } else { &self.address };
        match address.contains(':') {
            true => write!(f, "[{address}]:{}/{}", self.port, self.protocol),
            false => write!(f, "{address}:{}/{}", self.port, self.protocol),
        }
    }
}

/// The exit code of what SIGKILL ended.
const KILLED: i64 = 137;

impl Facts {
    pub(super) async fn gather(
        docker: &Docker,
        permit: &DockerPermit,
        found: Found,
        log: Vec<LogRecord>,
        listening: Vec<Listening>,
    ) -> Result<Self, DockerError> {
        let (raw, own) = (found.raw, found.id);
        let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let image = match docker.read("looking for the image", &format!("/images/{}/json", text("/Image")), &[]).await {
            Ok(image) => Some(image),
            Err(DockerError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let version = docker.read("reading Docker's version", "/version", &[]).await?;
        let networks = docker.read("listing networks", "/networks", &[]).await?;
        let others = docker.read("listing containers", "/containers/json", &[]).await?;
        let shares_with = match text("/HostConfig/NetworkMode").strip_prefix("container:") {
            Some(other) => Some(partner(docker, other).await?),
            None => None,
        };
        let is_local = matches!(docker.address(), Ok(Address::Unix(_)));
        let absent_sources = if is_local { absent_sources(&raw).await } else { Vec::new() };
        let taken = taken(&others, &own, |name| permit.covers(Access::Read, name));
        let networks = list(&networks).flat_map(|network| ["Name", "Id"].map(|key| string(network, key))).collect();
        let architecture = string(&version, "Arch");
        let deaths = deaths(docker, permit, &own, &raw).await?;
        Ok(Self {
            name: found.name,
            log,
            image,
            architecture,
            networks,
            taken,
            listening,
            absent_sources,
            shares_with,
            deaths,
            raw,
        })
    }

    pub(super) fn text(&self, pointer: &str) -> String {
        self.raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub(super) fn number(&self, pointer: &str) -> u64 {
        self.raw.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
    }

    pub(super) fn state(&self) -> String {
        self.text("/State/Status")
    }

    pub(super) fn error(&self) -> String {
        self.text("/State/Error")
    }

    pub(super) fn is_running(&self) -> bool {
        self.raw.pointer("/State/Running").and_then(Value::as_bool).unwrap_or_default()
    }

    pub(super) fn oom_killed(&self) -> bool {
        let marked = self.raw.pointer("/State/OOMKilled").and_then(Value::as_bool).unwrap_or_default();
        marked || self.deaths.iter().any(|action| action == "oom")
    }

    /// Whether it was killed, has a limit of memory, and the engine neither did it nor learnt of the reason: the group
    /// that counts its memory can be gone before the engine has read why.
    pub(super) fn perhaps_out_of_memory(&self) -> bool {
        let limited = self.number("/HostConfig/Memory") > 0;
        self.exit_code() == Some(KILLED) && limited && !self.oom_killed() && self.deaths.is_empty()
    }

    /// None while it runs or when it never ran. A failed start leaves a code and no end.
    pub(super) fn exit_code(&self) -> Option<i64> {
        let ended = instant(self.raw.pointer("/State/FinishedAt")).is_some() || !self.error().is_empty();
        let code = self.raw.pointer("/State/ExitCode").and_then(Value::as_i64);
        // A container that is restarted over and over counts as running in between.
        code.filter(|_| ended && (!self.is_running() || self.state() == "restarting"))
    }

    /// The last thing that it said.
    pub(super) fn last_line(&self) -> Option<&str> {
        self.log.iter().rev().map(|line| line.text.trim()).find(|text| !text.is_empty())
    }

    /// Of a container with which nothing is wrong.
    pub(super) fn calm(&self) -> String {
        match (self.state().as_str(), self.exit_code()) {
            ("running", _) => format!("the container {:?} runs, and nothing is wrong with it", self.name),
            ("created", _) => format!("the container {:?} was never started: start it", self.name),
            ("exited", Some(0)) => format!("the container {:?} did its work and ended with code 0", self.name),
            (state, _) => format!("the container {:?} is {state}; no reason was found", self.name),
        }
    }

    /// Ports of the host that it wants.
    pub(super) fn wanted_ports(&self) -> Vec<HostPort> {
        let bindings = self.raw.pointer("/HostConfig/PortBindings").and_then(Value::as_object).into_iter().flatten();
        let of = |(inside, outside): (&String, &Value)| {
            let protocol = inside.split_once('/').map_or("tcp", |(_, protocol)| protocol).to_owned();
            let read = |binding: &Value| {
                let port = string(binding, "HostPort").parse().ok().filter(|port| *port > 0)?;
                Some(HostPort { protocol: protocol.clone(), address: string(binding, "HostIp"), port })
            };
            list(outside).filter_map(read).collect::<Vec<_>>()
        };
        bindings.flat_map(of).collect()
    }

    /// Networks that it is to be on, by name and id.
    pub(super) fn wanted_networks(&self) -> Vec<(String, String)> {
        let networks = self.raw.pointer("/NetworkSettings/Networks").and_then(Value::as_object).into_iter().flatten();
        networks.map(|(name, settings)| (name.clone(), string(settings, "NetworkID"))).collect()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn string(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What other containers have; those that the caller may not see stay nameless.
fn taken(containers: &Value, own: &str, may_see: impl Fn(&str) -> bool) -> Vec<Taken> {
    let others = list(containers).filter(|entry| string(entry, "Id") != own);
    let ports = others.flat_map(|entry| {
        let name = name_of(entry);
        let holder = if may_see(&name) { format!("the container {name:?}") } else { "another container".to_owned() };
        let ports = entry.get("Ports").map(list).into_iter().flatten();
        ports.filter_map(move |port| {
            let number = port.get("PublicPort").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok())?;
            let port = HostPort { protocol: string(port, "Type"), address: string(port, "IP"), port: number };
            Some(Taken { port, holder: holder.clone() })
        })
    });
    ports.collect()
}

/// Only of a container that was killed; nothing else needs it.
async fn deaths(docker: &Docker, permit: &DockerPermit, id: &str, raw: &Value) -> Result<Vec<String>, DockerError> {
    let code = raw.pointer("/State/ExitCode").and_then(Value::as_i64);
    let (Some(KILLED), Some(started)) = (code, instant(raw.pointer("/State/StartedAt"))) else { return Ok(Vec::new()) };
    let options = EventOptions {
        types: Texts(vec!["container".to_owned()]),
        actions: Texts(vec!["kill".to_owned(), "oom".to_owned()]),
        since: Some(started.to_string()),
        ..EventOptions::default()
    };
    let events = docker.collect_events(permit, options, limits::DOCKER_EVENTS_MAX, Duration::ZERO).await?;
    Ok(events.into_iter().filter(|event| event.id == id).map(|event| event.action).collect())
}

async fn partner(docker: &Docker, reference: &str) -> Result<(String, bool), DockerError> {
    match docker.read("looking at a container", &format!("/containers/{reference}/json"), &[]).await {
        Ok(raw) => {
            let running = raw.pointer("/State/Running").and_then(Value::as_bool).unwrap_or_default();
            Ok((string(&raw, "Name").trim_start_matches('/').to_owned(), running))
        }
        Err(DockerError::NotFound { .. }) => Ok((reference.chars().take(12).collect(), false)),
        Err(error) => Err(error),
    }
}

/// The engine's host is this one, as far as a socket can tell.
async fn absent_sources(raw: &Value) -> Vec<String> {
    let mounts = raw.get("Mounts").map(list).into_iter().flatten();
    let sources = mounts.filter(|mount| string(mount, "Type") == "bind").map(|mount| string(mount, "Source"));
    let mut absent = Vec::new();
    for source in sources {
        let found = tokio::fs::symlink_metadata(&source).await;
        if found.is_err_and(|problem| problem.kind() == std::io::ErrorKind::NotFound) {
            absent.push(source);
        }
    }
    absent
}
