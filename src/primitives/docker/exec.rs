//! Running a command in a container. Needs the permission `admin`: whoever may do this may do anything in there.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::client::Address;
use super::engine::Docker;
use super::error::DockerError;
use super::names::Found;
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::option::{Argv, Pairs, Span};
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecOptions {
    /// Never handed to a shell.
    pub command: Argv,
    pub environment: Pairs,
    /// `name`, `uid` or `uid:gid`.
    pub user: Option<String>,
    pub working_dir: Option<String>,
    /// All capabilities of the host.
    pub privileged: bool,
    /// The process is killed when it runs for longer. Default: 60 s.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExecOutcome {
    pub container: String,
    pub command: Vec<String>,
    /// None on a dry run.
    pub exit_code: Option<i64>,
    pub stdout: String,
    pub stderr: String,
    /// The end of the output was left out because it is over 8 MiB.
    pub truncated: bool,
    pub dry_run: bool,
}

impl Docker {
    pub async fn exec(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: ExecOptions,
    ) -> Result<ExecOutcome, DockerError> {
        let found = self.find(permit, Access::Admin, container).await?;
        if options.command.0.is_empty() {
            return Err(DockerError::invalid("command", "it is empty"));
        }
        let action = format!("running {:?} in {:?}", options.command.0[0], found.name);
        if !found.running {
            return Err(DockerError::Conflict { action, message: "the container is not running".into() });
        }
        let mut outcome = ExecOutcome {
            container: found.name.clone(),
            command: options.command.0.clone(),
            exit_code: None,
            stdout: String::new(),
            stderr: String::new(),
            truncated: false,
            dry_run: options.dry_run,
        };
        if options.dry_run {
            return Ok(outcome);
        }
        let limit = options.timeout.map_or(limits::DOCKER_EXEC_TIMEOUT_DEFAULT, |span| span.0);
        let exec = self.create_exec(&found, &action, options).await?;
        // Dropping an attached exec leaves its process behind: whoever leaves early must end it.
        let reaper = Reaper { docker: self.clone(), found: found.clone(), exec: exec.clone(), armed: true };
        let output = match self.within(limit, &action, self.attached(&exec, &action)).await {
            Ok(output) => output,
            Err(DockerError::Timeout { action, after, .. }) => {
                let killed = reaper.kill().await;
                let hint = match killed {
                    true => "the process was killed; give it more time with `timeout`",
                    false => {
                        "the process could not be killed and goes on in the container; restart the container to end it"
                    }
                };
                return Err(DockerError::Timeout { action, after, hint: Some(hint.into()) });
            }
            Err(error) => return Err(error),
        };
        reaper.disarm();
        let ended = self.call(&action, |client| async move { client.inspect_exec(&exec).await }).await?;
        outcome.exit_code = ended.exit_code;
        outcome.stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        outcome.stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        outcome.truncated = output.truncated;
        Ok(outcome)
    }

    async fn create_exec(&self, found: &Found, action: &str, options: ExecOptions) -> Result<String, DockerError> {
        let env: Vec<_> = options.environment.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(options.command.0),
            env: Some(env).filter(|env| !env.is_empty()),
            user: options.user,
            working_dir: options.working_dir,
            privileged: options.privileged.then_some(true),
            ..CreateExecOptions::default()
        };
        let id = found.id.clone();
        Ok(self.call(action, |client| async move { client.create_exec(&id, request).await }).await?.id)
    }

    async fn attached(&self, exec: &str, action: &str) -> Result<Output, DockerError> {
        let id = exec.to_owned();
        let started = self
            .call_within(Duration::MAX, action, |client| async move {
                client.start_exec(&id, None::<StartExecOptions>).await
            })
            .await?;
        let mut collected = Output::default();
        if let StartExecResults::Attached { output: mut pieces, input: _input } = started {
            while let Some(piece) = pieces.next().await {
                match piece.map_err(|error| DockerError::of(self.host(), action, error))? {
                    bollard::container::LogOutput::StdErr { message } => collected.push(&message, true),
                    other => collected.push(&other.into_bytes(), false),
                }
            }
        }
        Ok(collected)
    }

    /// Ends the process of an exec, if it can: the engine has no call for that, so its id in the container's own
    /// process namespace is looked up on this host and `kill` is run beside it.
    async fn kill_exec(&self, found: &Found, exec: &str) -> bool {
        let id = exec.to_owned();
        let state = self.call("looking at an exec", |client| async move { client.inspect_exec(&id).await }).await;
        let Ok(state) = state else { return false };
        if state.running != Some(true) {
            return true;
        }
        // The process of another host's engine is not among this host's: what has its number here is something else.
        if !is_on_this_host(self.host()) {
            return false;
        }
        let Some(pid) = state.pid.filter(|pid| *pid > 0) else { return false };
        let status = tokio::fs::read_to_string(format!("/proc/{pid}/status")).await.unwrap_or_default();
        let Some(inner) = inner_pid(&status) else { return false };
        let request = CreateExecOptions {
            cmd: Some(vec!["kill".to_owned(), "-9".to_owned(), inner.to_string()]),
            user: Some("0".to_owned()),
            ..CreateExecOptions::default()
        };
        let container = found.id.clone();
        let killing = self
            .call("killing an exec", |client| async move {
                let killer = client.create_exec(&container, request).await?;
                client
                    .start_exec(&killer.id, Some(StartExecOptions { detach: true, ..StartExecOptions::default() }))
                    .await
            })
            .await;
        if killing.is_err() {
            return false;
        }
        for attempt in 0..10 {
            let id = exec.to_owned();
            let state = self.call("looking at an exec", |client| async move { client.inspect_exec(&id).await }).await;
            if state.is_ok_and(|state| state.running != Some(true)) {
                return true;
            }
            self.clock().sleep(Duration::from_millis(20 * (attempt + 1))).await;
        }
        false
    }
}

fn is_on_this_host(engine: &str) -> bool {
    matches!(Address::parse(engine), Ok(Address::Unix(_)))
}

/// `NSpid:  4711  17`: the innermost is what the container sees.
fn inner_pid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let mut pids = line.split_whitespace();
    pids.next()?;
    pids.next_back()?.parse().ok()
}

#[derive(Debug, Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
}

impl Output {
    /// Output beyond the bound is read and dropped, so that the process can go on.
    fn push(&mut self, piece: &[u8], is_error: bool) {
        let room = limits::DOCKER_EXEC_OUTPUT_BYTES_MAX.saturating_sub(self.stdout.len() + self.stderr.len());
        self.truncated |= piece.len() > room;
        let into = if is_error { &mut self.stderr } else { &mut self.stdout };
        into.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

/// Kills the process when its caller goes away before it has ended.
struct Reaper {
    docker: Docker,
    found: Found,
    exec: String,
    armed: bool,
}

impl Reaper {
    fn disarm(mut self) {
        self.armed = false;
    }

    async fn kill(mut self) -> bool {
        self.armed = false;
        self.docker.kill_exec(&self.found, &self.exec).await
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (docker, found, exec) = (self.docker.clone(), self.found.clone(), self.exec.clone());
        // The one piece of work that must outlive its dropped caller. Each of its calls has a deadline.
        runtime.spawn(async move {
            if !docker.kill_exec(&found, &exec).await {
                tracing::warn!(container = %found.name, "a command whose run ended goes on in the container");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_process_id_is_the_container_s() {
        assert_eq!(inner_pid("Name:\tsh\nNSpid:\t4711\t17\nVmRSS: 1 kB\n"), Some(17));
        assert_eq!(inner_pid("NSpid:\t4711\n"), None, "not in a namespace of its own");
        assert_eq!(inner_pid(""), None);
    }

    #[test]
    fn processes_of_other_hosts_are_not_looked_for_here() {
        assert!(is_on_this_host("unix:///var/run/docker.sock") && is_on_this_host("/run/d.sock"));
        assert!(!is_on_this_host("tcp://10.0.0.5:2375") && !is_on_this_host("http://localhost:2375"));
    }

    #[test]
    fn output_is_bounded_over_both_streams() {
        let mut output = Output::default();
        let piece = vec![b'x'; limits::DOCKER_EXEC_OUTPUT_BYTES_MAX - 1];
        output.push(&piece, false);
        assert!(!output.truncated);
        output.push(b"ab", true);
        assert!(output.truncated);
        assert_eq!(output.stderr, b"a");
    }
}
