//! What containers print.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::Docker;
use super::error::DockerError;
use super::frames::{Frames, Line, Lines, Stream};
use super::names::Found;
use crate::base::quantity::show_duration;
use crate::base::{Timestamp, limits};
use crate::model::grants::Access;
use crate::primitives::option::Span;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// The last so many lines, or with `after` the first so many behind it. Default: 1000.
    pub tail: u32,
    /// From this moment on: RFC 3339, or a duration such as `10m` back from now.
    pub since: Option<String>,
    /// Up to this moment; Docker calls it `until`, which is a word of Lua.
    pub before: Option<String>,
    pub stdout: bool,
    pub stderr: bool,
    /// Gives each line its time. Default: true.
    pub timestamps: bool,
    /// Only lines that came later than this one, whose time it is: to go on where an earlier call ended.
    pub after: Option<Timestamp>,
    /// Waits so long for a line when there is none.
    pub wait: Option<Span>,
}

impl Default for LogOptions {
    fn default() -> Self {
        let tail = limits::DOCKER_LOG_LINES_DEFAULT;
        Self { tail, since: None, before: None, stdout: true, stderr: true, timestamps: true, after: None, wait: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    pub stream: Stream,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Logs {
    /// The oldest first.
    pub lines: Vec<LogRecord>,
    /// Older lines were left out because they are over 8 MiB together.
    pub truncated: bool,
    /// What to pass as `after` to go on behind these lines.
    pub next: Option<Timestamp>,
    /// It runs: more lines may come.
    pub running: bool,
}

/// What following a container's log brings.
#[derive(Debug)]
pub enum FollowItem {
    Line(LogRecord),
    /// The engine went away; lines go on from where they were when it is back. Any other error is the last item.
    Interrupted(DockerError),
}

impl LogOptions {
    /// How many of the latest lines the engine is asked for: all of them, to begin with the one behind `after`.
    fn newest(&self) -> String {
        if self.after.is_some() { "all".to_owned() } else { self.tail.to_string() }
    }
}

impl Docker {
    /// What it printed. With `wait`, waits for a line when there is none, and then for the rest of a burst of lines.
    pub async fn logs(&self, permit: &DockerPermit, container: &str, options: LogOptions) -> Result<Logs, DockerError> {
        let found = self.find(permit, Access::Read, container).await?;
        let (running, wait) = (found.running, options.wait.map_or(Duration::ZERO, |wait| wait.0));
        if wait > limits::DOCKER_WAIT_TIMEOUT_MAX {
            let most = show_duration(limits::DOCKER_WAIT_TIMEOUT_MAX);
            return Err(DockerError::invalid("wait", format!("at most {most} are possible")));
        }
        let id = found.id.clone();
        let logs = self.printed(found, &options).await?;
        if !logs.lines.is_empty() || !running || wait.is_zero() {
            return Ok(logs);
        }
        self.coming(permit, &id, options, wait).await
    }

    /// The next burst of lines, or none within `wait`.
    async fn coming(
        &self,
        permit: &DockerPermit,
        id: &str,
        mut options: LogOptions,
        wait: Duration,
    ) -> Result<Logs, DockerError> {
        let (timestamps, after, tail) = (options.timestamps, options.after, options.tail);
        options.timestamps = true;
        // Whatever came since nothing was found is among the latest lines.
        let mut following = self.follow_logs(permit, id, options).await?;
        let (mut kept, mut patience, mut running) = (Kept::default(), wait, true);
        loop {
            tokio::select! {
                item = following.next() => match item {
                    Some(FollowItem::Line(line)) => {
                        kept.push(line);
                        if kept.is_full(tail) {
                            break;
                        }
                        patience = limits::DOCKER_EVENT_BURST;
                    }
                    Some(FollowItem::Interrupted(error)) if !error.is_absence() => return Err(error),
                    Some(FollowItem::Interrupted(_)) => {}
                    None => {
                        running = false;
                        break;
                    }
                },
                () = self.clock().sleep(patience) => break,
            }
        }
        Ok(kept.into_logs(timestamps, after, running))
    }

    async fn printed(&self, found: Found, options: &LogOptions) -> Result<Logs, DockerError> {
        let action = format!("reading the log of {:?}", found.name);
        let query = self.log_query(options, &options.newest(), false)?;
        let mut body = self.open(&action, &format!("/containers/{}/logs", found.id), &query).await?;
        let mut frames = Frames::new(has_terminal(&found.raw));
        let (mut lines, mut kept) = (Lines::default(), Kept { after: options.after, ..Kept::default() });
        let read = async {
            while let Some(frame) = body.frame().await {
                let data = frame.map_err(|error| lost(&action, &error))?.into_data();
                let Ok(data) = data else { continue };
                frames.feed(data, |stream, part| lines.feed(stream, part, |line| kept.push(record(line))));
                if options.after.is_some() && kept.is_full(options.tail) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        if self.within(limits::DOCKER_CALL_TIMEOUT, &action, read).await? {
            lines.finish(|line| kept.push(record(line)));
        }
        Ok(kept.into_logs(options.timestamps, options.after, found.running))
    }

    /// Lines as they come, until the container ends. Goes on where it was after the engine was restarted.
    pub async fn follow_logs(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: LogOptions,
    ) -> Result<BoxStream<'static, FollowItem>, DockerError> {
        let found = self.find(permit, Access::Read, container).await?;
        let follower = Follower {
            docker: self.clone(),
            tail: options.newest(),
            timestamps: options.timestamps,
            terminal: has_terminal(&found.raw),
            found,
            last: None,
            resumed_after: options.after,
            options,
            finished: false,
            open: None,
            ready: VecDeque::new(),
            attempt: 0,
        };
        Ok(futures_util::stream::unfold(follower, |mut follower| async move {
            let item = follower.next().await?;
            Some((item, follower))
        })
        .boxed())
    }

    fn log_query(
        &self,
        options: &LogOptions,
        tail: &str,
        follow: bool,
    ) -> Result<Vec<(&'static str, String)>, DockerError> {
        let mut query = vec![
            ("stdout", options.stdout.to_string()),
            ("stderr", options.stderr.to_string()),
            // Always asked for: they say where to go on.
            ("timestamps", "true".to_owned()),
            ("tail", tail.to_owned()),
            ("follow", follow.to_string()),
        ];
        let after = options.after.map(|after| after.to_string());
        let since = after.as_ref().or(options.since.as_ref());
        for (field, name, text) in [("since", "since", since), ("before", "until", options.before.as_ref())] {
            if let Some(text) = text {
                query.push((name, engine_time(moment(field, text, self.clock().now())?)));
            }
        }
        Ok(query)
    }
}

/// A log that is followed, and where it is.
struct Follower {
    docker: Docker,
    found: Found,
    options: LogOptions,
    tail: String,
    timestamps: bool,
    terminal: bool,
    /// The time of the latest line given.
    last: Option<Timestamp>,
    /// Lines up to here were given before the answer was opened again.
    resumed_after: Option<Timestamp>,
    finished: bool,
    open: Option<Open>,
    ready: VecDeque<LogRecord>,
    attempt: u32,
}

struct Open {
    body: hyper::body::Incoming,
    frames: Frames,
    lines: Lines,
}

impl Follower {
    async fn next(&mut self) -> Option<FollowItem> {
        loop {
            if let Some(mut record) = self.ready.pop_front() {
                if record.at.is_some() && record.at <= self.resumed_after {
                    continue;
                }
                self.last = record.at.or(self.last);
                if !self.timestamps {
                    record.at = None;
                }
                return Some(FollowItem::Line(record));
            }
            if self.finished {
                return None;
            }
            let Some(open) = self.open.as_mut() else {
                match self.reopen().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) => return Some(self.interrupted(error).await),
                }
                continue;
            };
            match open.body.frame().await {
                Some(Ok(frame)) => {
                    self.attempt = 0;
                    let Ok(data) = frame.into_data() else { continue };
                    let (lines, ready) = (&mut open.lines, &mut self.ready);
                    open.frames
                        .feed(data, |stream, part| lines.feed(stream, part, |line| ready.push_back(record(line))));
                }
                _ => {
                    open.lines.finish(|line| self.ready.push_back(record(line)));
                    self.open = None;
                    // A restart of the engine ends the answer as quietly as the container's own end does.
                    match self.is_running().await {
                        Ok(false) => self.finished = true,
                        Ok(true) => self.attempt = self.attempt.saturating_add(1),
                        Err(error) => return Some(self.interrupted(error).await),
                    }
                }
            }
        }
    }

    async fn interrupted(&mut self, error: DockerError) -> FollowItem {
        if error.is_absence() {
            self.docker.pause_before_retry(self.attempt).await;
            self.attempt = self.attempt.saturating_add(1);
        } else {
            self.finished = true;
        }
        FollowItem::Interrupted(error)
    }

    async fn reopen(&mut self) -> Result<Open, DockerError> {
        if self.attempt > 1 {
            self.docker.pause_before_retry(self.attempt).await;
        }
        let action = format!("following the log of {:?}", self.found.name);
        let mut query = self.docker.log_query(&self.options, &self.tail, true)?;
        if let Some(last) = self.last {
            query.retain(|(name, _)| !matches!(*name, "since" | "tail"));
            query.push(("since", engine_time(last)));
            self.resumed_after = Some(last);
        }
        let body = self.docker.open(&action, &format!("/containers/{}/logs", self.found.id), &query).await?;
        Ok(Open { body, frames: Frames::new(self.terminal), lines: Lines::default() })
    }

    async fn is_running(&self) -> Result<bool, DockerError> {
        let path = format!("/containers/{}/json", self.found.id);
        let raw = self.docker.read("looking at a followed container", &path, &[]).await?;
        Ok(raw.pointer("/State/Running").and_then(Value::as_bool).unwrap_or_default())
    }
}

fn has_terminal(raw: &Value) -> bool {
    raw.pointer("/Config/Tty").and_then(Value::as_bool).unwrap_or_default()
}

pub(super) fn lost(action: &str, error: &hyper::Error) -> DockerError {
    DockerError::Lost { action: action.to_owned(), message: error.to_string() }
}

/// Takes the time off the front of a line.
pub(super) fn record(line: Line) -> LogRecord {
    let split = line.text.split_once(' ').and_then(|(head, rest)| Some((head.parse::<Timestamp>().ok()?, rest)));
    match split {
        Some((at, rest)) => LogRecord { at: Some(at), stream: line.stream, text: rest.to_owned() },
        // An empty line is a time alone.
        None => match line.text.parse::<Timestamp>() {
            Ok(at) => LogRecord { at: Some(at), stream: line.stream, text: String::new() },
            Err(_) => LogRecord { at: None, stream: line.stream, text: line.text },
        },
    }
}

/// The newest lines within the bound, and after the line that was given last.
#[derive(Default)]
struct Kept {
    after: Option<Timestamp>,
    lines: VecDeque<LogRecord>,
    bytes: usize,
    truncated: bool,
}

impl Kept {
    fn push(&mut self, record: LogRecord) {
        if record.at.is_some() && record.at <= self.after {
            return;
        }
        self.bytes += record.text.len() + size_of::<LogRecord>();
        self.lines.push_back(record);
        while self.bytes > limits::DOCKER_LOG_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.text.len() + size_of::<LogRecord>();
            self.truncated = true;
        }
    }

    /// Enough for one answer. Well before the bound: what it pushes out would be lost to who goes on from here.
    fn is_full(&self, lines_max: u32) -> bool {
        self.lines.len() >= lines_max.max(1) as usize || self.bytes >= limits::DOCKER_LOG_BYTES_MAX / 2
    }

    fn into_logs(self, timestamps: bool, after: Option<Timestamp>, running: bool) -> Logs {
        let mut lines: Vec<_> = self.lines.into();
        let next = lines.iter().rev().find_map(|line| line.at).or(after);
        if !timestamps {
            lines.iter_mut().for_each(|line| line.at = None);
        }
        Logs { lines, truncated: self.truncated, next, running }
    }
}

/// RFC 3339, or a duration back from now.
pub(super) fn moment(field: &str, text: &str, now: Timestamp) -> Result<Timestamp, DockerError> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let back =
        crate::base::quantity::parse_duration(text).ok().and_then(|span| jiff::SignedDuration::try_from(span).ok());
    back.and_then(|span| now.checked_sub(span).ok()).ok_or_else(|| {
        DockerError::invalid(
            field,
            format!("{text:?} is neither a time such as 2026-01-31T12:00:00Z nor a duration such as \"10m\""),
        )
    })
}

/// Seconds with a fraction, as the engine reads them.
pub(super) fn engine_time(at: Timestamp) -> String {
    format!("{}.{:09}", at.as_second(), at.subsec_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { stream: Stream::Stdout, text: text.into() }
    }

    #[test]
    fn times_come_off_lines() {
        let with = record(line("2026-01-01T00:00:00.123456789Z hello world"));
        assert_eq!(with.text, "hello world");
        assert_eq!(with.at.map(engine_time).as_deref(), Some("1767225600.123456789"));
        assert_eq!(record(line("2026-01-01T00:00:00Z")).text, "");
        assert_eq!(record(line("no time")), LogRecord { at: None, stream: Stream::Stdout, text: "no time".into() });
    }

    #[test]
    fn the_newest_lines_are_kept() {
        let mut kept = Kept::default();
        for number in 0..1_000 {
            kept.push(LogRecord { at: None, stream: Stream::Stdout, text: format!("{number} {}", "x".repeat(16_000)) });
        }
        let logs = kept.into_logs(true, None, false);
        assert!(logs.truncated && logs.lines.len() < 600);
        assert!(logs.lines.last().is_some_and(|line| line.text.starts_with("999 ")));
    }

    #[test]
    fn moments_are_times_or_durations_back() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().expect("a time");
        assert_eq!(moment("since", "10m", now).ok(), "2026-01-01T00:50:00Z".parse().ok());
        assert_eq!(moment("since", "2025-12-31T00:00:00Z", now).ok(), "2025-12-31T00:00:00Z".parse().ok());
        assert!(moment("since", "yesterday", now).is_err());
    }
}
