//! Counts refused credentials by address, so that guessing is slow and visible.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::clock::since;
use crate::base::{Clock, Timestamp, limits};

/// Bounded: when full, the address whose window began first is forgotten.
#[derive(Debug)]
pub struct Throttle {
    clock: Clock,
    failures: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Timestamp,
    count: u32,
}

impl Throttle {
    pub fn new(clock: Clock) -> Self {
        Self { clock, failures: Mutex::default() }
    }

    /// How long `address` has to wait before its next try; None when it may try now.
    pub fn wait(&self, address: IpAddr) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let window = failures.get(&network(address))?;
        let age = since(self.clock.now(), window.began);
        let left = limits::AUTH_FAILURES_WINDOW.checked_sub(age).filter(|left| !left.is_zero())?;
        (window.count >= limits::AUTH_FAILURES_MAX).then_some(left)
    }

    pub fn failed(&self, address: IpAddr) {
        let now = self.clock.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let key = network(address);
        if failures.len() >= limits::AUTH_PEERS_MAX && !failures.contains_key(&key) {
            failures.retain(|_, window| since(now, window.began) < limits::AUTH_FAILURES_WINDOW);
            let oldest = failures.iter().min_by_key(|(_, window)| window.began).map(|(key, _)| *key);
            if failures.len() >= limits::AUTH_PEERS_MAX
                && let Some(oldest) = oldest
            {
                failures.remove(&oldest);
            }
        }
        let window = failures.entry(key).or_insert(Window { began: now, count: 0 });
        if since(now, window.began) >= limits::AUTH_FAILURES_WINDOW {
            *window = Window { began: now, count: 0 };
        }
        window.count += 1;
        if window.count == limits::AUTH_FAILURES_MAX {
            tracing::warn!(peer = %key, "too many refused credentials; it has to wait");
        }
    }
}

/// One IPv6 customer has a whole /64: counting single addresses would not slow anybody.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_waits_after_too_many_failures() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let throttle = Throttle::new(clock);
        for _ in 0..limits::AUTH_FAILURES_MAX {
            assert_eq!(throttle.wait(address("2001:db8::1")), None);
            throttle.failed(address("2001:db8::1"));
        }
        assert!(throttle.wait(address("2001:db8::2")).is_some(), "its neighbour in the /64 waits too");
        assert_eq!(throttle.wait(address("192.0.2.1")), None);
        hand.advance(limits::AUTH_FAILURES_WINDOW);
        assert_eq!(throttle.wait(address("2001:db8::1")), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::new(Clock::fake(Timestamp::UNIX_EPOCH).0);
        for number in 0..limits::AUTH_PEERS_MAX as u32 + 10 {
            throttle.failed(IpAddr::V4(number.into()));
        }
        let size = throttle.failures.lock().expect("not poisoned").len();
        assert_eq!(size, limits::AUTH_PEERS_MAX);
    }
}
