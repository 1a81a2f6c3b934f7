//! `aegis token create | list | revoke`: who may call the API from elsewhere.

use comfy_table::{Cell, Color};
use serde_json::{Value, json};

use crate::base::{Timestamp, quantity};
use crate::cli::api::{self, Token, TokenList};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{show, terminal};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a token; it is printed alone on standard output, this once
    Create {
        name: String,
        /// What it may do
        #[arg(long, default_value = "viewer", value_parser = ["viewer", "operator", "admin"])]
        role: String,
        /// Confine it to jobs of this name or pattern; may be repeated
        #[arg(long = "job", value_name = "PATTERN")]
        jobs: Vec<String>,
        /// How long it lasts, such as 90d [default: until it is revoked]
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
    },
    /// List tokens, without their secrets
    List,
    /// End a token and the sessions that were opened with it
    Revoke {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

pub(super) async fn run(command: Command, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    match command {
        Command::Create { name, role, jobs, expires } => {
            if let Some(expires) = &expires {
                quantity::parse_duration(expires).map_err(|bad| Failure::usage(format!("--expires: {bad}")))?;
            }
            let body = json!({ "name": name, "role": role, "jobs": jobs, "lifetime": expires });
            let answer: Value = client.post("/api/v1/tokens", body).await?;
            if ctx.out.json {
                return ctx.out.document(&answer);
            }
            ctx.out.line(show::inline(&answer["token"]))?;
            ctx.out.note("Keep it now: it is not shown again.");
            Ok(())
        }
        Command::List => {
            let answer: Value = client.get("/api/v1/tokens").await?;
            if ctx.out.json {
                return ctx.out.document(&answer["tokens"]);
            }
            let list: TokenList = api::read(answer)?;
            let rows = list.tokens.iter().map(|token| row(token, ctx.clock.now())).collect();
            let header = ["NAME", "ROLE", "JOBS", "STATE", "CREATED", "LAST USED"];
            ctx.out.table(&header, rows, "There are no tokens. `aegis token create NAME --role operator` makes one.")
        }
        Command::Revoke { name, yes } => {
            terminal::confirm(&format!("Revoke the token {name:?}"), yes)?;
            client.delete(&format!("/api/v1/tokens/{}", escape(&name))).await?;
            ctx.out.note(format_args!("The token {name:?} is revoked."));
            Ok(())
        }
    }
}

fn row(token: &Token, now: Timestamp) -> Vec<Cell> {
    let when = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| show::relative(at, now));
    let state = match (token.revoked_at, token.expires_at) {
        (Some(_), _) => Cell::new("revoked").fg(Color::Red),
        (None, Some(end)) if end <= now => Cell::new("expired").fg(Color::Yellow),
        (None, Some(end)) => Cell::new(format!("expires {}", show::relative(end, now))).fg(Color::Green),
        (None, None) => Cell::new("valid").fg(Color::Green),
    };
    let jobs = if token.jobs.is_empty() { "all".to_owned() } else { token.jobs.join(", ") };
    vec![
        Cell::new(&token.name),
        Cell::new(&token.role),
        Cell::new(jobs),
        state,
        Cell::new(show::relative(token.created_at, now)),
        Cell::new(when(token.last_used_at)),
    ]
}
