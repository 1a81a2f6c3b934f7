//! How names become addresses, for many executions at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::outbound::within;
use crate::base::clock::later;
use crate::base::{Clock, Timestamp, limits};
use crate::primitives::net::resolve::Lookup;

/// The names of the configuration, then the machine's own way. Clones are of one execution.
#[derive(Debug, Clone)]
pub struct Names {
    hosts: Arc<BTreeMap<String, IpAddr>>,
    lookup: Arc<dyn Lookup>,
    clock: Clock,
    /// Lookups of all executions, and of this one.
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    /// Those that are under way, of all executions: they outlive the one that asked.
    asking: Arc<Mutex<JoinSet<()>>>,
    /// Names without an address, until they are asked for again.
    lost: Arc<Mutex<BTreeMap<String, Timestamp>>>,
}

impl Names {
    pub fn new(hosts: Arc<BTreeMap<String, IpAddr>>, lookup: Arc<dyn Lookup>, clock: Clock) -> Self {
        let all = Arc::new(Semaphore::new(limits::EGRESS_LOOKUPS_MAX));
        let own = Arc::new(Semaphore::new(limits::EGRESS_LOOKUPS_OF_GATE_MAX));
        Self { hosts, lookup, clock, all, own, asking: Arc::default(), lost: Arc::default() }
    }

    /// For one more execution.
    pub fn of_another(&self) -> Self {
        let own = Arc::new(Semaphore::new(limits::EGRESS_LOOKUPS_OF_GATE_MAX));
        Self { own, lost: Arc::default(), ..self.clone() }
    }

    /// None when there is no address, or none in time.
    pub async fn resolve(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Some(ip) = self.hosts.get(name) {
            return Some(vec![*ip]);
        }
        let now = self.clock.now();
        if self.lost().get(name).is_some_and(|until| *until > now) {
            return None;
        }
        let found = within(&self.clock, limits::EGRESS_RESOLVE_WAIT, self.ask(name)).await.flatten();
        if found.is_none() {
            self.lose(name);
        }
        found
    }

    async fn ask(&self, name: &str) -> Option<Vec<IpAddr>> {
        let own = self.own.clone().acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        let lookup = self.lookup.lookup(name.to_owned());
        // The system's resolver keeps its thread for as long as it likes, whoever still waits: so does the lookup its place.
        let (tell, told) = oneshot::channel();
        {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            while asking.try_join_next().is_some() {}
            asking.spawn(async move {
                let found = lookup.await;
                drop((own, all));
                // Whoever wanted to know may have gone.
                let _ = tell.send(found);
            });
        }
        told.await.ok()?.ok().filter(|found| !found.is_empty())
    }

    fn lose(&self, name: &str) {
        let now = self.clock.now();
        let mut lost = self.lost();
        if lost.len() >= limits::EGRESS_NAMES_LOST_MAX {
            lost.retain(|_, until| *until > now);
        }
        if lost.len() < limits::EGRESS_NAMES_LOST_MAX {
            lost.insert(name.to_owned(), later(now, limits::EGRESS_NAME_LOST));
        }
    }

    fn lost(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, join_all};

    use super::*;

    /// Never answers for names under `slow.test`, and knows of no other.
    #[derive(Debug, Default)]
    struct Tarpit(AtomicUsize);

    impl Lookup for Tarpit {
        fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match name.ends_with("slow.test") {
                true => std::future::pending().boxed(),
                false => async { Err(io::Error::from(io::ErrorKind::NotFound)) }.boxed(),
            }
        }
    }

    #[tokio::test]
    async fn slow_name_servers_hold_up_few_threads_and_only_those_who_ask_them() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let tarpit = Arc::new(Tarpit::default());
        let asked = || tarpit.0.load(Ordering::Relaxed);
        let first = Names::new(Arc::default(), tarpit.clone(), clock);
        let wanted: Vec<String> = (0..100).map(|number| format!("n{number}.slow.test")).collect();
        let all = async {
            let found = join_all(wanted.iter().map(|name| first.resolve(name))).await;
            assert!(found.iter().all(Option::is_none));
        };
        let time = async {
            while asked() < limits::EGRESS_LOOKUPS_OF_GATE_MAX {
                tokio::task::yield_now().await;
            }
            hand.advance(limits::EGRESS_RESOLVE_WAIT);
        };
        tokio::join!(all, time);
        assert_eq!(asked(), limits::EGRESS_LOOKUPS_OF_GATE_MAX);
        // Nobody waits any more, and the threads are still taken: all executions together take as many as they may.
        let gates = limits::EGRESS_LOOKUPS_MAX / limits::EGRESS_LOOKUPS_OF_GATE_MAX;
        let others: Vec<Names> = (0..gates + 2).map(|_| first.of_another()).collect();
        let all = join_all(others.iter().flat_map(|names| wanted.iter().map(|name| names.resolve(name))));
        let time = async {
            while asked() < limits::EGRESS_LOOKUPS_MAX {
                tokio::task::yield_now().await;
            }
            hand.advance(limits::EGRESS_RESOLVE_WAIT);
        };
        tokio::join!(all, time);
        assert_eq!(asked(), limits::EGRESS_LOOKUPS_MAX);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_not_asked_for_again_at_once() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let tarpit = Arc::new(Tarpit::default());
        let names = Names::new(Arc::default(), tarpit.clone(), clock);
        for expected in [1, 1, 2] {
            if expected == 2 {
                hand.advance(limits::EGRESS_NAME_LOST);
            }
            assert_eq!(names.resolve("nobody.test").await, None);
            assert_eq!(tarpit.0.load(Ordering::Relaxed), expected);
        }
        for number in 0..limits::EGRESS_NAMES_LOST_MAX * 2 {
            names.resolve(&format!("n{number}.nobody.test")).await;
        }
        assert!(names.lost().len() <= limits::EGRESS_NAMES_LOST_MAX);
    }
}
