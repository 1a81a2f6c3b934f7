//! Consoles on the running daemon.

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::console::{Console, Consoles};
use crate::base::Fault;
use crate::jobs::{self, Registry, Severity, Snapshot};
use crate::lua;
use crate::model::{Grants, Identity};
use crate::runner::{ConsoleLine, ConsoleSession, Handle};

/// Consoles with every right, since their peers could do as much to the daemon by other means.
#[derive(Debug, Clone)]
pub struct LiveConsoles {
    pub runner: Handle,
    pub registry: Registry,
    pub loader: jobs::Handle,
}

impl Consoles for LiveConsoles {
    fn open(&self, by: &Identity) -> BoxFuture<'_, Result<Box<dyn Console>, Fault>> {
        let actor = by.actor.clone();
        Box::pin(async move {
            let session = self.runner.console(actor, Grants::all()).await?;
            Ok(Box::new(session) as Box<dyn Console>)
        })
    }

    fn command(&self, name: String, args: Vec<String>) -> BoxFuture<'_, Result<String, Fault>> {
        Box::pin(async move {
            match name.as_str() {
                "reload" => match self.loader.reload().await {
                    Ok(snapshot) => Ok(reloaded(&snapshot)),
                    Err(stopped) => Err(Fault::new("jobs.unavailable", stopped.to_string())),
                },
                "doc" => {
                    let name = args.first().map_or("aegis", String::as_str);
                    lua::doc(name).ok_or_else(|| {
                        Fault::new("console.doc", format!("nothing is known of {name:?}"))
                            .hint("write a full name such as aegis.kv.get; .doc alone lists the modules")
                    })
                }
                "grants" => Ok(grants(&Grants::all())),
                _ => Err(Fault::new("console.command", format!("there is no command .{name}")).hint("see .help")),
            }
        })
    }

    fn job_names(&self) -> Vec<String> {
        self.registry.snapshot().jobs.keys().map(ToString::to_string).collect()
    }
}

/// How many jobs are live, and what is wrong with files.
fn reloaded(snapshot: &Snapshot) -> String {
    let mut text = format!("{} jobs are live.", snapshot.jobs.len());
    for diagnostic in &snapshot.diagnostics {
        let fault = &diagnostic.fault;
        let place = fault.at.as_ref().map_or_else(|| diagnostic.file.clone(), |at| format!("{}:{}", at.file, at.line));
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        text.push_str(&format!("\n{place}: {severity}: {fault}"));
    }
    text
}

/// One line for each permission.
fn grants(grants: &Grants) -> String {
    let listed = serde_json::to_value(grants).unwrap_or_default();
    let lines = listed.as_object().into_iter().flatten().map(|(name, granted)| format!("{name:<8} {granted}"));
    lines.collect::<Vec<_>>().join("\n")
}

impl Console for ConsoleSession {
    fn eval(&mut self, code: String, cancel: CancellationToken) -> BoxFuture<'_, mpsc::Receiver<ConsoleLine>> {
        Box::pin(Self::eval(self, code, cancel))
    }

    fn complete(&mut self, prefix: String) -> BoxFuture<'_, Vec<String>> {
        Box::pin(Self::complete(self, prefix))
    }
}
