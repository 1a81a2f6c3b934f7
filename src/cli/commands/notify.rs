//! `aegis notify`: whether messages arrive, and which are still on their way.

use comfy_table::{Cell, Color};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::{Fault, Timestamp};
use crate::cli::api;
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Send a test message to every destination of a route
    Test {
        /// A route of notify.routes
        route: String,
        /// Instead of what a test says by itself
        #[arg(long, short = 'm')]
        text: Option<String>,
    },
    /// List the messages that were given up, and those that wait
    Queue,
    /// Try a message again that was given up
    Retry {
        /// The message's id
        id: String,
    },
}

#[derive(Debug, Deserialize)]
struct Tested {
    destination: String,
    outcome: String,
    error: Option<Fault>,
}

#[derive(Debug, Deserialize)]
struct Notification {
    id: String,
    route: String,
    destination: String,
    state: String,
    title: String,
    messages: u64,
    attempts: u32,
    created_at: Timestamp,
    due_at: Timestamp,
    error: Option<Fault>,
}

pub(super) async fn run(command: Command, ctx: &Context) -> Result<(), Failure> {
    match command {
        Command::Test { route, text } => test(&route, text, ctx).await,
        Command::Queue => queue(ctx).await,
        Command::Retry { id } => {
            let path = format!("/api/v1/notifications/{}/retry", escape(&id));
            let answer: Value = ctx.client()?.post(&path, json!({})).await?;
            if ctx.out.json {
                return ctx.out.document(&answer);
            }
            ctx.out.note("It is tried again.");
            Ok(())
        }
    }
}

async fn test(route: &str, text: Option<String>, ctx: &Context) -> Result<(), Failure> {
    let path = format!("/api/v1/notify/{}/test", escape(route));
    let mut answer: Value = ctx.client()?.post(&path, json!({ "text": text })).await?;
    let shown = answer["destinations"].clone();
    let tested: Vec<Tested> = api::read(answer["destinations"].take())?;
    let failed = tested.iter().filter(|one| one.outcome != "delivered").count();
    if ctx.out.json {
        ctx.out.document(&shown)?;
    } else {
        let row = |one: &Tested| {
            let colour = if one.outcome == "delivered" { Color::Green } else { Color::Red };
            vec![
                Cell::new(show::plain(&one.destination)),
                Cell::new(&one.outcome).fg(colour),
                show::dim_cell(show::plain(&problem(one.error.as_ref()))),
            ]
        };
        let rows = tested.iter().map(row).collect();
        ctx.out.table(&["DESTINATION", "OUTCOME", "PROBLEM"], rows, "The route leads nowhere.")?;
    }
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {} destinations did not take the test", tested.len());
    Err(Fault::new("notify.failed", message).hint("the table says why").into())
}

fn problem(fault: Option<&Fault>) -> String {
    fault.map(ToString::to_string).unwrap_or_default()
}

async fn queue(ctx: &Context) -> Result<(), Failure> {
    let mut answer: Value = ctx.client()?.get("/api/v1/notifications").await?;
    if ctx.out.json {
        return ctx.out.document(&answer["notifications"]);
    }
    let found: Vec<Notification> = api::read(answer["notifications"].take())?;
    let now = ctx.clock.now();
    let row = |one: &Notification| {
        let is_dead = one.state == "dead";
        let title = show::plain(&one.title);
        vec![
            Cell::new(&one.id),
            Cell::new(&one.state).fg(if is_dead { Color::Red } else { Color::Yellow }),
            Cell::new(show::plain(&format!("{} > {}", one.route, one.destination))),
            Cell::new(show::relative(one.created_at, now)),
            Cell::new(if is_dead { "-".to_owned() } else { show::relative(one.due_at, now) }),
            Cell::new(one.attempts),
            Cell::new(if one.messages > 1 { format!("{title} ({} times)", one.messages) } else { title }),
            show::dim_cell(show::plain(&problem(one.error.as_ref()))),
        ]
    };
    let header = ["ID", "STATE", "TO", "SINCE", "NEXT TRY", "TRIES", "MESSAGE", "PROBLEM"];
    ctx.out.table(&header, found.iter().map(row).collect(), "Every message has been taken.")
}
