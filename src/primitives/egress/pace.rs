//! How fast an execution may ask for names.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::clock::since;
use crate::base::{Clock, Timestamp, limits};

/// So many questions at once, and so many more each second. Clones are one.
#[derive(Debug, Clone)]
pub struct Pace(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    left: f64,
    counted: Timestamp,
    told: Option<Timestamp>,
}

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Answer,
    /// Too many have come: it is told of, and not answered.
    Tell,
    /// So they have, and that was told a moment ago.
    Drop,
}

impl Pace {
    pub fn new(clock: &Clock) -> Self {
        let left = f64::from(limits::EGRESS_DNS_BURST);
        Self(Arc::new(Mutex::new(State { left, counted: clock.now(), told: None })))
    }

    pub fn next(&self, clock: &Clock) -> Turn {
        let now = clock.now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = since(now, state.counted).as_secs_f64() * f64::from(limits::EGRESS_DNS_PER_SECOND);
        state.left = (state.left + gained).min(f64::from(limits::EGRESS_DNS_BURST));
        state.counted = now;
        if state.left >= 1.0 {
            state.left -= 1.0;
            return Turn::Answer;
        }
        if state.told.is_some_and(|told| since(now, told) < limits::EGRESS_DNS_TOLD_EVERY) {
            return Turn::Drop;
        }
        state.told = Some(now);
        Turn::Tell
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_of_questions_is_told_of_now_and_then_and_goes_unanswered() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let pace = Pace::new(&clock);
        let count = |asked: u32| {
            let turns: Vec<Turn> = (0..asked).map(|_| pace.next(&clock)).collect();
            let of = |wanted: Turn| turns.iter().filter(|turn| **turn == wanted).count();
            (of(Turn::Answer), of(Turn::Tell), of(Turn::Drop))
        };
        let (burst, each) = (limits::EGRESS_DNS_BURST as usize, limits::EGRESS_DNS_PER_SECOND as usize);
        assert_eq!(count(limits::EGRESS_DNS_BURST + 10), (burst, 1, 9));
        hand.advance(Duration::from_secs(1));
        assert_eq!(count(limits::EGRESS_DNS_PER_SECOND + 10), (each, 0, 10));
        hand.advance(limits::EGRESS_DNS_TOLD_EVERY);
        // However long nothing was asked, no more come at once.
        hand.advance(Duration::from_secs(3_600));
        assert_eq!(count(limits::EGRESS_DNS_BURST + 10), (burst, 1, 9));
    }
}
