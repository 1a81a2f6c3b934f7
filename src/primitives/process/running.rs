//! A program that runs, and the leash by which it is held.

use std::future::Future;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::Request;
use super::error::ProcessError;
use super::keeper;
use super::output::{Broken, Pump, Stream};
use super::program::FOLDERS;
use crate::base::{Clock, limits};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

/// Whoever drops it ends the program and all that it started.
#[derive(Debug)]
pub(super) struct Leash {
    program: String,
    pid: Option<Pid>,
    is_kept: bool,
    is_over: AtomicBool,
}

impl Leash {
    /// Asks the program to end.
    fn ask(&self) {
        self.send(Signal::TERM, Signal::TERM);
    }

    /// Ends it.
    fn kill(&self) {
        self.send(keeper::KILL, Signal::KILL);
    }

    /// A keeper ends what it keeps; without one, the group is signalled.
    fn send(&self, to_keeper: Signal, to_group: Signal) {
        let Some(pid) = self.pid.filter(|_| !self.is_over.load(Ordering::Acquire)) else { return };
        // One that has ended meanwhile needs no signal.
        let _ = match self.is_kept {
            true => rustix::process::kill_process(pid, to_keeper),
            false => rustix::process::kill_process_group(pid, to_group),
        };
    }

    /// What the program started and left in its group. The group's number is not given to anybody else while it has
    /// members; the keeper has seen to this already.
    fn sweep(&self) {
        if let (Some(pid), false) = (self.pid, self.is_kept) {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        self.is_over.store(true, Ordering::Release);
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn start(
    program: &str,
    path: &Path,
    keeper: Option<&Path>,
    request: &Request,
    folder: Option<&OwnedFd>,
) -> Result<(Leash, Child), ProcessError> {
    let mut command = match keeper {
        Some(keeper) => {
            let mut command = Command::new(keeper);
            command.arg(keeper::WORD).arg(std::process::id().to_string()).arg(path);
            command
        }
        None => Command::new(path),
    };
    command.args(&request.arguments).env_clear();
    command.env("PATH", FOLDERS.join(":")).env("LANG", "C.UTF-8").env("TZ", "UTC").envs(&request.environment);
    match folder {
        // The open folder itself: its name may lead elsewhere by now.
        Some(folder) => command.current_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())),
        None => command.current_dir("/"),
    };
    let input = if request.input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(|problem| ProcessError::NotStarted {
        program: program.to_owned(),
        path: path.to_owned(),
        problem: problem.to_string(),
    })?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let program = program.to_owned();
    Ok((Leash { program, pid, is_kept: keeper.is_some(), is_over: AtomicBool::new(false) }, child))
}

/// Feeds the program, reads what it prints and waits for its end; gives the file of its output back.
pub(super) async fn talk(
    mut child: Child,
    leash: &Leash,
    input: &[u8],
    pump: &Pump,
    file: Option<File>,
    clock: &Clock,
) -> Result<(Ended, Option<File>), ProcessError> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut feed = pin!(async move {
        if let Some(mut stdin) = stdin {
            // A program need not read all that it is given.
            let _ = stdin.write_all(input).await;
        }
        std::future::pending::<()>().await;
    });
    let mut streams = pin!(async {
        let out = async {
            match stdout {
                Some(stdout) => pump.read(Stream::Stdout, stdout, file).await,
                None => Ok(file),
            }
        };
        let err = async {
            match stderr {
                Some(stderr) => pump.read(Stream::Stderr, stderr, None).await,
                None => Ok(None),
            }
        };
        tokio::try_join!(out, err).map(|(file, _)| file)
    });
    let mut streamed = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            outcome = &mut streams, if streamed.is_none() => {
                streamed = Some(outcome.map_err(|broken| unwritten(leash, broken))?);
            }
            () = &mut feed => {}
        }
    };
    leash.sweep();
    let file = match streamed {
        Some(file) => file,
        None => tokio::select! {
            outcome = &mut streams => outcome.map_err(|broken| unwritten(leash, broken))?,
            // Somebody holds the pipe's other end who cannot be ended.
            () = clock.sleep(limits::PROCESS_DRAIN) => None,
        },
    };
    Ok((ended(status, leash.is_kept), file))
}

/// Asks the program to end, waits, and ends it.
pub(super) async fn put_down<T>(
    talk: &mut Pin<&mut impl Future<Output = T>>,
    leash: &Leash,
    clock: &Clock,
    kill_after: Duration,
) {
    leash.ask();
    tokio::select! {
        _ = &mut *talk => return,
        () = clock.sleep(kill_after) => leash.kill(),
    }
    tokio::select! {
        _ = talk => {}
        () = clock.sleep(limits::PROCESS_DRAIN) => {}
    }
}

fn unwritten(leash: &Leash, broken: Broken) -> ProcessError {
    let program = leash.program.clone();
    match broken {
        Broken::TooLarge => ProcessError::FileTooLarge { program },
        Broken::File(problem) => ProcessError::File { program, problem: problem.to_string() },
    }
}

/// A keeper ends as its program did, but for a few signals.
fn ended(status: std::io::Result<ExitStatus>, is_kept: bool) -> Ended {
    let Ok(status) = status else { return Ended::Code(-1) };
    match (status.code(), status.signal()) {
        (Some(code), _) => match keeper::told(code).filter(|_| is_kept) {
            Some(signal) => Ended::Signal(signal),
            None => Ended::Code(code),
        },
        (None, signal) => Ended::Signal(signal.unwrap_or(0)),
    }
}
