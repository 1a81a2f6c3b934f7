//! One VM's way along the journal of its run.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mlua::Function;
use tokio::sync::Notify;

use super::halt::Halt;
use super::strand::{Place, Strand};
use super::turns::{Standing, Turns};
use super::writer::Writer;
use crate::base::clock::{later, since};
use crate::base::quantity::show_size;
use crate::base::{Clock, Fault, Timestamp, limits};
use crate::lua::interrupt::{Armed, Switch};
use crate::lua::scope::{Durable, JournalPort, RunScope};
use crate::model::journal::to_undo;
use crate::model::{Entry, EntryKind, EntryState, StepKey};

/// Moments that are kept in microseconds differ by as much.
const LEAST_APART: Duration = Duration::from_micros(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What is not recorded is done.
    Forward,
    /// Nothing new is done: the script is replayed for the sake of its functions.
    Unwind,
}

#[derive(Debug)]
pub struct Course {
    pub(super) clock: Clock,
    pub(super) port: Arc<dyn JournalPort>,
    pub(super) writer: RefCell<Writer>,
    mode: Mode,
    attempt: u32,
    hold: Duration,
    journal: Arc<Vec<Arc<Entry>>>,
    /// The entry of a key, and its turn if it is an answer that strands wait for.
    by_key: HashMap<StepKey, (usize, Option<usize>)>,
    /// The last recorded place of each strand.
    furthest: HashMap<Vec<u32>, u32>,
    entries: Cell<usize>,
    /// What they come to.
    bytes: Cell<usize>,
    /// When the latest entry was finished, so that the times of entries have the order of the entries.
    latest: Cell<Timestamp>,
    turns: RefCell<Turns>,
    bell: Notify,
    halt: RefCell<Option<Halt>>,
    switch: Arc<Switch>,
    /// What is to be undone, and the functions for it that have been come to.
    wanted: BTreeSet<StepKey>,
    undoes: RefCell<HashMap<StepKey, Function>>,
}

impl Course {
    /// The course of a run's VM, and the place of its first strand.
    pub fn new(
        scope: &RunScope,
        durable: &Durable,
        clock: Clock,
        switch: Arc<Switch>,
        mode: Mode,
    ) -> (Rc<Self>, Place) {
        let journal = durable.journal.clone();
        let own = |entry: &Entry| entry.key.places().first() != Some(&0);
        let is_answer = |entry: &Entry| entry.kind != EntryKind::Value && !entry.is_open();
        let mut answers: Vec<usize> =
            (0..journal.len()).filter(|i| own(&journal[*i]) && is_answer(&journal[*i])).collect();
        answers.sort_by_key(|index| (journal[*index].finished_at, *index));
        let turn_of: HashMap<usize, usize> = answers.iter().enumerate().map(|(turn, index)| (*index, turn)).collect();
        let mut furthest: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut by_key = HashMap::new();
        for (index, entry) in journal.iter().enumerate().filter(|(_, entry)| own(entry)) {
            by_key.insert(entry.key.clone(), (index, turn_of.get(&index).copied()));
            let places = entry.key.places();
            for at in (0..places.len()).step_by(2) {
                let known = furthest.entry(places[..at].to_vec()).or_default();
                *known = places[at].max(*known);
            }
        }
        let begun = journal.iter().filter(|entry| own(entry) && entry.is_open());
        let begun = begun.map(|entry| entry.key.clone()).collect();
        let turns = Turns::new(answers.iter().map(|index| journal[*index].key.clone()).collect(), begun);
        let wanted = to_undo(&journal).into_iter().map(|entry| entry.key.clone()).collect();
        let latest = journal.iter().filter(|entry| !entry.is_open()).filter_map(|entry| entry.finished_at).max();
        let latest = latest.unwrap_or(Timestamp::UNIX_EPOCH);
        let course = Rc::new(Self {
            clock,
            port: durable.port.clone(),
            writer: RefCell::default(),
            mode,
            attempt: scope.attempt,
            hold: durable.hold,
            by_key,
            furthest,
            entries: Cell::new(journal.len()),
            bytes: Cell::new(journal.iter().map(|entry| entry.bytes()).sum()),
            latest: Cell::new(latest),
            journal,
            turns: RefCell::new(turns),
            bell: Notify::new(),
            halt: RefCell::default(),
            switch,
            wanted,
            undoes: RefCell::default(),
        });
        let root = Place::Strand(Strand::new(course.clone(), Vec::new()));
        (course, root)
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn journal(&self) -> &[Arc<Entry>] {
        &self.journal
    }

    pub(super) fn find(&self, key: &StepKey) -> Option<&Arc<Entry>> {
        self.by_key.get(key).map(|(index, _)| &self.journal[*index])
    }

    pub(super) fn turn_of(&self, key: &StepKey) -> Option<usize> {
        self.by_key.get(key).and_then(|(_, turn)| *turn)
    }

    pub(super) fn furthest(&self, prefix: &[u32]) -> u32 {
        self.furthest.get(prefix).copied().unwrap_or(0)
    }

    /// Whether what the script says now, it has said before.
    pub fn is_replaying(&self) -> bool {
        self.mode == Mode::Unwind || self.turns.borrow().replaying()
    }

    /// Counts one more entry. A fault when there are too many, or when they come to too much.
    pub(super) fn room(&self) -> Result<(), Fault> {
        if self.entries.get() >= limits::RUN_STEPS_MAX {
            let message = format!("the run's journal has {} entries, as many as it may have", limits::RUN_STEPS_MAX);
            let hint = "do more in one step, or split the work among several runs with aegis.jobs.trigger";
            return Err(Fault::new("step.limit", message).hint(hint));
        }
        if self.bytes.get() >= limits::RUN_JOURNAL_BYTES_MAX {
            let size = |bytes: usize| show_size(u64::try_from(bytes).unwrap_or(u64::MAX));
            let (has, most) = (size(self.bytes.get()), size(limits::RUN_JOURNAL_BYTES_MAX));
            let message = format!("the run's journal has {has}, and {most} is as much as it may have");
            let hint = "return less from steps: put what is large elsewhere and return where it is, \
                        or split the work among several runs with aegis.jobs.trigger";
            return Err(Fault::new("step.limit", message).hint(hint));
        }
        self.entries.set(self.entries.get() + 1);
        Ok(())
    }

    pub(super) fn note_bytes(&self, entry: &Entry) {
        self.bytes.set(self.bytes.get().saturating_add(entry.bytes()));
    }

    /// An entry that begins now.
    pub(super) fn entry(&self, key: StepKey, kind: EntryKind, name: &str, state: EntryState) -> Entry {
        Entry {
            key,
            kind,
            name: name.to_owned(),
            state,
            result: None,
            error: None,
            show: None,
            match_key: None,
            actor: None,
            undo: false,
            tries: 0,
            attempt: self.attempt,
            started_at: self.clock.now(),
            finished_at: None,
            wake_at: None,
            answered: false,
        }
    }

    /// The moment at which an entry is finished: after that of every earlier one, though the clock may stand or be set
    /// back. By it the entries are put in their order.
    pub(super) fn finished(&self) -> Timestamp {
        self.latest.set(self.clock.now().max(later(self.latest.get(), LEAST_APART)));
        self.latest.get()
    }

    // ---- strands

    /// Changes who does what, and lets those look who may go on because of it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Turns) -> T) -> T {
        let mut turns = self.turns.borrow_mut();
        let result = change(&mut turns);
        if turns.awaited() && turns.idle() {
            self.bell.notify_waiters();
        }
        result
    }

    pub(super) fn stand(&self, standing: Standing) -> Stand<'_> {
        self.change(|turns| turns.enter(&standing));
        Stand { course: self, standing }
    }

    /// Until a condition holds that depends on what the strands do.
    pub(super) async fn until(&self, holds: impl Fn(&Turns) -> bool) {
        loop {
            let mut rung = std::pin::pin!(self.bell.notified());
            rung.as_mut().enable();
            if holds(&self.turns.borrow()) {
                return;
            }
            rung.await;
        }
    }

    /// Until the entry with this turn is the next.
    pub(super) async fn take_turn(&self, turn: Option<usize>) {
        let Some(turn) = turn else { return };
        let _passed = Passed { course: self, turn };
        let _stand = self.stand(Standing::Turn(turn));
        self.until(|turns| turns.may_pass(turn)).await;
    }

    /// A turn after all others that are known; it is nobody's once the ticket is dropped.
    pub(super) fn ticket(&self, key: &StepKey) -> Passed<'_> {
        Passed { course: self, turn: self.change(|turns| turns.add(key.clone())) }
    }

    pub(super) async fn pass_gate(&self) {
        let _stand = self.stand(Standing::Gate);
        self.until(Turns::may_begin).await;
    }

    /// What all strands wait for, if for longer than the VM is held: the earliest end of these waits, and a text.
    pub(super) fn parked(&self, turns: &Turns) -> Option<(Option<Timestamp>, String)> {
        const SHOWN_MAX: usize = 5;
        let waits = turns.waits()?;
        let wake_at = waits.values().filter_map(|wait| wait.ends).min();
        if wake_at.is_some_and(|end| since(end, self.clock.now()) <= self.hold) {
            return None;
        }
        let mut texts: Vec<String> = waits.values().take(SHOWN_MAX).map(|wait| wait.text.clone()).collect();
        if waits.len() > SHOWN_MAX {
            texts.push(format!("{} more", waits.len() - SHOWN_MAX));
        }
        Some((wake_at, texts.join(", ")))
    }

    /// Whether a wait that ends then is one for which the VM is held anyway.
    pub(super) fn is_short(&self, ends: Timestamp) -> bool {
        since(ends, self.clock.now()) <= self.hold
    }

    /// Parks the run if that is still what is to be done once everything is on disk.
    pub(super) async fn park(&self) {
        self.flush().await;
        let parked = self.parked(&self.turns.borrow());
        if let Some((wake_at, waits_for)) = parked {
            self.halt(Halt::Parked { wake_at, waits_for });
            std::future::pending::<()>().await;
        }
    }

    // ---- the end

    /// The first reason counts.
    pub(super) fn halt(&self, halt: Halt) {
        self.halt.borrow_mut().get_or_insert(halt);
    }

    /// For calls that cannot wait: the script is stopped at its next safepoint.
    pub(super) fn halt_now(&self, halt: Halt) {
        self.halt(halt);
        self.switch.set(Armed::Stop);
    }

    pub fn is_halted(&self) -> bool {
        self.halt.borrow().is_some()
    }

    pub fn take_halt(&self) -> Option<Halt> {
        self.halt.borrow_mut().take()
    }

    // ---- undoing

    pub(super) fn remember_undo(&self, key: &StepKey, undo: Function) {
        if self.mode == Mode::Unwind && self.wanted.contains(key) {
            self.undoes.borrow_mut().insert(key.clone(), undo);
        }
    }

    pub(super) fn undo_of(&self, key: &StepKey) -> Option<Function> {
        self.undoes.borrow().get(key).cloned()
    }

    /// Ends the replay when everything that it is for has been come to; true if so.
    pub(super) fn look_back(&self) -> bool {
        let complete = self.mode == Mode::Unwind && self.undoes.borrow().len() == self.wanted.len();
        if complete {
            self.halt(Halt::Replayed);
        }
        complete
    }

    /// The strand has come to the end of what was recorded.
    pub(super) async fn end(&self) {
        self.look_back();
        let _stand = self.stand(Standing::Ended);
        self.until(Turns::has_ended).await;
        self.halt(Halt::Replayed);
    }
}

/// A strand's standing, until it is dropped.
#[derive(Debug)]
pub(super) struct Stand<'a> {
    course: &'a Course,
    standing: Standing,
}

impl Drop for Stand<'_> {
    fn drop(&mut self) {
        self.course.change(|turns| turns.leave(&self.standing));
    }
}

/// Passes a turn on when it is dropped.
#[derive(Debug)]
pub(super) struct Passed<'a> {
    course: &'a Course,
    turn: usize,
}

impl Passed<'_> {
    pub fn turn(&self) -> usize {
        self.turn
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        self.course.change(|turns| turns.pass(self.turn));
    }
}
