//! Daemons, their clocks and what happens to them, all of it imagined: one seed is one history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use super::super::schedule::{Firing, Timetable};
use super::books::Books;
use super::dice::Dice;
use super::lane::Script;
use super::law::Law;
use super::trace::{self, Trace};
use crate::base::clock::{FakeClock, earlier, later, since};
use crate::base::{Clock, JobName, RunId, Timestamp};
use crate::jobs::Job;
use crate::model::params::Params;
use crate::model::{Actor, Run, RunState, Trigger, TriggerKind};
use crate::runner::sim::*;
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::{Accepted, Guarded, Started, StoreError, Transition};

/// After this long without a sign of life a daemon's runs are another's.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// A daemon's clock goes wrong by this at most, before or after the true time.
const WRONG_MAX_S: u64 = 90;
/// How long a wait may go on before a daemon reads its clock again.
const RECHECK_MS: u64 = 1_000;

/// Something that happens at a moment, to a daemon in one of its lives.
pub(super) enum Happening {
    /// The store carries out what a daemon asked for.
    Commit(usize, u64, Effect),
    /// The answer reaches the daemon.
    Answer(usize, u64, Answer),
    /// A lane has come to the next point of a script.
    Lane(usize, u64, Box<Script>),
    /// The store looks for parked runs whose moment has come.
    LookForDue(usize, u64),
    /// Somebody answers what a parked run asks.
    Signal(usize, RunId),
    Wake(usize, u64),
    /// The daemon looks at its timetable, and at the leases of others.
    Tick(usize, u64),
    Restart(usize),
    Resume(usize),
}

#[derive(Debug)]
pub(super) enum Answer {
    Accepted(RunId, Result<Accepted, StoreError>),
    Resolved(RunId, bool),
    Started(RunId, (i64, Timestamp), Result<Started, StoreError>),
    Settled(Box<Transition>, Guarded),
    /// Runs that were parked, as they stood in the store, and when the next one is due.
    Woken(Vec<Run>, Option<Timestamp>),
    Unparked(RunId, JobName, Option<String>),
}

/// A submission that was not answered yet.
pub(super) struct Asked {
    /// The due time that it is for.
    pub firing: Option<Firing>,
    pub key: Option<(JobName, String)>,
    pub answer: oneshot::Receiver<Result<Submission, SubmitError>>,
}

pub(super) struct Daemon {
    pub core: Core,
    /// Turned with the daemon's own idea of the time.
    pub clock: FakeClock,
    pub timetable: Option<Timetable>,
    /// The latest time that the timetable's loop has seen.
    pub latest: Timestamp,
    pub asked: Vec<Asked>,
    /// When a waiting run, and when a parked one, shall be looked at next, by this daemon's clock.
    pub start_at: Option<Timestamp>,
    pub wake_at: Option<Timestamp>,
    /// Strays were looked for then.
    pub strays_at: Timestamp,
}

pub struct World {
    pub dice: Dice,
    /// The true time. What a daemon takes for it is [`Self::wall`].
    pub now: Timestamp,
    pub books: Books,
    pub trace: Trace,
    pub(super) law: Law,
    pub(super) jobs: BTreeMap<JobName, Arc<Job>>,
    pub(super) daemons: Vec<Option<Daemon>>,
    /// How far each daemon's clock is ahead of the true time, plus [`WRONG_MAX_S`].
    ahead_s: Vec<u64>,
    /// Grows with each start, so that what was on its way to a dead daemon does not reach the next one.
    pub(super) lives: Vec<u64>,
    pub(super) paused: Vec<Option<Timestamp>>,
    pub(super) died_at: Vec<Option<Timestamp>>,
    /// When each daemon, in one of its lives, wakes by itself.
    pub(super) alarms: Vec<Option<(u64, Timestamp)>>,
    calendar: BTreeMap<(Timestamp, u64), Happening>,
    order: u64,
    pub(super) faults: bool,
    made: Arc<AtomicU64>,
    /// Due times after this are not fired any more.
    pub(super) until: Option<Timestamp>,
    pub began: Timestamp,
}

impl World {
    pub fn new(seed: u64, daemons: usize, jobs: Vec<Arc<Job>>, trace: Trace) -> Self {
        let now = Timestamp::from_second(1_790_000_000).expect("a moment");
        let jobs = jobs.into_iter().map(|job| (job.spec.name.clone(), job)).collect();
        let mut world = Self {
            dice: Dice::new(seed),
            now,
            books: Books::default(),
            trace,
            law: Law::default(),
            jobs,
            daemons: (0..daemons).map(|_| None).collect(),
            ahead_s: vec![WRONG_MAX_S; daemons],
            lives: vec![0; daemons],
            paused: vec![None; daemons],
            died_at: vec![Some(Timestamp::UNIX_EPOCH); daemons],
            alarms: vec![None; daemons],
            calendar: BTreeMap::new(),
            order: 0,
            faults: true,
            made: Arc::default(),
            until: None,
            began: now,
        };
        (0..daemons).for_each(|daemon| world.start(daemon));
        world
    }

    pub(super) fn shares(&self) -> bool {
        self.daemons.len() > 1
    }

    /// The last daemon has the label that a job asks for; another has to leave its runs to it.
    pub(super) fn labels(&self, daemon: usize) -> Vec<String> {
        let is_last = daemon + 1 == self.daemons.len();
        is_last.then(|| super::LABEL.to_owned()).into_iter().collect()
    }

    pub(super) fn may_execute(&self, daemon: usize, job: &JobName) -> bool {
        self.jobs[job].spec.runs_with(&self.labels(daemon))
    }

    /// What the daemon's clock shows.
    pub(super) fn wall(&self, daemon: usize) -> Timestamp {
        let ahead = Duration::from_secs(self.ahead_s[daemon]);
        earlier(later(self.now, ahead), Duration::from_secs(WRONG_MAX_S))
    }

    /// When the daemon's clock will show `moment`, if nobody turns it.
    pub(super) fn true_time(&self, daemon: usize, moment: Timestamp) -> Timestamp {
        let ahead = Duration::from_secs(self.ahead_s[daemon]);
        earlier(later(moment, Duration::from_secs(WRONG_MAX_S)), ahead)
    }

    pub(super) fn at(&mut self, moment: Timestamp, what: Happening) {
        self.order += 1;
        self.calendar.insert((moment.max(self.now), self.order), what);
    }

    pub(super) fn soon(&mut self, most_ms: u64, what: Happening) {
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
            self.trace.events += 1;
            self.trace.line(self.now, || format!("{order}: {}", trace::happening(&happening)));
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
            55 => {
                // The machine sleeps: whatever was to happen meanwhile is late.
                self.trace.count("slept");
                self.now = later(self.now, Duration::from_secs(self.dice.below(90)));
                self.trace.line(self.now, || "the machine wakes up".to_owned());
            }
            56..=57 => self.set_clock(daemon),
            _ => {}
        }
    }

    fn set_clock(&mut self, daemon: usize) {
        let before = self.wall(daemon);
        self.ahead_s[daemon] = self.dice.below(2 * WRONG_MAX_S + 1);
        let after = self.wall(daemon);
        self.trace.count(if after < before { "clock set back" } else { "clock set forward" });
        self.trace.line(self.now, || format!("the clock of daemon {daemon} is set from {before} to {after}"));
        self.soon(RECHECK_MS, Happening::Wake(daemon, self.lives[daemon]));
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
        self.trace.line(self.now, || format!("daemon {daemon} is asked for {request:?}"));
        let job = self.jobs[&request.job].clone();
        let Some(alive) = self.awake(daemon) else { return };
        let (reply, answer) = oneshot::channel();
        let key = request.idempotency_key.clone().map(|key| (request.job.clone(), key));
        alive.core.submit(request, job, reply);
        alive.asked.push(Asked { firing, key, answer });
        self.turn(daemon);
    }

    fn cancel(&mut self, daemon: usize) {
        let alive: Vec<RunId> = self.books.unfinished().iter().copied().collect();
        if alive.is_empty() {
            return;
        }
        let run = alive[self.dice.below(alive.len() as u64) as usize];
        let (by, reason) = (Actor::new("uid:0(sim)"), "cancelled by the simulation".to_owned());
        self.cancel_run(daemon, run, by, reason);
    }

    pub(super) fn cancel_run(&mut self, daemon: usize, run: RunId, actor: Actor, reason: String) {
        let (life, state) = (self.lives[daemon], self.books.rows[&run].run.state);
        let Some(found) = self.awake(daemon) else { return };
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        found.core.cancel(run, actor.clone(), reason.clone(), reply);
        let answer = answer.try_recv();
        // What is answered later may turn out to be another daemon's run: nothing is promised yet.
        let promised = answer == Ok(true);
        let stopped = Stopped::By { actor, reason };
        if answer != Ok(false) {
            self.trace.count("cancelled");
            self.trace.line(self.now, || format!("daemon {daemon} cancels {run}"));
            if promised {
                self.law.cancelled.insert(run, (daemon, life));
            }
            self.turn(daemon);
        } else if state == RunState::Parked {
            self.ask(daemon, life, Effect::CancelGone { run, stopped });
        } else if state == RunState::Running {
            self.ask_to_stop(run, stopped);
        }
    }

    /// The daemon, if it goes on now; whatever it is told happens at the time that its clock shows.
    pub(super) fn awake(&mut self, daemon: usize) -> Option<&mut Daemon> {
        if self.paused[daemon].is_some() {
            return None;
        }
        let wall = self.wall(daemon);
        let alive = self.daemons[daemon].as_mut()?;
        alive.clock.set(wall);
        alive.core.at(wall);
        Some(alive)
    }

    fn kill(&mut self, daemon: usize) {
        if self.daemons[daemon].take().is_some() {
            self.trace.count("killed");
            self.trace.line(self.now, || format!("daemon {daemon} is killed"));
            self.died_at[daemon] = Some(self.now);
            self.paused[daemon] = None;
            self.lives[daemon] += 1;
            self.law.daemon_is_gone(daemon);
            self.soon(30_000, Happening::Restart(daemon));
        }
    }

    fn pause(&mut self, daemon: usize) {
        if self.daemons[daemon].is_some() && self.paused[daemon].is_none() {
            self.trace.count("paused");
            self.trace.line(self.now, || format!("daemon {daemon} stands still"));
            self.paused[daemon] = Some(self.now);
            self.soon(40_000, Happening::Resume(daemon));
        }
    }

    /// Ids in the order in which they are made, so that a history is the same each time.
    fn ids(&self) -> Box<dyn FnMut() -> RunId + Send> {
        let made = self.made.clone();
        Box::new(move || RunId::from_number(u128::from(made.fetch_add(1, Ordering::Relaxed))))
    }

    /// A daemon begins: it takes up what it left behind.
    fn start(&mut self, daemon: usize) {
        let wall = self.wall(daemon);
        let (clock, hand) = Clock::fake(wall);
        let core = new_core(clock, 3, self.shares(), self.labels(daemon), self.ids());
        self.died_at[daemon] = None;
        self.daemons[daemon] = Some(Daemon {
            core,
            clock: hand,
            timetable: None,
            latest: wall,
            asked: Vec::new(),
            start_at: None,
            wake_at: self.books.next_wake(),
            strays_at: self.now,
        });
        self.count_parked(daemon);
        self.take_up_strays(daemon, Duration::ZERO);
        self.soon(100, Happening::Tick(daemon, self.lives[daemon]));
        self.turn(daemon);
    }

    /// Alone on its store, a daemon counts what is parked there.
    fn count_parked(&mut self, daemon: usize) {
        if self.shares() {
            return;
        }
        let parked: Vec<_> = self.books.parked().map(|run| (run.job.clone(), run.concurrency_key.clone())).collect();
        for (job, key) in parked {
            if let Some(alive) = self.awake(daemon) {
                alive.core.count_parked(job, key);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Restart(daemon) if self.daemons[daemon].is_none() => self.start(daemon),
            Happening::Restart(_) => {}
            Happening::Resume(daemon) => self.resume(daemon),
            Happening::Signal(daemon, run) => self.signal(daemon, run),
            // What a process asked for before it died is done, or is not; never after its next start.
            Happening::Commit(daemon, life, effect) if self.is_under_way(daemon, life) => {
                self.commit(daemon, life, effect);
            }
            Happening::LookForDue(daemon, life) if self.is_under_way(daemon, life) => self.look_for_due(daemon, life),
            Happening::Answer(daemon, life, answer) if self.hears(daemon, life) => self.hear(daemon, answer),
            Happening::Lane(daemon, life, script) if self.hears(daemon, life) => self.lane(daemon, life, *script),
            Happening::Wake(daemon, life) if self.hears(daemon, life) => self.wake(daemon),
            Happening::Tick(daemon, life) if self.hears(daemon, life) => self.tick(daemon, life),
            // A stopped process finds it when it goes on; a dead one never does.
            other => self.later_or_never(other),
        }
    }

    fn is_under_way(&self, daemon: usize, life: u64) -> bool {
        let next_has_begun = self.lives[daemon] > life + 1 || self.daemons[daemon].is_some();
        self.lives[daemon] == life || !next_has_begun
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
        if !self.shares() || since(self.now, since_when) <= LEASE {
            return;
        }
        // It lost its lease meanwhile, and finds out before it does anything else.
        self.trace.count("lease lost");
        self.law.daemon_is_gone(daemon);
        if let Some(alive) = self.awake(daemon) {
            alive.core.abandon();
            alive.timetable = None;
        }
        self.take_up_strays(daemon, Duration::ZERO);
        self.turn(daemon);
    }
}
