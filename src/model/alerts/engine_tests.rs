use std::time::Duration;

use super::*;
use crate::base::clock::later;
use crate::base::limits::{ALERT_ABSENT_FORGOTTEN, ALERT_STALE_DEFAULT};
use crate::model::metrics::Labels;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn sample(name: &str, second: i64, value: f64) -> Sample {
    Sample { series: SeriesKey::new(name, [("host", "a")]), at: at(second), value }
}

fn above(hold: u64, clear_for: u64) -> Rule {
    let condition = Condition::Above { threshold: 90.0, clear: 85.0 };
    Rule { hold: seconds(hold), clear_for: seconds(clear_for), ..Rule::new("hot", "cpu", condition) }
}

/// `(state, moment)` of what came out.
fn told(alerts: &[Alert]) -> Vec<(&'static str, i64)> {
    alerts.iter().map(|alert| (alert.state.as_str(), moment(alert).as_second())).collect()
}

/// Samples, then time until `end`.
fn run(rules: Vec<Rule>, samples: &[Sample], end: i64) -> Vec<Alert> {
    let mut engine = Engine::new(rules);
    let mut out: Vec<Alert> = samples.iter().flat_map(|sample| engine.observe(sample)).collect();
    out.extend(engine.advance(at(end)));
    out
}

#[test]
fn a_condition_must_hold_for_its_time_and_the_moments_are_exact() {
    let samples: Vec<Sample> = [(0, 95.0), (30, 80.0), (40, 91.0), (100, 92.0), (130, 95.0)]
        .map(|(second, value)| sample("cpu", second, value))
        .to_vec();
    let out = run(vec![above(60, 0)], &samples, 140);
    assert_eq!(told(&out), [("pending", 0), ("resolved", 30), ("pending", 40), ("firing", 100)]);
    let fired = &out[3];
    assert_eq!((fired.since, fired.value, &*fired.summary), (at(40), Some(92.0), "cpu{host=\"a\"} is 92, above 90"));
    assert_eq!(fired.id, out[2].id);
    assert_ne!(fired.id, out[0].id);
}

#[test]
fn a_good_sample_at_the_last_moment_counts() {
    let samples = [sample("cpu", 0, 95.0), sample("cpu", 60, 10.0)];
    assert_eq!(told(&run(vec![above(60, 0)], &samples, 500)), [("pending", 0), ("resolved", 60)]);
}

#[test]
fn it_is_over_below_the_lower_threshold_for_its_time() {
    let values = [(0, 95.0), (10, 88.0), (20, 84.0), (40, 86.0), (50, 85.0), (70, 80.0), (110, 70.0)];
    let samples: Vec<Sample> = values.map(|(second, value)| sample("cpu", second, value)).to_vec();
    let out = run(vec![above(0, 30)], &samples, 120);
    assert_eq!(told(&out), [("pending", 0), ("firing", 0), ("resolved", 80)]);
    assert_eq!(
        (out[2].clear_since, out[2].reason.as_deref()),
        (Some(at(50)), Some("the condition does not hold any more"))
    );
}

#[test]
fn a_series_that_goes_silent_neither_fires_nor_stays() {
    let rule = Rule { stale: seconds(50), ..above(60, 0) };
    assert_eq!(told(&run(vec![rule.clone()], &[sample("cpu", 0, 95.0)], 900)), [("pending", 0), ("resolved", 50)]);
    let out = run(vec![Rule { hold: seconds(40), ..rule }], &[sample("cpu", 0, 95.0)], 900);
    assert_eq!(told(&out), [("pending", 0), ("firing", 40), ("resolved", 50)]);
    assert_eq!(out[2].reason.as_deref(), Some("there are no samples any more"));
}

#[test]
fn a_value_around_its_threshold_does_not_flap() {
    let samples: Vec<Sample> =
        (0..2_880).map(|n| sample("cpu", n * 15, if n % 2 == 0 { 90.5 } else { 89.5 })).collect();
    let out = run(vec![above(0, 0)], &samples, 2_880 * 15);
    assert_eq!(told(&out), [("pending", 0), ("firing", 0)]);
    // Without a lower threshold the time to clear does it.
    let flat = Condition::Above { threshold: 90.0, clear: 90.0 };
    let out = run(vec![Rule { condition: flat, ..above(0, 60) }], &samples, 2_880 * 15);
    assert_eq!(told(&out), [("pending", 0), ("firing", 0)]);
    // And what must hold for a while never begins.
    assert!(run(vec![above(60, 0)], &samples, 2_880 * 15).iter().all(|alert| alert.state != AlertState::Firing));
}

#[test]
fn each_series_is_watched_by_itself_and_only_those_that_match() {
    let of = |host, value| Sample { series: SeriesKey::new("cpu", [("host", host)]), at: at(0), value };
    let matching = SeriesKey::new("", [("host", "web-*")]).labels;
    let labels: Labels = SeriesKey::new("", [("team", "ops")]).labels;
    let rule = Rule { matching, labels, ..above(0, 0) };
    let out = run(vec![rule], &[of("web-1", 95.0), of("web-2", 99.0), of("db", 99.0), of("web-3", 1.0)], 0);
    let firing: Vec<&str> = out
        .iter()
        .filter(|alert| alert.state == AlertState::Firing)
        .map(|alert| alert.labels["host"].as_str())
        .collect();
    assert_eq!(firing, ["web-1", "web-2"]);
    assert_eq!((out[0].labels["team"].as_str(), out[0].subject.as_str()), ("ops", "cpu{host=\"web-1\"}"));
}

#[test]
fn a_rate_is_growth_in_a_second() {
    let condition = Condition::Above { threshold: 2.0, clear: 2.0 };
    let rule = Rule { measure: Measure::Rate { window: seconds(60) }, ..Rule::new("busy", "hits", condition) };
    // 1/s, then 5/s; the counter begins anew at 150.
    let values = [(0, 0.0), (30, 30.0), (60, 60.0), (90, 210.0), (120, 360.0), (150, 30.0), (180, 60.0), (210, 90.0)];
    let samples: Vec<Sample> = values.map(|(second, value)| sample("hits", second, value)).to_vec();
    assert_eq!(told(&run(vec![rule], &samples, 210)), [("pending", 90), ("firing", 90), ("resolved", 180)]);
}

#[test]
fn a_percentage_of_another_counter_s_growth() {
    let rule = Rule {
        measure: Measure::Percent { of: "requests".into(), window: seconds(60) },
        ..Rule::new("errors", "errors", Condition::Above { threshold: 10.0, clear: 5.0 })
    };
    let mut samples = Vec::new();
    for (second, requests, errors) in
        [(0, 0.0, 0.0), (30, 100.0, 5.0), (60, 200.0, 45.0), (90, 300.0, 45.0), (120, 300.0, 45.0)]
    {
        samples.extend([sample("errors", second, errors), sample("requests", second, requests)]);
    }
    // 5 %, 22.5 %, 20 %, 0 %.
    let out = run(vec![rule.clone()], &samples, 120);
    assert_eq!(told(&out), [("pending", 60), ("firing", 60), ("resolved", 120)]);
    assert_eq!(out[1].value, Some(22.5));
    let fine: Vec<Sample> = samples.into_iter().filter(|sample| sample.series.name == "requests").collect();
    assert_eq!(run(vec![rule], &fine, 120), []);
}

#[test]
fn absence_is_noticed_at_its_moment_and_forgotten_in_the_end() {
    let rule = Rule::new("gone", "beat", Condition::Absent { after: seconds(100) });
    let samples = [sample("beat", 0, 1.0), sample("beat", 90, 1.0), sample("beat", 300, 1.0)];
    let out = run(vec![rule.clone()], &samples, 400);
    assert_eq!(told(&out), [("firing", 190), ("resolved", 300), ("firing", 400)]);
    let mut engine = Engine::new(vec![rule]);
    engine.expect(&SeriesKey::new("beat", [("host", "a")]), at(50));
    assert_eq!(engine.deadline(), Some(at(150)));
    let end = later(at(150), ALERT_ABSENT_FORGOTTEN);
    assert_eq!(told(&engine.advance(end)), [("firing", 150), ("resolved", end.as_second())]);
    assert_eq!((engine.live(), engine.deadline()), (Vec::new(), None));
    // A sample after all that time begins anew, and no time is told twice.
    let late = Sample { at: later(end, seconds(1_000_000)), ..sample("beat", 0, 1.0) };
    assert_eq!(engine.observe(&late), []);
}

#[test]
fn after_a_restart_it_goes_on_where_it_was() {
    let rules = || vec![above(60, 30)];
    let mut engine = Engine::new(rules());
    for (second, value) in [(0, 95.0), (60, 95.0), (70, 80.0)] {
        engine.observe(&sample("cpu", second, value));
    }
    let kept = engine.live();
    assert_eq!((kept[0].state, kept[0].clear_since), (AlertState::Firing, Some(at(70))));
    let mut again = Engine::new(rules());
    assert_eq!(again.restore(&kept, at(80)), []);
    assert_eq!(told(&again.advance(at(200))), [("resolved", 100)]);
    // Nobody looked for an hour: that is no reason to think that it is over.
    let hot = Alert { clear_since: None, ..kept[0].clone() };
    let mut later_on = Engine::new(rules());
    assert_eq!(later_on.restore(std::slice::from_ref(&hot), at(3_600)), []);
    assert_eq!(later_on.advance(at(3_700)), []);
    assert_eq!(later_on.deadline(), Some(later(at(3_600), ALERT_STALE_DEFAULT)));
    // A rule that is gone takes its alerts with it.
    let over = Engine::new(Vec::new()).restore(&[hot], at(3_600));
    assert_eq!(told(&over), [("resolved", 3_600)]);
}

#[test]
fn series_that_went_away_take_their_memory_with_them() {
    let rate = Rule { measure: Measure::Rate { window: seconds(60) }, ..above(0, 0) };
    let mut engine = Engine::new(vec![above(0, 0), rate]);
    for number in 0..50 {
        let series = SeriesKey::new("cpu", [("container", &format!("c{number}"))]);
        engine.observe(&Sample { series: series.clone(), at: at(0), value: 1.0 });
        engine.observe(&Sample { series, at: at(30), value: 2.0 });
    }
    assert!(engine.tracks.iter().all(|tracks| tracks.len() == 50) && engine.windows.len() == 50);
    engine.advance(at(30 + 86_400));
    assert!(engine.tracks.iter().all(BTreeMap::is_empty) && engine.windows.is_empty());
}
