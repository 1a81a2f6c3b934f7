//! What lanes do with the runs that they are given: steps, pauses, failures, ends.

use std::time::Duration;

use serde_json::json;

use super::world::{Happening, World};
use crate::base::clock::later;
use crate::base::{Fault, RunId};
use crate::lua::Outcome;
use crate::runner::sim::*;
use crate::store::Guarded;

/// What a lane executes: so many steps, and then an end.
pub struct Script {
    execution: Execution,
    steps: u32,
    next: u32,
    in_step: bool,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (run, step) = (&self.execution.run, if self.in_step { "in" } else { "before" });
        write!(f, "{} at fence {}, {step} step {} of {}", run.id, run.fence, self.next, self.steps)
    }
}

impl World {
    pub(super) fn begin(&mut self, daemon: usize, life: u64, execution: Execution) {
        let may = self.may_execute(daemon, &execution.job.spec.name);
        self.law.begins(daemon, &execution, may);
        let done = self.books.steps.get(&execution.run.id).copied().unwrap_or(0);
        let steps = if execution.job.spec.resume { 3 } else { 0 };
        let script = Script { execution, steps, next: done, in_step: false };
        self.soon(500, Happening::Lane(daemon, life, Box::new(script)));
    }

    /// A script begins a step, commits it, parks, or ends.
    pub(super) fn lane(&mut self, daemon: usize, life: u64, mut script: Script) {
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
                return self.park(daemon, run, fence);
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

    /// For a while, or until somebody answers.
    fn park(&mut self, daemon: usize, run: RunId, fence: i64) {
        let asks = self.dice.below(3) == 0;
        let wake_at = (!asks).then(|| later(self.wall(daemon), Duration::from_secs(self.dice.below(60))));
        if asks {
            self.soon(30_000, Happening::Signal(daemon, run));
        }
        let outcome = Outcome::Parked { wake_at, waits_for: if asks { "an answer" } else { "a while" }.into() };
        self.report(daemon, run, fence, Finished { asks, ..outcome.into() });
    }

    fn report(&mut self, daemon: usize, run: RunId, fence: i64, finished: impl Into<Finished>) {
        self.law.ends(daemon, run, fence);
        if let Some(alive) = self.awake(daemon) {
            alive.core.finished(run, fence, finished.into());
            self.turn(daemon);
        }
    }
}
