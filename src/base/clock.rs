//! Time as the daemon sees it: the system's clock, or one that a test turns by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Tells the time and waits. Cheap to clone; every part is given one, none asks the system itself.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Fake(FakeClock),
}

/// How long a system wait may go on before wall time is read again, so that a clock set forward is noticed.
const RECHECK: Duration = Duration::from_secs(1);

/// A clock that goes back by less than this is being adjusted, not set.
const STEP: Duration = Duration::from_millis(500);

/// Why [`Clock::wait_until`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    Reached,
    SteppedBack { to: Timestamp },
}

impl Clock {
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`FakeClock::advance`] or [`FakeClock::set`] moves it.
    pub fn fake(start: Timestamp) -> (Self, FakeClock) {
        let fake = FakeClock { now: Arc::new(Mutex::new(start)), moved: Arc::new(watch::Sender::new(())) };
        (Self(Source::Fake(fake.clone())), fake)
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Fake(fake) => fake.now(),
        }
    }

    /// Returns once wall time has reached `deadline`. A step of the clock moves the moment of return with it:
    /// forward at most [`RECHECK`] late, backward not at all early.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        match &self.0 {
            Source::System => loop {
                let Ok(left) = Duration::try_from(deadline.duration_since(Timestamp::now())) else { return };
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(RECHECK)).await;
            },
            Source::Fake(fake) => {
                let mut moved = fake.moved.subscribe();
                while fake.now() < deadline {
                    if moved.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Like [`Self::sleep_until`], but tells when the clock was set back by more than [`STEP`] since `latest`, which
    /// keeps the latest time seen over several calls.
    pub async fn wait_until(&self, deadline: Timestamp, latest: &mut Timestamp) -> Woken {
        let mut moved = match &self.0 {
            Source::System => None,
            Source::Fake(fake) => Some(fake.moved.subscribe()),
        };
        loop {
            let now = self.now();
            if since(*latest, now) > STEP {
                *latest = now;
                return Woken::SteppedBack { to: now };
            }
            *latest = now.max(*latest);
            if now >= deadline {
                return Woken::Reached;
            }
            match &mut moved {
                None => tokio::time::sleep(since(deadline, now).min(RECHECK)).await,
                // The sender lives as long as this clock, so that there is no error to see.
                Some(moved) => drop(moved.changed().await),
            }
        }
    }

    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(duration).await,
            Source::Fake(_) => self.sleep_until(later(self.now(), duration)).await,
        }
    }
}

/// `at` plus `duration`, or the last moment that can be expressed.
pub fn later(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration).ok().and_then(|signed| at.checked_add(signed).ok()).unwrap_or(Timestamp::MAX)
}

/// `at` less `duration`, or the first moment that can be expressed.
pub fn earlier(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration).ok().and_then(|signed| at.checked_sub(signed).ok()).unwrap_or(Timestamp::MIN)
}

/// From `earlier` to `at`; zero when the clock went backwards between them.
pub fn since(at: Timestamp, earlier: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(earlier)).unwrap_or(Duration::ZERO)
}

/// The hand that turns a fake [`Clock`].
#[derive(Debug, Clone)]
pub struct FakeClock {
    now: Arc<Mutex<Timestamp>>,
    moved: Arc<watch::Sender<()>>,
}

impl FakeClock {
    pub fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn advance(&self, by: Duration) {
        self.set(later(self.now(), by));
    }

    /// Jumps to `to`, forwards or backwards, as an administrator or NTP would.
    pub fn set(&self, to: Timestamp) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.moved.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test owns its one task")]
    async fn a_fake_clock_wakes_its_sleepers() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(60)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        hand.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hand.advance(Duration::from_secs(1));
        assert_eq!(sleeper.await.map(|at| at.as_second()).ok(), Some(60));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_is_noticed_once() {
        let (clock, hand) = Clock::fake(later(Timestamp::UNIX_EPOCH, Duration::from_secs(100)));
        let mut latest = clock.now();
        hand.set(Timestamp::UNIX_EPOCH);
        let deadline = later(Timestamp::UNIX_EPOCH, Duration::from_secs(5));
        let woken = clock.wait_until(deadline, &mut latest).await;
        assert_eq!(woken, Woken::SteppedBack { to: Timestamp::UNIX_EPOCH });
        hand.set(deadline);
        assert_eq!(clock.wait_until(deadline, &mut latest).await, Woken::Reached);
    }

    #[test]
    fn time_arithmetic_saturates() {
        assert_eq!(later(Timestamp::MAX, Duration::MAX), Timestamp::MAX);
        assert_eq!(earlier(Timestamp::MIN, Duration::MAX), Timestamp::MIN);
        assert_eq!(since(Timestamp::UNIX_EPOCH, Timestamp::MAX), Duration::ZERO);
    }
}
