//! What of a destination's mail is sent now, what waits, and what is told in one. No IO, no clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::clock::{later, since};
use crate::base::{Timestamp, limits};
use crate::primitives::notify::{Message, Parcel, Rate, Severity};

/// When messages were sent to one destination, within the time that its rate counts.
#[derive(Debug, Clone, Default)]
pub struct Sent(VecDeque<Timestamp>);

impl Sent {
    /// How many more may be sent now.
    pub fn free(&mut self, rate: Rate, now: Timestamp) -> usize {
        while self.0.front().is_some_and(|at| since(now, *at) >= rate.per) {
            self.0.pop_front();
        }
        (rate.messages as usize).saturating_sub(self.0.len())
    }

    pub fn note(&mut self, at: Timestamp) {
        self.0.push_back(at);
    }

    /// When the next one may be sent, if none may now.
    pub fn next(&self, rate: Rate, now: Timestamp) -> Timestamp {
        self.0.front().map_or(now, |at| later(*at, rate.per))
    }
}

/// What is sent as one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub parcel: Parcel,
    pub count: u64,
    /// The rows that it stands for.
    pub ids: Vec<String>,
}

/// Puts what is due into at most `free` messages: the worst first, and the excess in the last of them.
pub fn loads(mut due: Vec<(Parcel, u64)>, free: usize) -> Vec<Load> {
    due.sort_by_key(|(parcel, _)| std::cmp::Reverse(parcel.message.severity));
    let single = |(parcel, count): (Parcel, u64)| Load { ids: vec![parcel.id.clone()], parcel, count };
    if due.len() <= free {
        return due.into_iter().map(single).collect();
    }
    let rest = due.split_off(free.saturating_sub(1));
    let mut loads: Vec<Load> = due.into_iter().map(single).collect();
    loads.extend(together(&rest).filter(|_| free > 0));
    loads
}

/// Several messages as one that names them all.
fn together(rest: &[(Parcel, u64)]) -> Option<Load> {
    let (first, _) = rest.first()?;
    let total: u64 = rest.iter().map(|(_, count)| count).sum();
    let mut lines: Vec<String> = Vec::new();
    for (parcel, count) in rest.iter().take(limits::OUTBOX_SUMMARY_LINES_MAX) {
        let line = format!("{}: {}", parcel.message.severity.as_str(), parcel.message.headline());
        lines.push(if *count > 1 { format!("{line} ({count} times)") } else { line });
    }
    if rest.len() > limits::OUTBOX_SUMMARY_LINES_MAX {
        lines.push(format!("and {} more", rest.len() - limits::OUTBOX_SUMMARY_LINES_MAX));
    }
    let ids: Vec<String> = rest.iter().map(|(parcel, _)| parcel.id.clone()).collect();
    let severity = rest.iter().map(|(parcel, _)| parcel.message.severity).max().unwrap_or(Severity::Info);
    let message = Message {
        title: format!("{total} notifications, more than this destination takes one by one"),
        text: lines.join("\n"),
        severity,
        ..Message::default()
    };
    // The same rows are the same message, however often it is tried.
    let id = blake3::hash(ids.join(" ").as_bytes()).to_hex().chars().take(26).collect();
    Some(Load { parcel: Parcel { id, message, ..first.clone() }, count: 1, ids })
}

/// How long to wait after the failed attempt number `attempts`.
pub fn patience(attempts: u32, asked: Option<Duration>) -> Duration {
    let doubled = 2_u32.checked_pow(attempts.saturating_sub(1)).and_then(|n| limits::OUTBOX_BACKOFF.checked_mul(n));
    let own = doubled.unwrap_or(limits::OUTBOX_BACKOFF_MAX).min(limits::OUTBOX_BACKOFF_MAX);
    asked.map_or(own, |asked| asked.max(own).min(limits::OUTBOX_AGE_MAX))
}
