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

/// Smaller steps back are the clock's ordinary discipline.
pub const SET_BACK_MIN: Duration = Duration::from_millis(500);

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

    /// Like [`Clock::sleep_until`], but returns false as soon as the clock is seen to have been set back, so that what
    /// was computed from the later time can be computed anew.
    pub async fn sleep_until_or_set_back(&self, deadline: Timestamp) -> bool {
        match &self.0 {
            Source::System => loop {
                let (wall, elapsing) = (Timestamp::now(), std::time::Instant::now());
                let Ok(left) = Duration::try_from(deadline.duration_since(wall)) else { return true };
                if left.is_zero() {
                    return true;
                }
                tokio::time::sleep(left.min(RECHECK)).await;
                if later(Timestamp::now(), SET_BACK_MIN) < later(wall, elapsing.elapsed()) {
                    return false;
                }
            },
            Source::Fake(fake) => {
                let mut moved = fake.moved.subscribe();
                let mut seen = fake.now();
                loop {
                    let now = fake.now();
                    if now >= deadline || now < seen {
                        return now >= deadline;
                    }
                    seen = now;
                    if moved.changed().await.is_err() {
                        return true;
                    }
                }
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
#[expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
mod tests {
    use super::*;

    #[tokio::test]
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
    async fn a_clock_set_back_ends_the_wait() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let deadline = later(clock.now(), Duration::from_secs(60));
        let waiter = |clock: Clock| tokio::spawn(async move { clock.sleep_until_or_set_back(deadline).await });
        let set_back = waiter(clock.clone());
        tokio::task::yield_now().await;
        hand.set(Timestamp::UNIX_EPOCH - Duration::from_secs(10));
        assert_eq!(set_back.await.ok(), Some(false));
        let reached = waiter(clock);
        tokio::task::yield_now().await;
        hand.set(deadline);
        assert_eq!(reached.await.ok(), Some(true));
    }

    #[test]
    fn time_arithmetic_saturates() {
        assert_eq!(later(Timestamp::MAX, Duration::MAX), Timestamp::MAX);
        assert_eq!(since(Timestamp::UNIX_EPOCH, Timestamp::MAX), Duration::ZERO);
    }
}
