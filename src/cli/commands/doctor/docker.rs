//! Whether the Docker Engine answers, and which it is.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Finding;
use crate::base::limits;

/// Docker 20.10, the oldest that is tested.
const API_VERSION_MIN: (u32, u32) = (1, 41);
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(host: &str) -> Finding {
    match tokio::time::timeout(PATIENCE, ask(host)).await {
        Ok(Ok(version)) => judge(&version),
        Ok(Err(error)) => explain(host, &error),
        Err(_) => Finding::problem(
            "docker",
            format!("{host} does not answer within {PATIENCE:?}"),
            "is dockerd busy or stopped?",
        ),
    }
}

async fn ask(host: &str) -> std::io::Result<Value> {
    match host.strip_prefix("unix://") {
        Some(path) => version(UnixStream::connect(path).await?).await,
        None => {
            let address = host.split_once("://").map_or(host, |(_, address)| address);
            version(TcpStream::connect(address.trim_end_matches('/')).await?).await
        }
    }
}

async fn version(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> std::io::Result<Value> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let mut task = tokio::task::JoinSet::new();
    task.spawn(connection);
    let request = Request::get("/version").header("host", "docker").body(Empty::<Bytes>::new());
    let response = sender.send_request(request.map_err(std::io::Error::other)?).await.map_err(std::io::Error::other)?;
    let body = Limited::new(response.into_body(), limits::CONFIG_FILE_BYTES_MAX as usize).collect().await;
    serde_json::from_slice(&body.map_err(std::io::Error::other)?.to_bytes()).map_err(std::io::Error::other)
}

fn judge(version: &Value) -> Finding {
    let text = |key: &str| version[key].as_str().unwrap_or("?").to_owned();
    let found = format!("Docker {}, API {}", text("Version"), text("ApiVersion"));
    let api = text("ApiVersion");
    let number = api.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match number {
        Some(number) if number >= API_VERSION_MIN => Finding::ok("docker", found),
        Some(_) => {
            Finding::warning("docker", found, "Aegis is tested with Docker 20.10 (API 1.41) and later: upgrade it")
        }
        None => Finding::warning(
            "docker",
            format!("something answers, but not as Docker does: {found}"),
            "check docker.host",
        ),
    }
}

fn explain(host: &str, error: &std::io::Error) -> Finding {
    let fix = match error.kind() {
        ErrorKind::PermissionDenied => {
            "let this user in: `sudo usermod -aG docker $USER`, then log in again (the group docker is as good as root)"
        }
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            "start Docker (`systemctl start docker`), or set docker.host; jobs that do not use Docker work without it"
        }
        _ => "check docker.host",
    };
    Finding::problem("docker", format!("{host} cannot be used: {error}"), fix)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn versions_are_judged_by_number() {
        let verdict = |api: &str| judge(&json!({ "Version": "x", "ApiVersion": api })).verdict;
        assert_eq!([verdict("1.41"), verdict("1.9"), verdict("2.0")], [Verdict::Ok, Verdict::Warning, Verdict::Ok]);
        assert_eq!(judge(&json!({})).verdict, Verdict::Warning);
    }

    #[tokio::test]
    async fn a_missing_engine_is_a_problem_with_a_fix() {
        let finding = check("unix:///nowhere/docker.sock").await;
        assert!(finding.verdict == Verdict::Problem && finding.fix.is_some_and(|fix| fix.contains("start Docker")));
    }
}
