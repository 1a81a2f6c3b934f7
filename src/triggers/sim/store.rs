//! The line to the store: what is asked is done, or not, or nobody hears of it, and all of it takes a while.

use super::world::{Answer, Happening, World};
use crate::base::RunId;
use crate::model::{Run, RunState};
use crate::runner::sim::*;
use crate::store::{Guarded, StoreError};

/// Longer than a lease.
const SLOW_MS: u64 = 20_000;

impl World {
    pub(super) fn ask(&mut self, daemon: usize, life: u64, effect: Effect) {
        let slow = self.faults && self.dice.below(60) == 0;
        if slow {
            self.trace.count("commits slow");
        }
        self.soon(if slow { SLOW_MS } else { 30 }, Happening::Commit(daemon, life, effect));
    }

    /// The store executes what it was asked; now and then it fails before, or the line is cut after.
    pub(super) fn commit(&mut self, daemon: usize, life: u64, effect: Effect) {
        let fails = self.faults && self.dice.below(40) == 0;
        let is_lost = self.faults && self.dice.below(40) == 0;
        if fails {
            self.trace.count("commits failed");
            return self.refuse(daemon, life, effect);
        }
        let gone = || StoreError::Unavailable { reason: "the simulation cut the line".into() };
        let answer = match effect {
            Effect::Accept(new) => {
                let result = self.books.accept(&new, daemon);
                Answer::Accepted(new.run.id, if is_lost { Err(gone()) } else { Ok(result) })
            }
            Effect::Resolve(run) => Answer::Resolved(run, self.books.rows.contains_key(&run)),
            // The daemon asks until it knows.
            Effect::Start(start) => match self.books.start(&start, daemon) {
                _ if is_lost => return self.ask(daemon, life, Effect::Start(start)),
                started => Answer::Started(start.run, (start.fence, start.at), Ok(started)),
            },
            // So it does here; but then the change is refused, because it was made. A store of one's own loses no
            // answers to it.
            Effect::Settle { change, log } => match self.books.transition(&change) {
                _ if is_lost && self.shares() => return self.ask(daemon, life, Effect::Settle { change, log }),
                settled => Answer::Settled(change, settled),
            },
            Effect::Load(run) => {
                let found = self.books.rows.get(&run).map(|row| row.run.clone());
                let queued = found.filter(|run| run.state == RunState::Queued);
                Answer::Woken(queued.into_iter().collect(), self.books.next_wake())
            }
            Effect::CancelGone { run, stopped } => {
                let found = self.books.rows.get(&run).map(|row| row.run.clone());
                let alive = found.filter(|run| !run.state.is_final());
                return self.cancel_others(daemon, life, alive.into_iter().collect(), &stopped);
            }
            Effect::ReplaceOthers { job, by, stopped } => {
                let runs = self.books.alive_before(&job, by);
                return self.cancel_others(daemon, life, runs, &stopped);
            }
            Effect::Execute(_) | Effect::Parked { .. } => return,
        };
        if is_lost {
            self.trace.count("answers lost");
        }
        self.soon(20, Happening::Answer(daemon, life, answer));
    }

    /// Nothing was done. What must not be given up is asked for again.
    fn refuse(&mut self, daemon: usize, life: u64, effect: Effect) {
        match effect {
            Effect::Accept(new) => {
                let error = StoreError::Unavailable { reason: "the simulation's store is away".into() };
                self.soon(20, Happening::Answer(daemon, life, Answer::Accepted(new.run.id, Err(error))));
            }
            // It asks until it knows.
            other => self.ask(daemon, life, other),
        }
    }

    /// Cancels those of `runs` that the daemon has not in hand: what is parked or waits at once, and what another has by
    /// asking it.
    fn cancel_others(&mut self, daemon: usize, life: u64, runs: Vec<Run>, stopped: &Stopped) {
        let Stopped::By { reason, .. } = stopped else { return };
        let is_here = |run: &Run| self.daemons[daemon].as_ref().is_some_and(|alive| alive.core.holds(run.id));
        let others: Vec<Run> = runs.into_iter().filter(|run| !is_here(run)).collect();
        for run in others {
            if run.state == RunState::Running {
                self.ask_to_stop(run.id, stopped.clone());
                continue;
            }
            let change = change(&run, run.state, RunState::Cancelled, reason, self.wall(daemon));
            assert_eq!(self.books.transition(&change), Guarded::Applied, "it is as it was read");
            // One that was woken and that nobody has read yet still counts as parked.
            if run.state == RunState::Parked || run.deadline_at.is_some() {
                self.trace.count("cancelled while parked");
                let answer = Answer::Unparked(run.id, run.job, run.concurrency_key);
                self.soon(20, Happening::Answer(daemon, life, answer));
            }
        }
    }

    /// Whoever has the run finds the wish when it next looks.
    pub(super) fn ask_to_stop(&mut self, run: RunId, stopped: Stopped) {
        if self.shares() && self.books.ask_to_stop(run, stopped) {
            self.trace.count("stopped from elsewhere");
        }
    }

    /// Parked runs whose moment has come, by the daemon's clock, are queued and read.
    pub(super) fn look_for_due(&mut self, daemon: usize, life: u64) {
        let woken = self.books.wake_due(self.wall(daemon), daemon);
        woken.iter().for_each(|_| self.trace.count("woken"));
        let answer = Answer::Woken(woken, self.books.next_wake());
        self.soon(20, Happening::Answer(daemon, life, answer));
    }

    /// An answer reaches the run by whichever daemon is there; before it is parked it comes again.
    pub(super) fn signal(&mut self, daemon: usize, run: RunId) {
        let row = &self.books.rows[&run].run;
        if row.state.is_final() {
            return;
        }
        let listens =
            (0..self.daemons.len()).find(|other| self.daemons[*other].is_some() && self.paused[*other].is_none());
        let (true, Some(listener)) = (row.state == RunState::Parked && row.wake_at.is_none(), listens) else {
            return self.soon(5_000, Happening::Signal(daemon, run));
        };
        if self.books.wake(run, listener).is_some() {
            self.trace.count("answered");
            self.ask(listener, self.lives[listener], Effect::Load(run));
        }
    }
}
