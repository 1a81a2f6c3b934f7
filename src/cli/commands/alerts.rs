//! `aegis alerts`: what is wrong. `aegis checks`: what the checks say. `aegis silence`: what nobody wants to hear of.

use std::collections::BTreeMap;

use comfy_table::{Cell, Color};
use serde::Deserialize;
use serde_json::{Value, json};

use super::trigger::pair;
use crate::base::Timestamp;
use crate::cli::api;
use crate::cli::client::{escape, with_query};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Only in this state
    #[arg(long, value_parser = ["pending", "firing", "resolved"])]
    state: Option<String>,
    /// Also those that were over since then, such as 24h
    #[arg(long)]
    since: Option<String>,
    #[command(subcommand)]
    command: Option<AlertCommand>,
}

#[derive(Debug, clap::Subcommand)]
pub enum AlertCommand {
    /// Say that you look after it: it is not told again
    Ack {
        /// The alert's id, or the beginning of it
        id: String,
        /// For the record
        #[arg(long, short = 'm', default_value = "")]
        note: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub enum SilenceCommand {
    /// Keep alerts quiet for a while
    Add {
        /// What an alert must have, with patterns: alert=disk_* severity=warning mount=/data
        #[arg(required = true, value_name = "LABEL=VALUE", value_parser = pair)]
        labels: Vec<(String, String)>,
        /// How long, such as 2h
        #[arg(long = "for", value_name = "DURATION")]
        span: String,
        /// Why
        #[arg(long, short = 'm', default_value = "")]
        note: String,
    },
    /// List the silences that have not ended
    List,
    /// End one
    End {
        /// The silence's id, or the beginning of it
        id: String,
    },
}

#[derive(Debug, Deserialize)]
struct Alert {
    id: String,
    name: String,
    state: String,
    severity: String,
    summary: String,
    since: Timestamp,
    quiet: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Silence {
    id: String,
    labels: BTreeMap<String, String>,
    ends_at: Timestamp,
    by: String,
    note: String,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    kind: String,
    target: String,
    state: String,
    since: Timestamp,
    latency_ms: Option<f64>,
    problem: Option<String>,
    uptime: Option<f64>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    if let Some(AlertCommand::Ack { id, note }) = args.command {
        let path = format!("/api/v1/alerts/{}/acknowledge", escape(&id));
        let answer: Value = client.post(&path, json!({ "note": note })).await?;
        if ctx.out.json {
            return ctx.out.document(&answer);
        }
        ctx.out.note(format_args!("The alert {} is yours.", show::plain(&show::inline(&answer["name"]))));
        return Ok(());
    }
    let path = with_query("/api/v1/alerts", &[("state", args.state), ("since", args.since)]);
    let mut answer: Value = client.get(&path).await?;
    if ctx.out.json {
        return ctx.out.document(&answer["alerts"]);
    }
    let alerts: Vec<Alert> = api::read(answer["alerts"].take())?;
    let now = ctx.clock.now();
    let rows = alerts.iter().map(|alert| alert_row(alert, now)).collect();
    ctx.out.table(&["ID", "ALERT", "STATE", "SEVERITY", "SINCE", "SUMMARY"], rows, "Nothing is wrong.")
}

fn alert_row(alert: &Alert, now: Timestamp) -> Vec<Cell> {
    let colour = match (alert.state.as_str(), alert.severity.as_str()) {
        ("firing", "critical" | "emergency") => Color::Red,
        ("resolved", _) => Color::Green,
        ("firing", _) => Color::Yellow,
        _ => Color::Cyan,
    };
    let state = alert.quiet.as_ref().map_or(alert.state.clone(), |quiet| format!("{} ({quiet})", alert.state));
    vec![
        Cell::new(&alert.id),
        Cell::new(show::plain(&alert.name)),
        Cell::new(state).fg(colour),
        Cell::new(&alert.severity),
        Cell::new(show::relative(alert.since, now)),
        show::dim_cell(show::plain(&alert.summary)),
    ]
}

pub(super) async fn checks(ctx: &Context) -> Result<(), Failure> {
    let mut answer: Value = ctx.client()?.get("/api/v1/checks").await?;
    if ctx.out.json {
        return ctx.out.document(&answer["checks"]);
    }
    let checks: Vec<Check> = api::read(answer["checks"].take())?;
    let now = ctx.clock.now();
    let row = |check: &Check| {
        let colour = match check.state.as_str() {
            "up" => Color::Green,
            "down" => Color::Red,
            _ => Color::Yellow,
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            Cell::new(show::plain(&check.name)),
            Cell::new(&check.state).fg(colour),
            Cell::new(show::relative(check.since, now)),
            Cell::new(or_none(check.uptime.map(|uptime| format!("{:.2}%", uptime * 100.0)))),
            Cell::new(or_none(check.latency_ms.map(|ms| format!("{ms:.1}ms")))),
            Cell::new(format!("{} {}", check.kind, show::plain(&check.target))),
            show::dim_cell(show::plain(check.problem.as_deref().unwrap_or_default())),
        ]
    };
    let header = ["CHECK", "STATE", "SINCE", "UPTIME 24H", "LATENCY", "TARGET", "PROBLEM"];
    ctx.out.table(&header, checks.iter().map(row).collect(), "There are no checks: name them in the configuration.")
}

pub(super) async fn silence(command: SilenceCommand, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    match command {
        SilenceCommand::Add { labels, span, note } => {
            let labels: BTreeMap<String, String> = labels.into_iter().collect();
            let body = json!({ "labels": labels, "duration": span, "note": note });
            let answer: Value = client.post("/api/v1/silences", body).await?;
            if ctx.out.json {
                return ctx.out.document(&answer);
            }
            ctx.out.line(show::inline(&answer["id"]))
        }
        SilenceCommand::End { id } => {
            let answer = client.delete(&format!("/api/v1/silences/{}", escape(&id))).await?;
            if ctx.out.json {
                return ctx.out.document(&answer);
            }
            ctx.out.note("The silence is over.");
            Ok(())
        }
        SilenceCommand::List => {
            let mut answer: Value = client.get("/api/v1/silences").await?;
            if ctx.out.json {
                return ctx.out.document(&answer["silences"]);
            }
            let silences: Vec<Silence> = api::read(answer["silences"].take())?;
            let now = ctx.clock.now();
            let row = |silence: &Silence| {
                let labels: Vec<String> =
                    silence.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
                vec![
                    Cell::new(&silence.id),
                    Cell::new(show::plain(&labels.join(" "))),
                    Cell::new(show::relative(silence.ends_at, now)),
                    Cell::new(show::plain(&silence.by)),
                    show::dim_cell(show::plain(&silence.note)),
                ]
            };
            let rows = silences.iter().map(row).collect();
            ctx.out.table(&["ID", "LABELS", "ENDS", "BY", "NOTE"], rows, "Nothing is silenced.")
        }
    }
}
