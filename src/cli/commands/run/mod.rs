//! `aegis run FILE`: one job file without a daemon, its log on the terminal.

mod durable;
mod grants;
mod kv;
mod ports;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::trigger::{as_params, pair};
use crate::base::{Clock, Fault, Masker, RunId};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{engine, logging, show};
use crate::config::{Config, Log, LogFormat};
use crate::jobs::{self, Job};
use crate::lua::{Engine, Outcome, RunScope};
use crate::model::params::{self, BadParam};
use crate::model::{Trigger, TriggerKind};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job file
    file: PathBuf,
    /// A parameter; the job's declaration types it
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// A permission beyond those that the file asks for, such as docker=read, http=api.example.com or sql=main:read
    #[arg(long = "grant", value_name = "NAME=VALUE", value_parser = pair)]
    grants: Vec<(String, String)>,
    /// Show what would be done instead of doing it
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let config = ctx.config(&[])?.config;
    let engine = engine::make(&config, &ctx.clock)?;
    let masker = engine.secrets().masker().clone();
    logging::install(&Log { level: "warn".into(), format: LogFormat::Text }, &masker)?;
    let job = load(&engine, &config, &args, ctx).await?;
    let cancel = CancellationToken::new();
    let scope = scope(&job, &args, (cancel.clone(), masker.clone()), ctx)?;
    // The VM stays on this thread; its I/O is the runtime's.
    let outcome = LocalSet::new().run_until(attempt(&engine, &job, scope, cancel, &ctx.clock)).await;
    finish(outcome, &masker, ctx)
}

async fn load(engine: &Engine, config: &Config, args: &Args, ctx: &Context) -> Result<Job, Failure> {
    let (engine, root, file, now) = (engine.clone(), config.scripts.dir.clone(), args.file.clone(), ctx.clock.now());
    let site = engine::site(config)?;
    if !file.exists() {
        return Err(Failure::new(format!("there is no file {}", file.display())).exit(Exit::NotFound));
    }
    let load = move || jobs::load_file((&engine, &site), Some(&root), &file, now);
    let loaded = tokio::task::spawn_blocking(load).await;
    match loaded.map_err(|error| Failure::new(format!("loading broke: {error}")))? {
        Ok((job, warnings)) => {
            warnings.iter().for_each(|warning| ctx.out.note(super::check::lines(warning)));
            Ok(job)
        }
        Err(errors) => {
            errors.iter().for_each(|error| ctx.out.note(super::check::lines(error)));
            Err(Failure::silent(Exit::Failure))
        }
    }
}

fn scope(
    job: &Job,
    args: &Args,
    (cancel, masker): (CancellationToken, Masker),
    ctx: &Context,
) -> Result<RunScope, Failure> {
    let spec = &job.spec;
    let params = params::validate(&spec.params, &as_params(args.params.clone())).map_err(|bad| wrong(&bad))?;
    let mut granted = spec.permissions.clone();
    for (name, value) in &args.grants {
        grants::add(&mut granted, name, value).map_err(Failure::usage)?;
    }
    let terminal = Arc::new(ports::Terminal { clock: ctx.clock.clone(), json: ctx.out.json, masker });
    Ok(RunScope {
        run: RunId::generate(),
        job: spec.name.clone(),
        attempt: 1,
        params: Value::Object(params),
        trigger: Trigger::new(TriggerKind::Cli, format!("uid:{}", rustix::process::getuid().as_raw())),
        grants: Arc::new(granted),
        dry_run: args.dry_run,
        timeout: spec.limits.timeout,
        cpu: spec.limits.cpu,
        memory_bytes: spec.limits.memory_bytes,
        cancel,
        log: terminal.clone(),
        jobs: Arc::new(ports::NoDaemon),
        kv: Arc::new(kv::Memory::new(ctx.clock.clone())),
        watch: Arc::new(ports::NoDaemon),
        artifacts: Arc::new(ports::Untaken(terminal)),
        audit: Arc::new(ports::NoDaemon),
        durable: None,
    })
}

fn wrong(bad: &[BadParam]) -> Failure {
    let list = bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Failure::usage(list).hint("parameters are given as --param name=value; the file declares them")
}

/// One attempt and the hook that goes with its end. Ctrl-C cancels; a second one does not wait.
async fn attempt(engine: &Engine, job: &Job, scope: RunScope, cancel: CancellationToken, clock: &Clock) -> Outcome {
    let work = async {
        let outcome = durable::execute(engine, job, &scope, clock).await;
        let hook = match &outcome {
            Outcome::Returned(value) if job.spec.has_on_success => Some(("on_success", value.clone())),
            Outcome::Raised(fault) | Outcome::TimedOut(fault) if job.spec.has_on_failure => {
                Some(("on_failure", serde_json::to_value(fault).unwrap_or_default()))
            }
            _ => None,
        };
        if let Some((name, argument)) = hook
            && let Outcome::Raised(fault) | Outcome::TimedOut(fault) =
                engine.execute_hook(job.bundle.clone(), scope, name, argument).await
        {
            show::note(format_args!("{name}: {}", show::fault(&fault)));
        }
        outcome
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        outcome = work.as_mut() => return outcome,
        _ = tokio::signal::ctrl_c() => cancel.cancel(),
    }
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => Outcome::Cancelled,
    }
}

fn finish(outcome: Outcome, masker: &Masker, ctx: &Context) -> Result<(), Failure> {
    let failed = |mut fault: Fault| {
        masker.fault(&mut fault);
        ctx.out.note(show::fault(&fault));
        Err(Failure::silent(Exit::RunFailed))
    };
    match outcome {
        Outcome::Returned(Value::Null) => Ok(()),
        Outcome::Returned(mut value) => {
            masker.json(&mut value);
            ctx.out.document(&value)
        }
        Outcome::Raised(fault) | Outcome::TimedOut(fault) => failed(fault),
        Outcome::Cancelled => Err(Failure::new("the run was cancelled").exit(Exit::Interrupted)),
        Outcome::Parked { waits_for, .. } => {
            Err(Failure::new(format!("the run waits for {waits_for}, which needs a daemon")).exit(Exit::RunFailed))
        }
        Outcome::Unwound(_) => Ok(()),
    }
}
