//! A real socket, a tiny API and consoles that need no Lua.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use super::protocol::{self, ClientMessage, ServerMessage};
use super::*;
use crate::base::{Clock, Fault, RunId, Timestamp, limits};
use crate::lua::EvalOutcome;
use crate::model::Identity;
use crate::runner::ConsoleLine;

#[derive(Debug)]
struct Echo;

#[derive(Default)]
struct EchoConsole {
    waiting: tokio::task::JoinSet<()>,
}

impl Consoles for Echo {
    fn open(&self, _: &Identity) -> BoxFuture<'_, Result<Box<dyn Console>, Fault>> {
        Box::pin(async { Ok(Box::new(EchoConsole::default()) as Box<dyn Console>) })
    }
    fn command(&self, name: String, args: Vec<String>) -> BoxFuture<'_, Result<String, Fault>> {
        Box::pin(async move { Ok(format!("{name} {args:?}")) })
    }
    fn job_names(&self) -> Vec<String> {
        vec!["health".into(), "hello".into()]
    }
}

impl Console for EchoConsole {
    /// `wait` waits to be cancelled, `lost` ends without a result, anything else is its own value.
    fn eval(&mut self, code: String, cancel: CancellationToken) -> BoxFuture<'_, mpsc::Receiver<ConsoleLine>> {
        Box::pin(async move {
            let (send, receive) = mpsc::channel(4);
            send.send(ConsoleLine::Started(RunId::generate())).await.expect("there is room");
            let outcome = match code.as_str() {
                "lost" => return receive,
                "wait" => EvalOutcome::Failed(Fault::new("run.cancelled", "cancelled")),
                _ => EvalOutcome::Values(vec![(code.clone(), code.clone().into())]),
            };
            if code == "wait" {
                self.waiting.spawn(async move {
                    cancel.cancelled().await;
                    let _ = send.send(ConsoleLine::Done(outcome)).await;
                });
            } else {
                send.send(ConsoleLine::Done(outcome)).await.expect("there is room");
            }
            receive
        })
    }

    fn complete(&mut self, prefix: String) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move { vec![format!("{prefix}cker")] })
    }
}

/// A server, and the way to stop it.
pub(crate) struct Running {
    _dir: tempfile::TempDir,
    pub options: Options,
    pub stop: CancellationToken,
    task: JoinHandle<Result<(), Infallible>>,
}

pub(crate) async fn start(clock: Clock) -> Running {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options { socket: dir.path().join("aegis.sock") };
    let server = Server::bind(&options).await.expect("it binds");
    let api = tower::service_fn(|request: Request<Incoming>| async move {
        let identity = request.extensions().get::<Identity>().cloned().expect("the identity is there");
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("{} {}", identity.actor, identity.role))))
    });
    let stop = CancellationToken::new();
    let task = tokio::task::spawn_local(server.run(api, Arc::new(Echo), clock, stop.clone()));
    Running { _dir: dir, options, stop, task }
}

async fn request(running: &Running, request: Request<Empty<Bytes>>) -> Response<Incoming> {
    let stream = UnixStream::connect(&running.options.socket).await.expect("the daemon listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::task::spawn_local(connection.with_upgrades());
    sender.send_request(request).await.expect("an answer")
}

fn get(path: &str, upgrade: Option<&str>) -> Request<Empty<Bytes>> {
    let builder = Request::get(path).header("host", "localhost");
    let builder = match upgrade {
        Some(protocol) => builder.header("connection", "upgrade").header("upgrade", protocol),
        None => builder,
    };
    builder.body(Empty::new()).expect("a request")
}

type Wire = Framed<TokioIo<hyper::upgrade::Upgraded>, tokio_util::codec::LengthDelimitedCodec>;

async fn console(running: &Running) -> Wire {
    let response = request(running, get(CONSOLE_PATH, Some(CONSOLE_UPGRADE))).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let io = TokioIo::new(hyper::upgrade::on(response).await.expect("the upgrade"));
    let mut wire = Framed::new(io, protocol::codec());
    assert!(matches!(receive(&mut wire).await, ServerMessage::Hello { protocol: protocol::VERSION, .. }));
    wire
}

async fn send(wire: &mut Wire, message: ClientMessage) {
    wire.send(message.encode().expect("it fits")).await.expect("the session lives");
}

async fn receive(wire: &mut Wire) -> ServerMessage {
    let frame = wire.next().await.expect("a frame").expect("whole");
    serde_json::from_slice(&frame).expect("a message")
}

/// Runs `test` where tasks need not be `Send` and are dropped with it.
pub(crate) async fn local(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn the_api_learns_who_the_peer_is() {
    local(async {
        let running = start(Clock::system()).await;
        let response = request(&running, get("/api/v1/jobs", None)).await;
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let uid = rustix::process::geteuid().as_raw();
        let text = String::from_utf8_lossy(&body);
        assert!(text.starts_with(&format!("uid:{uid}")) && text.ends_with(" admin"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_console_needs_the_right_upgrade() {
    local(async {
        let running = start(Clock::system()).await;
        for wrong in [None, Some("websocket")] {
            let response = request(&running, get(CONSOLE_PATH, wrong)).await;
            assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        }
    })
    .await;
}

#[tokio::test]
async fn lines_are_evaluated_cancelled_and_lost_without_ending_the_session() {
    local(async {
        let running = start(Clock::system()).await;
        let mut wire = console(&running).await;
        send(&mut wire, ClientMessage::Eval { id: 1, code: "wait".into() }).await;
        assert!(matches!(receive(&mut wire).await, ServerMessage::Started { id: 1, .. }));
        send(&mut wire, ClientMessage::Eval { id: 2, code: "x".into() }).await;
        assert!(matches!(receive(&mut wire).await, ServerMessage::Error { id: Some(2), fault } if fault.code == "console.busy"));
        send(&mut wire, ClientMessage::Cancel {}).await;
        assert!(matches!(receive(&mut wire).await, ServerMessage::Error { id: Some(1), fault } if fault.code == "run.cancelled"));

        send(&mut wire, ClientMessage::Eval { id: 3, code: "lost".into() }).await;
        assert!(matches!(receive(&mut wire).await, ServerMessage::Started { id: 3, .. }));
        assert!(matches!(receive(&mut wire).await, ServerMessage::Error { id: Some(3), fault } if fault.code == "console.lost"));

        wire.send(Bytes::from_static(b"gibberish")).await.expect("the session lives");
        assert!(matches!(receive(&mut wire).await, ServerMessage::Error { id: None, fault } if fault.code == "console.message"));

        send(&mut wire, ClientMessage::Eval { id: 4, code: "6".into() }).await;
        assert!(matches!(receive(&mut wire).await, ServerMessage::Started { id: 4, .. }));
        let ServerMessage::Value { id: 4, values } = receive(&mut wire).await else { panic!("a value") };
        assert_eq!(values[0].lua, "6");
    })
    .await;
}

#[tokio::test]
async fn words_are_completed_and_commands_answered() {
    local(async {
        let running = start(Clock::system()).await;
        let mut wire = console(&running).await;
        let cases = [("x = aegis.do", 8, vec!["aegis.docker"]), ("run(\"hel", 3, vec!["hello"])];
        for (prefix, replace, words) in cases {
            send(&mut wire, ClientMessage::Complete { id: 1, prefix: prefix.into() }).await;
            let words = words.into_iter().map(str::to_owned).collect();
            assert_eq!(receive(&mut wire).await, ServerMessage::Completions { id: 1, replace, words });
        }
        send(&mut wire, ClientMessage::Command { id: 2, name: "doc".into(), args: vec!["aegis.kv".into()] }).await;
        assert_eq!(receive(&mut wire).await, ServerMessage::Output { id: 2, text: "doc [\"aegis.kv\"]".into() });
    })
    .await;
}

#[tokio::test]
async fn an_oversized_frame_ends_the_session_with_a_word() {
    local(async {
        let running = start(Clock::system()).await;
        let mut io = console(&running).await.into_inner();
        let length = u32::try_from(limits::ADMIN_FRAME_BYTES_MAX + 1).expect("it fits").to_be_bytes();
        tokio::io::AsyncWriteExt::write_all(&mut io, &length).await.expect("the session lives");
        let mut wire = Framed::new(io, protocol::codec());
        assert!(matches!(receive(&mut wire).await, ServerMessage::Error { id: None, fault } if fault.code == "console.frame"));
        assert!(wire.next().await.is_none(), "then it is closed");
    })
    .await;
}

#[tokio::test]
async fn sessions_are_limited_and_idle_ones_closed() {
    local(async {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let running = start(clock).await;
        let mut open = Vec::new();
        for _ in 0..limits::ADMIN_SESSIONS_MAX {
            open.push(console(&running).await);
        }
        let response = request(&running, get(CONSOLE_PATH, Some(CONSOLE_UPGRADE))).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        hand.advance(limits::CONSOLE_IDLE_MAX);
        for wire in &mut open {
            assert!(matches!(receive(wire).await, ServerMessage::Error { id: None, fault } if fault.code == "console.closed"));
            assert!(wire.next().await.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn stopping_tells_the_consoles_and_removes_the_socket() {
    local(async {
        let running = start(Clock::system()).await;
        let mut wire = console(&running).await;
        running.stop.cancel();
        assert!(matches!(receive(&mut wire).await, ServerMessage::Error { id: None, fault } if fault.code == "console.closed"));
        let ended = tokio::time::timeout(Duration::from_secs(10), running.task).await;
        assert!(matches!(ended, Ok(Ok(Ok(())))));
        assert!(!running.options.socket.exists());
    })
    .await;
}
