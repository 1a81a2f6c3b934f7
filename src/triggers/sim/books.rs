//! The store as the simulation has it: rows in memory, with the guards that the real one promises.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::base::{JobName, RunId, Timestamp};
use crate::jobs::Job;
use crate::model::{JobSpec, Occurrence, Run, RunState};
use crate::runner::sim::{Stopped, runs_alone};
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
    /// Running runs that another daemon than theirs was asked to cancel, and why.
    stops: BTreeMap<RunId, Stopped>,
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
        let crowded = start.key.as_ref().is_some_and(|(_, limit)| self.is_crowded(&row.run, *limit));
        if crowded || (start.alone && self.has_one_in_the_way(&row.run)) {
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

    /// In progress besides `run`: what runs, is parked, or was woken while it has not begun.
    fn in_the_way<'a>(&'a self, run: &Run) -> impl Iterator<Item = &'a Run> {
        let (id, begun) = (run.id, run.deadline_at.is_some());
        let in_progress = move |run: &Run| match run.state {
            RunState::Running | RunState::Parked => true,
            RunState::Queued => run.deadline_at.is_some() && !begun,
            _ => false,
        };
        let alive = self.alive.iter().filter_map(|id| self.rows.get(id)).map(|row| &row.run);
        alive.filter(move |other| other.id != id && in_progress(other))
    }

    /// Whether so many runs hold its concurrency key.
    fn is_crowded(&self, run: &Run, limit: u32) -> bool {
        let holds = |other: &&Run| run.concurrency_key.is_some() && other.concurrency_key == run.concurrency_key;
        self.in_the_way(run).filter(holds).count() >= limit as usize
    }

    fn has_one_in_the_way(&self, run: &Run) -> bool {
        self.in_the_way(run).any(|other| other.job == run.job)
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

    /// Runs of other nodes that wait for no moment become `to`'s, at most so many: what `may_begin` there, and nothing
    /// that would have to wait for another run.
    pub fn claim(
        &mut self,
        now: Timestamp,
        to: usize,
        most: usize,
        jobs: &BTreeMap<JobName, Arc<Job>>,
        may_begin: impl Fn(&JobSpec) -> bool,
    ) -> Vec<Run> {
        let is_due = |run: &Run| run.not_before.is_none_or(|moment| moment <= now);
        let waits = |row: &&Row| row.node != to && row.run.state == RunState::Queued;
        let alive = self.alive.iter().filter_map(|id| self.rows.get(id)).filter(waits).map(|row| &row.run);
        let is_free = |run: &Run| {
            let spec = &jobs[&run.job].spec;
            let crowded = spec.concurrency.as_ref().is_some_and(|limit| self.is_crowded(run, limit.limit));
            may_begin(spec) && !crowded && !(runs_alone(spec) && self.has_one_in_the_way(run))
        };
        let free = alive.filter(|run| is_due(run) && is_free(run));
        let free: HashSet<RunId> = free.map(|run| run.id).take(most).collect();
        self.take(to, most, |row| free.contains(&row.run.id))
    }

    /// Those of these runs that are another node's by now, or over.
    pub fn not_held_by(&self, node: usize, runs: Vec<RunId>) -> Vec<RunId> {
        let is_held = |run: &RunId| self.rows[run].node == node && self.alive.contains(run);
        runs.into_iter().filter(|run| !is_held(run)).collect()
    }

    /// Notes that a running run shall be cancelled. False when it does not run.
    pub fn ask_to_stop(&mut self, run: RunId, stopped: Stopped) -> bool {
        let runs = self.running.contains(&run);
        if runs {
            self.stops.insert(run, stopped);
        }
        runs
    }

    /// What others were asked to cancel and `node` holds.
    pub fn stops_of(&self, node: usize) -> Vec<(RunId, Stopped)> {
        let is_held = |row: &Row| row.node == node || row.run.state == RunState::Parked;
        let held = |run: &RunId| self.alive.contains(run) && is_held(&self.rows[run]);
        self.stops.iter().filter(|(run, _)| held(run)).map(|(run, stopped)| (*run, stopped.clone())).collect()
    }

    /// Runs of a job that run `by` takes the place of.
    pub fn alive_before(&self, job: &JobName, by: RunId) -> Vec<Run> {
        let order = |run: &Run| (run.queued_at, run.id);
        let before = |run: &Run| self.rows.get(&by).is_some_and(|newer| order(run) < order(&newer.run));
        let of_job = self.alive.iter().map(|id| &self.rows[id].run).filter(|run| run.job == *job && run.id != by);
        of_job.filter(|run| run.state == RunState::Parked || before(run)).cloned().collect()
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
