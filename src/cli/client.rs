//! The daemon's API over its admin socket.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::http::request::Builder;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::failure::{Exit, Failure};
use crate::admin::{CONSOLE_PATH, CONSOLE_UPGRADE};
use crate::base::quantity::show_duration;
use crate::base::{Fault, limits};

/// Cheap; each request has a connection of its own.
#[derive(Debug, Clone)]
pub(super) struct Client {
    socket: PathBuf,
}

/// A body and its media type.
type Content = (&'static str, Bytes);

fn json(body: Value) -> Content {
    ("application/json", Bytes::from(body.to_string()))
}

/// An answer whose connection lives as long as it does.
#[derive(Debug)]
struct Answer {
    response: Response<Incoming>,
    connection: JoinSet<()>,
}

impl Client {
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(Method::GET, path, None, &[]).await
    }

    /// The body of the answer whatever its status: readiness says most when it is not ready.
    pub async fn get_any(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.request(Request::get(path).header(ACCEPT, "application/json"), None).await?;
        let status = answer.response.status();
        let body = answer.collect().await?;
        serde_json::from_slice(&body).map_err(|_| failure(status, &body))
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Failure> {
        self.json(Method::POST, path, Some(body), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.json(Method::DELETE, path, None, &[]).await
    }

    /// A request and its whole answer. An answer without a body counts as `null`.
    pub async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let mut builder = Request::builder().method(method).uri(path).header(ACCEPT, "application/json");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let answer = self.send(builder, body.map(json)).await?;
        let bytes = answer.collect().await?;
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map_err(|error| {
            Failure::new(format!("the daemon's answer to {path} cannot be understood: {error}")).hint(
                "are the command and the daemon of the same version? compare `aegis --version` and `aegis doctor`",
            )
        })
    }

    /// Sends a file's content; nothing is answered but that it arrived.
    pub async fn upload(&self, path: &str, content: Vec<u8>) -> Result<(), Failure> {
        let body = ("application/octet-stream", Bytes::from(content));
        self.send(Request::put(path).header(ACCEPT, "application/json"), Some(body)).await.map(drop)
    }

    /// An answer that comes line by line: NDJSON.
    pub async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        self.lines_of(Request::get(path), None).await
    }

    /// The same for a request that does something, and tells how far it is.
    pub async fn post_lines(&self, path: &str, body: Value) -> Result<Lines, Failure> {
        self.lines_of(Request::post(path), Some(body)).await
    }

    async fn lines_of(&self, builder: Builder, body: Option<Value>) -> Result<Lines, Failure> {
        let builder = builder.header(ACCEPT, "application/x-ndjson");
        let answer = self.send(builder, body.map(json)).await?;
        Ok(Lines { body: answer.response.into_body(), _connection: answer.connection, buffer: BytesMut::new() })
    }

    /// An answer of any size, as it comes.
    pub async fn download(&self, path: &str) -> Result<Download, Failure> {
        let answer = self.send(Request::get(path).header(ACCEPT, "*/*"), None).await?;
        let kind = answer.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_text = kind.starts_with("text/") || kind.starts_with("application/json");
        Ok(Download { body: answer.response.into_body(), is_text, _connection: answer.connection })
    }

    /// A console, and the task that keeps its connection.
    pub async fn console(&self) -> Result<(TokioIo<Upgraded>, JoinSet<()>), Failure> {
        let builder = Request::get(CONSOLE_PATH).header(CONNECTION, "upgrade").header(UPGRADE, CONSOLE_UPGRADE);
        let answer = self.send(builder, None).await?;
        if answer.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::new(format!("{} does not offer a console", self.socket.display())));
        }
        let upgraded = hyper::upgrade::on(answer.response).await.map_err(|error| self.broke(&error))?;
        Ok((TokioIo::new(upgraded), answer.connection))
    }

    /// A request whose answer is a success, or the failure that it told of.
    async fn send(&self, builder: Builder, body: Option<Content>) -> Result<Answer, Failure> {
        let answer = self.request(builder, body).await?;
        if answer.response.status().is_client_error() || answer.response.status().is_server_error() {
            return Err(answer.failure().await);
        }
        Ok(answer)
    }

    async fn request(&self, builder: Builder, body: Option<Content>) -> Result<Answer, Failure> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broke(&error))?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        let builder = builder.header(HOST, "localhost");
        let request = match body {
            Some((kind, content)) => builder.header(CONTENT_TYPE, kind).body(Full::new(content)),
            None => builder.body(Full::<Bytes>::default()),
        };
        let request = request.map_err(|error| Failure::usage(format!("this cannot be asked for: {error}")))?;
        let mut answer = std::pin::pin!(sender.send_request(request));
        let response = match tokio::time::timeout(limits::CLI_SILENT_MAX, &mut answer).await {
            Ok(response) => response,
            Err(_) => {
                let silent = show_duration(limits::CLI_SILENT_MAX);
                anstream::eprintln!("the daemon has not answered for {silent}; still waiting, Ctrl-C gives up");
                answer.await
            }
        };
        Ok(Answer { response: response.map_err(|error| self.broke(&error))?, connection: task })
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        let socket = self.socket.display();
        if error.kind() == ErrorKind::PermissionDenied {
            return Failure::new(format!("you may not open the daemon's socket {socket}"))
                .hint("run the command as the daemon's user, or as root")
                .exit(Exit::NotAuthorised);
        }
        Failure::new(format!("no daemon answers on {socket} ({error})"))
            .hint("start one with `aegis daemon`, or name its socket with --socket or AEGIS_SOCKET")
            .exit(Exit::Unreachable)
    }

    fn broke(&self, error: &hyper::Error) -> Failure {
        let socket = self.socket.display();
        Failure::new(format!("the connection to {socket} broke: {error}"))
            .hint("see whether the daemon is still running, and its log")
            .exit(Exit::Unreachable)
    }
}

impl Answer {
    async fn collect(self) -> Result<Bytes, Failure> {
        let body = Limited::new(self.response.into_body(), limits::CLI_ANSWER_BYTES_MAX);
        let collected = body.collect().await.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?;
        Ok(collected.to_bytes())
    }

    /// What the error envelope says, or the status when there is none.
    async fn failure(self) -> Failure {
        let status = self.response.status();
        let body = self.collect().await.unwrap_or_default();
        failure(status, &body)
    }
}

fn failure(status: StatusCode, body: &[u8]) -> Failure {
    let envelope = serde_json::from_slice::<Value>(body).ok();
    let fault = envelope.and_then(|mut body| serde_json::from_value::<Fault>(body["error"].take()).ok());
    let hint = fault.as_ref().and_then(|fault| command_for(&fault.code));
    let failure = fault.map_or_else(|| Failure::new(format!("the daemon answered {status}")), Failure::from);
    let failure = match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    match status {
        StatusCode::NOT_FOUND => failure.exit(Exit::NotFound),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => failure.exit(Exit::NotAuthorised),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => failure.exit(Exit::Usage),
        _ => failure,
    }
}

/// The API's hints name its own paths; here they name commands.
fn command_for(code: &str) -> Option<&'static str> {
    Some(match code {
        "job.not_found" => "`aegis jobs` lists the jobs, and says what is wrong with files",
        "run.not_found" => "`aegis runs` lists the runs",
        "artifact.not_found" => "`aegis artifacts RUN` lists them",
        "token.not_found" => "`aegis token list` lists the tokens",
        "volumes.not_found" => "`aegis volume list` lists the volumes",
        "volumes.snapshot.not_found" => "`aegis volume show NAME` lists its snapshots",
        "params.invalid" => "`aegis job NAME` shows the parameters; give them as --param name=value",
        _ => return None,
    })
}

/// The content of an answer, piece by piece.
#[derive(Debug)]
pub(super) struct Download {
    body: Incoming,
    is_text: bool,
    _connection: JoinSet<()>,
}

impl Download {
    /// Whether a terminal can show it.
    pub fn is_text(&self) -> bool {
        self.is_text
    }

    /// The next piece; None when all has come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(
                        Failure::new(format!("the answer broke off: {error}")).hint("the daemon's log says why")
                    );
                }
                None => return Ok(None),
            }
        }
    }
}

/// Lines of a streamed answer.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    _connection: JoinSet<()>,
    buffer: BytesMut,
}

impl Lines {
    /// The next line that is not empty, without its end; None at the end of the answer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.split_to(end + 1).freeze().slice(..end);
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.buffer.len() > limits::CLI_ANSWER_BYTES_MAX {
                return Err(Failure::new("the daemon sent a line that is too long"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(Failure::new(format!("the answer broke off: {error}"))),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some(self.buffer.split().freeze())),
            }
        }
    }
}

/// One segment of a path, or one value of a query, as URLs want it.
pub(super) fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// `path` with the pairs that have a value.
pub(super) fn with_query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_become_failures() {
        let body = br#"{"error":{"code":"job.not_found","message":"there is no job \"x\"","details":null,"hint":"GET /api/v1/jobs"}}"#;
        let told = failure(StatusCode::NOT_FOUND, body);
        assert_eq!((told.code(), told.message()), (5, "there is no job \"x\""));
        assert!(told.hint_text().is_some_and(|hint| hint.contains("aegis jobs")), "the hint names a command");
        let untold = failure(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!((untold.code(), untold.message()), (1, "the daemon answered 502 Bad Gateway"));
    }

    #[tokio::test]
    async fn a_missing_daemon_is_named_with_the_way_to_start_it() {
        let client = Client::new("/nowhere/aegis.sock".into());
        let failure = client.get::<Value>("/api/v1/jobs").await.expect_err("nobody listens");
        assert_eq!(failure.code(), 6);
        assert!(failure.message().contains("/nowhere/aegis.sock"));
        assert!(failure.hint_text().is_some_and(|hint| hint.contains("aegis daemon")));
    }

    #[test]
    fn queries_leave_out_what_is_not_asked() {
        let pairs = [("job", Some("a b&c".to_owned())), ("state", None)];
        assert_eq!(with_query("/api/v1/runs", &pairs), "/api/v1/runs?job=a+b%26c");
        assert_eq!(escape("a/b c"), "a%2Fb%20c");
    }
}
