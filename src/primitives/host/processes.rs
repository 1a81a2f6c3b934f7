//! Processes, from `/proc/<pid>`.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use super::rates::{Pair, per_second};
use super::{HostError, Source, system};
use crate::base::limits;
use crate::model::grants::matches;

/// In which `/proc` counts processor time, on every machine that Linux runs on.
const TICKS_PER_SECOND: u64 = 100;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub name: String,
    /// As far as it is shown; empty for threads of the kernel.
    pub command: String,
    pub user: String,
    /// Such as `sleeping`.
    pub state: &'static str,
    /// Of one processor.
    pub cpu_percent: f64,
    pub rss_bytes: u64,
    pub threads: u64,
    pub started_at: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Cpu,
    Memory,
    Started,
    Pid,
}

impl Sort {
    pub const NAMES: &'static [&'static str] = &["cpu", "memory", "started", "pid"];

    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "cpu" => Self::Cpu,
            "memory" => Self::Memory,
            "started" => Self::Started,
            "pid" => Self::Pid,
            _ => return None,
        })
    }
}

/// Which are asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub sort: Sort,
    pub limit: usize,
    /// A pattern of names, with `*`.
    pub name: Option<String>,
    pub user: Option<String>,
}

/// What `/proc/<pid>/stat` tells of a process.
#[derive(Debug, Clone)]
pub(super) struct Tick {
    name: String,
    state: char,
    parent: i32,
    /// Processor time, in ticks.
    used: u64,
    threads: u64,
    /// Ticks after the machine's start; with the pid, what tells a process from every other.
    started: u64,
}

pub(super) type Ticks = HashMap<i32, Tick>;

pub(super) fn ticks(files: &Source) -> Result<Ticks, HostError> {
    let listed = std::fs::read_dir(files.path("proc"));
    let listed =
        listed.map_err(|problem| HostError::Unreadable { path: "/proc".into(), problem: problem.to_string() })?;
    let pids = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = pids.take(limits::HOST_PROCESSES_SEEN_MAX);
    // One that has ended meanwhile is left out.
    Ok(pids.filter_map(|pid: i32| Some((pid, tick(&files.maybe(&format!("proc/{pid}/stat"))?)?))).collect())
}

fn tick(stat: &str) -> Option<Tick> {
    // The name stands in parentheses and may hold any character, parentheses too.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Tick {
        name,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        used: number(11)? + number(12)?,
        threads: number(17)?,
        started: number(19)?,
    })
}

pub(super) fn list(files: &Source, pair: &Pair<Ticks>, query: &Query) -> Result<Vec<Process>, HostError> {
    let boot = system::boot_second(files)?;
    let users = users(files);
    let mut found = Vec::new();
    for (pid, tick) in &pair.last {
        if query.name.as_deref().is_some_and(|pattern| !matches(pattern, &tick.name)) {
            continue;
        }
        let Some(status) = files.maybe(&format!("proc/{pid}/status")) else { continue };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next())
        };
        let id = field("Uid").unwrap_or_default();
        let user = users.get(id).map_or(id, String::as_str);
        if query.user.as_deref().is_some_and(|wanted| wanted != user) {
            continue;
        }
        let previous = pair.first.get(pid).filter(|previous| previous.started == tick.started);
        let used = previous.map_or(0.0, |previous| per_second(previous.used, tick.used, pair.apart));
        let started = i64::try_from(tick.started / TICKS_PER_SECOND).unwrap_or(0);
        found.push(Process {
            pid: *pid,
            parent: tick.parent,
            name: tick.name.clone(),
            command: String::new(),
            user: user.to_owned(),
            state: state(tick.state),
            cpu_percent: used * 100.0 / TICKS_PER_SECOND as f64,
            rss_bytes: field("VmRSS").and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1024),
            threads: tick.threads,
            started_at: Timestamp::from_second(boot.saturating_add(started)).unwrap_or_default(),
        });
    }
    found.sort_by(|one, other| {
        let by = match query.sort {
            Sort::Cpu => other.cpu_percent.total_cmp(&one.cpu_percent).then(other.rss_bytes.cmp(&one.rss_bytes)),
            Sort::Memory => other.rss_bytes.cmp(&one.rss_bytes),
            Sort::Started => other.started_at.cmp(&one.started_at),
            Sort::Pid => std::cmp::Ordering::Equal,
        };
        by.then(one.pid.cmp(&other.pid))
    });
    found.truncate(query.limit);
    for process in &mut found {
        process.command = command(files, process.pid);
    }
    Ok(found)
}

/// The arguments with blanks between them, cut where it gets long.
fn command(files: &Source, pid: i32) -> String {
    let text = files.maybe(&format!("proc/{pid}/cmdline")).unwrap_or_default();
    let text = text.trim_end_matches('\0').replace('\0', " ");
    text.chars().take(limits::HOST_COMMAND_CHARS_MAX).collect()
}

/// Names by number, as text. Users whom a directory service knows have their number only.
pub(super) fn users(files: &Source) -> HashMap<String, String> {
    let text = files.maybe("etc/passwd").unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.to_owned(), name))
    };
    text.lines().filter_map(entry).collect()
}

fn state(letter: char) -> &'static str {
    match letter {
        'R' => "running",
        'S' => "sleeping",
        'D' => "waiting for a disk",
        'Z' => "zombie",
        'T' | 't' => "stopped",
        'I' => "idle",
        'X' | 'x' => "dead",
        _ => "unknown",
    }
}
