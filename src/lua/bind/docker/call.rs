//! From arguments to the service and back.

use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::{Args, CallContext, Datum, Field, Type};
use crate::base::clock::later;
use crate::base::{Fault, limits};
use crate::model::grants::Access;
use crate::model::run::Progress;
use crate::primitives::docker::{
    CreateOptions, Docker, DockerError, EventItem, EventOptions, PruneTarget, PullProgress,
};
use crate::primitives::permit::{self, DockerPermit};

/// How long `events` listens unless told otherwise.
const EVENTS_FOR: Duration = Duration::from_secs(10);

/// One call: the service, the proof that the run may use it at all, and the arguments. Each function of the service
/// checks the object's real name against the permit again.
struct Ask {
    context: CallContext,
    args: Args,
    docker: Docker,
    permit: DockerPermit,
}

fn ask(context: CallContext, args: Args) -> Result<Ask, Fault> {
    let access = match context.function.permission {
        Some(line) if line.contains("admin") => Access::Admin,
        Some(line) if line.contains("write") => Access::Write,
        _ => Access::Read,
    };
    let permit = permit::docker(&context.run()?.grants, access, None)?;
    let docker = context.primitives.docker.clone();
    Ok(Ask { context, args, docker, permit })
}

impl Ask {
    fn need(&self, name: &str) -> Result<&str, Fault> {
        self.args.need(name)
    }

    fn takes_dry_run(&self) -> bool {
        self.context.function.params.iter().any(|param| match param.kind {
            Type::Record(record) => record.fields.iter().any(|field| field.name == Field::DRY_RUN.name),
            _ => false,
        })
    }

    fn options<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let mut given = self.args.get("options").map_or_else(|| json!({}), |_| self.args.record("options").into_json());
        if self.takes_dry_run() && self.context.dry_run(&self.args) {
            given[Field::DRY_RUN.name] = Value::Bool(true);
        }
        serde_path_to_error::deserialize(given).map_err(|error| {
            let path = error.path().to_string();
            let message = format!("{}: option {path:?}: {}", self.context.name, error.into_inner());
            Fault::new("args.option", message).hint(format!(".doc {} shows the options", self.context.name))
        })
    }
}

fn answer<T: Serialize>(result: Result<T, DockerError>) -> Result<Datum, Fault> {
    let value = serde_json::to_value(result?);
    let value = value.map_err(|error| Fault::new("docker.answer", format!("the answer cannot be shown: {error}")))?;
    Ok(Datum::Json(without_nulls(value)))
}

/// In Lua an absent field is nil, which a test understands; `aegis.null` would be true.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name, without_nulls(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

pub async fn list(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.list(&ask.permit, ask.options()?).await)
}

pub async fn images(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.images(&ask.permit, ask.options()?).await)
}

pub async fn networks(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.networks(&ask.permit, ask.options()?).await)
}

pub async fn volumes(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.volumes(&ask.permit, ask.options()?).await)
}

pub async fn create(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.create(&ask.permit, ask.options::<CreateOptions>()?).await)
}

pub async fn inspect(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.inspect(&ask.permit, ask.need("container")?).await)
}

pub async fn top(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.top(&ask.permit, ask.need("container")?).await)
}

pub async fn start(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.start(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn stop(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.stop(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn restart(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.restart(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn kill(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.kill(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn pause(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.pause(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn unpause(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.unpause(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn remove(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.remove(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn wait(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.wait(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn exec(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.exec(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn logs(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.logs(&ask.permit, ask.need("container")?, ask.options()?).await)
}

pub async fn rename(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.rename(&ask.permit, ask.need("container")?, ask.need("name")?, ask.options()?).await)
}

pub async fn tag(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.tag(&ask.permit, ask.need("image")?, ask.need("name")?, ask.options()?).await)
}

pub async fn remove_image(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.remove_image(&ask.permit, ask.need("image")?, ask.options()?).await)
}

pub async fn network(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.network(&ask.permit, ask.need("name")?).await)
}

pub async fn volume(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.volume(&ask.permit, ask.need("name")?).await)
}

pub async fn create_network(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.create_network(&ask.permit, ask.need("name")?, ask.options()?).await)
}

pub async fn remove_network(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.remove_network(&ask.permit, ask.need("name")?, ask.options()?).await)
}

pub async fn create_volume(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.create_volume(&ask.permit, ask.need("name")?, ask.options()?).await)
}

pub async fn remove_volume(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.remove_volume(&ask.permit, ask.need("name")?, ask.options()?).await)
}

pub async fn connect_network(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.connect_network(&ask.permit, ask.need("name")?, ask.need("container")?, ask.options()?).await)
}

pub async fn disconnect_network(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.disconnect_network(&ask.permit, ask.need("name")?, ask.need("container")?, ask.options()?).await)
}

pub async fn disk_usage(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.disk_usage(&ask.permit).await)
}

pub async fn info(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.info(&ask.permit).await)
}

pub async fn version(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    answer(ask.docker.version(&ask.permit).await)
}

pub async fn stats(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    match ask.args.text("container") {
        Some(container) => answer(ask.docker.stats(&ask.permit, container).await),
        None => answer(ask.docker.stats_all(&ask.permit).await),
    }
}

pub async fn prune(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    let target = match ask.need("kind")? {
        "containers" => PruneTarget::Containers,
        "images" => PruneTarget::Images,
        "volumes" => PruneTarget::Volumes,
        _ => PruneTarget::Networks,
    };
    answer(ask.docker.prune(&ask.permit, target, ask.options()?).await)
}

pub async fn pull(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ask = ask(context, args)?;
    let log = ask.context.log.clone();
    let show = move |step: PullProgress| {
        if let Some(log) = &log {
            let total = (step.bytes_total > 0).then_some(step.bytes_total as f64);
            log.progress(Progress { done: step.bytes_done as f64, total, text: Some(step.status) });
        }
    };
    answer(ask.docker.pull(&ask.permit, ask.need("image")?, ask.options()?, show).await)
}

/// Listens for `during`, or until `limit` events came.
pub async fn events(context: CallContext, mut args: Args) -> Result<Datum, Fault> {
    let given = args.record("options");
    let during = given.duration("during").unwrap_or(EVENTS_FOR);
    let limit = given.integer("limit").and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(limits::DOCKER_EVENTS_MAX).min(limits::DOCKER_EVENTS_MAX);
    if let Some(Datum::Map(options)) = args.0.get_mut("options") {
        options.retain(|name, _| !matches!(name.as_str(), "during" | "limit"));
    }
    let ask = ask(context, args)?;
    let clock = ask.context.clock.clone();
    let began = clock.now();
    let mut stream = ask.docker.events(&ask.permit, ask.options::<EventOptions>()?).await?;
    let mut events = Vec::new();
    let over = clock.sleep_until(later(began, during));
    let mut over = std::pin::pin!(over);
    while events.len() < limit {
        tokio::select! {
            item = stream.next() => match item {
                Some(EventItem::Event(event)) => events.push(event),
                Some(EventItem::Interrupted(error)) if !error.is_retryable() => return Err(error.into()),
                Some(EventItem::Interrupted(_) | EventItem::Resumed) => {}
                None => break,
            },
            () = &mut over => break,
        }
    }
    answer(Ok(events))
}
