//! What each function does: arguments, permit, call, answer.

use std::time::Duration;

use super::convert::{changing, engine, options, table};
use crate::base::{Fault, limits};
use crate::lua::bind::{Args, CallContext, Datum};
use crate::model::grants::Access;
use crate::primitives::docker::{Listening, PruneTarget};
use crate::primitives::host::Listener;
use crate::primitives::permit;

type Outcome = Result<Datum, Fault>;

pub async fn list(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.list(&permit, options(&context, &args)?).await?)
}

pub async fn inspect(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.inspect(&permit, args.need("container")?).await?)
}

pub async fn create(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.create(&permit, changing(&context, &args)?).await?)
}

pub async fn start(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.start(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn stop(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.stop(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn restart(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.restart(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn kill(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.kill(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn pause(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.pause(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn unpause(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.unpause(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn remove(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.remove(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn rename(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    let (container, name) = (args.need("container")?, args.need("name")?);
    table(&context, &docker.rename(&permit, container, name, changing(&context, &args)?).await?)
}

pub async fn update(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.update(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn clone(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Admin)?;
    let (container, name) = (args.need("container")?, args.need("name")?);
    table(&context, &docker.clone_container(&permit, container, name, changing(&context, &args)?).await?)
}

pub async fn wait(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.wait(&permit, args.need("container")?, options(&context, &args)?).await?)
}

pub async fn exec(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Admin)?;
    table(&context, &docker.exec(&permit, args.need("container")?, changing(&context, &args)?).await?)
}

pub async fn logs(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.logs(&permit, args.need("container")?, options(&context, &args)?).await?)
}

pub async fn stats(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.stats_after(&permit, args.need("container")?, options(&context, &args)?).await?)
}

pub async fn stats_all(context: CallContext) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.stats_all(&permit).await?)
}

pub async fn top(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.top(&permit, args.need("container")?).await?)
}

pub async fn diagnose(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    // Who holds a port of the host is told to those who may look at the host.
    let listeners = match permit::host(&context.run()?.grants) {
        Ok(permit) => context.primitives.host.listeners(&permit).await?,
        Err(_) => Vec::new(),
    };
    let listening = |listener: Listener| Listening {
        protocol: listener.protocol.trim_end_matches('6').to_owned(),
        address: listener.address,
        port: listener.port,
        process: listener.process,
    };
    let listening = listeners.into_iter().map(listening).collect();
    table(&context, &docker.diagnose(&permit, args.need("container")?, listening).await?)
}

pub async fn audit(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.audit(&permit, options(&context, &args)?).await?)
}

pub async fn events(context: CallContext, mut args: Args) -> Outcome {
    const WAIT_DEFAULT: Duration = Duration::from_secs(30);
    const LIMIT_DEFAULT: i64 = 100;
    let (docker, permit) = engine(&context, Access::Read)?;
    let asked = args.record("options");
    let wait = asked.duration("wait").unwrap_or(WAIT_DEFAULT);
    let limit = asked.integer("limit").unwrap_or(LIMIT_DEFAULT).clamp(1, limits::DOCKER_EVENTS_MAX as i64);
    // These two are ours, not the engine's.
    if let Some(Datum::Map(options)) = args.0.get_mut("options") {
        options.retain(|name, _| name != "wait" && name != "limit");
    }
    table(&context, &docker.collect_events(&permit, options(&context, &args)?, limit as usize, wait).await?)
}

pub async fn images(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.images(&permit, options(&context, &args)?).await?)
}

pub async fn tag(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    let (image, name) = (args.need("image")?, args.need("name")?);
    table(&context, &docker.tag(&permit, image, name, changing(&context, &args)?).await?)
}

pub async fn remove_image(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.remove_image(&permit, args.need("image")?, changing(&context, &args)?).await?)
}

pub async fn prune(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Admin)?;
    let target = match args.need("target")? {
        "containers" => PruneTarget::Containers,
        "images" => PruneTarget::Images,
        "volumes" => PruneTarget::Volumes,
        _ => PruneTarget::Networks,
    };
    table(&context, &docker.prune(&permit, target, changing(&context, &args)?).await?)
}

pub async fn networks(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.networks(&permit, options(&context, &args)?).await?)
}

pub async fn network(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.network(&permit, args.need("network")?).await?)
}

pub async fn create_network(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.create_network(&permit, args.need("network")?, changing(&context, &args)?).await?)
}

pub async fn remove_network(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.remove_network(&permit, args.need("network")?, changing(&context, &args)?).await?)
}

pub async fn connect_network(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    let (network, container) = (args.need("network")?, args.need("container")?);
    table(&context, &docker.connect_network(&permit, network, container, changing(&context, &args)?).await?)
}

pub async fn disconnect_network(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    let (network, container) = (args.need("network")?, args.need("container")?);
    table(&context, &docker.disconnect_network(&permit, network, container, changing(&context, &args)?).await?)
}

pub async fn volumes(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.volumes(&permit, options(&context, &args)?).await?)
}

pub async fn volume(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.volume(&permit, args.need("volume")?).await?)
}

pub async fn create_volume(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.create_volume(&permit, args.need("volume")?, changing(&context, &args)?).await?)
}

pub async fn remove_volume(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    table(&context, &docker.remove_volume(&permit, args.need("volume")?, changing(&context, &args)?).await?)
}

pub async fn disk_usage(context: CallContext) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.disk_usage(&permit).await?)
}

pub async fn info(context: CallContext) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.info(&permit).await?)
}

pub async fn version(context: CallContext) -> Outcome {
    let (docker, permit) = engine(&context, Access::Read)?;
    table(&context, &docker.version(&permit).await?)
}
