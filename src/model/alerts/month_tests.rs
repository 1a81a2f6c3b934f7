//! A month of samples through the rules, against a reference that looks at every moment of the month by itself.

use std::time::Duration;

use super::*;
use crate::base::Timestamp;
use crate::base::clock::since;
use crate::model::metrics::{Sample, SeriesKey};

/// Every sample and every time of a rule is a multiple of this.
const STEP_S: usize = 15;
const MONTH_STEPS: usize = 30 * 86_400 / STEP_S;

fn at(step: usize) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + (step * STEP_S) as i64).expect("a time")
}

fn steps(duration: Duration) -> usize {
    duration.as_secs() as usize / STEP_S
}

/// A small generator of its own: the month is the same each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() * limit as f64) as usize
    }
}

/// One series' month: `(step, value)`, with late samples, lost ones, and hours without any.
fn month(seed: u64, mut value: impl FnMut(usize, &mut Dice) -> f64) -> Vec<(usize, f64)> {
    let mut dice = Dice(seed);
    let (mut samples, mut step) = (Vec::new(), 0);
    while step < MONTH_STEPS {
        samples.push((step, value(step, &mut dice)));
        step += match dice.below(1_000) {
            0 => 60 + dice.below(600),
            1..=20 => 2 + dice.below(30),
            21..=200 => 3,
            _ => 2,
        };
    }
    samples
}

/// A load with days and nights, spikes of minutes to hours, and a lot of time around the threshold.
fn load(base: f64, swing: f64) -> impl FnMut(usize, &mut Dice) -> f64 {
    let (mut spike, mut until) = (0.0, 0);
    move |step, dice| {
        let day = (step as f64 * STEP_S as f64 / 86_400.0 * std::f64::consts::TAU).sin();
        if step >= until && dice.below(400) == 0 {
            (spike, until) = (dice.next() * 30.0, step + 4 + dice.below(200));
        }
        let spike = if step < until { spike } else { 0.0 };
        (base + swing * day + spike + (dice.next() - 0.5) * 8.0).clamp(0.0, 100.0)
    }
}

/// A counter that grows by up to `most` and begins anew now and then.
fn counter(most: f64) -> impl FnMut(usize, &mut Dice) -> f64 {
    let (mut total, mut factor) = (0.0, 1.0);
    move |_, dice| {
        if dice.below(2_000) == 0 {
            total = 0.0;
        }
        if dice.below(100) == 0 {
            factor = dice.next();
        }
        total += (most * factor * dice.next()).floor();
        total
    }
}

/// `(fired, over)` in steps; None for what still fires when the month ends.
type Episodes = Vec<(usize, Option<usize>)>;

/// For each moment by itself: is the condition met, is it clear, is anything known? Fires when it was met at every
/// moment of the time before; over when it was clear at every one.
fn reference(rule: &Rule, samples: &[(usize, f64)]) -> Episodes {
    let mut known: Vec<Option<f64>> = vec![None; MONTH_STEPS];
    for (index, (step, value)) in samples.iter().enumerate() {
        let next = samples.get(index + 1).map_or(MONTH_STEPS, |next| next.0);
        let end = next.min(step + steps(rule.stale)).min(MONTH_STEPS);
        known[*step..end].fill(Some(*value));
    }
    let (threshold, clear, sign) = match rule.condition {
        Condition::Above { threshold, clear } => (threshold, clear, 1.0),
        Condition::Below { threshold, clear } => (-threshold, -clear, -1.0),
        Condition::Absent { .. } => panic!("not for absence"),
    };
    let wrong: Vec<bool> = known.iter().map(|value| value.is_some_and(|value| sign * value > threshold)).collect();
    let calm: Vec<bool> = known.iter().map(|value| value.is_some_and(|value| sign * value <= clear)).collect();
    let lasted =
        |flags: &[bool], step: usize, span: usize| step >= span && flags[step - span..=step].iter().all(|flag| *flag);
    let (mut episodes, mut fires) = (Episodes::new(), false);
    for (step, value) in known.iter().enumerate() {
        if !fires && lasted(&wrong, step, steps(rule.hold)) {
            episodes.push((step, None));
            fires = true;
        } else if fires && (value.is_none() || lasted(&calm, step, steps(rule.clear_for))) {
            episodes.last_mut().expect("it fires").1 = Some(step);
            fires = false;
        }
    }
    episodes
}

/// Growth over the window that ends at each sample of `of`, added up afresh from all samples each time.
fn growth(samples: &[(usize, f64)], end: usize, window: usize) -> Option<(f64, usize)> {
    let from = samples.partition_point(|(step, _)| step + 2 * window <= end);
    let until = samples.get(from..samples.partition_point(|(step, _)| *step <= end))?;
    let first = until.iter().rposition(|(step, _)| step + window <= end).unwrap_or(0);
    let inside = until.get(first..)?;
    let span = inside.last()?.0 - inside.first()?.0;
    let grown = inside.windows(2).map(|pair| if pair[1].1 < pair[0].1 { pair[1].1 } else { pair[1].1 - pair[0].1 });
    (span > 0).then(|| (grown.sum(), span))
}

fn episodes(rule: &Rule, series: &[(SeriesKey, Vec<(usize, f64)>)], looks: u64) -> Episodes {
    let mut all: Vec<(usize, usize)> = Vec::new();
    for (index, (_, samples)) in series.iter().enumerate() {
        all.extend((0..samples.len()).map(|place| (index, place)));
    }
    all.sort_by_key(|(index, place)| (series[*index].1[*place].0, *index));
    let mut engine = Engine::new(vec![rule.clone()]);
    let (mut changed, mut dice) = (Vec::new(), Dice(looks));
    for (index, place) in all {
        let (key, samples) = &series[index];
        let (step, value) = samples[place];
        if looks > 0 && step > 0 && dice.below(7) == 0 {
            changed.extend(engine.advance(at(step - 1)));
        }
        changed.extend(engine.observe(&Sample { series: key.clone(), at: at(step), value }));
    }
    changed.extend(engine.advance(at(MONTH_STEPS - 1)));
    let step_of = |moment: Timestamp| since(moment, at(0)).as_secs() as usize / STEP_S;
    let mut found = Episodes::new();
    for alert in changed {
        match (alert.state, alert.fired_at) {
            (AlertState::Firing, Some(fired)) => found.push((step_of(fired), None)),
            (AlertState::Resolved, Some(_)) => {
                found.last_mut().expect("it fired").1 = alert.resolved_at.map(step_of);
            }
            _ => {}
        }
    }
    found
}

/// The rule's month, whether somebody looks all the time or only when samples come.
#[track_caller]
fn compare(rule: &Rule, series: &[(SeriesKey, Vec<(usize, f64)>)], measured: &[(usize, f64)]) {
    let expected = reference(rule, measured);
    assert!(expected.len() > 5, "{}: the month is too quiet to show anything: {expected:?}", rule.name);
    for looks in [0, 99] {
        let found = episodes(rule, series, looks);
        let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
        assert_eq!(differs, None, "{}: looked at {looks}", rule.name);
        assert_eq!(found.len(), expected.len(), "{}", rule.name);
    }
}

#[test]
fn a_month_of_values_fires_and_clears_when_the_reference_says() {
    for (index, rule) in defaults().into_iter().filter(|rule| rule.measure == Measure::Value).enumerate() {
        let seed = 7 + index as u64;
        let samples = match rule.condition {
            Condition::Below { .. } => month(seed, |step, dice| {
                // Down for minutes at a time, some of them too short to matter.
                let block = step / 13;
                f64::from(u8::from(block % 97 > 2 || dice.below(5) == 0))
            }),
            Condition::Above { threshold, .. } => {
                let mut shape = load(70.0, 12.0);
                let scale = threshold / 90.0;
                month(seed, move |step, dice| shape(step, dice) * scale)
            }
            Condition::Absent { .. } => continue,
        };
        let key = SeriesKey::new(rule.metric.clone(), [("host", "a")]);
        compare(&rule, &[(key, samples.clone())], &samples);
    }
}

#[test]
fn times_of_all_lengths_and_thresholds_without_distance() {
    let samples = month(3, load(78.0, 8.0));
    for (number, (hold, clear_for, stale, distance)) in
        [(0, 0, 60, 0.0), (15, 15, 30, 0.0), (300, 0, 300, 0.0), (0, 300, 75, 1.0), (600, 600, 900, 5.0)]
            .into_iter()
            .enumerate()
    {
        let condition = Condition::Above { threshold: 85.0, clear: 85.0 - distance };
        let rule = Rule {
            hold: Duration::from_secs(hold),
            clear_for: Duration::from_secs(clear_for),
            stale: Duration::from_secs(stale),
            ..Rule::new(&format!("rule {number}"), "cpu", condition)
        };
        compare(&rule, &[(SeriesKey::new("cpu", []), samples.clone())], &samples);
    }
}

#[test]
fn a_month_of_counters_fires_and_clears_when_the_reference_says() {
    let requests = month(21, counter(900.0));
    let errors = month(22, counter(120.0));
    let of = |name| SeriesKey::new(name, [("service", "web")]);
    let percent = defaults().into_iter().find(|rule| rule.name == "http_errors").expect("shipped");
    let window = steps(percent.window().expect("it has one"));
    let measured: Vec<(usize, f64)> = requests
        .iter()
        .filter_map(|(step, _)| {
            let all = growth(&requests, *step, window)?.0;
            let part = growth(&errors, *step, window).map_or(0.0, |grown| grown.0);
            Some((*step, if all > 0.0 { part / all * 100.0 } else { 0.0 }))
        })
        .collect();
    // The errors come first where both come at once, as the sort of the replay has it.
    let series = [(of("http_errors_total"), errors.clone()), (of("http_requests_total"), requests)];
    compare(&Rule { hold: Duration::from_secs(60), ..percent }, &series, &measured);

    let window = Duration::from_secs(120);
    let rule = Rule {
        measure: Measure::Rate { window },
        clear_for: Duration::from_secs(60),
        ..Rule::new("errors_fast", "http_errors_total", Condition::Above { threshold: 1.2, clear: 0.8 })
    };
    let measured: Vec<(usize, f64)> = errors
        .iter()
        .filter_map(|(step, _)| {
            let (grown, span) = growth(&errors, *step, steps(window))?;
            Some((*step, grown / (span * STEP_S) as f64))
        })
        .collect();
    compare(&rule, &[(of("http_errors_total"), errors)], &measured);
}

#[test]
fn a_month_of_silences_is_noticed_when_the_reference_says() {
    let samples = month(5, |_, _| 1.0);
    let rule = Rule::new("gone", "beat", Condition::Absent { after: Duration::from_secs(600) });
    let after = steps(Duration::from_secs(600));
    let ends = samples.iter().map(|sample| sample.0).skip(1).chain([MONTH_STEPS]);
    let expected: Episodes = samples
        .iter()
        .zip(ends)
        .filter(|((step, _), next)| next - step > after && step + after < MONTH_STEPS)
        .map(|((step, _), next)| (step + after, (next < MONTH_STEPS).then_some(next)))
        .collect();
    assert!(expected.len() > 20, "{expected:?}");
    for looks in [0, 99] {
        assert_eq!(episodes(&rule, &[(SeriesKey::new("beat", []), samples.clone())], looks), expected);
    }
}
