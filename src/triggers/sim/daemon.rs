//! What a daemon does around the core: it carries answers in and effects out, and keeps its alarms.

use std::collections::HashSet;
use std::time::Duration;

use super::trace;
use super::world::{Answer, Happening, World};
use crate::base::clock::since;
use crate::base::{RunId, Timestamp};
use crate::model::{Run, RunState};
use crate::runner::sim::*;
use crate::store::{Accepted, Guarded, Started};

impl World {
    pub(super) fn hear(&mut self, daemon: usize, answer: Answer) {
        let Some(alive) = self.awake(daemon) else { return };
        match answer {
            Answer::Accepted(run, result) => {
                let is_new = result == Ok(Accepted::New);
                alive.core.accepted(run, result);
                self.is_in(daemon, run, is_new);
            }
            Answer::Resolved(run, is_there) => {
                alive.core.resolved(run, is_there);
                self.is_in(daemon, run, is_there);
            }
            Answer::Started(run, asked, result) => {
                let is_lost = result == Ok(Started::Lost);
                alive.core.started(run, asked, result);
                self.law.forget_if(is_lost, run);
            }
            Answer::Settled(change, settled) => {
                let run = change.run;
                if settled == Guarded::Applied && change.clear_deadline {
                    self.trace.count("retried");
                }
                if let Some(alive) = self.awake(daemon) {
                    alive.core.settled(*change, Ok(settled));
                }
                self.law.forget_if(settled == Guarded::Refused, run);
            }
            Answer::Woken(runs, next) => {
                for run in runs {
                    self.comes_back(daemon, run, Comeback::Woken);
                }
                self.wake_by(daemon, next);
            }
            Answer::Unparked(run, job, key) => alive.core.unparked(run, &job, key.as_deref()),
        }
        self.turn(daemon);
    }

    /// A new run is safe: what it replaces is on its way out.
    fn is_in(&mut self, daemon: usize, run: RunId, is_there: bool) {
        let Some(earlier) = self.law.replaces.remove(&run) else { return };
        let Some(alive) = self.daemons[daemon].as_mut().filter(|alive| is_there && alive.core.holds(run)) else {
            return;
        };
        let going_on = alive.core.going_on(&self.books.rows[&run].run.job);
        for victim in earlier {
            self.trace.count("replaced");
            assert!(!going_on.contains(&victim), "run {victim} goes on although {run} replaces it");
        }
    }

    pub(super) fn comes_back(&mut self, daemon: usize, run: Run, how: Comeback) {
        let job = self.jobs[&run.job].clone();
        if let Some(alive) = self.awake(daemon) {
            alive.core.comes_back(run, job, 0, how);
        }
    }

    /// The daemon does what follows from what it was told.
    pub(super) fn turn(&mut self, daemon: usize) {
        let life = self.lives[daemon];
        let Some(alive) = self.awake(daemon) else { return };
        alive.start_at = alive.core.start_waiting();
        let effects = alive.core.take_effects();
        for effect in effects {
            self.trace.line(self.now, || format!("daemon {daemon}: {}", trace::effect(&effect)));
            match effect {
                Effect::Execute(execution) => self.begin(daemon, life, *execution),
                Effect::Parked { asks: true, .. } => {
                    self.trace.count("parked");
                    let next = self.books.next_wake();
                    self.wake_by(daemon, next);
                }
                Effect::Parked { wake_at, .. } => {
                    self.trace.count("parked");
                    self.wake_by(daemon, wake_at);
                }
                Effect::Accept(new) => {
                    let alive = self.daemons[daemon].as_ref();
                    let earlier = alive.map(|alive| alive.core.going_on(&new.run.job)).unwrap_or_default();
                    self.law.comes_in(&self.jobs[&new.run.job].spec, new.run.id, earlier);
                    self.ask(daemon, life, Effect::Accept(new));
                }
                other => self.ask(daemon, life, other),
            }
        }
        self.set_alarm(daemon);
        self.hear_replies(daemon);
    }

    /// At that moment by the daemon's clock, or earlier.
    pub(super) fn wake_by(&mut self, daemon: usize, moment: Option<Timestamp>) {
        if let Some(alive) = self.daemons[daemon].as_mut() {
            alive.wake_at = [alive.wake_at, moment].into_iter().flatten().min();
        }
    }

    fn set_alarm(&mut self, daemon: usize) {
        let life = self.lives[daemon];
        let Some(alive) = self.daemons[daemon].as_mut() else { return };
        let Some(moment) = [alive.start_at, alive.wake_at].into_iter().flatten().min() else { return };
        let moment = self.true_time(daemon, moment);
        let known = self.alarms[daemon].filter(|(of, at)| *of == life && *at >= self.now);
        if known.is_none_or(|(_, at)| moment < at) {
            self.alarms[daemon] = Some((life, moment.max(self.now)));
            self.at(moment, Happening::Wake(daemon, life));
        }
    }

    pub(super) fn wake(&mut self, daemon: usize) {
        self.alarms[daemon] = None;
        let (wall, life) = (self.wall(daemon), self.lives[daemon]);
        if let Some(alive) = self.awake(daemon)
            && alive.wake_at.is_some_and(|moment| moment <= wall)
        {
            alive.wake_at = None;
            self.soon(30, Happening::LookForDue(daemon, life));
        }
        self.turn(daemon);
    }

    /// Runs of daemons that are gone are this one's now.
    pub(super) fn take_over(&mut self, daemon: usize, from: &HashSet<usize>) {
        let taken = self.books.take_over(from, daemon);
        taken.iter().for_each(|_| self.trace.count("taken over"));
        taken.into_iter().for_each(|run| self.take_up(daemon, run));
    }

    /// Queued runs of others, while there is room for them.
    pub(super) fn claim(&mut self, daemon: usize) {
        let free = self.daemons[daemon].as_ref().map_or(0, |alive| alive.core.free());
        let (wall, jobs) = (self.wall(daemon), self.jobs.clone());
        let labels = self.labels(daemon);
        let claimed = self.books.claim(wall, daemon, free, &jobs, |spec| spec.runs_with(&labels));
        claimed.iter().for_each(|_| self.trace.count("claimed"));
        claimed.into_iter().for_each(|run| self.take_up(daemon, run));
    }

    /// What others were asked to cancel is cancelled here.
    pub(super) fn heed_stops(&mut self, daemon: usize) {
        for (run, stopped) in self.books.stops_of(daemon) {
            if let Stopped::By { actor, reason } = stopped {
                self.cancel_run(daemon, run, actor, reason);
            }
        }
    }

    /// Runs that waited here for a daemon with other labels and are with it now.
    pub(super) fn give_up_misplaced(&mut self, daemon: usize) {
        let misplaced = self.daemons[daemon].as_ref().map(|alive| alive.core.misplaced()).unwrap_or_default();
        let taken = self.books.not_held_by(daemon, misplaced);
        if let Some(alive) = self.daemons[daemon].as_mut() {
            alive.core.taken(&taken);
        }
    }

    /// Runs that are this daemon's in the store and not here, since `age` at least.
    pub(super) fn take_up_strays(&mut self, daemon: usize, age: Duration) {
        let wall = self.wall(daemon);
        let Some(alive) = self.daemons[daemon].as_mut() else { return };
        alive.strays_at = self.now;
        let mut strays = self.books.held_by(daemon);
        strays.retain(|run| !alive.core.holds(run.id) && since(wall, run.started_at.unwrap_or(run.queued_at)) >= age);
        if !age.is_zero() {
            strays.iter().for_each(|_| self.trace.count("strays"));
        }
        strays.into_iter().for_each(|run| self.take_up(daemon, run));
    }

    /// What was left of a run is settled, and it goes on here if it goes on.
    fn take_up(&mut self, daemon: usize, run: Run) {
        let job = self.jobs[&run.job].clone();
        let change = plan(&run, Some(&job.spec)).change(&run, self.wall(daemon));
        if let Some(change) = &change {
            assert_eq!(self.books.transition(change), Guarded::Applied, "nobody else has it");
        }
        let run = self.books.rows[&run.id].run.clone();
        if run.state == RunState::Queued {
            self.comes_back(daemon, run, Comeback::Waiting);
        }
    }
}
