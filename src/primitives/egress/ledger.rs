//! What an execution asked for, and what was decided: the last decisions, and the counts of all.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::counters::Counters;
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
    /// It turned out to be this machine.
    Machine,
    /// It cannot be understood, or is no host and port.
    Malformed,
    Unresolved,
    Unreachable,
    /// The execution has sent and received all that it may.
    Spent,
    /// It asks for names faster than it may.
    Pace,
    /// All executions together have as many connections as they may.
    Crowded,
    /// TLS in a tunnel asks for another host than the one that the tunnel was opened to.
    ServerName,
    /// What begins as TLS in a tunnel cannot be read.
    Hello,
    /// The head of what was answered is too long.
    Head,
    /// What was answered is no HTTP.
    Answer,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotListed => "it is not on the execution's list",
            Self::Denied => "it is closed",
            Self::Literal => "an address in place of a name must be listed itself",
            Self::Address(kind) => return write!(f, "the name leads to {kind}, which must be listed itself"),
            Self::Machine => "the name leads to this machine, whose address must be listed itself",
            Self::Malformed => "this is no request for a host and a port",
            Self::Unresolved => "the name has no address",
            Self::Unreachable => "nothing answers there",
            Self::Spent => "the execution has used up its bytes",
            Self::Pace => {
                return write!(f, "more than {} names were asked for in a second", limits::EGRESS_DNS_PER_SECOND);
            }
            Self::Crowded => "all executions together have as many connections as there may be",
            Self::ServerName => "TLS asks for it in a tunnel that was opened to another host",
            Self::Hello => "TLS in the tunnel does not begin as it must",
            Self::Head => {
                let (most, kib) = (limits::EGRESS_HEADERS_MAX, limits::EGRESS_HEADER_BYTES_MAX >> 10);
                return write!(f, "its answer has more than {most} headers, or {kib} KiB of them");
            }
            Self::Answer => "what answers there does not speak HTTP",
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
            Self::Address(_) | Self::Machine => "address",
            Self::Malformed => "malformed",
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::Spent => "spent",
            Self::Pace => "pace",
            Self::Crowded => "crowded",
            Self::ServerName | Self::Hello => "tls",
            Self::Head | Self::Answer => "answer",
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

/// Told of each decision: of a connection when it begins, and again when it has ended.
pub type Tell = Arc<dyn Fn(&Decision) + Send + Sync>;

/// The decisions of one execution. Clones are one.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    clock: Clock,
    bytes_max: u64,
    moved: Moved,
    tell: Option<Tell>,
    kept: Mutex<Kept>,
    /// Of all executions.
    all: Arc<Counters>,
}

#[derive(Default)]
struct Kept {
    /// Connections that were made. Whoever asks for much else does not have them forgotten.
    flows: VecDeque<(Decision, Arc<Moved>)>,
    others: VecDeque<Decision>,
    last: u64,
    totals: Totals,
}

/// Bytes, while they move.
#[derive(Debug, Default)]
pub struct Moved {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Moved {
    pub fn add(&self, way: Way, bytes: usize) {
        let side = if way == Way::Out { &self.sent } else { &self.received };
        side.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn now(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }
}

/// A connection that goes on. Dropped, it has ended.
pub struct Flow {
    ledger: Ledger,
    /// As it began.
    decision: Decision,
    moved: Arc<Moved>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

impl Ledger {
    #[cfg(test)]
    pub fn new(clock: Clock, bytes_max: u64, tell: Option<Tell>) -> Self {
        Self::counted(clock, bytes_max, tell, Arc::default())
    }

    /// One that counts for `all` executions, too.
    pub fn counted(clock: Clock, bytes_max: u64, tell: Option<Tell>, all: Arc<Counters>) -> Self {
        Self(Arc::new(Shared { clock, bytes_max, moved: Moved::default(), tell, kept: Mutex::default(), all }))
    }

    pub fn refuse(&self, wish: Wish, host: &str, port: Option<u16>, reason: Reason) {
        self.other(wish, host, port, Some(reason));
    }

    /// An answer to a question.
    pub fn answer(&self, host: &str) {
        self.other(Wish::Dns, host, None, None);
    }

    pub fn begin(&self, wish: Wish, target: &Target, address: IpAddr) -> Flow {
        let made = Decision { address: Some(address), ..self.made(wish, &target.host.to_string(), Some(target.port)) };
        let moved = Arc::<Moved>::default();
        let decision = self.kept(|kept| {
            let decision = kept.number(made);
            kept.flows.push_back((decision.clone(), moved.clone()));
            if kept.flows.len() > limits::EGRESS_DECISIONS_MAX {
                kept.flows.pop_front();
                kept.totals.forgotten += 1;
            }
            decision
        });
        self.decided(&decision);
        Flow { ledger: self.clone(), decision, moved }
    }

    pub fn is_spent(&self) -> bool {
        self.room() == 0
    }

    /// How many bytes the execution may still move.
    pub fn room(&self) -> u64 {
        let (sent, received) = self.0.moved.now();
        self.0.bytes_max.saturating_sub(sent.saturating_add(received))
    }

    /// Notes bytes that moved on no connection: questions for names and their answers.
    pub fn moved(&self, way: Way, bytes: usize) {
        self.0.moved.add(way, bytes);
        self.0.all.moved(way, bytes);
    }

    /// With what has moved until now.
    pub fn totals(&self) -> Totals {
        let (sent_bytes, received_bytes) = self.0.moved.now();
        Totals { sent_bytes, received_bytes, ..self.kept(|kept| kept.totals) }
    }

    /// Those behind a number, the oldest first.
    pub fn decisions(&self, after: u64) -> Vec<Decision> {
        let so_far = |(decision, moved): &(Decision, Arc<Moved>)| {
            let (sent_bytes, received_bytes) = moved.now();
            Decision { sent_bytes, received_bytes, ..decision.clone() }
        };
        let mut found: Vec<Decision> =
            self.kept(|kept| kept.flows.iter().map(so_far).chain(kept.others.iter().cloned()).collect());
        found.retain(|decision| decision.number > after);
        found.sort_unstable_by_key(|decision| decision.number);
        found
    }

    /// What is over at once.
    fn other(&self, wish: Wish, host: &str, port: Option<u16>, refused: Option<Reason>) {
        let made = Decision { refused, took: Some(Duration::ZERO), ..self.made(wish, host, port) };
        let decision = self.kept(|kept| {
            let decision = kept.number(made);
            kept.others.push_back(decision.clone());
            if kept.others.len() > limits::EGRESS_DECISIONS_MAX {
                kept.others.pop_front();
                kept.totals.forgotten += 1;
            }
            decision
        });
        self.decided(&decision);
    }

    fn made(&self, wish: Wish, host: &str, port: Option<u16>) -> Decision {
        let (number, sent_bytes, received_bytes) = (0, 0, 0);
        let (at, host, refused, address, took) = (self.0.clock.now(), shown(host), None, None, None);
        Decision { number, at, wish, host, port, refused, address, sent_bytes, received_bytes, took }
    }

    /// Counts a decision that was made, and tells of it.
    fn decided(&self, decision: &Decision) {
        self.0.all.decided(decision.wish, decision.refused);
        self.tell(decision);
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
    /// How many bytes may still move.
    pub fn room(&self) -> u64 {
        self.ledger.room()
    }

    pub fn moved(&self, way: Way, bytes: usize) {
        self.moved.add(way, bytes);
        self.ledger.moved(way, bytes);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let (sent_bytes, received_bytes) = self.moved.now();
        let took = Some(since(self.ledger.0.clock.now(), self.decision.at));
        let ended = Decision { sent_bytes, received_bytes, took, ..self.decision.clone() };
        self.ledger.kept(|kept| {
            let found = kept.flows.binary_search_by_key(&ended.number, |(decision, _)| decision.number);
            if let Some((kept, _)) = found.ok().and_then(|place| kept.flows.get_mut(place)) {
                kept.took = took;
            }
        });
        self.ledger.tell(&ended);
    }
}

impl Kept {
    /// Counts a decision.
    fn number(&mut self, decision: Decision) -> Decision {
        self.last += 1;
        match decision.refused {
            Some(_) => self.totals.refused += 1,
            None => self.totals.allowed += 1,
        }
        Decision { number: self.last, ..decision }
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
        let all = Arc::<Counters>::default();
        let ledger = Ledger::counted(clock, 100, Some(tell), all.clone());
        let target = super::super::rules::target("api.example.com:443").expect("a target");
        let flow = ledger.begin(Wish::Connect, &target, IpAddr::from([1, 2, 3, 4]));
        flow.moved(Way::Out, 40);
        ledger.moved(Way::Out, 3);
        assert_eq!((flow.room(), ledger.is_spent()), (57, false));
        flow.moved(Way::In, 61);
        assert_eq!((flow.room(), ledger.is_spent()), (0, true));
        let begun = told.lock().expect("told").pop().expect("told at its beginning");
        assert_eq!((begun.took, begun.sent_bytes), (None, 0));
        // What has moved is seen while it goes on.
        let so_far = ledger.decisions(0).pop().expect("it is kept");
        assert_eq!((so_far.took, so_far.sent_bytes, so_far.received_bytes), (None, 40, 61));
        assert_eq!((ledger.totals().sent_bytes, ledger.totals().received_bytes), (43, 61));
        hand.advance(Duration::from_secs(2));
        drop(flow);
        let ended = told.lock().expect("told").pop().expect("told at its end");
        assert_eq!((ended.sent_bytes, ended.received_bytes, ended.took), (40, 61, Some(Duration::from_secs(2))));
        assert_eq!(ledger.decisions(0), [ended]);
        for _ in 0..limits::EGRESS_DECISIONS_MAX + 4 {
            ledger.refuse(Wish::Dns, &"\u{1b}[31m\n".repeat(200), None, Reason::NotListed);
        }
        let kept = ledger.decisions(0);
        // Connections are not forgotten over questions, however many.
        let numbers = (kept[0].number, kept[1].number);
        assert_eq!((kept.len(), numbers), (limits::EGRESS_DECISIONS_MAX + 1, (1, 6)));
        assert!(kept[1].host.is_ascii() && kept[1].host.len() <= limits::EGRESS_NAME_SHOWN_BYTES);
        assert!(!kept[1].host.contains(['\u{1b}', '\n']));
        let totals = ledger.totals();
        assert_eq!((totals.allowed, totals.refused, totals.forgotten), (1, 1_004, 4));
        assert_eq!(ledger.decisions(1_004).len(), 1);
        let counted = all.read(1, 2);
        assert_eq!((counted.gates, counted.connections, counted.sent_bytes, counted.received_bytes), (1, 2, 43, 61));
        assert_eq!(counted.decisions, [(("connect", "allowed"), 1), (("dns", "not_listed"), 1_004)].into());
        // One that goes on for longer than it is kept is told of all the same.
        let long = ledger.begin(Wish::Connect, &target, IpAddr::from([1, 2, 3, 4]));
        for _ in 0..limits::EGRESS_DECISIONS_MAX {
            drop(ledger.begin(Wish::Connect, &target, IpAddr::from([1, 2, 3, 4])));
        }
        let number = long.decision.number;
        assert!(ledger.decisions(0).iter().all(|decision| decision.number != number));
        drop(long);
        let last = told.lock().expect("told").pop().expect("told at its end");
        assert!(last.number == number && last.took.is_some(), "{last:?}");
    }
}
