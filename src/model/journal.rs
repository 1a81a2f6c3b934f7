//! What a durable run has done and waits for: the entries by which it is replayed after a restart.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Actor;
use crate::base::{Fault, RunId, Timestamp};

/// The place of an entry in its run: counted from 1 in the order of calls. Within `ctx:all` and `ctx:map` each function
/// counts for itself: `4.2.1` is the first entry of the second function of the group that stands at place 4.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepKey(Vec<u32>);

impl StepKey {
    pub fn new(places: Vec<u32>) -> Self {
        Self(places)
    }

    /// The entry of the run itself under which its failure stands, once its completed steps are being undone.
    pub fn unwind() -> Self {
        Self(vec![0])
    }

    /// Where the undoing of the entry at this place is recorded.
    #[must_use]
    pub fn undo(&self) -> Self {
        let mut places = vec![0];
        places.extend(&self.0);
        Self(places)
    }

    pub fn places(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, place) in self.0.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            write!(f, "{dot}{place}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the place of a step")]
pub struct BadStepKey(String);

impl FromStr for StepKey {
    type Err = BadStepKey;

    fn from_str(text: &str) -> Result<Self, BadStepKey> {
        let places: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        places.map(Self).map_err(|_| BadStepKey(text.to_owned()))
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$of])* $variant),* }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What an entry records.
    EntryKind {
        /// `ctx:step`: the function's result, or the error that was left after its retries.
        Step = "step",
        /// `ctx:sleep` that outlasts a short hold.
        Sleep = "sleep",
        /// `ctx:wait_event`.
        Event = "event",
        /// `ctx:approval`.
        Approval = "approval",
        /// A value that would come out differently the next time: the clock, say.
        Value = "value",
        /// `ctx:compensate`: a function to be called if the run fails.
        Compensation = "compensation",
        /// The run failed or was cancelled, and what it did is being undone. `error` says why.
        Unwind = "unwind",
        /// One step was undone, or could not be.
        Undo = "undo",
    }
}

words! {
    EntryState {
        /// For its time, an event or a decision.
        Waiting = "waiting",
        Done = "done",
        Failed = "failed",
    }
}

/// One entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub key: StepKey,
    pub kind: EntryKind,
    pub name: String,
    pub state: EntryState,
    /// Of a step: what it returned. Of an event: its payload. Of an approval: `{approved, by, comment, at}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// What an approval shows to whoever decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<Value>,
    /// Of an event: only one that carries the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_key: Option<String>,
    /// Who sent the event or decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// It has to be undone when the run fails.
    #[serde(default)]
    pub undo: bool,
    /// Calls of the step's function, retries included.
    #[serde(default)]
    pub tries: u32,
    pub attempt: u32,
    pub started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When a sleep is over, and when a wait gives up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// An event or a decision has answered it, and the run has not gone on from that yet. `finished_at` is then the
    /// moment of the door, which says nothing about the order of the run's entries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
}

impl Entry {
    /// Whether the run still has to go on from it: nothing came, or what came was not taken yet.
    pub fn is_open(&self) -> bool {
        self.state == EntryState::Waiting || self.answered
    }

    /// About what it takes in memory and on disk.
    pub fn bytes(&self) -> usize {
        const ROW: usize = 256;
        let json = |value: &Option<Value>| value.as_ref().map_or(0, json_bytes);
        let error = self.error.as_ref().map_or(0, |fault| fault.message.len() + json_bytes(&fault.details));
        ROW + self.name.len() + json(&self.result) + json(&self.show) + error
    }
}

/// About how long a value is as JSON, without writing it.
pub fn json_bytes(value: &Value) -> usize {
    const SCALAR: usize = 8;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => SCALAR,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_bytes(item) + 1).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, item)| key.len() + 4 + json_bytes(item)).sum::<usize>(),
    }
}

/// The entries of a run in the order in which they were recorded first, each found by its key.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    entries: Vec<Arc<Entry>>,
    places: HashMap<StepKey, usize>,
}

impl Journal {
    /// Records an entry; one with the same key makes room for it and leaves it its place.
    pub fn put(&mut self, entry: Entry) {
        if let Some(place) = self.places.get(&entry.key) {
            self.entries[*place] = Arc::new(entry);
            return;
        }
        self.places.insert(entry.key.clone(), self.entries.len());
        self.entries.push(Arc::new(entry));
    }

    pub fn get(&self, key: &StepKey) -> Option<&Entry> {
        self.places.get(key).map(|place| &*self.entries[*place])
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    pub fn as_slice(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// All of it; the entries themselves are shared.
    pub fn shared(&self) -> Vec<Arc<Entry>> {
        self.entries.clone()
    }
}

impl Extend<Entry> for Journal {
    fn extend<T: IntoIterator<Item = Entry>>(&mut self, entries: T) {
        entries.into_iter().for_each(|entry| self.put(entry));
    }
}

impl FromIterator<Entry> for Journal {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut journal = Self::default();
        journal.extend(entries);
        journal
    }
}

/// How far each function of a run has come. Places alternate with the numbers of functions that run side by side, which
/// say nothing about order.
#[derive(Debug)]
pub struct Seen(HashMap<Vec<u32>, u32>);

impl Seen {
    pub fn by<'a>(journal: impl IntoIterator<Item = &'a StepKey>) -> Self {
        let mut furthest: HashMap<Vec<u32>, u32> = HashMap::new();
        for key in journal {
            for level in (0..key.0.len()).step_by(2) {
                let known = furthest.entry(key.0[..level].to_vec()).or_default();
                *known = key.0[level].max(*known);
            }
        }
        Self(furthest)
    }

    /// Whether the run can have come so far only after it had the answer at `key`.
    pub fn has_gone_on(&self, key: &StepKey) -> bool {
        let further = |level: usize| self.0.get(&key.0[..level]).is_some_and(|furthest| *furthest > key.0[level]);
        (0..key.0.len()).step_by(2).any(further)
    }
}

/// An event for runs that wait for its name, sent by a person, a program or another run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    pub name: String,
    /// Reaches only waits with the same key, and those without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Reaches only this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(default)]
    pub payload: Value,
    pub actor: Actor,
    pub at: Timestamp,
}

/// A decision on an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub run: RunId,
    /// The approval's name; None means the only one that waits.
    pub name: Option<String>,
    pub approved: bool,
    pub comment: Option<String>,
    pub actor: Actor,
    pub at: Timestamp,
}

/// The entries that still have to be undone, in the order in which that happens: the latest first.
pub fn to_undo<E: Borrow<Entry>>(entries: &[E]) -> Vec<&Entry> {
    let entries = || entries.iter().map(Borrow::borrow);
    let undone: HashSet<&StepKey> = entries().filter(|e| e.kind == EntryKind::Undo).map(|e| &e.key).collect();
    let mut left: Vec<&Entry> = entries()
        .filter(|entry| entry.undo && entry.state == EntryState::Done && !undone.contains(&entry.key.undo()))
        .collect();
    left.sort_by(|a, b| (b.finished_at, &b.key).cmp(&(a.finished_at, &a.key)));
    left
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_read_back() {
        for text in ["1", "4.2.1", "0.3"] {
            assert_eq!(text.parse::<StepKey>().expect("a key").to_string(), text);
        }
        assert!("4..1".parse::<StepKey>().is_err());
        assert!("".parse::<StepKey>().is_err());
    }

    fn entry(key: &str, kind: EntryKind, second: i64) -> Entry {
        let at = Timestamp::from_second(second).expect("a moment");
        Entry {
            key: key.parse().expect("a key"),
            kind,
            name: format!("{key} at {second}"),
            state: EntryState::Done,
            result: None,
            error: None,
            show: None,
            match_key: None,
            actor: None,
            undo: kind == EntryKind::Step,
            tries: 1,
            attempt: 1,
            started_at: at,
            finished_at: Some(at),
            wake_at: None,
            answered: false,
        }
    }

    #[test]
    fn a_journal_keeps_the_order_of_first_record_and_the_latest_of_each_key() {
        let mut journal: Journal = ["3", "1"].map(|key| entry(key, EntryKind::Step, 1)).into_iter().collect();
        journal.extend(["2", "3"].map(|key| entry(key, EntryKind::Step, 2)));
        let names: Vec<&str> = journal.iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, ["3 at 2", "1 at 1", "2 at 2"]);
        let found = |key: &str| journal.get(&key.parse().expect("a key")).map(|entry| &*entry.name);
        assert_eq!((found("3"), found("1"), found("4")), (Some("3 at 2"), Some("1 at 1"), None));
        assert_eq!(journal.as_slice().len(), 3);
    }

    #[test]
    fn what_was_undone_is_not_undone_again_and_the_latest_comes_first() {
        let steps = [("1", 1), ("2", 3), ("3", 2)].map(|(key, second)| entry(key, EntryKind::Step, second));
        let mut journal: Journal = steps.into_iter().collect();
        let left =
            |journal: &Journal| to_undo(journal.as_slice()).iter().map(|e| e.key.to_string()).collect::<Vec<_>>();
        assert_eq!(left(&journal), ["2", "3", "1"]);
        journal.put(entry("0.3", EntryKind::Undo, 4));
        assert_eq!(left(&journal), ["2", "1"]);
    }

    #[test]
    fn only_what_comes_after_in_the_same_function_has_seen_an_answer() {
        let key = |text: &str| text.parse::<StepKey>().expect("a key");
        let before = |of: &str, later: &str| Seen::by([&key(of), &key(later)]).has_gone_on(&key(of));
        assert!(before("2", "3") && before("4.2.1", "4.2.2") && before("4.2.1", "5") && before("4.2.1.3.1", "4.2.2"));
        assert!(!before("2", "1") && !before("2", "2") && !before("4.1.1", "4.2.1") && !before("4.2.1", "4.1.7"));
    }

    #[test]
    fn the_size_of_a_value_is_about_that_of_its_text() {
        for value in [json!("x".repeat(500)), json!({"a": ["b", {"c": "d".repeat(300)}], "e": [1, 2, null]})] {
            let (about, exactly) = (json_bytes(&value), value.to_string().len());
            assert!(about >= exactly && about < exactly + 64, "{about} {exactly}");
        }
    }

    #[test]
    fn places_sort_as_numbers() {
        let key = |text: &str| text.parse::<StepKey>().expect("a key");
        assert!(key("2") < key("10") && key("4.2.1") < key("4.10.1") && key("4") < key("4.1.1"));
    }
}
