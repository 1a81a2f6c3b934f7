//! `aegis deploy`: rollouts of stacks, by the jobs `deploy` and `rollback`.

use comfy_table::{Cell, Color};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::watch::{Watch, watch};
use crate::base::Timestamp;
use crate::cli::api::{self, Triggered};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A stack of the configuration
    #[arg(required = true)]
    stack: Option<String>,
    /// How the new version takes over [default: rolling]
    #[arg(long, value_parser = ["rolling", "blue-green", "canary", "ab"])]
    strategy: Option<String>,
    /// Wait for somebody to approve before anything is touched
    #[arg(long)]
    approve: bool,
    /// Ask for newer images, and build anew
    #[arg(long)]
    refresh: bool,
    /// Replace every container
    #[arg(long)]
    force: bool,
    /// A further parameter of the job
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = super::trigger::pair)]
    params: Vec<(String, String)>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// Show what would be done instead of doing it
    #[arg(long)]
    dry_run: bool,
    /// Print the run's id and do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List a stack's rollouts, newest first
    History {
        /// A stack of the configuration
        stack: String,
    },
    /// Deploy what an earlier rollout had
    Rollback {
        /// A stack of the configuration
        stack: String,
        /// The rollout's id [default: the one before the present one]
        #[arg(long, value_name = "ID")]
        to: Option<String>,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Deserialize)]
struct Rollout {
    id: String,
    at: Timestamp,
    strategy: String,
    actor: String,
    outcome: String,
    reason: Option<String>,
    back_to: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    match args.command {
        Some(Command::History { stack }) => history(&stack, ctx).await,
        Some(Command::Rollback { stack, to, how }) => {
            let mut params = Map::from_iter([("stack".to_owned(), json!(stack))]);
            params.extend(to.map(|to| ("to".to_owned(), json!(to))));
            follow("rollback", params, &how, ctx).await
        }
        None => {
            let mut params = super::trigger::as_params(args.params);
            params.insert("stack".to_owned(), json!(args.stack));
            params.extend(args.strategy.map(|strategy| ("strategy".to_owned(), json!(strategy))));
            for (name, is_set) in [("approve", args.approve), ("refresh", args.refresh), ("force", args.force)] {
                params.extend(is_set.then(|| (name.to_owned(), json!(true))));
            }
            follow("deploy", params, &args.how, ctx).await
        }
    }
}

/// Triggers one of the two jobs, and stays with its run.
async fn follow(job: &str, params: Map<String, Value>, how: &How, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let body = json!({ "params": params, "dry_run": how.dry_run });
    let answer: Value = client.json(Method::POST, &format!("/api/v1/jobs/{job}/runs"), Some(body), &[]).await?;
    let triggered: Triggered = api::read(answer)?;
    let stays = !how.no_wait;
    watch(&client, &triggered.run_id, Watch { wait: stays, follow: stays }, ctx).await
}

async fn history(stack: &str, ctx: &Context) -> Result<(), Failure> {
    let mut answer: Value = ctx.client()?.get(&format!("/api/v1/stacks/{}/rollouts", escape(stack))).await?;
    let rollouts = answer["rollouts"].take();
    if ctx.out.json {
        return ctx.out.document(&rollouts);
    }
    let found: Vec<Rollout> = api::read(rollouts)?;
    let now = ctx.clock.now();
    let rows = found.iter().map(|one| row(one, now)).collect();
    let header = ["ID", "WHEN", "STRATEGY", "BY", "OUTCOME", "WHY"];
    ctx.out.table(&header, rows, "The stack was not deployed yet: aegis deploy does it.")
}

fn row(one: &Rollout, now: Timestamp) -> Vec<Cell> {
    let colour = match one.outcome.as_str() {
        "succeeded" => Color::Green,
        "rolled_back" => Color::Red,
        _ => Color::Yellow,
    };
    let back = one.back_to.as_ref().map(|id| format!("back to {id}"));
    let why = one.reason.clone().or(back).unwrap_or_default();
    vec![
        Cell::new(show::plain(&one.id)),
        Cell::new(show::relative(one.at, now)),
        Cell::new(show::plain(&one.strategy)),
        Cell::new(show::plain(&one.actor)),
        Cell::new(show::plain(&one.outcome)).fg(colour),
        show::dim_cell(show::plain(&why)),
    ]
}
