//! The process between the daemon and a program: it ends the program, and whatever that started, with the daemon.
//!
//! It is Aegis's own binary, called with [`WORD`]. It makes itself the reaper of all its descendants, so that one that
//! leaves its process group or loses its parent is still found below it, and it watches the daemon through a process
//! descriptor, which tells of the daemon's death however that comes.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::base::{Clock, limits};

/// The first argument by which the binary knows that it is to be a keeper. After it: the daemon's process id, the
/// program's file, its arguments.
pub const WORD: &str = "__keep";
/// Tells a keeper to end everything at once. SIGTERM is passed on to the program.
pub(super) const KILL: Signal = Signal::USR2;
/// Signals that a keeper cannot end by, as its program did: it listens to them, or Rust has it ignore them. It ends with
/// 128 and the signal's number instead, as shells do.
const TOLD: [Signal; 3] = [Signal::TERM, KILL, Signal::PIPE];
const FIRST_SIGNAL: i32 = 128;
const NOT_STARTED: u8 = 127;

/// Is a keeper to the end if the process was started as one; None otherwise.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let word = arguments.nth(1)?;
    if word != WORD {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = runtime.and_then(|runtime| runtime.block_on(keep(arguments)));
    Some(code.map_or_else(
        |problem| {
            let _ = io::Write::write_all(&mut io::stderr(), format!("cannot be started: {problem}\n").as_bytes());
            ExitCode::from(NOT_STARTED)
        },
        ExitCode::from,
    ))
}

async fn keep(mut arguments: impl Iterator<Item = OsString>) -> io::Result<u8> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidInput);
    let daemon = arguments.next().and_then(|id| id.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let daemon = daemon.ok_or_else(wrong)?;
    let program = arguments.next().ok_or_else(wrong)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut ask = signal(SignalKind::terminate())?;
    let mut kill = signal(SignalKind::user_defined2())?;
    let descriptor = rustix::process::pidfd_open(daemon, PidfdFlags::empty());
    // Looked at after the descriptor was opened, so that it cannot stand for another process.
    if rustix::process::getppid() != Some(daemon) {
        return Err(io::Error::other("the daemon has gone"));
    }
    let mut child = Command::new(program).args(arguments).process_group(0).spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut gone = std::pin::pin!(async {
        if let Ok(descriptor) = descriptor {
            readable(descriptor).await;
        }
        // Without such descriptors a daemon that has gone shows by another parent.
        while rustix::process::getppid() == Some(daemon) {
            Clock::system().sleep(limits::PROCESS_KEEPER_LOOKS).await;
        }
    });
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = ask.recv() => if let Some(pid) = pid {
                let _ = rustix::process::kill_process_group(pid, Signal::TERM);
            },
            _ = kill.recv() => break end(&mut child).await?,
            () = &mut gone => break end(&mut child).await?,
        }
    };
    clear().await;
    Ok(pass_on(status))
}

/// Ends as the program did: by the same signal, or with its code. Codes above 128 are the program's own: git has some.
fn pass_on(status: ExitStatus) -> u8 {
    let number = status.signal().unwrap_or(0);
    if let Some(signal) = Signal::from_named_raw(number).filter(|signal| !TOLD.contains(signal)) {
        // The program's memory was written down, if anybody wants it; this one's is of no interest.
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::setrlimit(Resource::Core, none);
        // Twice: Rust listens to some, until they come for the first time.
        for _ in 0..2 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
    }
    let code = status.code().unwrap_or(FIRST_SIGNAL + number);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The signal that a keeper's own exit code tells of.
pub(super) fn told(code: i32) -> Option<i32> {
    TOLD.iter().map(|signal| signal.as_raw()).find(|number| FIRST_SIGNAL + number == code)
}

/// Waits in a thread, which ends with the process: descriptors of processes need no more than `poll`.
async fn readable(descriptor: OwnedFd) {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
        while matches!(rustix::event::poll(&mut watched, None), Err(Errno::INTR)) {}
        // Nobody listens once the program has ended.
        let _ = tell.send(());
    });
    let _ = told.await;
}

async fn end(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    strike();
    child.wait().await
}

/// Ends what is left below this process, until nothing is.
async fn clear() {
    for _ in 0..limits::PROCESS_KEEPER_STRIKES_MAX {
        let struck = strike();
        // Any child: those that the program left behind are in process groups of their own.
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if struck == 0 {
            return;
        }
        Clock::system().sleep(limits::PROCESS_KEEPER_PAUSE).await;
    }
}

/// Kills every descendant; gives how many there were. One that is made meanwhile is met the next time.
fn strike() -> usize {
    let parents = parents();
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut below = vec![own];
    let mut struck = 0;
    while let Some(parent) = below.pop() {
        for (pid, _) in parents.iter().filter(|(_, of)| *of == parent) {
            below.push(*pid);
            struck += 1;
            if let Some(pid) = Pid::from_raw(*pid) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
    struck
}

/// Each process with its parent.
fn parents() -> Vec<(i32, i32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parent = |entry: std::fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name stands in parentheses and may hold any character; state and parent follow.
        let after = stat.rsplit_once(')')?.1;
        Some((pid, after.split_whitespace().nth(1)?.parse().ok()?))
    };
    entries.flatten().filter_map(parent).collect()
}
