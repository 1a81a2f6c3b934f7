//! One console session as the client sees it: questions out, answers in.

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::admin::protocol::{self, ClientMessage, ServerMessage, Shown};
use crate::base::{Fault, limits};
use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{api, show};

#[derive(Debug)]
pub(in crate::cli) struct Session {
    wire: Framed<TokioIo<Upgraded>, LengthDelimitedCodec>,
    _connection: JoinSet<()>,
    last_id: u64,
    pub version: String,
    pub actor: String,
}

/// How a line ended.
#[derive(Debug)]
pub(super) enum Evaluated {
    Values(Vec<Shown>),
    Incomplete,
    Failed(Fault),
}

impl Session {
    pub async fn open(client: &Client) -> Result<Self, Failure> {
        let (io, connection) = client.console().await?;
        let wire = Framed::new(io, protocol::codec());
        let mut session =
            Self { wire, _connection: connection, last_id: 0, version: String::new(), actor: String::new() };
        match session.receive().await? {
            ServerMessage::Hello { protocol: protocol::VERSION, version, actor } => {
                (session.version, session.actor) = (version, actor);
                Ok(session)
            }
            ServerMessage::Hello { protocol, version, .. } => Err(Failure::new(format!(
                "the daemon ({version}) speaks version {protocol} of the console's protocol, this command {}",
                protocol::VERSION
            ))
            .hint("restart the daemon after an upgrade")),
            ServerMessage::Error { fault, .. } => Err(fault.into()),
            other => Err(Failure::new(format!("the daemon opened the console with {other:?}"))),
        }
    }

    /// Evaluates `code`; its log goes to standard error. Ctrl-C cancels the line, a second one gives up on it.
    pub(super) async fn eval(&mut self, code: &str) -> Result<Evaluated, Failure> {
        let id = self.ask(|id| ClientMessage::Eval { id, code: code.to_owned() }).await?;
        let mut cancelled = false;
        loop {
            let message = tokio::select! {
                message = self.receive() => message?,
                _ = tokio::signal::ctrl_c() => {
                    if cancelled {
                        return Err(Failure::silent(Exit::Interrupted));
                    }
                    cancelled = true;
                    self.send(&ClientMessage::Cancel {}).await?;
                    continue;
                }
            };
            match message {
                ServerMessage::Log { id: of, line } if of == id => {
                    let line = api::LogLine { at: line.at, level: line.level, text: line.text, fields: line.fields };
                    show::note(show::log_line(&line));
                }
                ServerMessage::Value { id: of, values } if of == id => return Ok(Evaluated::Values(values)),
                ServerMessage::Incomplete { id: of } if of == id => return Ok(Evaluated::Incomplete),
                ServerMessage::Error { id: Some(of), fault } if of == id => return Ok(Evaluated::Failed(fault)),
                ServerMessage::Error { id: None, fault } => return Err(fault.into()),
                _ => {}
            }
        }
    }

    /// How many bytes before the cursor to replace, and by which words.
    pub async fn complete(&mut self, prefix: &str) -> Result<(usize, Vec<String>), Failure> {
        let id = self.ask(|id| ClientMessage::Complete { id, prefix: prefix.to_owned() }).await?;
        loop {
            match self.receive().await? {
                ServerMessage::Completions { id: of, replace, words } if of == id => return Ok((replace, words)),
                ServerMessage::Error { id: None, fault } => return Err(fault.into()),
                _ => {}
            }
        }
    }

    /// The answer of `.reload`, `.doc` and their kin.
    pub async fn command(&mut self, name: &str, args: &[String]) -> Result<String, Failure> {
        let (name, args) = (name.to_owned(), args.to_vec());
        let id = self.ask(move |id| ClientMessage::Command { id, name, args }).await?;
        loop {
            match self.receive().await? {
                ServerMessage::Output { id: of, text } if of == id => return Ok(text),
                ServerMessage::Error { id: Some(of), fault } if of == id => return Err(fault.into()),
                ServerMessage::Error { id: None, fault } => return Err(fault.into()),
                _ => {}
            }
        }
    }

    async fn ask(&mut self, message: impl FnOnce(u64) -> ClientMessage) -> Result<u64, Failure> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&message(id)).await?;
        Ok(id)
    }

    async fn send(&mut self, message: &ClientMessage) -> Result<(), Failure> {
        let frame = message
            .encode()
            .ok_or_else(|| Failure::new(format!("the input is larger than {} bytes", limits::ADMIN_FRAME_BYTES_MAX)))?;
        self.wire.send(frame).await.map_err(|error| lost(&error.to_string()))
    }

    async fn receive(&mut self) -> Result<ServerMessage, Failure> {
        match self.wire.next().await {
            Some(Ok(frame)) => serde_json::from_slice(&frame)
                .map_err(|error| Failure::new(format!("the daemon's answer cannot be understood: {error}"))),
            Some(Err(error)) => Err(lost(&error.to_string())),
            None => Err(lost("the daemon closed it")),
        }
    }
}

fn lost(why: &str) -> Failure {
    Failure::new(format!("the console was lost: {why}"))
        .hint("see whether the daemon is still running, and its log")
        .exit(Exit::Unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::{local, start};
    use crate::base::Clock;

    #[tokio::test]
    async fn a_session_speaks_with_the_socket() {
        local(async {
            let running = start(Clock::system()).await;
            let client = Client::new(running.options.socket.clone());
            let mut session = Session::open(&client).await.expect("it opens");
            assert!(session.actor.starts_with("uid:"), "{}", session.actor);
            let Ok(Evaluated::Values(values)) = session.eval("6").await else { panic!("a value") };
            assert_eq!(values[0].lua, "6");
            assert_eq!(session.complete("aegis.do").await, Ok((8, vec!["aegis.docker".to_owned()])));
            assert_eq!(session.command("doc", &["x".to_owned()]).await, Ok("doc [\"x\"]".to_owned()));
            let too_large = session.eval(&" ".repeat(limits::ADMIN_FRAME_BYTES_MAX)).await;
            assert!(too_large.is_err_and(|failure| failure.message().contains("larger than")));
        })
        .await;
    }

    #[tokio::test]
    async fn a_daemon_that_goes_away_is_said() {
        local(async {
            let running = start(Clock::system()).await;
            let client = Client::new(running.options.socket.clone());
            let mut session = Session::open(&client).await.expect("it opens");
            running.stop.cancel();
            let ended = session.eval("wait").await.expect_err("the daemon is gone");
            assert!(ended.message().contains("shutting down") || ended.code() == 6, "{ended:?}");
        })
        .await;
    }
}
