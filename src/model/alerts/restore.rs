//! Going on after a restart, from the alerts that were kept.

use super::alert::{Alert, AlertState, Origin};
use super::engine::Engine;
use super::track::{Phase, Track};
use crate::base::Timestamp;

impl Engine {
    /// Takes up the rules' alerts that pended or fired when they were last kept. A firing one is given its time to be
    /// seen again from `now` on: that nobody looked meanwhile says nothing of it. Comes back with those that are over
    /// because their rule is gone or watches something else.
    pub fn restore(&mut self, kept: &[Alert], now: Timestamp) -> Vec<Alert> {
        let mut over = Vec::new();
        for alert in kept.iter().filter(|alert| alert.origin == Origin::Rule && !alert.is_over()) {
            if !self.take_up(alert, now) {
                let mut gone = alert.clone();
                gone.resolve(now, "its rule is gone");
                over.push(gone);
            }
        }
        over
    }

    fn take_up(&mut self, alert: &Alert, now: Timestamp) -> bool {
        let Some(series) = &alert.series else { return false };
        let found = self.rules.iter().position(|rule| rule.name == alert.name && rule.covers(series));
        let Some(tracks) = found.and_then(|index| self.tracks.get_mut(index)) else { return false };
        let since = alert.since;
        let (phase, last_at) = match (alert.state, alert.fired_at) {
            (AlertState::Firing, Some(fired_at)) => {
                (Phase::Firing { since, fired_at, clear_since: alert.clear_since }, now.max(alert.last_seen))
            }
            _ => (Phase::Pending { since }, alert.last_seen),
        };
        tracks.insert(series.clone(), Track { phase, last_at, value: alert.value });
        true
    }
}
