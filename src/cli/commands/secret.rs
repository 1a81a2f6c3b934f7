//! `aegis secret init | set | list | remove`: the sources of secrets, without a daemon. A running one notices.

use std::io::Read;

use comfy_table::{Cell, Color};
use serde_json::json;

use crate::app;
use crate::base::{Masker, SecretString, limits};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{show, terminal};
use crate::primitives::Primitives;
use crate::primitives::secrets::{AgeStore, Listed, SecretError};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the identity that the store is encrypted for, unless it is there
    Init,
    /// Set a secret in the store; its value is asked for, or read from standard input
    Set {
        /// Letters, digits, '_', '-' and '.'
        name: String,
    },
    /// List the names of all secrets with their source, never a value
    List,
    /// Remove a secret from the store
    Remove {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

pub(super) async fn run(command: Command, ctx: &Context) -> Result<(), Failure> {
    match command {
        Command::Init => {
            let store = store(ctx)?;
            let made = store.init().map_err(failure)?;
            let what = if made.is_new { "A new identity is in" } else { "There is an identity already in" };
            ctx.out
                .note(format_args!("{what} {}. Keep a copy of it apart from the store.", store.identity().display()));
            match ctx.out.json {
                true => ctx.out.document(&json!({ "recipient": made.recipient, "new": made.is_new })),
                false => ctx.out.line(made.recipient),
            }
        }
        Command::Set { name } => {
            let store = store(ctx)?;
            let value = value(&name)?;
            let is_new = store.set(&name, &value, &ctx.clock).map_err(failure)?;
            ctx.out.note(format_args!("The secret {name} is {}.", if is_new { "set" } else { "replaced" }));
            Ok(())
        }
        Command::List => list(ctx).await,
        Command::Remove { name, yes } => {
            let store = store(ctx)?;
            terminal::confirm(&format!("Remove the secret {name:?} from the store"), yes)?;
            if !store.remove(&name).map_err(failure)? {
                let message = format!("there is no secret {name:?} in the store");
                return Err(Failure::new(message).exit(Exit::NotFound).hint("aegis secret list shows where it is"));
            }
            ctx.out.note(format_args!("The secret {name} is removed."));
            Ok(())
        }
    }
}

fn failure(error: SecretError) -> Failure {
    crate::base::Fault::from(error).into()
}

fn store(ctx: &Context) -> Result<AgeStore, Failure> {
    let loaded = ctx.config(&[])?;
    let secrets = loaded.config.secrets;
    let identity = secrets.age_identity.ok_or_else(|| {
        let file = loaded.file.map_or_else(|| "a configuration file".to_owned(), |file| file.display().to_string());
        let beside = secrets.store.with_file_name("identity.age");
        failure(SecretError::NoStore).hint(format!(
            "add to {file}, under secrets:\n  age_identity: {}\nthen run: aegis secret init",
            beside.display()
        ))
    })?;
    Ok(AgeStore::new(secrets.store, identity))
}

/// From the terminal without an echo, or all of standard input but the end of its last line.
fn value(name: &str) -> Result<SecretString, Failure> {
    if terminal::stdin_is_terminal() {
        return terminal::ask_secretly(&format!("Value of {name}: "));
    }
    let mut text = String::new();
    let most = limits::SECRET_VALUE_BYTES_MAX as u64 + 2;
    std::io::stdin().lock().take(most).read_to_string(&mut text)?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.map_or_else(|| text.clone(), str::to_owned).into())
}

async fn list(ctx: &Context) -> Result<(), Failure> {
    let config = ctx.config(&[])?.config;
    let options = crate::primitives::Options {
        secrets: app::secrets(&config),
        ca_file: config.outgoing.ca_file.clone(),
        clock: ctx.clock.clone(),
        masker: Masker::default(),
        ..crate::primitives::Options::default()
    };
    let vault = Primitives::new(options).map_err(Failure::from)?.secrets;
    vault.refresh().await;
    for problem in vault.problems() {
        let fault = crate::base::Fault::from(problem);
        ctx.out.note(format_args!("warning: {fault}"));
    }
    let listed = vault.list();
    if ctx.out.json {
        let rows: Vec<_> = listed
            .iter()
            .map(|entry| {
                json!({
                    "name": entry.name,
                    "source": entry.source.as_str(),
                    "set_at": entry.at,
                    "hidden_by": entry.hidden_by.map(|kind| kind.as_str()),
                })
            })
            .collect();
        return ctx.out.document(&rows);
    }
    let rows = listed.iter().map(|entry| row(entry, ctx)).collect();
    let empty = "There are no secrets. `aegis secret set NAME` sets one in the store.";
    ctx.out.table(&["NAME", "SOURCE", "SET", ""], rows, empty)
}

fn row(entry: &Listed, ctx: &Context) -> Vec<Cell> {
    let set = entry.at.map_or_else(String::new, |at| show::relative(at, ctx.clock.now()));
    let hidden = match entry.hidden_by {
        Some(kind) => Cell::new(format!("not used: the {} has it", kind.as_str())).fg(Color::Yellow),
        None => Cell::new(""),
    };
    vec![Cell::new(&entry.name), Cell::new(entry.source.as_str()), Cell::new(set), hidden]
}
