//! `aegis job NAME`: all about one job.

use comfy_table::{Cell, Color};
use owo_colors::OwoColorize;
use serde_json::Value;

use crate::base::quantity;
use crate::cli::api::{self, JobDetail, WaitingRights};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{show, terminal};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    /// The job's name
    #[arg(required = true)]
    name: Option<String>,
    #[command(subcommand)]
    command: Option<JobCommand>,
}

#[derive(Debug, clap::Subcommand)]
pub enum JobCommand {
    /// Approve the new rights of a job that wait for a person
    Approve {
        /// The job's name
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    if let Some(JobCommand::Approve { name, yes }) = args.command {
        return approve(&name, yes, ctx).await;
    }
    let name = args.name.unwrap_or_default();
    let answer: Value = ctx.client()?.get(&format!("/api/v1/jobs/{}", escape(&name))).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    let detail: JobDetail = api::read(answer)?;
    facts(&detail, ctx)?;
    parameters(&detail.spec, ctx)?;
    grants(&detail, ctx)?;
    due(&detail, ctx)?;
    versions(&detail, ctx)
}

fn facts(detail: &JobDetail, ctx: &Context) -> Result<(), Failure> {
    let (job, spec, now) = (&detail.job, &detail.spec, ctx.clock.now());
    let enabled = match (job.enabled, job.enabled_override) {
        (true, Some(_)) => "yes, by an operator",
        (false, Some(_)) => "no, by an operator",
        (true, None) => "yes",
        (false, None) => "no, by the script",
    };
    ctx.out.line(job.name.bold())?;
    if !job.description.is_empty() {
        ctx.out.line(show::plain(&job.description))?;
    }
    let fact = |name: &str, value: String| ctx.out.line(format_args!("  {:<10} {value}", name.dimmed()));
    fact(
        "file",
        format!("{}, version {}, loaded {}", job.file, short(&job.version), show::relative(job.loaded_at, now)),
    )?;
    fact("enabled", enabled.to_owned())?;
    fact("schedule", if job.schedules.is_empty() { "none".to_owned() } else { job.schedules.join(", ") })?;
    let limits = &spec["limits"];
    let duration = |value: &Value| {
        value.as_u64().map_or_else(String::new, |ms| quantity::show_duration(std::time::Duration::from_millis(ms)))
    };
    let memory = limits["memory_bytes"].as_u64().map_or_else(String::new, quantity::show_size);
    fact("limits", format!("{} wall, {} CPU, {memory}", duration(&limits["timeout_ms"]), duration(&limits["cpu_ms"])))?;
    let attempts = spec["retry"]["attempts"].as_u64().unwrap_or(1);
    fact(
        "overlap",
        format!("{}, {attempts} attempt{}", show::inline(&spec["overlap"]), if attempts == 1 { "" } else { "s" }),
    )?;
    if !job.tags.is_empty() {
        fact("tags", job.tags.join(", "))?;
    }
    if let Some(run) = &job.last_run {
        let when = show::relative(run.finished_at.unwrap_or(run.queued_at), now);
        fact("last run", format!("{} {when} ({})", show::state(run.state), run.id))?;
    }
    for diagnostic in &job.diagnostics {
        ctx.out.line(show::fault(&diagnostic.fault))?;
    }
    Ok(())
}

fn parameters(spec: &Value, ctx: &Context) -> Result<(), Failure> {
    let Some(params) = spec["params"].as_object().filter(|params| !params.is_empty()) else { return Ok(()) };
    let rows = params.iter().map(|(name, spec)| {
        let default = match (&spec["default"], spec["required"].as_bool()) {
            (Value::Null, Some(true)) => Cell::new("required"),
            (Value::Null, _) => show::dim_cell("-"),
            (value, _) => Cell::new(show::inline(value)),
        };
        let choices =
            spec["choices"].as_array().map(|all| all.iter().map(show::inline).collect::<Vec<_>>().join(" | "));
        let about = [
            show::inline(spec.get("description").unwrap_or(&Value::String(String::new()))),
            choices.unwrap_or_default(),
        ];
        let about = about.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        vec![Cell::new(name), Cell::new(show::inline(&spec["type"])), default, Cell::new(show::plain(&about))]
    });
    ctx.out.line(format_args!("\n{}", "Parameters".bold()))?;
    ctx.out.table(&["NAME", "TYPE", "DEFAULT", "DESCRIPTION"], rows.collect(), "")
}

/// Shows what would be approved, asks, and approves exactly that.
async fn approve(name: &str, yes: bool, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let path = format!("/api/v1/jobs/{}", escape(name));
    let detail: JobDetail = api::read(client.get(&path).await?)?;
    let Some(waiting) = &detail.rights.waiting else {
        return Err(Failure::new(format!("no rights of the job {name} wait for an approval")));
    };
    if !ctx.out.json {
        changed(waiting, ctx)?;
    }
    terminal::confirm(&format!("Approve these rights of {name:?}"), yes)?;
    let body = serde_json::json!({ "hash": waiting.hash });
    let answer: Value = client.post(&format!("{path}/approve"), body).await?;
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    ctx.out.note(format_args!("The rights of {name} are approved and have effect."));
    Ok(())
}

fn changed(waiting: &WaitingRights, ctx: &Context) -> Result<(), Failure> {
    for right in &waiting.added {
        ctx.out.line(format!("  + {}", show::plain(right)).green())?;
    }
    for right in &waiting.removed {
        ctx.out.line(format!("  - {}", show::plain(right)).red())?;
    }
    for right in &waiting.kept {
        ctx.out.line(format!("    {}", show::plain(right)))?;
    }
    Ok(())
}

fn grants(detail: &JobDetail, ctx: &Context) -> Result<(), Failure> {
    let rights = &detail.rights;
    let mut rows: Vec<_> =
        rights.granted.iter().map(|right| vec![Cell::new(show::plain(right)), Cell::new("granted")]).collect();
    for capped in &rights.capped {
        let left = if capped.allowed.is_empty() { "nothing".to_owned() } else { capped.allowed.join(", ") };
        let said = format!("capped: {} allows {left}", capped.policy);
        rows.push(vec![Cell::new(show::plain(&capped.right)), Cell::new(said).fg(Color::Yellow)]);
    }
    if !rows.is_empty() {
        ctx.out.line(format_args!("\n{}", "Permissions".bold()))?;
        ctx.out.table(&["RIGHT", ""], rows, "")?;
    }
    if let Some(approved) = &rights.approved {
        let when = show::relative(approved.at, ctx.clock.now());
        ctx.out.line(format_args!("approved by {} {when}", show::plain(&approved.by)))?;
    }
    let Some(waiting) = &rights.waiting else { return Ok(()) };
    ctx.out.line(format_args!("\n{}", "New rights wait for approval".bold().yellow()))?;
    changed(waiting, ctx)?;
    let goes_on = match waiting.held {
        true => "it is not scheduled until then",
        false => "the live version goes on until then",
    };
    ctx.out.line(format_args!("{goes_on}: aegis job approve {}", detail.job.name))
}

fn due(detail: &JobDetail, ctx: &Context) -> Result<(), Failure> {
    if detail.upcoming.is_empty() {
        return Ok(());
    }
    let now = ctx.clock.now();
    let rows = detail.upcoming.iter().map(|due| {
        let note = due
            .held
            .clone()
            .unwrap_or_else(|| if due.dst_shifted { "moved by a clock change".into() } else { String::new() });
        vec![
            Cell::new(show::time(due.scheduled_for)),
            Cell::new(show::relative(due.fire_at, now)),
            show::dim_cell(note),
        ]
    });
    ctx.out.line(format_args!("\n{}", "Next".bold()))?;
    ctx.out.table(&["DUE", "IN", ""], rows.collect(), "")
}

fn versions(detail: &JobDetail, ctx: &Context) -> Result<(), Failure> {
    let now = ctx.clock.now();
    let rows = detail.versions.iter().map(|version| {
        let mark = if version.current { "live" } else { "" };
        let made = show::relative(version.created_at, now);
        vec![
            Cell::new(short(&version.hash)),
            Cell::new(made),
            Cell::new(mark),
            show::dim_cell(version.files.join(", ")),
        ]
    });
    ctx.out.line(format_args!("\n{}", "Versions".bold()))?;
    ctx.out.table(&["VERSION", "SEEN", "", "FILES"], rows.collect(), "none are stored yet")
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
