//! One sequence of calls within a run: the run's own, or that of one function of a group.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;

use mlua::Function;

use super::course::{Course, Mode};
use super::diverged::{self, Call};
use super::halt::Halt;
use super::turns::Standing;
use crate::base::{Fault, limits};
use crate::model::{Entry, EntryKind, StepKey};

/// Where in a run something is called from.
#[derive(Debug, Clone, Default)]
pub enum Place {
    /// The run is not durable.
    #[default]
    Free,
    Strand(Rc<Strand>),
    /// Within a step's function, or one that undoes a step: everything is real, and nothing is recorded.
    Inside,
}

#[derive(Debug)]
pub struct Strand {
    pub(super) course: Rc<Course>,
    prefix: Vec<u32>,
    /// Of the latest call.
    place: Cell<u32>,
    /// The latest calls, for the message when they no longer fit the journal.
    latest: RefCell<VecDeque<(u32, Call)>>,
    pub(super) dice: RefCell<Option<blake3::OutputReader>>,
}

/// What a call finds in the journal.
#[derive(Debug)]
pub enum Asked {
    /// What was recorded before, which is the answer.
    Recorded(Arc<Entry>),
    /// Nothing, or a wait that the run has not gone on from: it is to be done now, and recorded under this key.
    Open(StepKey, Option<Arc<Entry>>),
}

impl Strand {
    pub fn new(course: Rc<Course>, prefix: Vec<u32>) -> Rc<Self> {
        let (place, latest, dice) = (Cell::new(0), RefCell::default(), RefCell::default());
        Rc::new(Self { course, prefix, place, latest, dice })
    }

    pub fn course(&self) -> &Rc<Course> {
        &self.course
    }

    pub(super) fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    pub(super) fn latest(&self) -> Vec<(u32, Call)> {
        self.latest.borrow().iter().cloned().collect()
    }

    /// The key of the next call, which is noted.
    fn next(&self, call: Call) -> StepKey {
        let place = self.place.get().saturating_add(1);
        self.place.set(place);
        let mut latest = self.latest.borrow_mut();
        if latest.len() >= limits::STEPS_SHOWN_MAX / 2 {
            latest.pop_front();
        }
        latest.push_back((place, call));
        self.key_at(place)
    }

    fn key_at(&self, place: u32) -> StepKey {
        let mut places = self.prefix.clone();
        places.push(place);
        StepKey::new(places)
    }

    /// The next call's key and what is recorded there, or the fault of a script that parted from its journal.
    pub(super) fn step_to(&self, kind: EntryKind, name: &str) -> Result<(StepKey, Option<&Arc<Entry>>), Fault> {
        let call = Call::new(kind, name);
        let key = self.next(call.clone());
        match self.course.find(&key) {
            Some(entry) if entry.kind == kind && entry.name == name => Ok((key, Some(entry))),
            None if self.course.furthest(&self.prefix) <= self.place.get() => Ok((key, None)),
            _ => Err(diverged::fault(self, self.place.get(), Some(&call))),
        }
    }

    /// What the journal says to a call, once it is its turn. `undo` is what undoes it.
    pub(super) async fn ask(&self, kind: EntryKind, name: &str, undo: Option<Function>) -> Result<Asked, Fault> {
        let course = &self.course;
        let (key, found) = match self.step_to(kind, name) {
            Ok(found) => found,
            Err(fault) => {
                course.halt(Halt::Diverged(fault));
                return pending().await;
            }
        };
        if let Some(undo) = undo {
            course.remember_undo(&key, undo);
        }
        match found {
            Some(entry) if !entry.is_open() => {
                course.take_turn(course.turn_of(&key)).await;
                if course.look_back() {
                    return pending().await;
                }
                Ok(Asked::Recorded(entry.clone()))
            }
            _ if course.mode() == Mode::Unwind => {
                course.end().await;
                pending().await
            }
            found => {
                match found {
                    Some(_) => course.change(|turns| turns.reach(&key)),
                    None => course.room()?,
                }
                course.pass_gate().await;
                Ok(Asked::Open(key, found.cloned()))
            }
        }
    }

    /// The strand turns into those of a group's functions, until the fork is dropped. None when it parted from its
    /// journal.
    pub fn fork(self: &Rc<Self>) -> Option<Fork> {
        let key = self.next(Call::Group);
        if self.course.find(&key).is_some() {
            let fault = diverged::fault(self, self.place.get(), Some(&Call::Group));
            self.course.halt(Halt::Diverged(fault));
            return None;
        }
        self.course.change(super::turns::Turns::end);
        Some(Fork { course: self.course.clone(), key })
    }

    /// The script has returned. A fault when its journal says that it did more.
    pub fn finish(&self) -> Result<(), Fault> {
        let place = self.place.get();
        if self.course.furthest(&self.prefix) > place {
            return Err(diverged::fault(self, place.saturating_add(1), None));
        }
        Ok(())
    }
}

/// A strand while the functions of its group run.
#[derive(Debug)]
pub struct Fork {
    course: Rc<Course>,
    key: StepKey,
}

impl Fork {
    /// The strand of one function; `index` counts from 0.
    pub fn branch(&self, index: usize) -> Branch {
        let mut prefix = self.key.places().to_vec();
        prefix.push(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1));
        self.course.change(super::turns::Turns::begin);
        Branch { strand: Strand::new(self.course.clone(), prefix) }
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        self.course.change(|turns| {
            turns.abandon(&self.key);
            turns.begin();
        });
    }
}

/// The strand of one function of a group, for as long as it runs.
#[derive(Debug)]
pub struct Branch {
    strand: Rc<Strand>,
}

impl Branch {
    pub fn place(&self) -> Place {
        Place::Strand(self.strand.clone())
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.strand.course.change(super::turns::Turns::end);
    }
}

/// A strand that is in a call of which the journal knows nothing.
#[derive(Debug)]
pub struct Away {
    course: Rc<Course>,
}

impl Away {
    /// None where strands do not matter.
    pub fn from(place: &Place) -> Option<Self> {
        let Place::Strand(strand) = place else { return None };
        let course = strand.course.clone();
        course.change(|turns| turns.enter(&Standing::Away));
        Some(Self { course })
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        self.course.change(|turns| turns.leave(&Standing::Away));
    }
}
