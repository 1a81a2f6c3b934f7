//! Daemons, their lanes and the clock, all of them imagined: one seed is one history.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use super::super::schedule::{Firing, Timetable};
use super::books::Books;
use super::dice::Dice;
use crate::base::clock::{later, since};
use crate::base::{Clock, Fault, JobName, RunId, Timestamp};
use crate::jobs::Job;
use crate::lua::Outcome;
use crate::model::params::Params;
use crate::model::{RunState, Trigger, TriggerKind};
use crate::runner::sim::*;
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::{Guarded, StoreError};

/// After this long without a sign of life a daemon's runs are another's.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// Something that happens at a moment.
pub(super) enum Happening {
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

#[derive(Debug)]
pub(super) enum Answer {
    Accepted(RunId, Result<crate::store::Accepted, StoreError>),
    Resolved(RunId, bool),
    Started(RunId, i64, Result<crate::store::Started, StoreError>),
    Settled(Box<crate::store::Transition>, Guarded),
}

/// What a lane executes: so many steps, and then an end.
#[derive(Clone)]
pub(super) struct Script {
    execution: Execution,
    steps: u32,
    next: u32,
    in_step: bool,
}

pub(super) type Reply = oneshot::Receiver<Result<Submission, SubmitError>>;

pub(super) struct Daemon {
    pub(super) core: Core,
    pub(super) timetable: Option<Timetable>,
    /// With the due time that each is for.
    pub(super) replies: Vec<(Option<Firing>, Reply)>,
    pub(super) wake_at: Option<Timestamp>,
}

pub struct World {
    pub dice: Dice,
    pub now: Timestamp,
    pub books: Books,
    pub jobs: BTreeMap<JobName, Arc<Job>>,
    pub(super) daemons: Vec<Option<Daemon>>,
    /// Grows with each start, so that what was on its way to a dead daemon does not reach the next one.
    pub(super) lives: Vec<u64>,
    pub(super) paused: Vec<Option<Timestamp>>,
    pub(super) died_at: Vec<Option<Timestamp>>,
    pub(super) calendar: BTreeMap<(Timestamp, u64), Happening>,
    pub(super) order: u64,
    pub(super) acknowledged: HashSet<RunId>,
    pub dues: HashSet<(JobName, Timestamp)>,
    /// Who executes which run now, as far as the daemons themselves know.
    pub(super) executing: HashMap<RunId, (usize, i64)>,
    pub(super) faults: bool,
    made: Arc<AtomicU64>,
    /// Due times after this are not fired any more.
    pub(super) until: Option<Timestamp>,
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
            made: Arc::default(),
            until: None,
            began: now,
        };
        (0..daemons).for_each(|daemon| world.start(daemon));
        world
    }

    pub(super) fn at(&mut self, moment: Timestamp, what: Happening) {
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

    pub(super) fn hand_in(&mut self, daemon: usize, request: SubmitRequest, firing: Option<Firing>) {
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
            let (reply, _) = tokio::sync::oneshot::channel();
            found.core.cancel(run, crate::model::Actor::new("uid:0(sim)"), "cancelled by the simulation".into(), reply);
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
        self.trace(|now| eprintln!("{now} daemon {daemon} is killed"));
        if self.daemons[daemon].take().is_some() {
            self.died_at[daemon] = Some(self.now);
            self.paused[daemon] = None;
            self.lives[daemon] += 1;
            self.executing.retain(|_, (at, _)| *at != daemon);
            self.soon(30_000, Happening::Restart(daemon));
        }
    }

    fn pause(&mut self, daemon: usize) {
        self.trace(|now| eprintln!("{now} daemon {daemon} stands still"));
        if self.daemons[daemon].is_some() && self.paused[daemon].is_none() {
            self.paused[daemon] = Some(self.now);
            self.soon(40_000, Happening::Resume(daemon));
        }
    }

    /// Ids in the order in which they are made, so that a history is the same each time.
    fn ids(&self) -> Box<dyn FnMut() -> RunId + Send> {
        let made = self.made.clone();
        Box::new(move || RunId::from_number(u128::from(made.fetch_add(1, Ordering::Relaxed))))
    }

    /// A daemon begins: it takes over what it left behind, then what others did.
    fn start(&mut self, daemon: usize) {
        let clock = Clock::system();
        let core = new_core(clock, 3, self.daemons.len() > 1, self.ids());
        self.died_at[daemon] = None;
        self.daemons[daemon] = Some(Daemon { core, timetable: None, replies: Vec::new(), wake_at: None });
        self.count_parked(daemon);
        self.take_over(daemon, HashSet::from([daemon]));
        self.soon(100, Happening::Tick(daemon, self.lives[daemon]));
        self.turn(daemon);
    }

    /// Alone on its store, a daemon counts what is parked there.
    fn count_parked(&mut self, daemon: usize) {
        if self.daemons.len() > 1 {
            return;
        }
        let parked: Vec<_> = self.books.parked().map(|run| (run.job.clone(), run.concurrency_key.clone())).collect();
        for (job, key) in parked {
            if let Some(alive) = self.awake(daemon) {
                alive.core.count_parked(job, key);
            }
        }
    }

    pub(super) fn take_over(&mut self, daemon: usize, from: HashSet<usize>) {
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
        self.count_parked(daemon);
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

    pub(super) fn trace(&self, tell: impl FnOnce(Timestamp)) {
        if std::env::var_os("AEGIS_SIM_TRACE").is_some() {
            tell(self.now);
        }
    }

    fn hear(&mut self, daemon: usize, answer: Answer) {
        self.trace(|now| eprintln!("{now} daemon {daemon} hears {answer:?}"));
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
            self.trace(|now| eprintln!("{now} daemon {daemon}: {effect:?}"));
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
        let (life, now) = (self.lives[daemon], self.now);
        let (Some(moment), Some(alive)) = (moment, self.daemons[daemon].as_mut()) else { return };
        if alive.wake_at.is_some_and(|known| known > now && known <= moment) {
            return;
        }
        alive.wake_at = Some(moment);
        self.at(moment, Happening::Wake(daemon, life));
    }

    pub(super) fn wake(&mut self, daemon: usize) {
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

    fn begin(&mut self, daemon: usize, life: u64, execution: Execution) {
        let run = execution.run.id;
        let before = self.executing.insert(run, (daemon, execution.run.fence));
        assert!(
            before != Some((daemon, execution.run.fence)),
            "run {run} is given to a lane twice at fence {}",
            execution.run.fence
        );
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
            self.trace(|now| eprintln!("{now} run {run} commits step {} at fence {fence}", script.next));
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
}
