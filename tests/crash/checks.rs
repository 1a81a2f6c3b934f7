//! Whether the books agree. Pure: what was seen goes in, what is wrong comes out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::jobs;
use crate::record::{Effect, FINAL, Record, StoredRun};

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wrong {
    /// An acknowledged run is not there.
    Lost,
    /// The API tells another state than the database.
    ToldOtherwise,
    /// A run looks alive after everything had its time to end.
    Phantom,
    /// A run ended otherwise than it must, or does not say why.
    BadEnd,
    /// One idempotency key has several runs.
    KeyTwice,
    /// A step that was committed was executed again.
    StepAgain,
    /// A run is complete and a step of it never happened.
    StepMissing,
    /// A run that nobody has in the books caused an effect.
    Stranger,
    /// A due time has two runs.
    FiredTwice,
    /// A due time has no row, or its run is not there.
    DueMissing,
}

impl Wrong {
    pub const ALL: [Self; 10] = [
        Self::Lost,
        Self::ToldOtherwise,
        Self::Phantom,
        Self::BadEnd,
        Self::KeyTwice,
        Self::StepAgain,
        Self::StepMissing,
        Self::Stranger,
        Self::FiredTwice,
        Self::DueMissing,
    ];
}

const SECOND: i64 = 1_000_000;
/// A daemon that stood still is in the middle of a call when it goes on. Nothing on earth takes that one back.
const THAW_MICROS: i64 = 2 * SECOND;

pub type Found = (Wrong, String);

/// Everything that is wrong, with what it is about.
pub fn check(record: &Record) -> Vec<Found> {
    let runs: HashMap<&str, &StoredRun> = record.runs.iter().map(|run| (run.id.as_str(), run)).collect();
    let mut found = Vec::new();
    promises(record, &runs, &mut found);
    ends(record, &mut found);
    keys(record, &mut found);
    steps(record, &runs, &mut found);
    due_times(record, &runs, &mut found);
    found
}

fn promises(record: &Record, runs: &HashMap<&str, &StoredRun>, found: &mut Vec<Found>) {
    let accepted: BTreeSet<&str> = record.acknowledged.iter().map(|promise| promise.run.as_str()).collect();
    for run in accepted {
        let (stored, told) = (runs.get(run), record.told.get(run));
        if stored.is_none() || told.is_none() {
            found.push((Wrong::Lost, format!("{run}: stored {}, told {told:?}", stored.is_some())));
        }
        if let (Some(stored), Some(told)) = (stored, told)
            && stored.state != *told
        {
            found.push((Wrong::ToldOtherwise, format!("{run}: stored {}, told {told}", stored.state)));
        }
    }
}

fn ends(record: &Record, found: &mut Vec<Found>) {
    for run in &record.runs {
        let StoredRun { id, job, state, reason, error, .. } = run;
        if !FINAL.contains(&state.as_str()) {
            found.push((Wrong::Phantom, format!("{id} of {job} is {state}")));
            continue;
        }
        let due = jobs::TICKING.contains(&job.as_str());
        let must = if due { None } else { jobs::kind(job).ends };
        let is_stated = state == "succeeded" || reason.is_some() || error.is_some();
        let is_allowed = must.map_or(matches!(state.as_str(), "succeeded" | "interrupted"), |must| must == state);
        if !is_stated || !is_allowed {
            found.push((Wrong::BadEnd, format!("{id} of {job} is {state}, because {reason:?} {error:?}")));
        }
    }
}

fn keys(record: &Record, found: &mut Vec<Found>) {
    let mut of_key: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let stored = record.runs.iter().filter_map(|run| Some((run.key.as_deref()?, run.id.as_str())));
    let promised = record.acknowledged.iter().filter_map(|run| Some((run.key.as_deref()?, run.run.as_str())));
    for (key, run) in stored.chain(promised) {
        of_key.entry(key).or_default().insert(run);
    }
    for (key, runs) in of_key.iter().filter(|(_, runs)| runs.len() > 1) {
        found.push((Wrong::KeyTwice, format!("{key}: {runs:?}")));
    }
}

fn steps(record: &Record, runs: &HashMap<&str, &StoredRun>, found: &mut Vec<Found>) {
    let mut of_run: BTreeMap<&str, Vec<&Effect>> = BTreeMap::new();
    for effect in &record.effects {
        of_run.entry(&effect.run).or_default().push(effect);
    }
    for (id, effects) in &of_run {
        let Some(run) = runs.get(id) else {
            found.push((Wrong::Stranger, format!("{id}: {} effects", effects.len())));
            continue;
        };
        let kind = jobs::kind(&run.job);
        let effects = without_thawed(record, effects);
        if kind.is_ordered {
            after_successor(id, kind.steps, &effects, found);
        }
        if !record.is_shared {
            within_one_life(id, &effects, found);
        }
    }
    for (life, committed) in &record.journals {
        let later = of_run.values().flat_map(|effects| without_thawed(record, effects));
        let later = later.filter(|effect| effect.life > *life);
        for effect in later.filter(|effect| committed.contains(&(effect.run.clone(), effect.step.clone()))) {
            let Effect { run, step, life: again, .. } = effect;
            found.push((
                Wrong::StepAgain,
                format!("{run} {step}: in the journal when life {life} ended, executed in {again}"),
            ));
        }
    }
    for run in record.runs.iter().filter(|run| !jobs::TICKING.contains(&run.job.as_str())) {
        let kind = jobs::kind(&run.job);
        let effects = of_run.get(run.id.as_str());
        let happened = |step: &str| effects.is_some_and(|effects| effects.iter().any(|effect| effect.step == step));
        let is_complete = kind.ends == Some(run.state.as_str());
        for step in kind.steps.iter().filter(|step| is_complete && !happened(step)) {
            found.push((Wrong::StepMissing, format!("{} of {} is {} without {step}", run.id, run.job, run.state)));
        }
    }
}

/// Without the first effect of a run after each time that a daemon went on which had stood still.
fn without_thawed<'a>(record: &Record, effects: &[&'a Effect]) -> Vec<&'a Effect> {
    let mut left = record.thaws.clone();
    let mut is_excused = |effect: &Effect| {
        let thaw = left.iter().position(|thaw| (0..=THAW_MICROS).contains(&(effect.at - thaw)));
        let again = effects.iter().any(|other| other.step == effect.step && other.at < effect.at);
        thaw.filter(|_| again).map(|thaw| left.remove(thaw)).is_some()
    };
    effects.iter().copied().filter(|effect| !is_excused(effect)).collect()
}

/// The script goes on only when a step is committed: once a later step was seen, no earlier one may come.
fn after_successor(run: &str, order: &[&str], effects: &[&Effect], found: &mut Vec<Found>) {
    let mut furthest = 0;
    for effect in effects {
        let Some(place) = order.iter().position(|step| *step == effect.step) else {
            found.push((Wrong::StepAgain, format!("{run} {}: no step of that name is in the script", effect.step)));
            continue;
        };
        if place < furthest {
            found.push((
                Wrong::StepAgain,
                format!("{run} {}: after {} in life {}", effect.step, order[furthest], effect.life),
            ));
        }
        furthest = furthest.max(place);
    }
}

/// No step here has retries: what comes twice was begun by two daemons, and one of them must have died.
fn within_one_life(run: &str, effects: &[&Effect], found: &mut Vec<Found>) {
    let mut seen = HashSet::new();
    for effect in effects.iter().filter(|effect| !seen.insert((effect.life, effect.step.as_str()))) {
        found.push((Wrong::StepAgain, format!("{run} {}: twice in life {}", effect.step, effect.life)));
    }
}

/// What happened in the seconds around a due time: rows and the daemon's fate, by milliseconds from it.
fn around(record: &Record, job: &str, due: i64) -> String {
    let rows = record.occurrences.iter().filter(|row| row.job == job);
    let rows =
        rows.map(|row| (row.decided_at, format!("{} for {:+} s", row.state, (row.scheduled_for - due) / SECOND)));
    let moments = record.moments.iter().map(|(at, what)| (*at, (*what).to_owned()));
    let mut near: Vec<(i64, String)> = rows.chain(moments).filter(|(at, _)| (at - due).abs() < 6 * SECOND).collect();
    near.sort();
    let near: Vec<String> = near.iter().map(|(at, what)| format!("{:+} ms {what}", (at - due) / 1_000)).collect();
    near.join(", ")
}

fn due_times(record: &Record, runs: &HashMap<&str, &StoredRun>, found: &mut Vec<Found>) {
    let mut fired: BTreeMap<(&str, i64), Vec<&str>> = BTreeMap::new();
    for run in &record.runs {
        if let Some(due) = run.scheduled_for {
            fired.entry((&run.job, due)).or_default().push(&run.id);
        }
    }
    for ((job, due), runs) in fired.iter().filter(|(_, runs)| runs.len() > 1) {
        found.push((Wrong::FiredTwice, format!("{job} at {due}: {runs:?}")));
    }
    let mut settled: BTreeMap<(&str, i64), Option<&str>> = BTreeMap::new();
    for occurrence in &record.occurrences {
        settled.insert((&occurrence.job, occurrence.scheduled_for), occurrence.run.as_deref());
        match occurrence.run.as_deref() {
            Some(run) if !runs.contains_key(run) => {
                found.push((
                    Wrong::DueMissing,
                    format!("{} at {}: its run {run} is gone", occurrence.job, occurrence.scheduled_for),
                ));
            }
            None if occurrence.state == "fired" => {
                found.push((
                    Wrong::DueMissing,
                    format!("{} at {}: fired without a run", occurrence.job, occurrence.scheduled_for),
                ));
            }
            _ => {}
        }
    }
    for ((job, due), runs) in &fired {
        if !settled.get(&(*job, *due)).is_some_and(|run| run.is_some_and(|run| runs.contains(&run))) {
            found.push((Wrong::DueMissing, format!("{job} at {due}: {runs:?} is in no row of the ledger")));
        }
    }
    let (from, to) = record.watched;
    let mut due = from - from.rem_euclid(SECOND) + SECOND;
    while due <= to {
        for job in record.ticking.iter().filter(|job| !settled.contains_key(&(**job, due))) {
            found.push((Wrong::DueMissing, format!("{job} at {due}: no row; {}", around(record, job, due))));
        }
        due += SECOND;
    }
}
