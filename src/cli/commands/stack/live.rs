//! What is asked of the daemon.

use comfy_table::{Cell, Color};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::{Fault, Timestamp};
use crate::cli::api;
use crate::cli::client::{escape, with_query};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
pub struct Stack {
    /// A stack of the configuration
    stack: String,
}

#[derive(Debug, clap::Args)]
pub struct UpArgs {
    /// A stack of the configuration
    stack: String,
    /// Only these services and those that they wait for
    services: Vec<String>,
    /// Make every container anew
    #[arg(long)]
    force: bool,
    /// Remove containers of services that the files do not have
    #[arg(long)]
    remove_orphans: bool,
    /// Return when every service runs, and is healthy where it says how that is seen
    #[arg(long)]
    wait: bool,
    /// For all of it [default: 10m]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Tell what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct DownArgs {
    /// A stack of the configuration
    stack: String,
    /// Remove its volumes and their data too
    #[arg(long)]
    volumes: bool,
    /// Remove containers of services that the files do not have
    #[arg(long)]
    remove_orphans: bool,
    /// For all of it [default: 5m]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Tell what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// A stack of the configuration
    stack: String,
    /// Only this service and those that it waits for
    #[arg(long)]
    service: Option<String>,
    /// As if every container were to be made anew
    #[arg(long)]
    force: bool,
    /// Remove containers of services that the files do not have
    #[arg(long)]
    remove_orphans: bool,
}

#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// A stack of the configuration
    stack: String,
    /// Only this service
    service: Option<String>,
    /// Only the last so many lines of each container [default: 200]
    #[arg(long, short = 'n', value_name = "LINES")]
    tail: Option<usize>,
    /// Not older than this: an age such as 5m, or a time
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct ServicesArgs {
    /// A stack of the configuration
    stack: String,
    /// Only these services
    services: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    folder: String,
    containers: Option<usize>,
    running: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: String,
    service: String,
    image: String,
    state: String,
    health: Option<String>,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Line {
    container: String,
    at: Option<Timestamp>,
    text: String,
}

/// The last line of an answer, or one of those before it.
#[derive(Debug, Deserialize)]
struct Told {
    step: Option<Step>,
    outcome: Option<Value>,
    error: Option<Fault>,
}

#[derive(Debug, Deserialize)]
struct Step {
    stage: String,
    what: String,
    detail: Option<String>,
}

fn path(stack: &str, rest: &str) -> String {
    format!("/api/v1/stacks/{}/{rest}", escape(stack))
}

pub(super) async fn list(ctx: &Context) -> Result<(), Failure> {
    let mut answer: Value = ctx.client()?.get("/api/v1/stacks").await?;
    if ctx.out.json {
        return ctx.out.document(&answer["stacks"]);
    }
    let found: Vec<Listed> = api::read(answer["stacks"].take())?;
    let row = |one: &Listed| {
        let running = one.running.zip(one.containers).map(|(running, all)| format!("{running} of {all}"));
        vec![
            Cell::new(&one.name),
            Cell::new(running.unwrap_or_else(|| "-".to_owned())),
            show::dim_cell(show::plain(&one.folder)),
        ]
    };
    let empty = "The configuration has no stacks: add them under stacks.";
    ctx.out.table(&["NAME", "RUNNING", "FOLDER"], found.iter().map(row).collect(), empty)
}

pub(super) async fn up(args: UpArgs, ctx: &Context) -> Result<(), Failure> {
    let mut body = json!({
        "services": args.services, "force": args.force, "remove_orphans": args.remove_orphans, "wait": args.wait,
        "dry_run": args.dry_run,
    });
    if let Some(timeout) = args.timeout {
        body["timeout"] = json!(timeout);
    }
    changed(&perform(&path(&args.stack, "up"), body, ctx).await?, ctx)
}

pub(super) async fn down(args: DownArgs, ctx: &Context) -> Result<(), Failure> {
    let mut body = json!({ "volumes": args.volumes, "remove_orphans": args.remove_orphans, "dry_run": args.dry_run });
    if let Some(timeout) = args.timeout {
        body["timeout"] = json!(timeout);
    }
    changed(&perform(&path(&args.stack, "down"), body, ctx).await?, ctx)
}

pub(super) async fn restart(args: ServicesArgs, ctx: &Context) -> Result<(), Failure> {
    services("restart", args, ctx).await
}

pub(super) async fn pull(args: ServicesArgs, ctx: &Context) -> Result<(), Failure> {
    services("pull", args, ctx).await
}

pub(super) async fn build(args: ServicesArgs, ctx: &Context) -> Result<(), Failure> {
    services("build", args, ctx).await
}

async fn services(act: &str, args: ServicesArgs, ctx: &Context) -> Result<(), Failure> {
    let outcome = perform(&path(&args.stack, act), json!({ "services": args.services }), ctx).await?;
    if ctx.out.json { ctx.out.document(&outcome) } else { Ok(()) }
}

pub(super) async fn plan(args: PlanArgs, ctx: &Context) -> Result<(), Failure> {
    let flag = |is_set: bool| is_set.then(|| "true".to_owned());
    let query = [("service", args.service), ("force", flag(args.force)), ("remove_orphans", flag(args.remove_orphans))];
    let answer: Value = ctx.client()?.get(&with_query(&path(&args.stack, "plan"), &query)).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    for missing in answer["missing"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        ctx.out.note(format_args!("missing: {}", show::plain(missing)));
    }
    actions(&answer, ctx)
}

pub(super) async fn ps(args: Stack, ctx: &Context) -> Result<(), Failure> {
    let mut answer: Value = ctx.client()?.get(&path(&args.stack, "containers")).await?;
    if ctx.out.json {
        return ctx.out.document(&answer["containers"]);
    }
    let found: Vec<Container> = api::read(answer["containers"].take())?;
    let row = |one: &Container| {
        let state = one.health.as_deref().filter(|_| one.state == "running").unwrap_or(&one.state);
        let colour = match state {
            "running" | "healthy" => Color::Green,
            "unhealthy" | "restarting" | "dead" => Color::Red,
            _ => Color::Yellow,
        };
        vec![
            Cell::new(&one.name),
            Cell::new(&one.service),
            Cell::new(state).fg(colour),
            show::dim_cell(&one.status),
            Cell::new(&one.image),
        ]
    };
    let header = ["NAME", "SERVICE", "STATE", "STATUS", "IMAGE"];
    ctx.out.table(&header, found.iter().map(row).collect(), "The stack has no containers: aegis stack up makes them.")
}

pub(super) async fn logs(args: LogsArgs, ctx: &Context) -> Result<(), Failure> {
    let query = [("service", args.service), ("tail", args.tail.map(|tail| tail.to_string())), ("since", args.since)];
    let mut answer: Value = ctx.client()?.get(&with_query(&path(&args.stack, "logs"), &query)).await?;
    let lines = answer["lines"].take();
    if ctx.out.json {
        let mut whole = lines.as_array().into_iter().flatten();
        return whole.try_for_each(|line| ctx.out.raw(format!("{line}\n").as_bytes()));
    }
    let found: Vec<Line> = api::read(lines)?;
    let longest = found.iter().map(|line| line.container.len()).max().unwrap_or_default();
    found.iter().try_for_each(|line| {
        let at = line.at.map(|at| format!("{at:.3} ")).unwrap_or_default();
        ctx.out.line(format_args!("{:longest$} | {at}{}", line.container, show::plain(&line.text)))
    })
}

/// Prints the steps as they come, and gives the outcome.
async fn perform(path: &str, body: Value, ctx: &Context) -> Result<Value, Failure> {
    let mut lines = ctx.client()?.post_lines(path, body).await?;
    while let Some(line) = lines.next().await? {
        let told: Value = serde_json::from_slice(&line)
            .map_err(|error| Failure::new(format!("the daemon's answer cannot be understood: {error}")))?;
        let told: Told = api::read(told)?;
        if let Some(fault) = told.error {
            return Err(fault.into());
        }
        if let Some(outcome) = told.outcome {
            return Ok(outcome);
        }
        if let Some(step) = told.step.filter(|step| !ctx.out.json && step.stage != "begun") {
            let detail = step.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            let stage = if step.stage == "waiting" { String::new() } else { format!(" {}", step.stage) };
            ctx.out.note(show::plain(&format!("{}{stage}{detail}", step.what)));
        }
    }
    Err(Failure::new("the daemon stopped before it was done").hint("look with `aegis stack ps`, and try again"))
}

fn changed(outcome: &Value, ctx: &Context) -> Result<(), Failure> {
    if ctx.out.json {
        return ctx.out.document(outcome);
    }
    actions(outcome, ctx)
}

/// One line an action: what, to which, why.
fn actions(plan: &Value, ctx: &Context) -> Result<(), Failure> {
    for warning in plan["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        ctx.out.note(format_args!("warning: {}", show::plain(warning)));
    }
    let text = |action: &Value, key: &str| show::plain(action[key].as_str().unwrap_or_default());
    let row = |action: &Value| {
        let reasons = action["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        vec![
            Cell::new(text(action, "verb")),
            Cell::new(text(action, "kind")),
            Cell::new(text(action, "name")),
            show::dim_cell(show::plain(&reasons)),
        ]
    };
    let rows = plan["actions"].as_array().into_iter().flatten().map(row).collect();
    ctx.out.table(&["ACTION", "KIND", "NAME", "WHY"], rows, "There is nothing to do.")
}
