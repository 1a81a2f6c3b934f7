//! Daemons, their lanes and the clock, all of them imagined: one seed is one history.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use super::super::schedule::{Firing, Timetable, Verdict};
use super::books::Books;
use super::dice::Dice;
use crate::base::clock::{later, since};
use crate::base::{Clock, Fault, JobName, RunId, Timestamp};
use crate::jobs::{Job, Snapshot};
use crate::lua::Outcome;
use crate::model::params::Params;
use crate::model::{Occurrence, OccurrenceState, RunState, Trigger, TriggerKind};
use crate::runner::sim::*;
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::{Guarded, StoreError};

/// After this long without a sign of life a daemon's runs are another's.
const LEASE: Duration = Duration::from_secs(10);

/// Something that happens at a moment.
enum Happening {
    /// The store carries out what a daemon asked for.
    Commit(usize, u64, Effect),
    /// The answer reaches the daemon.
    Answer(usize, u64, Answer),
    /// A lane has come to the next point of a script.
    Lane(usize, u64, Box<Script>),
    Wake(usize, u64),
    /// The daemon looks at its timetable.
    Tick(usize, u64),
    Restart(usize),
    Resume(usize),
}

enum Answer {
    Accepted(RunId, Result<crate::store::Accepted, StoreError>),
    Resolved(RunId, bool),
    Started(RunId, i64, Result<crate::store::Started, StoreError>),
    Settled(Box<crate::store::Transition>, Guarded),
}

/// What a lane executes: so many steps, and then an end.
#[derive(Clone)]
struct Script {
    execution: Execution,
    steps: u32,
    next: u32,
    in_step: bool,
}

struct Daemon {
    core: Core,
    timetable: Option<Timetable>,
    replies: Vec<(Option<Firing>, oneshot::Receiver<Result<Submission, SubmitError>>)>,
    wake_at: Option<Timestamp>,
}

pub struct World {
    pub dice: Dice,
    pub now: Timestamp,
    pub books: Books,
    pub jobs: BTreeMap<JobName, Arc<Job>>,
    daemons: Vec<Option<Daemon>>,
    /// Grows with each start, so that what was on its way to a dead daemon does not reach the next one.
    lives: Vec<u64>,
    paused: Vec<Option<Timestamp>>,
    died_at: Vec<Option<Timestamp>>,
    calendar: BTreeMap<(Timestamp, u64), Happening>,
    order: u64,
    acknowledged: HashSet<RunId>,
    pub dues: HashSet<(JobName, Timestamp)>,
    /// Who executes which run now, as far as the daemons themselves know.
    executing: HashMap<RunId, (usize, i64)>,
    faults: bool,
    /// Due times after this are not fired any more.
    until: Option<Timestamp>,
    pub began: Timestamp,
}

impl World {
    pub fn new(seed: u64, daemons: usize, jobs: Vec<Arc<Job>>) -> Self {
        let now = Timestamp::from_second(1_790_000_000).expect("a moment");
        let jobs = jobs.into_iter().map(|job| (job.spec.name.clone(), job)).collect();
        let mut world = Self {
            dice: Dice::new(seed),
            now,
            books: Books::default(),
            jobs,
            daemons: (0..daemons).map(|_| None).collect(),
            lives: vec![0; daemons],
            paused: vec![None; daemons],
            died_at: vec![Some(Timestamp::UNIX_EPOCH); daemons],
            calendar: BTreeMap::new(),
            order: 0,
            acknowledged: HashSet::new(),
            dues: HashSet::new(),
            executing: HashMap::new(),
            faults: true,
            until: None,
            began: now,
        };
        (0..daemons).for_each(|daemon| world.start(daemon));
        world
    }

    fn at(&mut self, moment: Timestamp, what: Happening) {
        self.order += 1;
        self.calendar.insert((moment.max(self.now), self.order), what);
    }

    fn soon(&mut self, most_ms: u64, what: Happening) {
        let pause = Duration::from_micros(self.dice.below(most_ms * 1_000) + 1);
        self.at(later(self.now, pause), what);
    }

    /// Until nothing is left to happen before `end`, with what people and fate do in between.
    pub fn live_until(&mut self, end: Timestamp, chaos: bool) {
        self.faults = chaos;
        while let Some((&(moment, order), _)) = self.calendar.first_key_value() {
            if moment > end {
                break;
            }
            let Some(happening) = self.calendar.remove(&(moment, order)) else { break };
            self.now = self.now.max(moment);
            self.happen(happening);
            if chaos {
                self.fate();
            }
            self.check();
        }
        self.now = self.now.max(end);
    }

    fn fate(&mut self) {
        let daemon = self.dice.below(self.daemons.len() as u64) as usize;
        match self.dice.below(400) {
            0..=39 => self.submit(daemon),
            40..=43 => self.kill(daemon),
            44..=46 => self.pause(daemon),
            47..=54 => self.cancel(daemon),
            55..=57 => {
                // The clock is set forward, or the machine slept.
                let jump = Duration::from_secs(self.dice.below(90));
                self.now = later(self.now, jump);
            }
            _ => {}
        }
    }

    fn submit(&mut self, daemon: usize) {
        let names: Vec<JobName> = self.jobs.keys().cloned().collect();
        let job = names[self.dice.below(names.len() as u64) as usize].clone();
        let key = (self.dice.below(3) == 0).then(|| format!("key-{}", self.dice.below(5)));
        let request = SubmitRequest {
            job: job.clone(),
            params: Params::from_iter([("n".to_owned(), json!(self.dice.below(3)))]),
            trigger: Trigger::new(TriggerKind::Api, "token:sim"),
            idempotency_key: key,
            dry_run: false,
            parent: None,
            occurrence: None,
        };
        self.hand_in(daemon, request, None);
    }

    fn hand_in(&mut self, daemon: usize, request: SubmitRequest, firing: Option<Firing>) {
        let job = self.jobs[&request.job].clone();
        let Some(alive) = self.awake(daemon) else { return };
        let (reply, answer) = oneshot::channel();
        alive.core.submit(request, job, reply);
        alive.replies.push((firing, answer));
        self.turn(daemon);
    }

    fn cancel(&mut self, daemon: usize) {
        let alive: Vec<RunId> = self.books.unfinished().iter().copied().collect();
        if alive.is_empty() {
            return;
        }
        let run = alive[self.dice.below(alive.len() as u64) as usize];
        if let Some(found) = self.awake(daemon) {
            found.core.cancel(run, crate::model::Actor::new("uid:0(sim)"), "cancelled by the simulation".into());
            self.turn(daemon);
        }
    }

    fn awake(&mut self, daemon: usize) -> Option<&mut Daemon> {
        if self.paused[daemon].is_some() {
            return None;
        }
        let now = self.now;
        let alive = self.daemons[daemon].as_mut()?;
        alive.core.at(now);
        Some(alive)
    }

    fn kill(&mut self, daemon: usize) {
        if self.daemons[daemon].take().is_some() {
            self.died_at[daemon] = Some(self.now);
            self.paused[daemon] = None;
            self.lives[daemon] += 1;
            self.executing.retain(|_, (at, _)| *at != daemon);
            self.soon(30_000, Happening::Restart(daemon));
        }
    }

    fn pause(&mut self, daemon: usize) {
        if self.daemons[daemon].is_some() && self.paused[daemon].is_none() {
            self.paused[daemon] = Some(self.now);
            self.soon(40_000, Happening::Resume(daemon));
        }
    }

    /// A daemon begins: it takes over what it left behind, then what others did.
    fn start(&mut self, daemon: usize) {
        let clock = Clock::system();
        let core = new_core(clock, 3, self.daemons.len() > 1);
        self.died_at[daemon] = None;
        self.daemons[daemon] = Some(Daemon { core, timetable: None, replies: Vec::new(), wake_at: None });
        self.take_over(daemon, HashSet::from([daemon]));
        self.soon(100, Happening::Tick(daemon, self.lives[daemon]));
        self.turn(daemon);
    }

    fn take_over(&mut self, daemon: usize, from: HashSet<usize>) {
        let taken = self.books.take_over(&from, daemon);
        for run in taken {
            let job = self.jobs[&run.job].clone();
            let plan = plan(&run, Some(&job.spec));
            let change = plan.change(&run, self.now);
            if let Some(change) = &change {
                assert_eq!(self.books.transition(change), Guarded::Applied, "nobody else has it");
            }
            let run = self.books.rows[&run.id].run.clone();
            if let (false, Some(alive)) = (run.state.is_final(), self.awake(daemon)) {
                alive.core.comes_back(run, job, 0, Comeback::Waiting);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Restart(daemon) => {
                if self.daemons[daemon].is_none() {
                    self.start(daemon);
                }
            }
            Happening::Resume(daemon) => self.resume(daemon),
            // What a process asked for before it died is done, or is not; never after its next start.
            Happening::Commit(daemon, life, effect) if self.lives[daemon] == life || self.daemons[daemon].is_none() => {
                self.commit(daemon, life, effect);
            }
            Happening::Answer(daemon, life, answer) if self.hears(daemon, life) => self.hear(daemon, answer),
            Happening::Lane(daemon, life, script) if self.hears(daemon, life) => self.lane(daemon, life, *script),
            Happening::Wake(daemon, life) if self.hears(daemon, life) => self.wake(daemon),
            Happening::Tick(daemon, life) if self.hears(daemon, life) => self.tick(daemon, life),
            // A stopped process finds it when it goes on; a dead one never does.
            other => self.later_or_never(other),
        }
    }

    fn later_or_never(&mut self, happening: Happening) {
        let (Happening::Answer(daemon, life, _)
        | Happening::Lane(daemon, life, _)
        | Happening::Wake(daemon, life)
        | Happening::Tick(daemon, life)) = &happening
        else {
            return;
        };
        if self.lives[*daemon] == *life && self.paused[*daemon].is_some() {
            self.soon(5_000, happening);
        }
    }

    fn hears(&self, daemon: usize, life: u64) -> bool {
        self.lives[daemon] == life && self.daemons[daemon].is_some() && self.paused[daemon].is_none()
    }

    fn resume(&mut self, daemon: usize) {
        let Some(since_when) = self.paused[daemon].take() else { return };
        if since(self.now, since_when) <= LEASE {
            return;
        }
        // It lost its lease meanwhile, and finds out before it does anything else.
        if let Some(alive) = self.awake(daemon) {
            alive.core.abandon();
            alive.timetable = None;
        }
        self.take_over(daemon, HashSet::from([daemon]));
        self.turn(daemon);
    }

    /// The store executes what it was asked; now and then it fails before or after.
    fn commit(&mut self, daemon: usize, life: u64, effect: Effect) {
        let gone = || StoreError::Unavailable { reason: "the simulation cut the line".into() };
        let (before, after) = (self.faults && self.dice.below(40) == 0, self.faults && self.dice.below(40) == 0);
        let answer = match effect {
            Effect::Accept(new) => {
                let result = if before { None } else { Some(self.books.accept(&new, daemon)) };
                Answer::Accepted(new.run.id, result.filter(|_| !after).ok_or_else(gone))
            }
            Effect::Resolve(run) if before => return self.ask(daemon, life, Effect::Resolve(run)),
            Effect::Resolve(run) => Answer::Resolved(run, self.books.rows.contains_key(&run)),
            Effect::Start(start) => {
                // The daemon asks until it knows.
                let result = if before { None } else { Some(self.books.start(&start, daemon)) };
                let Some(started) = result.filter(|_| !after) else {
                    return self.ask(daemon, life, Effect::Start(start));
                };
                Answer::Started(start.run, start.fence, Ok(started))
            }
            Effect::Settle { change, log } => {
                if before {
                    return self.ask(daemon, life, Effect::Settle { change, log });
                }
                let settled = self.books.transition(&change);
                Answer::Settled(change, settled)
            }
            Effect::Execute(_) | Effect::Parked { .. } | Effect::CancelParked { .. } | Effect::Load(_) => return,
        };
        self.soon(20, Happening::Answer(daemon, life, answer));
    }

    fn ask(&mut self, daemon: usize, life: u64, effect: Effect) {
        self.soon(30, Happening::Commit(daemon, life, effect));
    }

    fn hear(&mut self, daemon: usize, answer: Answer) {
        let Some(alive) = self.awake(daemon) else { return };
        match answer {
            Answer::Accepted(run, result) => alive.core.accepted(run, result),
            Answer::Resolved(run, is_there) => alive.core.resolved(run, is_there),
            Answer::Started(run, fence, result) => alive.core.started(run, fence, result),
            Answer::Settled(change, settled) => alive.core.settled(*change, Ok(settled)),
        }
        self.turn(daemon);
    }

    /// The daemon does what follows from what it was told.
    fn turn(&mut self, daemon: usize) {
        let life = self.lives[daemon];
        let Some(alive) = self.awake(daemon) else { return };
        let start_at = alive.core.start_waiting();
        let effects = alive.core.take_effects();
        if let Some(moment) = start_at {
            self.at(moment, Happening::Wake(daemon, life));
        }
        for effect in effects {
            match effect {
                Effect::Execute(execution) => self.begin(daemon, life, *execution),
                Effect::Parked { wake_at, .. } => self.wake_later(daemon, wake_at),
                Effect::CancelParked { .. } => {}
                Effect::Load(run) => self.load(daemon, run),
                other => self.ask(daemon, life, other),
            }
        }
        self.hear_replies(daemon);
    }

    fn load(&mut self, daemon: usize, run: RunId) {
        let run = self.books.rows[&run].run.clone();
        let job = self.jobs[&run.job].clone();
        if run.state == RunState::Queued
            && let Some(alive) = self.awake(daemon)
        {
            alive.core.comes_back(run, job, 0, Comeback::Woken);
        }
    }

    fn wake_later(&mut self, daemon: usize, moment: Option<Timestamp>) {
        let life = self.lives[daemon];
        if let (Some(moment), Some(alive)) = (moment, self.daemons[daemon].as_mut()) {
            alive.wake_at = Some(alive.wake_at.map_or(moment, |known| known.min(moment)));
            self.at(moment, Happening::Wake(daemon, life));
        }
    }

    fn wake(&mut self, daemon: usize) {
        let woken = self.books.wake_due(self.now, daemon);
        for run in woken {
            let run = self.books.rows[&run].run.clone();
            let job = self.jobs[&run.job].clone();
            if let Some(alive) = self.awake(daemon) {
                alive.core.comes_back(run, job, 0, Comeback::Woken);
            }
        }
        let next = self.books.next_wake();
        self.wake_later(daemon, next);
        self.turn(daemon);
    }

    fn hear_replies(&mut self, daemon: usize) {
        let Some(alive) = self.daemons[daemon].as_mut() else { return };
        let mut again = Vec::new();
        let mut kept = Vec::new();
        let mut settled = Vec::new();
        for (firing, mut answer) in std::mem::take(&mut alive.replies) {
            match answer.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => kept.push((firing, answer)),
                Ok(Ok(Submission::Accepted { run, .. })) => drop(self.acknowledged.insert(run)),
                Ok(Ok(Submission::AlreadySettled)) => {}
                Ok(Ok(Submission::Coalesced { run })) => {
                    settled.extend(firing.map(|firing| (firing, OccurrenceState::Coalesced, Some(run))));
                }
                Ok(Ok(Submission::Skipped { .. })) => {
                    settled.extend(firing.map(|firing| (firing, OccurrenceState::SkippedOverlap, None)));
                }
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => again.extend(firing),
            }
        }
        alive.replies = kept;
        for (firing, state, run) in settled {
            self.settle(&firing, state, run);
        }
        for firing in again {
            self.fire(daemon, firing);
        }
    }

    fn settle(&mut self, firing: &Firing, state: OccurrenceState, run: Option<RunId>) {
        let place = (firing.job.spec.name.clone(), firing.due.scheduled_for);
        let occurrence = self.occurrence(firing, state, run);
        self.books.occurrences.entry(place).or_insert(occurrence);
    }

    fn occurrence(&self, firing: &Firing, state: OccurrenceState, run: Option<RunId>) -> Occurrence {
        Occurrence {
            job: firing.job.spec.name.clone(),
            scheduled_for: firing.due.scheduled_for,
            state,
            reason: None,
            run,
            decided_at: self.now,
        }
    }

    /// The first daemon that is there keeps the timetable; each takes over from those that are gone.
    fn tick(&mut self, daemon: usize, life: u64) {
        let gone = |other: usize| {
            let silent = self.died_at[other].or(self.paused[other]);
            other != daemon && silent.is_some_and(|moment| since(self.now, moment) > LEASE)
        };
        let orphans: HashSet<usize> = (0..self.daemons.len()).filter(|other| gone(*other)).collect();
        let leads = (0..daemon).all(|other| orphans.contains(&other));
        if !orphans.is_empty() {
            self.executing.retain(|_, (at, _)| !orphans.contains(at));
            self.take_over(daemon, orphans);
        }
        let firings = if leads { self.due(daemon) } else { self.step_down(daemon) };
        let until = self.until.unwrap_or(Timestamp::MAX);
        for firing in firings.into_iter().filter(|firing| firing.due.scheduled_for <= until) {
            self.dues.insert((firing.job.spec.name.clone(), firing.due.scheduled_for));
            self.fire(daemon, firing);
        }
        let wait = Duration::from_millis(200 + self.dice.below(300));
        self.at(later(self.now, wait), Happening::Tick(daemon, life));
        self.wake(daemon);
    }

    fn step_down(&mut self, daemon: usize) -> Vec<Firing> {
        if let Some(alive) = self.daemons[daemon].as_mut() {
            alive.timetable = None;
        }
        Vec::new()
    }

    fn due(&mut self, daemon: usize) -> Vec<Firing> {
        let (now, began) = (self.now, self.began);
        let knows = self.daemons[daemon].as_ref().is_some_and(|alive| alive.timetable.is_some());
        let jobs = self.jobs.keys().filter(|_| !knows);
        let marks: HashMap<JobName, Timestamp> =
            jobs.map(|job| (job.clone(), self.settled_until(job).unwrap_or(began))).collect();
        let snapshot = Snapshot { jobs: self.jobs.clone(), ..Snapshot::default() };
        let Some(alive) = self.daemons[daemon].as_mut() else { return Vec::new() };
        let timetable = alive.timetable.get_or_insert_with(|| {
            let mut fresh = Timetable::default();
            fresh.update(&snapshot, now, |job| marks[job]);
            fresh
        });
        timetable.take_due(now)
    }

    /// The last due time before which none is open.
    fn settled_until(&self, job: &JobName) -> Option<Timestamp> {
        let open =
            self.dues.iter().filter(|(of, at)| of == job && !self.books.occurrences.contains_key(&(of.clone(), *at)));
        let earliest_open = open.map(|(_, at)| *at).min();
        let settled =
            self.books.occurrences.keys().filter(|(of, at)| of == job && earliest_open.is_none_or(|open| *at < open));
        settled.map(|(_, at)| *at).max()
    }

    fn fire(&mut self, daemon: usize, firing: Firing) {
        let state = match firing.verdict {
            Verdict::Miss { .. } => return self.settle(&firing, OccurrenceState::Missed, None),
            _ => OccurrenceState::Fired,
        };
        let mut trigger = Trigger::new(TriggerKind::Schedule, "schedule");
        trigger.scheduled_for = Some(firing.due.scheduled_for);
        let request = SubmitRequest {
            job: firing.job.spec.name.clone(),
            params: Params::new(),
            trigger,
            idempotency_key: None,
            dry_run: false,
            parent: None,
            occurrence: Some(self.occurrence(&firing, state, None)),
        };
        self.hand_in(daemon, request, Some(firing));
    }

    fn begin(&mut self, daemon: usize, life: u64, execution: Execution) {
        let run = execution.run.id;
        self.executing.insert(run, (daemon, execution.run.fence));
        let done = self.books.steps.get(&run).copied().unwrap_or(0);
        let steps = if execution.job.spec.resume { 3 } else { 0 };
        let script = Script { execution, steps, next: done, in_step: false };
        self.soon(500, Happening::Lane(daemon, life, Box::new(script)));
    }

    /// A script begins a step, commits it, parks, or ends.
    fn lane(&mut self, daemon: usize, life: u64, mut script: Script) {
        let (run, fence) = (script.execution.run.id, script.execution.run.fence);
        if script.execution.stop.why().is_some() {
            return self.report(daemon, run, fence, Outcome::Cancelled);
        }
        if script.in_step {
            if self.books.step(run, fence) == Guarded::Refused {
                script.execution.stop.now(Stopped::Lost);
                return self.report(daemon, run, fence, Outcome::Cancelled);
            }
            script.in_step = false;
            script.next += 1;
            if self.dice.below(4) == 0 {
                let wake_at = Some(later(self.now, Duration::from_secs(self.dice.below(60))));
                return self.report(daemon, run, fence, Outcome::Parked { wake_at, waits_for: "a while".into() });
            }
        } else if script.next < script.steps {
            let committed = self.books.steps.get(&run).copied().unwrap_or(0);
            let owned = self.books.rows[&run].run.fence == fence;
            assert!(!owned || script.next >= committed, "run {run}: step {} executes again", script.next);
            script.in_step = true;
        } else {
            let outcome = match self.dice.below(5) {
                0 => Outcome::Raised(Fault::new("sim.failed", "it failed")),
                _ => Outcome::Returned(json!(null)),
            };
            return self.report(daemon, run, fence, outcome);
        }
        self.soon(2_000, Happening::Lane(daemon, life, Box::new(script)));
    }

    fn report(&mut self, daemon: usize, run: RunId, fence: i64, outcome: Outcome) {
        if self.executing.get(&run).is_some_and(|(at, _)| *at == daemon) {
            self.executing.remove(&run);
        }
        if let Some(alive) = self.awake(daemon) {
            alive.core.finished(run, fence, outcome.into());
            self.turn(daemon);
        }
    }

    /// What must hold after every event.
    fn check(&self) {
        let mut by_job: HashMap<&JobName, usize> = HashMap::new();
        let mut by_key: HashMap<&String, usize> = HashMap::new();
        for run in self.books.running() {
            *by_job.entry(&run.job).or_default() += 1;
            if let Some(key) = &run.concurrency_key {
                *by_key.entry(key).or_default() += 1;
            }
        }
        for (job, running) in by_job {
            let alone = runs_alone(&self.jobs[job].spec);
            assert!(!alone || running <= 1, "{running} runs of {job} at once");
        }
        for (key, running) in by_key {
            assert!(running <= 2, "{running} runs of {key} at once");
        }
    }

    /// Nothing new is due from now on, so that what is left can come to its end.
    pub fn quiet(&mut self) {
        self.until.get_or_insert(self.now);
    }

    pub fn is_over(&self) -> bool {
        self.books.unfinished().is_empty()
    }

    /// What must hold when all is over.
    pub fn check_end(&mut self) {
        for run in &self.acknowledged {
            assert!(self.books.rows.contains_key(run), "run {run} was acknowledged and is lost");
        }
        let left = self.books.unfinished();
        let show = |run: &RunId| {
            let row = &self.books.rows[run];
            let held = self.daemons[row.node].as_ref().map(|daemon| daemon.core.describe(*run));
            format!("{} {run} of daemon {}: {:?}, there {held:?}", row.run.job, row.node, row.run)
        };
        assert!(left.is_empty(), "not over: {:#?}", left.iter().map(show).collect::<Vec<_>>());
        for (job, due) in &self.dues {
            assert!(self.books.occurrences.contains_key(&(job.clone(), *due)), "{job}: nothing became of {due}");
        }
    }
}
