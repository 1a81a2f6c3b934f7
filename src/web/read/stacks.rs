//! Stacks as callers see them.

use futures_util::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

use crate::base::{Fault, Timestamp, limits};
use crate::model::grants::{Access, DockerGrant};
use crate::model::{Grants, Identity, NewEvent};
use crate::primitives::option::Texts;
use crate::primitives::permit::{self, StackPermit};
use crate::primitives::stack::{self, Member, Stacks, Told, is_rolled_out, rollout_key};
use crate::web::error::ApiResult;
use crate::web::parts::Web;
use crate::web::stream::Message;

/// A stack of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Stack)]
pub struct StackView {
    pub name: String,
    /// Where its files lie.
    pub folder: String,
    /// How many containers it has, and how many of them run; null when Docker does not answer.
    pub containers: Option<usize>,
    pub running: Option<usize>,
}

/// A container of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StackContainer)]
pub struct StackContainerView {
    pub id: String,
    pub name: String,
    /// Empty for one that Compose did not make.
    pub service: String,
    pub image: String,
    /// `created running paused restarting removing exited dead`, or the state of a swarm's task.
    pub state: String,
    /// `healthy unhealthy starting`; null without a health check.
    pub health: Option<String>,
    pub status: String,
    pub exit_code: Option<i64>,
    /// The node that a swarm's task is on.
    pub node: Option<String>,
    /// Why a swarm's task does not run.
    pub error: Option<String>,
}

/// A line of one of a stack's containers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StackLine {
    pub container: String,
    pub service: String,
    pub at: Option<Timestamp>,
    /// `stdout` or `stderr`.
    pub stream: String,
    pub text: String,
}

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StackLogQuery {
    /// Only this service.
    pub service: Option<String>,
    /// The last so many lines of each container; 200 unless told, at most 1000.
    pub tail: Option<usize>,
    /// From this moment on: a time, or an age such as `10m`.
    pub since: Option<String>,
}

/// What is done to a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Up,
    Down,
    Restart,
    Pull,
    Build,
}

impl Act {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Restart => "restart",
            Self::Pull => "pull",
            Self::Build => "build",
        }
    }

    /// Whether it touches containers, which a rollout of the stack must have to itself.
    fn replaces(self) -> bool {
        matches!(self, Self::Up | Self::Down | Self::Restart)
    }
}

/// Whoever may ask for it may have it done as the operator's files say.
pub fn permit(name: &str, access: Access) -> ApiResult<StackPermit> {
    let docker = Some(DockerGrant::Everything(access));
    let grants = Grants { docker, stack: vec![name.to_owned()], ..Grants::default() };
    Ok(permit::stack(&grants, name, access).map_err(Fault::from)?)
}

pub async fn list(web: &Web) -> Vec<StackView> {
    let stacks = &web.parts.stacks;
    let mut views = Vec::new();
    for (name, source) in stacks.sources() {
        let found = match permit(name, Access::Read) {
            Ok(permit) => stacks.ps(&permit).await.ok(),
            Err(_) => None,
        };
        views.push(StackView {
            name: name.clone(),
            folder: source.folder.to_string_lossy().into_owned(),
            containers: found.as_ref().map(Vec::len),
            running: found.map(|found| found.iter().filter(|one| one.container.state == "running").count()),
        });
    }
    views
}

pub async fn containers(web: &Web, name: &str) -> ApiResult<Vec<StackContainerView>> {
    let view = |Member { container, service, node, error }| StackContainerView {
        service,
        id: container.id,
        name: container.name,
        image: container.image,
        state: container.state,
        health: container.health,
        status: container.status,
        exit_code: container.exit_code,
        node,
        error,
    };
    Ok(web.parts.stacks.ps(&permit(name, Access::Read)?).await?.into_iter().map(view).collect())
}

pub async fn logs(web: &Web, name: &str, query: StackLogQuery) -> ApiResult<Vec<StackLine>> {
    let tail = query.tail.unwrap_or(200).clamp(1, limits::STORE_PAGE_ROWS_MAX);
    let options = stack::LogOptions {
        services: Texts(query.service.into_iter().collect()),
        tail: u32::try_from(tail).unwrap_or(u32::MAX),
        since: query.since,
    };
    let lines = web.parts.stacks.logs(&permit(name, Access::Read)?, &options).await?;
    let view = |line: stack::Line| StackLine {
        container: line.container,
        service: line.service,
        at: line.at,
        stream: line.stream.as_str().to_owned(),
        text: line.text,
    };
    Ok(lines.into_iter().map(view).collect())
}

/// Does it, and tells each step as a message; the last one has `outcome` or `error`. It ends with whoever listens.
pub async fn act(
    web: &Web,
    who: &Identity,
    name: String,
    act: Act,
    options: Value,
) -> ApiResult<BoxStream<'static, Message>> {
    let permit = permit(&name, Access::Admin)?;
    // What is wrong with the files is told before anything is begun; a stack goes down without them.
    if act == Act::Down {
        web.parts.stacks.ps(&permit).await?;
    } else {
        web.parts.stacks.load(&name).await?;
    }
    if act.replaces() && options.get("dry_run") != Some(&Value::Bool(true)) {
        let run = web.parts.store.changes_under_key(&rollout_key(&name), None).await?;
        run.map_or(Ok(()), |run| Err(is_rolled_out(&name, run)))?;
    }
    let (sender, receiver) = mpsc::channel(limits::STACK_EVENTS_WAITING_MAX);
    let (web, actor) = (web.clone(), who.actor.clone());
    let work = async move {
        let told = sender.clone();
        let tell = move |event: stack::Event| {
            // Whoever reads too slowly misses steps, never the outcome.
            let _ = told.try_send(Message::new("step", &serde_json::json!({ "step": event })));
        };
        let done = perform(&web.parts.stacks, &permit, act, options, Told(&tell)).await;
        web.inventory.forget().await;
        let outcome = done.as_ref().map_or_else(|fault| fault.code.to_string(), |_| "ok".to_owned());
        let data = serde_json::json!({ "stack": name, "action": act.as_str(), "actor": actor, "outcome": outcome });
        let event = NewEvent::new(web.now(), "stack.changed").data(data);
        if let Err(error) = web.parts.store.append_events(vec![event]).await {
            tracing::warn!(%error, stack = name, "the event of a changed stack was not kept");
        }
        let last = match done {
            Ok(outcome) => Message::new("outcome", &serde_json::json!({ "outcome": outcome })),
            Err(fault) => Message::new("error", &serde_json::json!({ "error": fault })),
        };
        let _ = sender.send(last).await;
    };
    // It is driven by whoever reads the steps.
    let quiet = stream::once(work).filter_map(|()| async { None });
    Ok(stream::select(ReceiverStream::new(receiver), quiet).boxed())
}

async fn perform(
    stacks: &Stacks,
    permit: &StackPermit,
    act: Act,
    options: Value,
    told: Told<'_>,
) -> Result<Value, Fault> {
    fn read<T: serde::de::DeserializeOwned>(options: Value) -> Result<T, Fault> {
        serde_json::from_value(options).map_err(|problem| Fault::new("stack.invalid", problem.to_string()))
    }
    fn shown(answer: impl Serialize) -> Result<Value, Fault> {
        serde_json::to_value(answer).map_err(|problem| Fault::new("internal.answer", problem.to_string()))
    }
    match act {
        Act::Up => shown(stacks.up(permit, &read(options)?, told).await?),
        Act::Down => shown(stacks.down(permit, &read(options)?, told).await?),
        Act::Restart => shown(stacks.restart(permit, &read(options)?, told).await?),
        Act::Pull => shown(stacks.pull(permit, &read(options)?, told).await?),
        Act::Build => shown(stacks.build(permit, &read(options)?, told).await?),
    }
}
