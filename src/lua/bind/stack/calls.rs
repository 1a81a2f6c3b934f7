//! What each function does: arguments, permit, call, answer.

use crate::base::Fault;
use crate::lua::bind::docker::convert::{changing, options, table};
use crate::lua::bind::{Args, CallContext, Datum};
use crate::model::LogLevel;
use crate::model::grants::Access;
use crate::primitives::permit::{self, StackPermit};
use crate::primitives::stack::{Event, Stacks, Stage, Told, is_rolled_out};

type Outcome = Result<Datum, Fault>;

pub async fn names(context: CallContext) -> Outcome {
    let grants = &context.run()?.grants;
    let all = context.primitives.stacks.sources().keys();
    let granted: Vec<&String> = all.filter(|name| permit::stack(grants, name, Access::Read).is_ok()).collect();
    table(&context, &granted)
}

pub async fn config(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Read)?;
    Ok(Datum::Json(stacks.config(&permit).await?))
}

pub async fn plan(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Read)?;
    table(&context, &stacks.plan(&permit, &options(&context, &args)?).await?)
}

pub async fn up(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Write)?;
    nobody_deploys(&context, &args, &permit).await?;
    let tell = |event| log(&context, event);
    table(&context, &stacks.up(&permit, &changing(&context, &args)?, Told(&tell)).await?)
}

pub async fn down(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Write)?;
    nobody_deploys(&context, &args, &permit).await?;
    let tell = |event| log(&context, event);
    table(&context, &stacks.down(&permit, &changing(&context, &args)?, Told(&tell)).await?)
}

pub async fn rollout(context: CallContext, args: Args) -> Outcome {
    let (_, permit) = stack(&context, &args, Access::Read)?;
    let run = context.run()?;
    let found = run.jobs.rollout(permit, run.run).await?;
    Ok(found.map_or(Datum::Null, |run| Datum::Text(run.to_string())))
}

pub async fn services(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Read)?;
    table(&context, &stacks.services(&permit).await?)
}

pub async fn prepare(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Write)?;
    let tell = |event| log(&context, event);
    table(&context, &stacks.prepare(&permit, &changing(&context, &args)?, Told(&tell)).await?)
}

pub async fn create(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Write)?;
    let tell = |event| log(&context, event);
    let service = args.need("service")?;
    table(&context, &stacks.make(&permit, service, &changing(&context, &args)?, Told(&tell)).await?)
}

pub async fn ps(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Read)?;
    table(&context, &stacks.ps(&permit).await?)
}

pub async fn logs(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Read)?;
    table(&context, &stacks.logs(&permit, &options(&context, &args)?).await?)
}

pub async fn pull(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Write)?;
    let tell = |event| log(&context, event);
    table(&context, &stacks.pull(&permit, &changing(&context, &args)?, Told(&tell)).await?)
}

pub async fn build(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Write)?;
    let tell = |event| log(&context, event);
    table(&context, &stacks.build(&permit, &changing(&context, &args)?, Told(&tell)).await?)
}

pub async fn restart(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Write)?;
    nobody_deploys(&context, &args, &permit).await?;
    let tell = |event| log(&context, event);
    table(&context, &stacks.restart(&permit, &changing(&context, &args)?, Told(&tell)).await?)
}

pub async fn exec(context: CallContext, args: Args) -> Outcome {
    let (stacks, permit) = stack(&context, &args, Access::Admin)?;
    table(&context, &stacks.exec(&permit, args.need("service")?, changing(&context, &args)?).await?)
}

/// The service, and a permit for the stack that is named.
fn stack(context: &CallContext, args: &Args, access: Access) -> Result<(Stacks, StackPermit), Fault> {
    let permit = permit::stack(&context.run()?.grants, args.need("stack")?, access)?;
    Ok((context.primitives.stacks.clone(), permit))
}

/// A run may change the stack that it deploys itself, and nobody else may meanwhile.
async fn nobody_deploys(context: &CallContext, args: &Args, permit: &StackPermit) -> Result<(), Fault> {
    let run = context.run()?;
    if context.dry_run(args) {
        return Ok(());
    }
    match run.jobs.rollout(permit.clone(), run.run).await? {
        Some(other) => Err(is_rolled_out(permit.name(), other)),
        None => Ok(()),
    }
}

/// What is done becomes lines of the run's log.
fn log(context: &CallContext, event: Event) {
    let Some(log) = &context.log else { return };
    let detail = event.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    let (level, text) = match event.stage {
        Stage::Begun => return,
        Stage::Waiting => (LogLevel::Info, format!("{}{detail}", event.what)),
        Stage::Done => (LogLevel::Info, format!("{}: done{detail}", event.what)),
        Stage::Failed => (LogLevel::Warn, format!("{}: failed{detail}", event.what)),
    };
    log.line(level, text, serde_json::Value::Null);
}
