//! The one way every call goes: connect, run within a deadline, put failures into our terms.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::Value;

use super::client;
use super::engine::Docker;
use super::error::{Cause, DockerError};
use crate::base::limits;

type Bollard = bollard::Docker;
type BollardResult<T> = Result<T, bollard::errors::Error>;

impl Docker {
    /// A call of bollard within the usual deadline. `action` reads on from an error message: `stopping "web"`.
    pub(super) async fn call<T, F>(&self, action: &str, work: impl FnOnce(Bollard) -> F) -> Result<T, DockerError>
    where
        F: Future<Output = BollardResult<T>>,
    {
        self.call_within(limits::DOCKER_CALL_TIMEOUT, action, work).await
    }

    pub(super) async fn call_within<T, F>(
        &self,
        deadline: Duration,
        action: &str,
        work: impl FnOnce(Bollard) -> F,
    ) -> Result<T, DockerError>
    where
        F: Future<Output = BollardResult<T>>,
    {
        let client = self.connected().await?.bollard;
        let answer = async { work(client).await.map_err(|error| DockerError::of(self.host(), action, error)) };
        self.noted(self.within(deadline, action, answer).await)
    }

    /// A read of JSON within the usual deadline.
    pub(super) async fn read(&self, action: &str, path: &str, query: &[(&str, String)]) -> Result<Value, DockerError> {
        let address = self.address()?;
        let answer = async {
            let body = match client::get(address, path, query).await {
                Ok(response) => client::collect(response).await,
                Err(error) => Err(error),
            };
            let body = body.map_err(|error| DockerError::of_get(self.host(), action, error))?;
            serde_json::from_slice(&body)
                .map_err(|error| DockerError::Unreadable { action: action.into(), problem: error.to_string() })
        };
        self.noted(self.within(limits::DOCKER_CALL_TIMEOUT, action, answer).await)
    }

    /// Sends JSON within the usual deadline, and reads JSON. For what bollard's types cannot carry whole.
    pub(super) async fn send_json(
        &self,
        action: &str,
        path: &str,
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<Value, DockerError> {
        let address = self.address()?;
        let headers = [("content-type", "application/json".to_owned())];
        let body = Full::new(Bytes::from(body.to_string()));
        let answer = async {
            let body = match client::post(address, path, query, &headers, body).await {
                Ok(body) => client::collect(Response::new(body)).await,
                Err(error) => Err(error),
            };
            let body = body.map_err(|error| DockerError::of_get(self.host(), action, error))?;
            // Some calls are answered with nothing.
            if body.is_empty() {
                return Ok(Value::Null);
            }
            serde_json::from_slice(&body)
                .map_err(|error| DockerError::Unreadable { action: action.into(), problem: error.to_string() })
        };
        self.noted(self.within(limits::DOCKER_CALL_TIMEOUT, action, answer).await)
    }

    /// The start of an answer that is read as it comes.
    pub(super) async fn open(
        &self,
        action: &str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<hyper::body::Incoming, DockerError> {
        let address = self.address()?;
        let answer = async {
            let response = client::get(address, path, query).await;
            response.map_err(|error| DockerError::of_get(self.host(), action, error))
        };
        let response = self.noted(self.within(limits::DOCKER_CALL_TIMEOUT, action, answer).await)?;
        Ok(response.into_body())
    }

    /// `work`, unless it takes longer than the handle's deadline or, without one, than `usual`.
    pub(super) async fn within<T>(
        &self,
        usual: Duration,
        action: &str,
        work: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, DockerError> {
        let after = self.deadline_or(usual);
        tokio::select! {
            outcome = work => outcome,
            () = self.clock().sleep(after) => Err(DockerError::Timeout { action: action.into(), after, hint: None }),
        }
    }

    fn noted<T>(&self, outcome: Result<T, DockerError>) -> Result<T, DockerError> {
        if let Err(error) = &outcome {
            self.note_failure(error);
        }
        outcome
    }

    /// Waits longer each time, up to the bound, while a stream's engine is away.
    pub(super) async fn pause_before_retry(&self, attempt: u32) {
        let delay = Duration::from_millis(100).saturating_mul(1_u32.checked_shl(attempt.min(10)).unwrap_or(u32::MAX));
        self.clock().sleep(delay.min(limits::DOCKER_STREAM_RETRY_DELAY_MAX)).await;
    }
}

impl DockerError {
    /// Whether the engine went away, rather than refused.
    pub(super) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { cause: Cause::NoSocket | Cause::NotRunning | Cause::Silent, .. } | Self::Lost { .. }
        )
    }
}
