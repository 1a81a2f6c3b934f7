//! Containers as callers see them.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};

use crate::base::clock::since;
use crate::base::{Fault, Timestamp, limits, suggest};
use crate::model::grants::{Access, DockerGrant};
use crate::model::{Grants, Identity, NewEvent};
use crate::primitives::docker::{
    ChangeOptions, Container, Docker, HealthState, ListOptions, LogOptions, PublishedPort, Stats, StopOptions,
};
use crate::primitives::permit::{self, DockerPermit};
use crate::web::error::{ApiError, ApiResult};
use crate::web::parts::Web;

/// A container on the Docker host.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Container)]
pub struct ContainerView {
    pub id: String,
    pub name: String,
    pub image: String,
    /// `created running paused restarting removing exited dead`.
    pub state: String,
    /// Docker's own words, such as `Up 3 hours (healthy)`.
    pub status: String,
    /// `healthy unhealthy starting`; null without a health check.
    pub health: Option<String>,
    pub created_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Of its last end; null while it runs or when it never ran.
    pub exit_code: Option<i64>,
    /// The kernel ended it for want of memory.
    pub oom_killed: bool,
    pub restart_count: u64,
    /// Its label `aegis.purpose`, or `purpose`.
    pub purpose: Option<String>,
    pub networks: Vec<String>,
    /// `127.0.0.1:8080->80/tcp`.
    pub ports: Vec<String>,
    /// The Compose project it belongs to.
    pub stack: Option<String>,
    pub usage: Option<UsageView>,
}

/// What a running container uses.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageView {
    /// Of one processor: 200 is two processors fully used. Null until two samples exist.
    pub cpu_percent: Option<f64>,
    pub memory_bytes: u64,
    pub memory_limit_bytes: Option<u64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ContainerLog {
    pub lines: Vec<ContainerLine>,
    /// Older lines were left out because they are too many bytes together.
    pub truncated: bool,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ContainerLine {
    pub at: Option<Timestamp>,
    /// `stdout` or `stderr`.
    pub stream: String,
    pub text: String,
}

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContainerLogQuery {
    /// The last so many lines; 200 unless told, at most 1000.
    pub tail: Option<usize>,
}

impl ContainerLogQuery {
    pub fn lines(&self) -> usize {
        self.tail.unwrap_or(200).clamp(1, limits::STORE_PAGE_ROWS_MAX)
    }
}

/// What can be done to a container from outside a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Start,
    Stop,
    Restart,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Start, Self::Stop, Self::Restart];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

impl ContainerView {
    fn new(container: Container, usage: Option<&Stats>) -> Self {
        let usage = usage.filter(|stats| stats.running).and_then(|stats| {
            let (cpu_percent, memory_limit_bytes) = (stats.cpu_percent, stats.memory_limit_bytes);
            Some(UsageView { cpu_percent, memory_bytes: stats.memory_bytes?, memory_limit_bytes })
        });
        Self {
            stack: container.labels.get("com.docker.compose.project").cloned(),
            ports: container.ports.iter().map(port).collect(),
            networks: container.networks.into_iter().map(|network| network.name).collect(),
            id: container.id,
            name: container.name,
            image: container.image,
            state: container.state,
            status: container.status,
            health: container.health,
            created_at: container.created_at,
            started_at: container.started_at,
            finished_at: container.finished_at,
            exit_code: container.exit_code,
            oom_killed: container.oom_killed,
            restart_count: container.restart_count,
            purpose: container.purpose,
            usage,
        }
    }
}

fn port(port: &PublishedPort) -> String {
    let inside = format!("{}/{}", port.target, port.protocol);
    match (&port.host_ip, port.published) {
        (Some(address), Some(outside)) if address.contains(':') => format!("[{address}]:{outside}->{inside}"),
        (Some(address), Some(outside)) => format!("{address}:{outside}->{inside}"),
        (None, Some(outside)) => format!("{outside}->{inside}"),
        (_, None) => inside,
    }
}

/// The last inventory, for as long as it is fresh: many open pages must not become many questions to Docker.
#[derive(Debug, Default)]
pub struct Inventory(Mutex<Option<(Timestamp, Arc<[ContainerView]>)>>);

impl Inventory {
    /// After something was done to a container.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

/// A caller's permit: the role was checked at the door.
fn permit(access: Access) -> ApiResult<DockerPermit> {
    let grants = Grants { docker: Some(DockerGrant::Everything(access)), ..Grants::default() };
    Ok(permit::docker(&grants, access, None).map_err(Fault::from)?)
}

/// What is wrong with the engine, if it does not answer now.
pub async fn ping(docker: &Docker) -> Result<(), String> {
    match docker.health().await.state {
        HealthState::Up { .. } => Ok(()),
        HealthState::Down { fault } => Err(fault.to_string()),
        HealthState::Unknown => Err("nobody has reached the engine yet".to_owned()),
    }
}

/// All containers by name, with what the running ones use; at most `CONTAINERS_FRESH` old.
pub async fn list(web: &Web) -> ApiResult<Arc<[ContainerView]>> {
    // Held while Docker is asked, so that callers who come together ask once.
    let mut last = web.inventory.0.lock().await;
    if let Some((at, found)) = last.as_ref()
        && since(web.now(), *at) < limits::CONTAINERS_FRESH
    {
        return Ok(found.clone());
    }
    let permit = permit(Access::Read)?;
    let docker = &web.parts.docker;
    let containers = docker.list(&permit, ListOptions::default()).await.map_err(Fault::from)?;
    let running = containers.iter().filter(|container| container.state == "running");
    let running: Vec<String> = running.map(|container| container.id.clone()).collect();
    let readings = futures_util::stream::iter(running).map(|id| {
        let (docker, permit) = (docker.clone(), permit.clone());
        // A container that goes while it is measured is shown without numbers.
        async move { docker.stats(&permit, &id).await.ok() }
    });
    let readings = readings.buffer_unordered(limits::DOCKER_CALLS_AT_ONCE_MAX);
    let stats: HashMap<String, Stats> =
        readings.filter_map(std::future::ready).map(|stats| (stats.id.clone(), stats)).collect().await;
    let views = containers.into_iter().map(|container| {
        let usage = stats.get(&container.id);
        ContainerView::new(container, usage)
    });
    let views: Arc<[ContainerView]> = views.collect();
    *last = Some((web.now(), views.clone()));
    Ok(views)
}

/// The container of that name, or whose id begins so.
pub async fn find(web: &Web, name: &str) -> ApiResult<ContainerView> {
    let all = list(web).await?;
    let by_id = |container: &&ContainerView| name.len() >= 6 && container.id.starts_with(name);
    let found = all.iter().find(|container| container.name == name).or_else(|| all.iter().find(by_id));
    found.cloned().ok_or_else(|| {
        let shown: String = name.chars().take(80).collect();
        let names = all.iter().map(|container| container.name.as_str());
        let message = format!("there is no container {shown:?}{}", suggest::did_you_mean(name, names));
        ApiError::not_found("docker.not_found", message)
    })
}

pub async fn logs(web: &Web, name: &str, lines: usize) -> ApiResult<ContainerLog> {
    let options = LogOptions { tail: u32::try_from(lines).unwrap_or(u32::MAX), ..LogOptions::default() };
    let log = web.parts.docker.logs(&permit(Access::Read)?, name, options).await.map_err(Fault::from)?;
    let lines = log.lines.into_iter().map(|line| ContainerLine {
        at: line.at,
        stream: line.stream.as_str().to_owned(),
        text: line.text,
    });
    Ok(ContainerLog { lines: lines.collect(), truncated: log.truncated })
}

/// Does it and tells the event log who did.
pub async fn act(web: &Web, who: &Identity, name: &str, action: Action) -> ApiResult<()> {
    let (docker, permit) = (&web.parts.docker, permit(Access::Write)?);
    let done = match action {
        Action::Start => docker.start(&permit, name, ChangeOptions::default()).await,
        Action::Stop => docker.stop(&permit, name, StopOptions::default()).await,
        Action::Restart => docker.restart(&permit, name, StopOptions::default()).await,
    };
    web.inventory.forget().await;
    done.map_err(Fault::from)?;
    let data = serde_json::json!({ "container": name, "action": action.as_str(), "actor": who.actor });
    web.parts.store.append_events(vec![NewEvent::new(web.now(), "container.changed").data(data)]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_read_as_docker_prints_them() {
        let published = |host_ip: Option<&str>, published| PublishedPort {
            host_ip: host_ip.map(str::to_owned),
            published,
            target: 80,
            protocol: "tcp".to_owned(),
        };
        assert_eq!(port(&published(Some("127.0.0.1"), Some(8080))), "127.0.0.1:8080->80/tcp");
        assert_eq!(port(&published(Some("::"), Some(8080))), "[::]:8080->80/tcp");
        assert_eq!(port(&published(None, None)), "80/tcp");
    }
}
