//! The store as the simulation has it: rows in memory, with the guards that the real one promises.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Occurrence, Run, RunState};
use crate::store::{Accepted, Guarded, NewRun, StartRun, Started, Transition};

#[derive(Debug, Clone)]
pub struct Row {
    pub run: Run,
    pub node: usize,
}

#[derive(Debug, Default)]
pub struct Books {
    pub rows: BTreeMap<RunId, Row>,
    pub occurrences: BTreeMap<(JobName, Timestamp), Occurrence>,
    /// Steps that were committed, by run.
    pub steps: HashMap<RunId, u32>,
    keys: HashMap<(JobName, String), RunId>,
    /// Runs that are not over, and those of them that run or are parked.
    alive: BTreeSet<RunId>,
    running: BTreeSet<RunId>,
    parked: BTreeSet<RunId>,
    dues: HashSet<(JobName, Timestamp)>,
}

impl Books {
    pub fn accept(&mut self, new: &NewRun, node: usize) -> Accepted {
        if self.rows.contains_key(&new.run.id) {
            return Accepted::New;
        }
        let key = new.run.idempotency_key.clone().map(|key| (new.run.job.clone(), key));
        if let Some(earlier) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return Accepted::Existing(*earlier);
        }
        if let Some(occurrence) = &new.occurrence {
            let place = (occurrence.job.clone(), occurrence.scheduled_for);
            if self.occurrences.contains_key(&place) {
                return Accepted::OccurrenceSettled;
            }
            self.occurrences.insert(place, occurrence.clone());
        }
        if let Some(key) = key {
            self.keys.insert(key, new.run.id);
        }
        if let Some(due) = new.run.trigger.scheduled_for {
            let first = self.dues.insert((new.run.job.clone(), due));
            assert!(first, "{} ran twice for {due}", new.run.job);
        }
        self.rows.insert(new.run.id, Row { run: new.run.clone(), node });
        self.note(new.run.id);
        Accepted::New
    }

    /// Keeps the sets in step with a row that has changed.
    fn note(&mut self, id: RunId) {
        let state = self.rows[&id].run.state;
        let belongs = [
            (&mut self.alive, !state.is_final()),
            (&mut self.running, state == RunState::Running),
            (&mut self.parked, state == RunState::Parked),
        ];
        for (set, is_in) in belongs {
            let _ = if is_in { set.insert(id) } else { set.remove(&id) };
        }
    }

    pub fn start(&mut self, start: &StartRun, node: usize) -> Started {
        let Some(row) = self.rows.get(&start.run) else { return Started::Lost };
        if row.run.state != RunState::Queued || row.run.fence != start.fence || row.node != node {
            // The answer of the same start got lost before.
            let own = row.run.state == RunState::Running && row.run.fence == start.fence + 1 && row.node == node;
            return if own { Started::Applied } else { Started::Lost };
        }
        // In progress besides it: what runs, is parked, or was woken while it has not begun.
        let (id, begun) = (row.run.id, row.run.deadline_at.is_some());
        let in_progress = |run: &Run| match run.state {
            RunState::Running | RunState::Parked => true,
            RunState::Queued => run.deadline_at.is_some() && !begun,
            _ => false,
        };
        let alive = || self.alive.iter().filter_map(|id| self.rows.get(id)).map(|row| &row.run);
        let running = || alive().filter(|run| run.id != id && in_progress(run));
        let job = &row.run.job;
        let crowded = start.key.as_ref().is_some_and(|(key, limit)| {
            running().filter(|run| run.concurrency_key.as_ref() == Some(key)).count() >= *limit as usize
        });
        if crowded || (start.alone && running().any(|run| run.job == *job)) {
            return Started::Busy;
        }
        if let Some(Row { run, .. }) = self.rows.get_mut(&start.run) {
            run.state = RunState::Running;
            run.attempt = start.attempt;
            run.fence += 1;
            run.started_at = Some(start.began);
            run.deadline_at = run.deadline_at.or(start.deadline_at);
        }
        self.note(start.run);
        Started::Applied
    }

    pub fn transition(&mut self, change: &Transition) -> Guarded {
        let Some(row) = self.rows.get_mut(&change.run) else { return Guarded::Refused };
        let run = &mut row.run;
        if run.state != change.from || run.attempt != change.attempt || run.fence != change.fence {
            return Guarded::Refused;
        }
        assert!(run.state.may_become(change.to), "{} to {}", run.state, change.to);
        run.state = change.to;
        run.not_before = change.not_before;
        run.wake_at = change.wake_at;
        run.finished_at = change.to.is_final().then_some(change.at);
        if change.clear_deadline {
            run.deadline_at = None;
        }
        self.note(change.run);
        Guarded::Applied
    }

    /// Commits one more step of a run that this fence holds.
    pub fn step(&mut self, run: RunId, fence: i64) -> Guarded {
        match self.rows.get(&run) {
            Some(row) if row.run.state == RunState::Running && row.run.fence == fence => {
                *self.steps.entry(run).or_default() += 1;
                Guarded::Applied
            }
            _ => Guarded::Refused,
        }
    }

    /// Parked runs whose moment has come are this node's now, and queued.
    pub fn wake_due(&mut self, now: Timestamp, node: usize) -> Vec<Run> {
        let due = |run: &Run| [run.wake_at, run.deadline_at].into_iter().flatten().any(|moment| moment <= now);
        let due: Vec<RunId> = self.parked().filter(|run| due(run)).map(|run| run.id).collect();
        due.into_iter().filter_map(|id| self.wake(id, node)).collect()
    }

    /// One parked run is woken, because it was answered say.
    pub fn wake(&mut self, id: RunId, node: usize) -> Option<Run> {
        let row = self.rows.get_mut(&id).filter(|row| row.run.state == RunState::Parked)?;
        (row.run.state, row.run.wake_at, row.node) = (RunState::Queued, None, node);
        let run = row.run.clone();
        self.note(id);
        Some(run)
    }

    pub fn next_wake(&self) -> Option<Timestamp> {
        self.parked().filter_map(|run| [run.wake_at, run.deadline_at].into_iter().flatten().min()).min()
    }

    /// Runs of `from` that wait or run become `to`'s.
    pub fn take_over(&mut self, from: &HashSet<usize>, to: usize) -> Vec<Run> {
        self.take(to, usize::MAX, |row| {
            from.contains(&row.node) && matches!(row.run.state, RunState::Running | RunState::Queued)
        })
    }

    /// Runs of other nodes that wait for no moment become `to`'s, at most so many.
    pub fn claim(&mut self, now: Timestamp, to: usize, most: usize) -> Vec<Run> {
        let may_begin = |run: &Run| run.not_before.is_none_or(|moment| moment <= now);
        self.take(to, most, |row| row.node != to && row.run.state == RunState::Queued && may_begin(&row.run))
    }

    fn take(&mut self, to: usize, most: usize, which: impl Fn(&Row) -> bool) -> Vec<Run> {
        let taken: Vec<RunId> = self.alive.iter().filter(|id| which(&self.rows[id])).take(most).copied().collect();
        let mut runs = Vec::new();
        for id in taken {
            let Some(row) = self.rows.get_mut(&id) else { continue };
            row.node = to;
            row.run.fence += 1;
            runs.push(row.run.clone());
        }
        runs
    }

    /// Runs that a node has in hand.
    pub fn held_by(&self, node: usize) -> Vec<Run> {
        let rows = self.alive.iter().filter_map(|id| self.rows.get(id)).filter(|row| row.node == node);
        rows.map(|row| &row.run).filter(|run| run.state != RunState::Parked).cloned().collect()
    }

    pub fn unfinished(&self) -> &BTreeSet<RunId> {
        &self.alive
    }

    pub fn parked(&self) -> impl Iterator<Item = &Run> {
        self.parked.iter().filter_map(|id| self.rows.get(id)).map(|row| &row.run)
    }

    pub fn running(&self) -> impl Iterator<Item = &Run> {
        self.running.iter().filter_map(|id| self.rows.get(id)).map(|row| &row.run)
    }
}
