//! Containers as callers see them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::base::{Fault, Timestamp, limits};
use crate::model::Identity;
use crate::primitives::docker::Docker;
use crate::web::error::ApiResult;
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

pub async fn ping(docker: &Docker) -> Result<(), Fault> {
    let _ = docker;
    Ok(())
}

pub async fn list(web: &Web) -> ApiResult<Vec<ContainerView>> {
    let _ = web;
    Ok(Vec::new())
}

pub async fn logs(web: &Web, id: &str, lines: usize) -> ApiResult<ContainerLog> {
    let _ = (web, id, lines);
    Ok(ContainerLog { lines: Vec::new() })
}

pub async fn act(web: &Web, who: &Identity, id: &str, action: Action) -> ApiResult<()> {
    let _ = (web, who, id, action);
    Ok(())
}
