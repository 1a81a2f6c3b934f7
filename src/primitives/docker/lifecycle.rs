//! Start, stop, restart, kill, pause, remove, rename.

use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptions, RenameContainerOptions, RestartContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use serde::Deserialize;
use serde_json::json;

use super::done::Done;
use super::engine::Docker;
use super::error::DockerError;
use super::names::{Found, check_name};
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::option::Span;
use crate::primitives::permit::DockerPermit;

/// For changes that need no further word.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeOptions {
    pub dry_run: bool,
}

/// For `stop` and `restart`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StopOptions {
    /// How long the container may take after SIGTERM before it is killed. Default: its own `stop_grace_period`, or 10 s.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KillOptions {
    /// Default: SIGKILL.
    pub signal: Option<String>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveOptions {
    /// Kills it first when it runs.
    pub force: bool,
    /// Removes its anonymous volumes too.
    pub volumes: bool,
    pub dry_run: bool,
}

impl Docker {
    pub async fn start(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: ChangeOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let done = Done::new("start", &found.name, options.dry_run).id(&found.id).changed(!found.running);
        if !options.dry_run {
            let action = format!("starting {:?}", found.name);
            self.call(&action, |client| async move {
                client.start_container(&found.id, None::<StartContainerOptions>).await
            })
            .await?;
        }
        Ok(done)
    }

    /// Returns once it has stopped: the call's own deadline is the container's grace and then some.
    pub async fn stop(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: StopOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let grace = grace(&found, options.timeout)?;
        let done = Done::new("stop", &found.name, options.dry_run)
            .id(&found.id)
            .changed(found.running)
            .details(json!({ "timeout_seconds": grace.as_secs() }));
        if !options.dry_run {
            let action = format!("stopping {:?}", found.name);
            let parameters = StopContainerOptions { t: Some(seconds(grace)), signal: None };
            let within = grace + limits::DOCKER_CALL_TIMEOUT;
            self.call_within(within, &action, |client| async move {
                client.stop_container(&found.id, Some(parameters)).await
            })
            .await
            .map_err(stuck)?;
        }
        Ok(done)
    }

    pub async fn restart(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: StopOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let grace = grace(&found, options.timeout)?;
        let done = Done::new("restart", &found.name, options.dry_run)
            .id(&found.id)
            .details(json!({ "timeout_seconds": grace.as_secs() }));
        if !options.dry_run {
            let action = format!("restarting {:?}", found.name);
            let parameters = RestartContainerOptions { t: Some(seconds(grace)), signal: None };
            let within = grace + limits::DOCKER_CALL_TIMEOUT;
            self.call_within(within, &action, |client| async move {
                client.restart_container(&found.id, Some(parameters)).await
            })
            .await
            .map_err(stuck)?;
        }
        Ok(done)
    }

    /// Fails with `docker.conflict` when it does not run.
    pub async fn kill(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: KillOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let signal = signal(options.signal.as_deref().unwrap_or("SIGKILL"))?;
        let action = format!("killing {:?}", found.name);
        if !found.running {
            return Err(DockerError::Conflict { action, message: "it is not running".into() });
        }
        let done = Done::new("kill", &found.name, options.dry_run).id(&found.id).details(json!({ "signal": signal }));
        if !options.dry_run {
            self.call(&action, |client| async move {
                client.kill_container(&found.id, Some(KillContainerOptions { signal })).await
            })
            .await?;
        }
        Ok(done)
    }

    pub async fn pause(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: ChangeOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let done = Done::new("pause", &found.name, options.dry_run).id(&found.id).changed(!found.paused);
        if !options.dry_run && !found.paused {
            let action = format!("pausing {:?}", found.name);
            self.call(&action, |client| async move { client.pause_container(&found.id).await }).await?;
        }
        Ok(done)
    }

    pub async fn unpause(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: ChangeOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let done = Done::new("unpause", &found.name, options.dry_run).id(&found.id).changed(found.paused);
        if !options.dry_run && found.paused {
            let action = format!("unpausing {:?}", found.name);
            self.call(&action, |client| async move { client.unpause_container(&found.id).await }).await?;
        }
        Ok(done)
    }

    pub async fn remove(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: RemoveOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let action = format!("removing {:?}", found.name);
        if found.running && !options.force {
            let message = "it is running: stop it first, or pass force = true".into();
            return Err(DockerError::Conflict { action, message });
        }
        let done = Done::new("remove", &found.name, options.dry_run)
            .id(&found.id)
            .details(json!({ "force": options.force, "volumes": options.volumes }));
        if !options.dry_run {
            let parameters = RemoveContainerOptions { v: options.volumes, force: options.force, link: false };
            self.call(&action, |client| async move { client.remove_container(&found.id, Some(parameters)).await })
                .await
                .map_err(stuck)?;
        }
        Ok(done)
    }

    /// Both names must be covered by the permit.
    pub async fn rename(
        &self,
        permit: &DockerPermit,
        container: &str,
        name: &str,
        options: ChangeOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let name = check_name("name", name)?.to_owned();
        permit.check(Access::Write, &name)?;
        let done = Done::new("rename", &found.name, options.dry_run)
            .id(&found.id)
            .changed(found.name != name)
            .details(json!({ "name": name }));
        if done.changed && !options.dry_run {
            let action = format!("renaming {:?} to {name:?}", found.name);
            self.call(&action, |client| async move {
                client.rename_container(&found.id, RenameContainerOptions { name }).await
            })
            .await?;
        }
        Ok(done)
    }
}

fn grace(found: &Found, asked: Option<Span>) -> Result<std::time::Duration, DockerError> {
    let own = || found.raw.pointer("/Config/StopTimeout").and_then(serde_json::Value::as_u64);
    let grace = match asked {
        Some(span) => span.0,
        None => own().map_or(limits::DOCKER_STOP_TIMEOUT_DEFAULT, std::time::Duration::from_secs),
    };
    if grace > limits::DOCKER_STOP_TIMEOUT_MAX {
        let most = crate::base::quantity::show_duration(limits::DOCKER_STOP_TIMEOUT_MAX);
        return Err(DockerError::invalid("timeout", format!("the longest is {most}")));
    }
    Ok(grace)
}

/// Whole seconds, rounded up: 0 would kill at once.
fn seconds(grace: std::time::Duration) -> i32 {
    i32::try_from(grace.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX)
}

fn signal(name: &str) -> Result<String, DockerError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-');
    if !name.is_empty() && name.len() <= 16 && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err(DockerError::invalid("signal", format!("{name:?} is not a signal such as \"SIGTERM\"")))
}

/// A process in uninterruptible sleep outlives every signal; the engine then just does not answer.
fn stuck(error: DockerError) -> DockerError {
    match error {
        DockerError::Timeout { action, after, .. } => DockerError::Timeout {
            action,
            after,
            hint: Some(
                "Docker goes on by itself; if the container stays, one of its processes may hang in the kernel".into(),
            ),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn grace_is_asked_or_the_container_s_own_or_ten_seconds() {
        let found = |raw| Found { id: "0a".into(), name: "web".into(), running: true, paused: false, raw };
        let own = found(json!({ "Config": { "StopTimeout": 45 } }));
        assert_eq!(grace(&own, None).ok(), Some(Duration::from_secs(45)));
        assert_eq!(grace(&own, Some(Span(Duration::from_millis(1)))).ok(), Some(Duration::from_millis(1)));
        assert_eq!(grace(&found(json!({})), None).ok(), Some(Duration::from_secs(10)));
        assert!(grace(&own, Some(Span(Duration::from_secs(3_601)))).is_err());
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::ZERO), 0);
    }

    #[test]
    fn signals_are_names_or_numbers() {
        assert!(signal("SIGUSR1").is_ok() && signal("9").is_ok() && signal("SIGRTMIN+3").is_ok());
        assert!(signal("").is_err() && signal("a b").is_err() && signal("x&y").is_err());
    }
}
