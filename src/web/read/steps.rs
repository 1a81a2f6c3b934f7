//! What durable runs have done, wait for and keep, as callers see it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::runs::{FaultView, RunView};
use crate::base::clock::since;
use crate::base::{JobName, RunId, Timestamp, limits};
use crate::model::{Entry, EntryKind, EntryState, Identity};
use crate::store::{Artifact, NodeRow, PendingApproval};
use crate::web::error::ApiResult;
use crate::web::parts::Web;

/// One entry of a durable run's journal.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Step)]
pub struct StepView {
    /// Its place in the order of calls: `4.2.1` is the first entry of the second function of the group at place 4.
    #[schema(example = "4.2.1")]
    pub key: String,
    /// `step`, `sleep`, `event`, `approval`, `value`, `compensation`, `unwind` or `undo`.
    #[schema(value_type = String, example = "step")]
    pub kind: EntryKind,
    pub name: String,
    /// `waiting`, `done` or `failed`.
    #[schema(value_type = String, example = "done")]
    pub state: EntryState,
    /// Of a step what it returned, of an event its payload, of an approval the decision. In lists, what has more than
    /// 16 KiB is replaced by `{"cut": {"bytes": …, "begins": "…"}}`; `/runs/{id}/steps?key=…` gives it whole.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    pub error: Option<FaultView>,
    /// What an approval shows to whoever decides.
    #[schema(value_type = Option<Object>)]
    pub show: Option<Value>,
    /// Of an event: only one with the same key is meant.
    pub match_key: Option<String>,
    /// Who sent the event or decided.
    pub actor: Option<String>,
    /// It is undone when the run fails.
    pub undo: bool,
    /// Whether undoing it went well; null while it was not tried.
    pub undone: Option<bool>,
    /// Calls of the step's function, retries included.
    pub tries: u32,
    pub attempt: u32,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// When a sleep is over, and when a wait gives up.
    pub wake_at: Option<Timestamp>,
    /// In milliseconds; up to now while it waits.
    pub duration_ms: u64,
    /// In words, while it waits.
    #[schema(example = "approval \"switch\"")]
    pub waits_for: Option<String>,
}

impl StepView {
    /// `all` tells whether the entry was undone.
    pub fn new(entry: &Entry, all: &[Entry], now: Timestamp) -> Self {
        let undo = entry.key.undo();
        let undone = all.iter().find(|other| other.kind == EntryKind::Undo && other.key == undo);
        let took = since(entry.finished_at.unwrap_or(now), entry.started_at);
        Self {
            key: entry.key.to_string(),
            kind: entry.kind,
            name: entry.name.clone(),
            state: entry.state,
            result: entry.result.clone(),
            error: entry.error.clone().map(FaultView::from),
            show: entry.show.clone(),
            match_key: entry.match_key.clone(),
            actor: entry.actor.as_ref().map(ToString::to_string),
            undo: entry.undo,
            undone: undone.filter(|undo| undo.state != EntryState::Waiting).map(|undo| undo.state == EntryState::Done),
            tries: entry.tries,
            attempt: entry.attempt,
            started_at: entry.started_at,
            finished_at: entry.finished_at,
            wake_at: entry.wake_at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            waits_for: waits_for(entry),
        }
    }

    pub fn all(entries: &[Entry], now: Timestamp) -> Vec<Self> {
        entries.iter().map(|entry| Self::new(entry, entries, now)).collect()
    }
}

/// `sleep`, `event "paid"`, `approval "switch"`; None unless it waits.
pub fn waits_for(entry: &Entry) -> Option<String> {
    let key = entry.match_key.as_ref().map_or_else(String::new, |key| format!(" with the key {key:?}"));
    (entry.state == EntryState::Waiting).then(|| match entry.kind {
        EntryKind::Sleep => "sleep".to_owned(),
        kind => format!("{} {:?}{key}", kind.as_str(), entry.name),
    })
}

/// A run and what it has done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunDetail {
    #[serde(flatten)]
    pub run: RunView,
    /// Of a durable run: its journal, less recorded values of the clock.
    pub steps: Vec<StepView>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepList {
    pub steps: Vec<StepView>,
}

/// An approval that waits for somebody.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalView {
    #[schema(value_type = String)]
    pub run: RunId,
    #[schema(value_type = String)]
    pub job: JobName,
    pub name: String,
    /// What the job shows to whoever decides.
    #[schema(value_type = Option<Object>)]
    pub show: Option<Value>,
    pub since: Timestamp,
    /// When the run gives up waiting; null when it has all the time of its run.
    pub expires: Option<Timestamp>,
}

impl From<PendingApproval> for ApprovalView {
    fn from(pending: PendingApproval) -> Self {
        let PendingApproval { run, job, entry } = pending;
        Self { run, job, name: entry.name, show: entry.show, since: entry.started_at, expires: entry.wake_at }
    }
}

/// The approvals that wait in runs that the caller may see, the oldest first.
pub async fn approvals(web: &Web, who: &Identity) -> ApiResult<Vec<ApprovalView>> {
    let store = &web.parts.store;
    let pending = if who.jobs.is_empty() {
        store.pending_approvals(limits::STORE_PAGE_ROWS_MAX, None).await?
    } else {
        let mut jobs = store.jobs_that_ask().await?;
        jobs.retain(|job| who.covers(job));
        store.pending_approvals(limits::STORE_PAGE_ROWS_MAX, Some(&jobs)).await?
    };
    Ok(pending.into_iter().map(ApprovalView::from).collect())
}

/// Something that a run keeps for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub struct ArtifactView {
    #[schema(example = "report.txt")]
    pub name: String,
    #[schema(example = "text/plain")]
    pub media_type: String,
    pub bytes: u64,
    pub created_at: Timestamp,
}

impl From<Artifact> for ArtifactView {
    fn from(artifact: Artifact) -> Self {
        let Artifact { name, media_type, bytes, created_at } = artifact;
        Self { name, media_type, bytes, created_at }
    }
}

pub async fn artifacts(web: &Web, run: RunId) -> ApiResult<Vec<ArtifactView>> {
    Ok(web.parts.store.artifacts(run).await?.into_iter().map(ArtifactView::from).collect())
}

/// A daemon that shares the database.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Node)]
pub struct NodeView {
    pub name: String,
    /// Grows with each start of this daemon.
    pub epoch: i64,
    pub address: String,
    pub labels: Vec<String>,
    pub started_at: Timestamp,
    /// Until then its runs are its own; it is renewed while the daemon lives.
    pub lease_until: Timestamp,
    /// Whether the lease holds.
    pub alive: bool,
}

impl NodeView {
    pub fn new(row: NodeRow, now: Timestamp) -> Self {
        let alive = row.lease_until > now;
        let NodeRow { name, epoch, address, labels, started_at, lease_until } = row;
        Self { name, epoch, address, labels, started_at, lease_until, alive }
    }
}

pub async fn nodes(web: &Web) -> ApiResult<Vec<NodeView>> {
    let now = web.now();
    Ok(web.parts.store.nodes().await?.into_iter().map(|row| NodeView::new(row, now)).collect())
}

#[cfg(test)]
pub mod testing {
    use crate::base::Timestamp;
    use crate::model::{Entry, EntryKind, EntryState};

    pub fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// An entry that began at second `from`, and ended at second `to` unless it waits.
    pub fn entry(key: &str, kind: EntryKind, name: &str, from: i64, to: Option<i64>) -> Entry {
        Entry {
            key: key.parse().expect("a key"),
            kind,
            name: name.into(),
            state: if to.is_some() { EntryState::Done } else { EntryState::Waiting },
            result: None,
            error: None,
            show: None,
            match_key: None,
            actor: None,
            undo: false,
            tries: 1,
            attempt: 1,
            started_at: at(from),
            finished_at: to.map(at),
            wake_at: None,
            answered: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{at, entry};
    use super::*;

    #[test]
    fn a_step_says_whether_it_was_undone() {
        let mut entries = vec![
            entry("1", EntryKind::Step, "reserve", 0, Some(2)),
            entry("2", EntryKind::Step, "charge", 2, Some(3)),
            entry("0.1", EntryKind::Undo, "reserve", 5, Some(6)),
            entry("0.2", EntryKind::Undo, "charge", 4, Some(5)),
        ];
        entries[3].state = EntryState::Failed;
        let steps = StepView::all(&entries, at(9));
        assert_eq!(steps.iter().map(|step| step.undone).collect::<Vec<_>>(), [Some(true), Some(false), None, None]);
        assert_eq!((steps[0].duration_ms, steps[0].waits_for.as_deref()), (2_000, None));
    }

    #[test]
    fn what_waits_says_for_what() {
        let mut event = entry("1", EntryKind::Event, "paid", 0, None);
        event.match_key = Some("order-7".into());
        assert_eq!(waits_for(&event).as_deref(), Some("event \"paid\" with the key \"order-7\""));
        assert_eq!(waits_for(&entry("1", EntryKind::Sleep, "", 0, None)).as_deref(), Some("sleep"));
        let approval = entry("1", EntryKind::Approval, "switch", 0, None);
        assert_eq!(waits_for(&approval).as_deref(), Some("approval \"switch\""));
        assert_eq!(StepView::new(&approval, &[], at(7)).duration_ms, 7_000);
        assert_eq!(waits_for(&entry("1", EntryKind::Approval, "switch", 0, Some(1))), None);
    }
}
