//! The clock and the dice of a durable run: outside of steps they give, when it is replayed, what they gave before.

use serde_json::Value;

use super::course::Mode;
use super::halt::Halt;
use super::strand::{Place, Strand};
use crate::base::{Fault, Timestamp};
use crate::model::{EntryKind, EntryState};

/// What a function reads that comes out differently each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    Nothing,
    /// Unless it is given a `time`.
    Clock,
    Dice,
    Both,
}

/// What such a function is given in place of the real.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub moment: Option<Timestamp>,
    pub bytes: Option<[u8; 16]>,
}

impl Given {
    pub fn at(place: &Place, reads: Reads, has_time: bool) -> Result<Self, Fault> {
        let Place::Strand(strand) = place else { return Ok(Self::default()) };
        let mut given = Self::default();
        if matches!(reads, Reads::Clock | Reads::Both) && !has_time {
            given.moment = Some(strand.moment()?);
        }
        if matches!(reads, Reads::Dice | Reads::Both) {
            let mut bytes = [0; 16];
            strand.roll(&mut bytes)?;
            given.bytes = Some(bytes);
        }
        Ok(given)
    }
}

/// Seconds since the epoch; None where the clock is real.
pub fn now(place: &Place) -> Result<Option<f64>, Fault> {
    let Place::Strand(strand) = place else { return Ok(None) };
    strand.moment().map(|moment| Some(moment.as_microsecond() as f64 / 1e6))
}

/// From 0 to below 1; None where the dice are real.
pub fn random(place: &Place) -> Result<Option<f64>, Fault> {
    const STEPS: f64 = 9_007_199_254_740_992.0;
    let Place::Strand(strand) = place else { return Ok(None) };
    let mut bytes = [0; 8];
    strand.roll(&mut bytes)?;
    Ok(Some((u64::from_le_bytes(bytes) >> 11) as f64 / STEPS))
}

/// Begins a known sequence of random numbers. False where the dice are real.
pub fn reseed(place: &Place, seed: f64) -> bool {
    let Place::Strand(strand) = place else { return false };
    *strand.dice.borrow_mut() = Some(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof());
    true
}

impl Strand {
    fn moment(&self) -> Result<Timestamp, Fault> {
        let value = self.value("time", || Ok(Value::String(self.course.clock.now().to_string())))?;
        value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| unreadable("time"))
    }

    /// Random bytes. Each strand has a seed of its own, which is recorded when it is first used: nobody who does not
    /// know the journal can tell what comes.
    fn roll(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        if self.dice.borrow().is_none() {
            let seed = self.value("random", || {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed)
                    .map_err(|problem| Fault::new("uuid.random", format!("the system has no randomness: {problem}")))?;
                Ok(Value::String(blake3::Hash::from_bytes(seed).to_hex().to_string()))
            })?;
            let seed =
                seed.as_str().and_then(|text| blake3::Hash::from_hex(text).ok()).ok_or_else(|| unreadable("random"))?;
            *self.dice.borrow_mut() = Some(blake3::Hasher::new_keyed(seed.as_bytes()).finalize_xof());
        }
        if let Some(dice) = self.dice.borrow_mut().as_mut() {
            dice.fill(bytes);
        }
        Ok(())
    }

    /// The value that is recorded at the next place, or a new one that will be.
    fn value(&self, name: &str, make: impl FnOnce() -> Result<Value, Fault>) -> Result<Value, Fault> {
        let course = &self.course;
        let (key, found) = self.step_to(EntryKind::Value, name).inspect_err(|fault| {
            course.halt_now(Halt::Diverged(fault.clone()));
        })?;
        if let Some(entry) = found {
            return Ok(entry.result.clone().unwrap_or_default());
        }
        let value = make()?;
        if course.mode() == Mode::Forward {
            course.room()?;
            let mut entry = course.entry(key, EntryKind::Value, name, EntryState::Done);
            entry.result = Some(value.clone());
            entry.finished_at = Some(course.finished());
            course.buffer(entry);
        }
        Ok(value)
    }
}

fn unreadable(name: &str) -> Fault {
    Fault::new("run.journal", format!("the journal's {name} cannot be read"))
}
