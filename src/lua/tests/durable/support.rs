//! One run over several lives: each has a VM of its own, and all of them one journal.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::base::clock::{FakeClock, later};
use crate::base::{Clock, Fault, RunId, Timestamp};
use crate::lua::tests::support::{Bed, bundle, job, on_lane};
use crate::lua::{Bundle, Durable, Engine, EngineOptions, MemoryJournal, Outcome, RunScope};
use crate::model::{Actor, Entry, EntryKind, EntryState};

pub struct Trial {
    pub bed: Bed,
    pub hand: FakeClock,
    pub journal: Arc<MemoryJournal>,
    pub hold: Duration,
    pub run: RunId,
    pub abort: CancellationToken,
}

impl Default for Trial {
    fn default() -> Self {
        let (clock, hand) = Clock::fake(later(Timestamp::UNIX_EPOCH, Duration::from_secs(1_800_000_000)));
        let mut bed = Bed { timeout: Duration::from_secs(30 * 86_400), ..Bed::default() };
        let primitives = crate::primitives::Primitives::unconnected();
        bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock, primitives });
        Self {
            bed,
            hand,
            journal: Arc::default(),
            hold: Duration::from_secs(10),
            run: RunId::generate(),
            abort: CancellationToken::new(),
        }
    }
}

impl Trial {
    pub fn scope(&self) -> RunScope {
        let durable = Durable {
            journal: self.journal.shared(),
            port: self.journal.clone(),
            deadline: later(self.hand.now(), self.bed.timeout),
            timeout: self.bed.timeout,
            hold: self.hold,
            abort: self.abort.clone(),
        };
        RunScope { run: self.run, durable: Some(durable), ..self.bed.scope() }
    }

    /// One life of the run, while whose waits time goes on by a millisecond now and then.
    pub fn life(&self, body: &str) -> Outcome {
        let run = self.bed.engine.execute(compiled(body), self.scope());
        on_lane(ticking(&self.hand, run))
    }

    /// The same while the clock stands, so that only what is there already can end it.
    pub fn moment(&self, body: &str) -> Outcome {
        on_lane(self.bed.engine.execute(compiled(body), self.scope()))
    }

    pub fn unwind(&self, body: &str) -> Outcome {
        let run = self.bed.engine.unwind(compiled(body), self.scope());
        on_lane(ticking(&self.hand, run))
    }

    #[track_caller]
    pub fn value(&self, body: &str) -> Value {
        match self.life(body) {
            Outcome::Returned(value) => value,
            other => panic!("{body}\ndid not return: {other:?}"),
        }
    }

    #[track_caller]
    pub fn fault(&self, body: &str) -> Fault {
        match self.life(body) {
            Outcome::Raised(fault) => fault,
            other => panic!("{body}\ndid not raise: {other:?}"),
        }
    }

    /// What it waits for, and when it goes on by itself.
    #[track_caller]
    pub fn parked(&self, body: &str) -> (String, Option<Timestamp>) {
        match self.life(body) {
            Outcome::Parked { wake_at, waits_for } => (waits_for, wake_at),
            other => panic!("{body}\nwas not parked: {other:?}"),
        }
    }

    /// Answers a wait, as an event or a decision does.
    pub fn answer(&self, name: &str, result: Value) {
        let at = self.hand.now();
        let answered = self.journal.answer(name, |entry| complete(entry, result, at));
        assert!(answered, "nothing waits for {name}: {:?}", self.journal.entries());
    }

    pub fn advance(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }

    /// Kind, name and state of each entry.
    pub fn recorded(&self) -> Vec<String> {
        let show = |entry: &Entry| format!("{} {} {} {:?}", entry.key, entry.kind.as_str(), entry.name, entry.state);
        self.journal.entries().iter().map(show).collect()
    }

    /// How often a line was written by the script's steps.
    pub fn said(&self, line: &str) -> usize {
        self.bed.log.texts().iter().filter(|text| *text == line).count()
    }

    pub fn has_step(&self, name: &str) -> bool {
        self.journal.entries().iter().any(|entry| entry.kind == EntryKind::Step && entry.name == name)
    }
}

/// Compiled already, so that the clock does not go on meanwhile.
pub fn compiled(body: &str) -> Arc<Bundle> {
    let bundle = bundle(&job(body));
    bundle.compile();
    bundle
}

pub fn complete(entry: &mut Entry, result: Value, at: Timestamp) {
    entry.state = EntryState::Done;
    entry.result = Some(result);
    entry.actor = Some(Actor::new("token:test"));
    entry.finished_at = Some(at);
}

/// Polls what waits for a clock that goes on only when nothing else does.
pub async fn ticking<F: Future>(hand: &FakeClock, future: F) -> F::Output {
    const PATIENCE: usize = 50;
    let mut future = std::pin::pin!(future);
    loop {
        for _ in 0..PATIENCE {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = tokio::task::yield_now() => {}
            }
        }
        hand.advance(Duration::from_millis(1));
    }
}
