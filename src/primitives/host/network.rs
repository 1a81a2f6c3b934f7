//! Interfaces and TCP, as the kernel counts them.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::rates::{Pair, per_second, percent};
use super::{HostError, Source, strange};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interface {
    pub name: String,
    /// `up`, `down`, `unknown` (as for loopback) …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(flatten)]
    pub total: Counter,
    pub received_bytes_per_second: f64,
    pub sent_bytes_per_second: f64,
    pub received_packets_per_second: f64,
    pub sent_packets_per_second: f64,
    /// Both directions.
    pub errors_per_second: f64,
    pub drops_per_second: f64,
}

/// Since the machine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Counter {
    pub received_bytes: u64,
    pub received_packets: u64,
    pub received_errors: u64,
    pub received_drops: u64,
    pub sent_bytes: u64,
    pub sent_packets: u64,
    pub sent_errors: u64,
    pub sent_drops: u64,
}

pub(super) type Counters = BTreeMap<String, Counter>;

/// Totals since the machine started, and rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tcp {
    /// Connections now.
    pub established: u64,
    #[serde(flatten)]
    pub total: TcpCounters,
    pub sent_segments_per_second: f64,
    pub retransmitted_per_second: f64,
    /// Of the segments that were sent since the previous reading.
    pub retransmitted_percent: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TcpCounters {
    #[serde(skip)]
    established: u64,
    pub opened: u64,
    pub accepted: u64,
    pub failed_attempts: u64,
    pub resets: u64,
    pub received_segments: u64,
    pub sent_segments: u64,
    pub retransmitted: u64,
    pub received_errors: u64,
    pub timeouts: u64,
    /// Connections that a listener had no room for.
    pub listen_overflows: u64,
    pub listen_drops: u64,
}

pub(super) fn counters(files: &Source) -> Result<Counters, HostError> {
    let text = files.read("proc/net/dev")?;
    let counter = |line: &str| {
        let (name, fields) = line.split_once(':')?;
        let numbers: Vec<u64> = fields.split_whitespace().map_while(|field| field.parse().ok()).collect();
        let at = |place: usize| numbers.get(place).copied();
        let counter = Counter {
            received_bytes: at(0)?,
            received_packets: at(1)?,
            received_errors: at(2)?,
            received_drops: at(3)?,
            sent_bytes: at(8)?,
            sent_packets: at(9)?,
            sent_errors: at(10)?,
            sent_drops: at(11)?,
        };
        Some((name.trim().to_owned(), counter))
    };
    Ok(text.lines().filter_map(counter).collect())
}

pub(super) fn interfaces(files: &Source, pair: &Pair<Counters>) -> Vec<Interface> {
    let interface = |(name, total): (&String, &Counter)| {
        // One that appeared meanwhile has no rates yet.
        let first = pair.first.get(name).unwrap_or(total);
        let rate = |of: fn(&Counter) -> u64| per_second(of(first), of(total), pair.apart);
        let state = files.maybe(&format!("sys/class/net/{name}/operstate"));
        Interface {
            name: name.clone(),
            state: state.map(|state| state.trim().to_owned()),
            total: *total,
            received_bytes_per_second: rate(|c| c.received_bytes),
            sent_bytes_per_second: rate(|c| c.sent_bytes),
            received_packets_per_second: rate(|c| c.received_packets),
            sent_packets_per_second: rate(|c| c.sent_packets),
            errors_per_second: rate(|c| c.received_errors + c.sent_errors),
            drops_per_second: rate(|c| c.received_drops + c.sent_drops),
        }
    };
    pair.last.iter().map(interface).collect()
}

pub(super) fn tcp_counters(files: &Source) -> Result<TcpCounters, HostError> {
    const PATH: &str = "proc/net/snmp";
    let snmp = files.read(PATH)?;
    let tcp = table(&snmp, "Tcp:").ok_or_else(|| strange(PATH))?;
    let netstat = files.maybe("proc/net/netstat").unwrap_or_default();
    let more = table(&netstat, "TcpExt:").unwrap_or_default();
    let of = |name: &str| tcp.get(name).copied().unwrap_or(0);
    let ext = |name: &str| more.get(name).copied().unwrap_or(0);
    Ok(TcpCounters {
        established: of("CurrEstab"),
        opened: of("ActiveOpens"),
        accepted: of("PassiveOpens"),
        failed_attempts: of("AttemptFails"),
        resets: of("EstabResets"),
        received_segments: of("InSegs"),
        sent_segments: of("OutSegs"),
        retransmitted: of("RetransSegs"),
        received_errors: of("InErrs"),
        timeouts: ext("TCPTimeouts"),
        listen_overflows: ext("ListenOverflows"),
        listen_drops: ext("ListenDrops"),
    })
}

/// A line of names and one of numbers, both with the same first word.
fn table<'a>(text: &'a str, head: &str) -> Option<HashMap<&'a str, u64>> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(head));
    let (names, numbers) = (lines.next()?, lines.next()?);
    // One of them is negative where there is no limit.
    let numbers = numbers.split_whitespace().map(|number| number.parse().unwrap_or(0));
    Some(names.split_whitespace().zip(numbers).collect())
}

pub(super) fn tcp(pair: &Pair<TcpCounters>) -> Tcp {
    let grown = |of: fn(&TcpCounters) -> u64| of(&pair.last).saturating_sub(of(&pair.first));
    Tcp {
        established: pair.last.established,
        total: pair.last,
        sent_segments_per_second: pair.rate(|c| c.sent_segments),
        retransmitted_per_second: pair.rate(|c| c.retransmitted),
        retransmitted_percent: percent(grown(|c| c.retransmitted), grown(|c| c.sent_segments)),
    }
}
