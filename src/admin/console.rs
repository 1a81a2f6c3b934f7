//! One console session: messages in, messages out, one line at a time.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::protocol::{self, ClientMessage, ServerMessage, Shown};
use crate::base::{Clock, Fault, limits};
use crate::lua::EvalOutcome;
use crate::model::Identity;
use crate::runner::ConsoleLine;

/// Makes consoles, and answers what does not need one.
pub trait Consoles: Debug + Send + Sync {
    fn open(&self, by: &Identity) -> BoxFuture<'_, Result<Box<dyn Console>, Fault>>;
    /// `.reload`, `.doc NAME`, `.grants`; the answer is text for people.
    fn command(&self, name: String, args: Vec<String>) -> BoxFuture<'_, Result<String, Fault>>;
    /// Names to offer within quotes: the live jobs.
    fn job_names(&self) -> Vec<String>;
}

/// A VM that keeps its locals between lines.
pub trait Console: Send {
    /// The messages end with `Done`. Cancelling the token ends the line, not the session.
    fn eval(&mut self, code: String, cancel: CancellationToken) -> BoxFuture<'_, mpsc::Receiver<ConsoleLine>>;
    /// Names that could complete `prefix`, such as `aegis.do`.
    fn complete(&mut self, prefix: String) -> BoxFuture<'_, Vec<String>>;
}

/// A line that is being evaluated.
struct Line {
    id: u64,
    cancel: CancellationToken,
    messages: mpsc::Receiver<ConsoleLine>,
}

struct Session<Io> {
    wire: Framed<Io, LengthDelimitedCodec>,
    identity: Identity,
    consoles: Arc<dyn Consoles>,
    console: Box<dyn Console>,
    line: Option<Line>,
}

/// Serves one console until the client leaves, has been idle for `CONSOLE_IDLE_MAX`, or `stop` is cancelled.
pub(super) async fn session<Io: AsyncRead + AsyncWrite + Unpin>(
    io: Io,
    identity: Identity,
    consoles: Arc<dyn Consoles>,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut wire = Framed::new(io, protocol::codec());
    let console = match consoles.open(&identity).await {
        Ok(console) => console,
        Err(fault) => {
            let _ = wire.send(ServerMessage::Error { id: None, fault }.encode()).await;
            return;
        }
    };
    info!(actor = %identity.actor, "console opened");
    let actor = identity.actor.clone();
    let mut session = Session { wire, identity, consoles, console, line: None };
    if let Err(error) = session.run(&clock, &stop).await {
        debug!(%actor, %error, "console broke");
    }
    if let Some(line) = session.line {
        line.cancel.cancel();
    }
    info!(%actor, "console closed");
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Session<Io> {
    async fn run(&mut self, clock: &Clock, stop: &CancellationToken) -> std::io::Result<()> {
        let actor = self.identity.actor.to_string();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.send(ServerMessage::Hello { protocol: protocol::VERSION, version, actor }).await?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.leave("the daemon is shutting down").await,
                () = clock.sleep(limits::CONSOLE_IDLE_MAX), if self.line.is_none() => {
                    return self.leave("the session was idle for too long").await;
                }
                frame = self.wire.next() => match frame {
                    None => return Ok(()),
                    Some(Ok(frame)) => match serde_json::from_slice(&frame) {
                        Ok(message) => self.receive(message).await?,
                        Err(error) => self.complain(None, "console.message", format!("not a message: {error}")).await?,
                    },
                    Some(Err(error)) => {
                        let limit = limits::ADMIN_FRAME_BYTES_MAX;
                        let text = format!("a frame has at most {limit} bytes ({error})");
                        return self.complain(None, "console.frame", text).await;
                    }
                },
                message = next(&mut self.line) => self.relay(message).await?,
            }
        }
    }

    async fn receive(&mut self, message: ClientMessage) -> std::io::Result<()> {
        match message {
            ClientMessage::Eval { id, .. } if self.line.is_some() => {
                self.complain(Some(id), "console.busy", "a line is still running; cancel it first".into()).await
            }
            ClientMessage::Eval { id, code } => {
                let cancel = CancellationToken::new();
                let messages = self.console.eval(code, cancel.clone()).await;
                self.line = Some(Line { id, cancel, messages });
                Ok(())
            }
            ClientMessage::Cancel {} => {
                if let Some(line) = &self.line {
                    line.cancel.cancel();
                }
                Ok(())
            }
            ClientMessage::Complete { id, prefix } => {
                let (replace, words) = self.complete(&prefix).await;
                self.send(ServerMessage::Completions { id, replace, words }).await
            }
            ClientMessage::Command { id, name, args } => {
                let answer = match self.consoles.command(name, args).await {
                    Ok(text) => ServerMessage::Output { id, text },
                    Err(fault) => ServerMessage::Error { id: Some(id), fault },
                };
                self.send(answer).await
            }
        }
    }

    /// How many bytes before the cursor to replace, and by which words.
    async fn complete(&mut self, prefix: &str) -> (usize, Vec<String>) {
        if let Some(start) = open_quote(prefix) {
            let begun = &prefix[start..];
            let words = self.consoles.job_names().into_iter().filter(|name| name.starts_with(begun)).collect();
            return (begun.len(), words);
        }
        // The VM is busy with the line.
        if self.line.is_some() {
            return (0, Vec::new());
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
        let word = &prefix[prefix.trim_end_matches(is_part).len()..];
        (word.len(), self.console.complete(word.to_owned()).await)
    }

    async fn relay(&mut self, message: Option<ConsoleLine>) -> std::io::Result<()> {
        let Some(id) = self.line.as_ref().map(|line| line.id) else { return Ok(()) };
        let answer = match message {
            Some(ConsoleLine::Started(run)) => ServerMessage::Started { id, run },
            Some(ConsoleLine::Log(line)) => ServerMessage::Log { id, line },
            Some(ConsoleLine::Done(outcome)) => {
                self.line = None;
                finished(id, outcome)
            }
            None => {
                self.line = None;
                let fault = Fault::new("console.lost", "the line ended without a result").hint("see .runs for its run");
                ServerMessage::Error { id: Some(id), fault }
            }
        };
        self.send(answer).await
    }

    async fn leave(&mut self, why: &str) -> std::io::Result<()> {
        self.complain(None, "console.closed", why.to_owned()).await
    }

    async fn complain(&mut self, id: Option<u64>, code: &'static str, message: String) -> std::io::Result<()> {
        self.send(ServerMessage::Error { id, fault: Fault::new(code, message) }).await
    }

    async fn send(&mut self, message: ServerMessage) -> std::io::Result<()> {
        self.wire.send(message.encode()).await
    }
}

/// The next message of the line that runs; pending while none does.
async fn next(line: &mut Option<Line>) -> Option<ConsoleLine> {
    match line {
        Some(line) => line.messages.recv().await,
        None => std::future::pending().await,
    }
}

fn finished(id: u64, outcome: EvalOutcome) -> ServerMessage {
    match outcome {
        EvalOutcome::Values(values) => {
            let values = values.into_iter().map(|(lua, json)| Shown { lua, json }).collect();
            ServerMessage::Value { id, values }
        }
        EvalOutcome::Incomplete => ServerMessage::Incomplete { id },
        EvalOutcome::Failed(fault) => ServerMessage::Error { id: Some(id), fault },
    }
}

/// Where the text within a quote that is still open begins, if `prefix` ends within one.
fn open_quote(prefix: &str) -> Option<usize> {
    let mut open = None;
    let mut escaped = false;
    for (at, c) in prefix.char_indices() {
        match (open, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some((quote, _)), _) if c == quote => open = None,
            (None, '"' | '\'' | '`') => open = Some((c, at + 1)),
            _ => {}
        }
    }
    open.map(|(_, start)| start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_quotes_are_found() {
        assert_eq!(open_quote("aegis.jobs.trigger(\"he"), Some(20));
        assert_eq!(open_quote("f('a\\'b"), Some(3));
        for closed in ["aegis.do", "f(\"x\")", "\"it's\""] {
            assert_eq!(open_quote(closed), None, "{closed}");
        }
    }
}
