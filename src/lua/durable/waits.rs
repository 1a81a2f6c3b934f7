//! `ctx:sleep`, `ctx:wait_event` and `ctx:approval`: held for a while, then parked.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::course::Course;
use super::strand::{Asked, Strand};
use super::turns::{Standing, Wait};
use crate::base::clock::later;
use crate::base::quantity::show_duration;
use crate::base::{Fault, Timestamp};
use crate::model::{Entry, EntryKind, EntryState, StepKey};

/// What ended a wait.
enum Ended {
    Time,
    Answer(Box<Entry>),
}

const SLEEP: &str = "sleep";

pub async fn sleep(strand: &Strand, duration: Duration) -> Result<(), Fault> {
    let course = strand.course();
    let Asked::Open(key, begun) = strand.ask(EntryKind::Sleep, SLEEP, None).await? else { return Ok(()) };
    let is_new = begun.is_none();
    let mut entry = begun.map(Arc::unwrap_or_clone).unwrap_or_else(|| {
        let mut entry = course.entry(key, EntryKind::Sleep, SLEEP, EntryState::Waiting);
        entry.wake_at = Some(later(entry.started_at, duration));
        entry
    });
    let ends = entry.wake_at.unwrap_or(entry.started_at);
    let short = is_new && course.is_short(ends);
    if is_new && !short {
        course.write(entry.clone()).await;
    }
    let ended = wait(course, &entry, Some(ends), format!("sleep until {}", whole_seconds(ends))).await?;
    debug_assert!(matches!(ended, Ended::Time), "nothing answers a sleep");
    entry.state = EntryState::Done;
    entry.finished_at = Some(course.finished());
    // After a crash a short sleep that nothing followed is slept again, which is cheaper than a write for each.
    if short {
        course.commit_later(entry).await
    } else {
        course.commit(entry).await
    }
    Ok(())
}

/// What `ctx:wait_event` is given besides the name.
#[derive(Debug, Default)]
pub struct EventOptions {
    pub key: Option<String>,
    pub timeout: Option<Duration>,
}

pub async fn event(strand: &Strand, name: &str, options: EventOptions) -> Result<Value, Fault> {
    let entry = answer(strand, EntryKind::Event, name, options.timeout, |entry| entry.match_key = options.key).await?;
    match (entry.state, entry.error) {
        (EntryState::Failed, error) => Err(error.unwrap_or_else(|| timed_out(EntryKind::Event, name, None))),
        _ => Ok(entry.result.unwrap_or_default()),
    }
}

pub async fn approval(
    strand: &Strand,
    name: &str,
    show: Option<Value>,
    timeout: Option<Duration>,
) -> Result<Value, Fault> {
    let entry = answer(strand, EntryKind::Approval, name, timeout, |entry| entry.show = show).await?;
    let result = entry.result.unwrap_or_default();
    match (entry.state, entry.error) {
        (EntryState::Failed, Some(error)) => Err(error),
        _ if result["approved"] == json!(true) => Ok(result),
        _ => Err(rejected(name, &result)),
    }
}

fn rejected(name: &str, result: &Value) -> Fault {
    let by = result["by"].as_str().map_or_else(String::new, |by| format!(" by {by}"));
    let comment = result["comment"].as_str().map_or_else(String::new, |comment| format!(": {comment}"));
    let details = json!({ "by": result["by"], "comment": result["comment"], "at": result["at"] });
    Fault::new("approval.rejected", format!("the approval \"{name}\" was rejected{by}{comment}")).details(details)
}

fn timed_out(kind: EntryKind, name: &str, timeout: Option<Duration>) -> Fault {
    let within = timeout.map_or_else(|| "in time".to_owned(), |limit| format!("within {}", show_duration(limit)));
    match kind {
        EntryKind::Approval => {
            Fault::new("approval.timeout", format!("nobody decided on the approval \"{name}\" {within}"))
        }
        _ => Fault::new("event.timeout", format!("the event \"{name}\" did not come {within}")),
    }
}

/// The entry of an event or an approval once it has been answered or has timed out.
async fn answer(
    strand: &Strand,
    kind: EntryKind,
    name: &str,
    timeout: Option<Duration>,
    complete: impl FnOnce(&mut Entry),
) -> Result<Entry, Fault> {
    let course = strand.course();
    let (key, begun) = match strand.ask(kind, name, None).await? {
        Asked::Recorded(entry) => return Ok(Arc::unwrap_or_clone(entry)),
        Asked::Open(key, begun) => (key, begun),
    };
    let mut entry = match begun {
        Some(entry) => Arc::unwrap_or_clone(entry),
        None => {
            let mut entry = course.entry(key, kind, name, EntryState::Waiting);
            entry.wake_at = timeout.map(|timeout| later(entry.started_at, timeout));
            complete(&mut entry);
            course.write(entry.clone()).await;
            entry
        }
    };
    let text = match entry.wake_at {
        Some(ends) => format!("{} \"{name}\" until {}", kind.as_str(), whole_seconds(ends)),
        None => format!("{} \"{name}\"", kind.as_str()),
    };
    match wait(course, &entry, entry.wake_at, text).await? {
        Ended::Answer(answered) => {
            let taken = taken(*answered, course.finished());
            course.commit_later(taken.clone()).await;
            Ok(taken)
        }
        Ended::Time => {
            let at = course.finished();
            let ticket = course.ticket(&entry.key);
            entry.state = EntryState::Failed;
            entry.finished_at = Some(at);
            entry.error = Some(timed_out(kind, name, timeout));
            let key = entry.key.clone();
            course.write(entry).await;
            // Somebody may have been told meanwhile that the answer came in time, and then it did.
            let mut stands = read_back(course, &key).await;
            if stands.answered {
                stands = taken(stands, at);
                course.buffer(stands.clone());
            }
            course.take_turn(Some(ticket.turn())).await;
            Ok(stands)
        }
    }
}

/// An answer in the order of the run: it came when the door says, and counts from when the run goes on from it.
fn taken(answer: Entry, at: Timestamp) -> Entry {
    Entry { answered: false, finished_at: Some(at), ..answer }
}

/// What the journal has of a wait that is over.
async fn read_back(course: &Course, key: &StepKey) -> Entry {
    let _stand = course.stand(Standing::Away);
    match course.port.answered(key.clone()).await {
        Ok(entry) => entry,
        Err(fault) => course.lose(fault).await,
    }
}

/// Waits in place, for as long as the VM is held; what is longer never returns.
async fn wait(course: &Course, entry: &Entry, ends: Option<Timestamp>, text: String) -> Result<Ended, Fault> {
    if entry.answered {
        return Ok(Ended::Answer(Box::new(entry.clone())));
    }
    let _stand = course.stand(Standing::Waiting(entry.key.clone(), Wait { ends, text }));
    let answered = async {
        match entry.kind {
            EntryKind::Sleep => pending().await,
            _ => course.port.answered(entry.key.clone()).await,
        }
    };
    let time = async {
        match ends {
            Some(ends) => course.clock.sleep_until(ends).await,
            None => pending().await,
        }
    };
    let (mut answered, mut time) = (std::pin::pin!(answered), std::pin::pin!(time));
    loop {
        tokio::select! {
            biased;
            answer = &mut answered => match answer {
                Ok(answer) => return Ok(Ended::Answer(Box::new(answer))),
                Err(fault) => return course.lose(fault).await,
            },
            () = &mut time => return Ok(Ended::Time),
            () = course.until(|turns| course.parked(turns).is_some()) => course.park().await,
        }
    }
}

/// For people, who care for no fractions.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
