//! Executes a list of commands inside the open transaction, kind by kind, each kind with few statements.
//!
//! Callers wait for their answers, so commands that wait side by side are concurrent and may take effect in any order
//! that keeps the kinds' own order: versions, jobs, accepted runs, changes of runs, starts, journals, events and decisions,
//! what is due, artifacts, daemons, progress, occurrences, key-value, access, trust, what is watched, removals, and last the
//! log lines, audit records and events that all of those brought along.

use std::borrow::Cow;

use super::command::{Answer, Command};
use super::{
    Removal, accept, access, artifacts, audit, events, jobs, journal, kv, logs, nodes, occurrences, outbox, removal,
    runs, signals, start, watch,
};
use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Absence, Decision, LogLine, NewAudit, NewEvent, Occurrence, Signal};
use crate::store::outbox::OutboxWrite;
use crate::store::sql::{Conn, query};
use crate::store::trust::TrustWrite;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// What a transaction will have done once it is committed.
#[derive(Debug, Default)]
pub struct Applied {
    /// One for each command, in their order.
    pub answers: Vec<Result<Answer>>,
    /// The highest event number, if there were events.
    pub event_seq: Option<i64>,
    pub log_lines: usize,
    /// Runs that have new lines, a new state or new progress.
    pub touched: Vec<RunId>,
    /// The highest number of a sample, if there were samples.
    pub sample_seq: Option<i64>,
}

/// The sheet on which the steps of one `apply` note their results.
#[derive(Debug)]
pub struct Sheet<'a> {
    answers: Vec<Option<Result<Answer>>>,
    logs: Vec<(Option<i64>, &'a LogLine)>,
    events: Vec<(usize, Cow<'a, NewEvent>)>,
    pub audit: Vec<(usize, Cow<'a, NewAudit>)>,
    pub touched: Vec<RunId>,
    /// This daemon.
    pub node: String,
}

impl<'a> Sheet<'a> {
    pub fn answer(&mut self, index: usize, answer: Answer) {
        self.answers[index] = Some(Ok(answer));
    }

    pub fn refuse(&mut self, index: usize, error: StoreError) {
        self.answers[index] = Some(Err(error));
    }

    /// `fence`: of the run that all the lines are of, unless it was looked at before.
    pub fn logs(&mut self, fence: Option<i64>, lines: &'a [LogLine]) {
        self.touched.extend(lines.first().map(|line| line.run));
        self.logs.extend(lines.iter().map(|line| (fence, line)));
    }

    pub fn events(&mut self, index: usize, events: &'a [NewEvent]) {
        self.events.extend(events.iter().map(|event| (index, Cow::Borrowed(event))));
    }

    /// An event that the command did not bring along.
    pub fn tell(&mut self, index: usize, event: NewEvent) {
        self.events.push((index, Cow::Owned(event)));
    }
}

/// The commands by kind, each with its place in the list.
#[derive(Debug, Default)]
struct Groups<'a> {
    versions: Vec<&'a ScriptVersion>,
    enabled: Vec<(usize, &'a JobName, Option<bool>, &'a [NewEvent])>,
    accepts: Vec<(usize, &'a NewRun)>,
    transitions: Vec<(usize, &'a Transition)>,
    starts: Vec<(usize, &'a StartRun)>,
    journals: Vec<(usize, &'a JournalWrite)>,
    signals: Vec<(usize, &'a Signal)>,
    decisions: Vec<(usize, &'a Decision)>,
    wakes: Vec<(usize, Timestamp, usize)>,
    artifacts: Vec<(usize, artifacts::Put<'a>)>,
    nodes: Vec<(usize, &'a nodes::NodeCommand)>,
    progress: Vec<&'a ProgressUpdate>,
    settled: Vec<(usize, &'a Occurrence, &'a [NewEvent])>,
    absences: Vec<(usize, &'a Absence)>,
    until: Vec<(&'a [JobName], Timestamp)>,
    kv: Vec<(usize, &'a KvWrite)>,
    access: Vec<(usize, &'a Command)>,
    watch: Vec<(usize, &'a WatchWrite)>,
    trust: Vec<(usize, &'a TrustWrite)>,
    outbox: Vec<(usize, &'a OutboxWrite)>,
    removals: Vec<(usize, &'a Removal)>,
    ping: bool,
}

/// Runs `commands` in the open transaction. An error means that the transaction must be rolled back. On SQLite the last
/// statements may still have to be flushed, which a commit does too.
pub async fn apply(conn: &mut Conn, commands: &[&Command], node: &str, now: Timestamp) -> Result<Applied> {
    let mut sheet = Sheet {
        answers: vec![None; commands.len()],
        logs: Vec::new(),
        events: Vec::new(),
        audit: Vec::new(),
        touched: Vec::new(),
        node: node.to_owned(),
    };
    let groups = sort(commands, &mut sheet);
    jobs::put_versions(conn, &groups.versions).await?;
    jobs::set_enabled(conn, &groups.enabled, &mut sheet).await?;
    accept::accept(conn, &groups.accepts, node, &mut sheet).await?;
    runs::transition(conn, &groups.transitions, &mut sheet).await?;
    start::start(conn, &groups.starts, node, &mut sheet).await?;
    journal::write(conn, &groups.journals, &mut sheet).await?;
    signals::signal(conn, &groups.signals, &mut sheet).await?;
    signals::decide(conn, &groups.decisions, &mut sheet).await?;
    signals::wake_due(conn, &groups.wakes, &mut sheet).await?;
    artifacts::put(conn, &groups.artifacts, &mut sheet).await?;
    nodes::run(conn, &groups.nodes, node, now, &mut sheet).await?;
    runs::progress(conn, &groups.progress, &mut sheet).await?;
    occurrences::settle(conn, &groups.settled, &mut sheet).await?;
    occurrences::miss(conn, &groups.absences, now, &mut sheet).await?;
    jobs::scheduled_until(conn, &groups.until).await?;
    kv::write(conn, &groups.kv, now, &mut sheet).await?;
    for (index, command) in groups.access {
        match access::write(conn, command, now).await? {
            Ok(answer) => sheet.answer(index, answer),
            Err(refusal) => sheet.refuse(index, refusal),
        }
    }
    audit::write(conn, &groups.trust, &mut sheet).await?;
    let sample_seq = watch::write(conn, &groups.watch, &mut sheet).await?;
    outbox::write(conn, &groups.outbox, &mut sheet).await?;
    for (index, what) in groups.removals {
        let count = removal::remove(conn, what).await?;
        sheet.answer(index, Answer::Count(count));
    }
    if groups.ping {
        conn.execute(query("UPDATE counters SET value = value + 1 WHERE name = 'pings'")).await?;
    }
    logs::append(conn, &sheet.logs).await?;
    // In the order in which their commands came, whatever the order of the kinds.
    sheet.audit.sort_by_key(|(index, _)| *index);
    audit::append(conn, &sheet.audit, node).await?;
    sheet.events.sort_by_key(|(index, _)| *index);
    let event_seq = events::append(conn, &sheet.events).await?;
    Ok(Applied {
        answers: sheet.answers.into_iter().map(|answer| answer.unwrap_or(Ok(Answer::Done))).collect(),
        event_seq,
        log_lines: sheet.logs.len(),
        touched: sheet.touched,
        sample_seq,
    })
}

fn sort<'a>(commands: &[&'a Command], sheet: &mut Sheet<'a>) -> Groups<'a> {
    let mut groups = Groups::default();
    for (index, &command) in commands.iter().enumerate() {
        match command {
            Command::Accept(new) => groups.accepts.push((index, new)),
            Command::Transition(change) => groups.transitions.push((index, change)),
            Command::Start(start) => groups.starts.push((index, start)),
            Command::Journal(write) => groups.journals.push((index, write)),
            Command::Signal(signal) => groups.signals.push((index, signal)),
            Command::Decide(decision) => groups.decisions.push((index, decision)),
            Command::WakeDue(now, limit) => groups.wakes.push((index, *now, *limit)),
            Command::PutArtifact(run, fence, artifact, content) => {
                groups.artifacts.push((index, artifacts::Put { run: *run, fence: *fence, artifact, content }));
            }
            Command::Node(command) => groups.nodes.push((index, command)),
            Command::Progress(update) => groups.progress.push(update),
            Command::Logs(fence, lines) => sheet.logs(*fence, lines),
            Command::Events(events) => sheet.events(index, events),
            Command::Settle(occurrence, events) => groups.settled.push((index, occurrence, events)),
            Command::Miss(absence) => groups.absences.push((index, absence)),
            Command::ScheduledUntil(jobs, until) => groups.until.push((jobs, *until)),
            Command::PutVersion(version, events) => {
                groups.versions.push(version);
                sheet.events(index, events);
            }
            Command::SetEnabled(job, enabled, events) => groups.enabled.push((index, job, *enabled, events)),
            Command::Kv(write) => groups.kv.push((index, write)),
            Command::PutToken(_) | Command::RevokeToken(..) | Command::PutSession(_) | Command::TakeSession(_) => {
                groups.access.push((index, command));
            }
            Command::Watch(write) => groups.watch.push((index, write)),
            Command::Trust(write) => groups.trust.push((index, write)),
            Command::Outbox(write) => groups.outbox.push((index, write)),
            Command::Remove(removal) => groups.removals.push((index, removal)),
            Command::Ping => groups.ping = true,
            // The writer has taken it out before.
            Command::Checkpoint => {}
        }
    }
    groups
}
