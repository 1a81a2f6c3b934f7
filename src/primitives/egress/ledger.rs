//! What an execution asked for, and what was decided: the last decisions, and the counts of all.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::clock::since;
use crate::base::{Clock, Timestamp, limits};
use crate::primitives::net::{Kind, Target};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A tunnel: HTTP's CONNECT.
    Connect,
    /// A request in plain HTTP.
    Http,
    /// The addresses of a name.
    Dns,
}

impl Wish {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Http => "http",
            Self::Dns => "dns",
        }
    }
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NotListed,
    Denied,
    /// An address in place of a name.
    Literal,
    /// What the name turned out to be.
    Address(Kind),
    /// It cannot be understood, or is no host and port.
    Malformed,
    Unresolved,
    Unreachable,
    /// The execution has sent and received all that it may.
    Spent,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotListed => "it is not on the execution's list",
            Self::Denied => "it is closed",
            Self::Literal => "an address in place of a name must be listed itself",
            Self::Address(kind) => return write!(f, "the name leads to {kind}, which must be listed itself"),
            Self::Malformed => "this is no request for a host and a port",
            Self::Unresolved => "the name has no address",
            Self::Unreachable => "nothing answers there",
            Self::Spent => "the execution has used up its bytes",
        })
    }
}

impl Reason {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotListed => "not_listed",
            Self::Denied => "denied",
            Self::Literal => "literal",
            Self::Address(_) => "address",
            Self::Malformed => "malformed",
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::Spent => "spent",
        }
    }
}

/// One thing that was asked for. That of a connection which still goes on has the bytes so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Counts from 1.
    pub number: u64,
    pub at: Timestamp,
    pub wish: Wish,
    /// A name or an address, as far as it could be understood.
    pub host: String,
    /// None for a name alone.
    pub port: Option<u16>,
    pub refused: Option<Reason>,
    /// To which the connection was made.
    pub address: Option<IpAddr>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// None while it goes on.
    pub took: Option<Duration>,
}

/// Counts of all decisions, also of those that are not kept any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub allowed: u64,
    pub refused: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// Decisions that are not kept any more.
    pub forgotten: u64,
}

/// Told of each decision: of a refusal at once, of a connection when it has ended.
pub type Tell = Arc<dyn Fn(&Decision) + Send + Sync>;

/// The decisions of one execution. Clones are one.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    clock: Clock,
    bytes_max: u64,
    bytes: AtomicU64,
    tell: Option<Tell>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    decisions: VecDeque<Decision>,
    last: u64,
    totals: Totals,
}

/// A connection that goes on. Dropped, it has ended.
pub struct Flow {
    ledger: Ledger,
    number: u64,
    began: Timestamp,
    sent: AtomicU64,
    received: AtomicU64,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

impl Ledger {
    pub fn new(clock: Clock, bytes_max: u64, tell: Option<Tell>) -> Self {
        Self(Arc::new(Shared { clock, bytes_max, bytes: AtomicU64::new(0), tell, kept: Mutex::default() }))
    }

    pub fn refuse(&self, wish: Wish, host: &str, port: Option<u16>, reason: Reason) {
        let decision = self.keep(wish, host, port, Some(reason), None);
        self.tell(&decision);
    }

    /// An answer to a question, which is over at once.
    pub fn answer(&self, host: &str) {
        let mut decision = self.keep(Wish::Dns, host, None, None, None);
        decision.took = Some(Duration::ZERO);
        self.change(decision.number, |kept| kept.took = decision.took);
        self.tell(&decision);
    }

    pub fn begin(&self, wish: Wish, target: &Target, address: IpAddr) -> Flow {
        let host = target.host.to_string();
        let decision = self.keep(wish, &host, Some(target.port), None, Some(address));
        let (number, began) = (decision.number, decision.at);
        Flow { ledger: self.clone(), number, began, sent: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    pub fn is_spent(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) >= self.0.bytes_max
    }

    pub fn totals(&self) -> Totals {
        self.kept(|kept| kept.totals)
    }

    /// Those behind a number, the oldest first.
    pub fn decisions(&self, after: u64) -> Vec<Decision> {
        self.kept(|kept| kept.decisions.iter().filter(|decision| decision.number > after).cloned().collect())
    }

    fn keep(
        &self,
        wish: Wish,
        host: &str,
        port: Option<u16>,
        refused: Option<Reason>,
        address: Option<IpAddr>,
    ) -> Decision {
        let at = self.0.clock.now();
        let host = shown(host);
        self.kept(|kept| {
            kept.last += 1;
            let (number, sent_bytes, received_bytes) = (kept.last, 0, 0);
            let took = refused.map(|_| Duration::ZERO);
            let decision =
                Decision { number, at, wish, host, port, refused, address, sent_bytes, received_bytes, took };
            match refused {
                Some(_) => kept.totals.refused += 1,
                None => kept.totals.allowed += 1,
            }
            if kept.decisions.len() >= limits::EGRESS_DECISIONS_MAX {
                kept.decisions.pop_front();
                kept.totals.forgotten += 1;
            }
            kept.decisions.push_back(decision.clone());
            decision
        })
    }

    /// Changes a decision that is still kept, and gives it as it is then.
    fn change(&self, number: u64, change: impl FnOnce(&mut Decision)) -> Option<Decision> {
        self.kept(|kept| {
            let first = kept.decisions.front()?.number;
            let place = usize::try_from(number.checked_sub(first)?).ok()?;
            let found = kept.decisions.get_mut(place)?;
            change(found);
            Some(found.clone())
        })
    }

    fn tell(&self, decision: &Decision) {
        if let Some(tell) = &self.0.tell {
            tell(decision);
        }
    }

    fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.0.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Out,
    In,
}

impl Flow {
    /// Notes bytes that moved; false when the execution may move no more of them.
    pub fn moved(&self, way: Way, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let side = if way == Way::Out { &self.sent } else { &self.received };
        side.fetch_add(bytes, Ordering::Relaxed);
        let shared = &self.ledger.0;
        shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= shared.bytes_max
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let (sent, received) = (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
        let took = since(self.ledger.0.clock.now(), self.began);
        self.ledger.kept(|kept| {
            kept.totals.sent_bytes += sent;
            kept.totals.received_bytes += received;
        });
        let ended = self.ledger.change(self.number, |kept| {
            (kept.sent_bytes, kept.received_bytes, kept.took) = (sent, received, Some(took));
        });
        if let Some(decision) = ended {
            self.ledger.tell(&decision);
        }
    }
}

/// What a container sent, fit to be shown.
fn shown(host: &str) -> String {
    let mut shown: String = host.chars().flat_map(char::escape_default).collect();
    shown.truncate(limits::EGRESS_NAME_SHOWN_BYTES);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_bounded_and_all_are_counted() {
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell: Tell = {
            let told = told.clone();
            Arc::new(move |decision: &Decision| told.lock().expect("told").push(decision.clone()))
        };
        let ledger = Ledger::new(clock, 100, Some(tell));
        let target = super::super::rules::target("api.example.com:443").expect("a target");
        let flow = ledger.begin(Wish::Connect, &target, IpAddr::from([1, 2, 3, 4]));
        assert!(flow.moved(Way::Out, 40) && flow.moved(Way::In, 60) && !ledger.decisions(0).is_empty());
        assert!(!flow.moved(Way::In, 1) && ledger.is_spent());
        assert!(told.lock().expect("told").is_empty());
        hand.advance(Duration::from_secs(2));
        drop(flow);
        let ended = told.lock().expect("told").pop().expect("told at its end");
        assert_eq!((ended.sent_bytes, ended.received_bytes, ended.took), (40, 61, Some(Duration::from_secs(2))));
        assert_eq!(ledger.decisions(0), [ended]);
        for _ in 0..limits::EGRESS_DECISIONS_MAX + 4 {
            ledger.refuse(Wish::Dns, &"\u{1b}[31m\n".repeat(200), None, Reason::NotListed);
        }
        let kept = ledger.decisions(0);
        assert_eq!((kept.len(), kept[0].number), (limits::EGRESS_DECISIONS_MAX, 6));
        assert!(kept[0].host.is_ascii() && kept[0].host.len() <= limits::EGRESS_NAME_SHOWN_BYTES);
        assert!(!kept[0].host.contains(['\u{1b}', '\n']));
        let totals = ledger.totals();
        assert_eq!((totals.allowed, totals.refused, totals.forgotten), (1, 1_004, 5));
        assert_eq!(ledger.decisions(1_004).len(), 1);
    }
}
