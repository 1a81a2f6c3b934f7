//! All rules on all series.

use std::collections::{BTreeMap, HashMap};

use super::alert::{Alert, AlertState, Origin, fingerprint};
use super::rule::{Condition, Measure, Rule};
use super::track::{Phase, Step, Track};
use super::window::Window;
use crate::base::Timestamp;
use crate::model::metrics::{Sample, SeriesKey};

/// Samples go in, alerts that changed come out. An alert that was pending and came to nothing comes out as resolved.
///
/// What comes out does not depend on how often [`Engine::advance`] is called, only when it is noticed does.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    pub(super) rules: Vec<Rule>,
    /// Rules by the metrics whose samples they want.
    by_metric: HashMap<String, Vec<usize>>,
    /// By rule, in the order of `rules`.
    pub(super) tracks: Vec<BTreeMap<SeriesKey, Track>>,
    windows: HashMap<(usize, SeriesKey), Window>,
}

impl Engine {
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut by_metric: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            by_metric.entry(rule.metric.clone()).or_default().push(index);
            if let Measure::Percent { of, .. } = &rule.measure
                && *of != rule.metric
            {
                by_metric.entry(of.clone()).or_default().push(index);
            }
        }
        let tracks = vec![BTreeMap::new(); rules.len()];
        Self { rules, by_metric, tracks, windows: HashMap::new() }
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Expects samples of a series that is known from before, the last of which came at `last_at`: for rules of absence.
    pub fn expect(&mut self, series: &SeriesKey, last_at: Timestamp) {
        for (rule, tracks) in self.rules.iter().zip(&mut self.tracks) {
            if matches!(rule.condition, Condition::Absent { .. }) && rule.covers(series) {
                tracks.entry(series.clone()).or_insert_with(|| Track::new(last_at));
            }
        }
    }

    /// Takes a sample for what it adds to windows, and decides nothing: what was decided by it is known.
    pub fn prime(&mut self, sample: &Sample) {
        for index in self.by_metric.get(&sample.series.name).cloned().unwrap_or_default() {
            self.measure(index, sample);
        }
    }

    /// Takes a sample in.
    pub fn observe(&mut self, sample: &Sample) -> Vec<Alert> {
        let mut changed = Vec::new();
        for index in self.by_metric.get(&sample.series.name).cloned().unwrap_or_default() {
            let Some((series, value)) = self.measure(index, sample) else { continue };
            let (Some(rule), Some(tracks)) = (self.rules.get(index), self.tracks.get_mut(index)) else { continue };
            let mut steps = Vec::new();
            let track = tracks.entry(series.clone()).or_insert_with(|| Track::new(sample.at));
            track.observe(rule, sample.at, value, &mut steps);
            changed.extend(alerts(rule, &series, track, &steps));
        }
        changed
    }

    /// Lets time pass until `now`. What changed comes in the order of time.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Alert> {
        let mut changed = Vec::new();
        for (rule, tracks) in self.rules.iter().zip(&mut self.tracks) {
            tracks.retain(|series, track| {
                let mut steps = Vec::new();
                track.advance(rule, now, &mut steps);
                changed.extend(alerts(rule, series, track, &steps));
                !steps.last().is_some_and(|step| step.forget) && !track.is_idle(rule, now)
            });
        }
        let rules = &self.rules;
        self.windows.retain(|(index, _), kept| {
            rules.get(*index).and_then(Rule::window).is_some_and(|window| kept.reaches(now, window))
        });
        // Of those at one moment the pending one of an alert comes before the firing one: the sort keeps their order.
        changed.sort_by_key(moment);
        changed
    }

    /// When [`Engine::advance`] has something to tell, if no sample comes before.
    pub fn deadline(&self) -> Option<Timestamp> {
        let each = self.rules.iter().zip(&self.tracks);
        each.flat_map(|(rule, tracks)| tracks.values().filter_map(|track| track.deadline(rule))).min()
    }

    /// Every alert that pends or fires, as it is now.
    pub fn live(&self) -> Vec<Alert> {
        let each = self.rules.iter().zip(&self.tracks);
        each.flat_map(|(rule, tracks)| {
            tracks.iter().filter_map(|(series, track)| alert(rule, series, track, track.phase))
        })
        .collect()
    }

    /// What a sample means to a rule: the series that the rule watches, and what is measured of it.
    fn measure(&mut self, index: usize, sample: &Sample) -> Option<(SeriesKey, f64)> {
        let rule = self.rules.get(index)?;
        let series = SeriesKey { name: rule.metric.clone(), labels: sample.series.labels.clone() };
        if !rule.covers(&series) {
            return None;
        }
        match &rule.measure {
            Measure::Value => Some((series, sample.value)),
            Measure::Rate { window } => {
                let kept = self.windows.entry((index, series.clone())).or_default();
                kept.push(sample.at, sample.value, *window);
                let (grown, span) = kept.growth(sample.at, *window)?;
                Some((series, grown / span.as_secs_f64()))
            }
            Measure::Percent { of, window } => {
                let (of, window) = (of.clone(), *window);
                let kept = self.windows.entry((index, sample.series.clone())).or_default();
                kept.push(sample.at, sample.value, window);
                if sample.series.name != of {
                    return None;
                }
                let (all, _) = kept.growth(sample.at, window)?;
                let own = self.windows.get_mut(&(index, series.clone()));
                let part = own.and_then(|own| own.growth(sample.at, window)).map_or(0.0, |(grown, _)| grown);
                Some((series, if all > 0.0 { part / all * 100.0 } else { 0.0 }))
            }
        }
    }
}

/// When an alert came into its state.
fn moment(alert: &Alert) -> Timestamp {
    match alert.state {
        AlertState::Pending => alert.since,
        AlertState::Firing => alert.fired_at.unwrap_or(alert.since),
        AlertState::Resolved => alert.resolved_at.unwrap_or(alert.since),
    }
}

fn alerts(rule: &Rule, series: &SeriesKey, track: &Track, steps: &[Step]) -> Vec<Alert> {
    let of = |step: &Step| match step.after {
        Phase::Fine => {
            let mut over = alert(rule, series, track, step.before)?;
            over.resolve(step.at, step.reason);
            Some(over)
        }
        after => alert(rule, series, track, after),
    };
    steps.iter().filter_map(of).collect()
}

fn alert(rule: &Rule, series: &SeriesKey, track: &Track, phase: Phase) -> Option<Alert> {
    let (state, since, fired_at, clear_since) = match phase {
        Phase::Fine => return None,
        Phase::Pending { since } => (AlertState::Pending, since, None, None),
        Phase::Firing { since, fired_at, clear_since } => (AlertState::Firing, since, Some(fired_at), clear_since),
    };
    let fingerprint = fingerprint(Origin::Rule, &rule.name, &series.labels);
    let mut labels = series.labels.clone();
    labels.extend(rule.labels.clone());
    Some(Alert {
        id: Alert::id_of(&fingerprint, since),
        fingerprint,
        name: rule.name.clone(),
        origin: Origin::Rule,
        state,
        severity: rule.severity,
        labels,
        summary: rule.describe(series, track.value),
        subject: series.to_string(),
        series: Some(series.clone()),
        routes: rule.routes.clone(),
        value: track.value,
        since,
        fired_at,
        clear_since,
        resolved_at: None,
        reason: None,
        last_seen: track.last_at,
        expires_at: None,
        acknowledged: None,
        told: BTreeMap::new(),
    })
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
