//! Waiting for a container to end.

use std::time::Duration;

use bollard::errors::Error as BollardError;
use bollard::query_parameters::WaitContainerOptions;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::Docker;
use super::error::DockerError;
use super::names::Found;
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::option::Span;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WaitOptions {
    /// Fails with `docker.timeout` when it runs for longer. Default: as long as the run may take.
    pub timeout: Option<Span>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitOutcome {
    pub id: String,
    pub name: String,
    pub exit_code: i64,
    pub oom_killed: bool,
    /// What the engine says of a container that could not run.
    pub error: Option<String>,
}

impl Docker {
    /// Returns when the container does not run, at once if it does not now. An exit other than 0 is an outcome, not an
    /// error. Goes on waiting over a restart of the engine.
    pub async fn wait(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: WaitOptions,
    ) -> Result<WaitOutcome, DockerError> {
        let found = self.find(permit, Access::Read, container).await?;
        let action = format!("waiting for {:?} to end", found.name);
        let limit = options.timeout.map_or(limits::DOCKER_WAIT_TIMEOUT_MAX, |span| span.0);
        self.within(limit, &action, self.ended(&found, &action)).await
    }

    async fn ended(&self, found: &Found, action: &str) -> Result<WaitOutcome, DockerError> {
        let mut attempt = 0;
        loop {
            match self.ended_once(found, action).await {
                Err(error) if error.is_absence() => {
                    self.pause_before_retry(attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn ended_once(&self, found: &Found, action: &str) -> Result<WaitOutcome, DockerError> {
        let id = found.id.clone();
        // `not-running` answers at once for a container that has ended: there is no moment to miss.
        let parameters = WaitContainerOptions { condition: "not-running".into() };
        let answer = self
            .call_within(Duration::MAX, action, |client| async move {
                let mut answers = client.wait_container(&id, Some(parameters));
                match answers.next().await {
                    None => Ok(None),
                    Some(Ok(answer)) => Ok(Some((answer.status_code, answer.error.and_then(|error| error.message)))),
                    Some(Err(error)) => exit_status(error).map(Some),
                }
            })
            .await?;
        let (code, error) = answer.map_or((None, None), |(code, error)| (Some(code), error));
        let raw = self.read(action, &format!("/containers/{}/json", found.id), &[]).await;
        let raw = match raw {
            Ok(raw) => raw,
            // Removed as it ended: its code is known all the same.
            Err(DockerError::NotFound { .. }) if code.is_some() => Value::Null,
            Err(error) => return Err(error),
        };
        if code.is_none() && raw.pointer("/State/Running").and_then(Value::as_bool).unwrap_or_default() {
            return Err(DockerError::Lost { action: action.into(), message: "the answer ended early".into() });
        }
        Ok(outcome(found, &raw, code, error))
    }
}

fn outcome(found: &Found, raw: &Value, code: Option<i64>, error: Option<String>) -> WaitOutcome {
    let known = raw.pointer("/State/ExitCode").and_then(Value::as_i64);
    let own = raw.pointer("/State/Error").and_then(Value::as_str).map(str::to_owned);
    WaitOutcome {
        id: found.id.clone(),
        name: found.name.clone(),
        exit_code: code.or(known).unwrap_or_default(),
        oom_killed: raw.pointer("/State/OOMKilled").and_then(Value::as_bool).unwrap_or_default(),
        error: error.or(own).filter(|text| !text.is_empty()),
    }
}

/// bollard gives an exit other than 0 as an error.
fn exit_status(error: BollardError) -> Result<(i64, Option<String>), BollardError> {
    match error {
        BollardError::DockerContainerWaitError { error, code } => {
            Ok((code, Some(error).filter(|text| !text.is_empty())))
        }
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_other_than_zero_is_a_status() {
        let status = exit_status(BollardError::DockerContainerWaitError { error: String::new(), code: 137 });
        assert_eq!(status.ok(), Some((137, None)));
        assert!(exit_status(BollardError::RequestTimeoutError).is_err());
    }
}
