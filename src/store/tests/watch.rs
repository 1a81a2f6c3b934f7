//! Samples, alerts, checks and silences.

use std::collections::BTreeMap;
use std::time::Duration;

use super::support::*;
use crate::base::limits::METRIC_SERIES_PER_NAME_MAX;
use crate::model::alerts::{
    Acknowledgement, Alert, AlertState, Condition, Engine, Origin, Rule, Silence, Told, fingerprint,
};
use crate::model::checks::{Check, CheckState};
use crate::model::metrics::{Aggregate, Labels, Sample, SeriesKey};
use crate::store::*;

on_both! {
    samples_come_back_in_their_order_and_as_they_were,
    rollups_are_what_the_samples_add_up_to,
    series_without_end_are_refused_and_the_rest_goes_on,
    alerts_keep_who_saw_them_and_what_was_told,
    reports_raise_renew_and_clear,
    checks_and_silences_are_kept,
    what_is_old_goes_and_what_is_left_stays,
}

fn sample(name: &str, host: &str, second: i64, value: f64) -> Sample {
    Sample { series: SeriesKey::new(name, [("host", host)]), at: at(second), value }
}

async fn record(db: &Db, samples: Vec<Sample>) -> Result<bool, StoreError> {
    db.store.watch(WatchWrite { samples, ..WatchWrite::default() }).await
}

/// A row in each table of the watch.
pub async fn fill(db: &Db) {
    let silence = Silence {
        id: "s1".into(),
        matching: SeriesKey::new("", [("alert", "x")]).labels,
        starts_at: at(0),
        ends_at: at(9),
        by: "uid:0".into(),
        note: String::new(),
    };
    let write = WatchWrite {
        samples: vec![sample("x", "a", 1, 0.1), sample("x", "a", 2, -1e300)],
        checks: vec![Check::new("web", "tcp", "a:1".into(), Duration::from_secs(5), at(0))],
        silences: vec![silence],
        ..report(3, "bad", false)
    };
    db.store.watch(write).await.expect("written");
}

async fn samples_come_back_in_their_order_and_as_they_were(db: &mut Db) {
    let odd = [0.1 + 0.2, -0.0, 1e300, f64::MIN_POSITIVE, 90.0];
    let mut sampled = db.store.sampled();
    let written: Vec<Sample> =
        (0..).zip(odd).map(|(second, value)| sample("x", "\u{e4}\"\\ \0b", 100 - second, value)).collect();
    for one in &written {
        record(db, vec![one.clone()]).await.expect("written");
    }
    assert_eq!(*sampled.borrow_and_update(), 5);
    let read = db.store.samples_after(0, 100).await.expect("readable");
    assert_eq!(read.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for ((_, read), written) in read.iter().zip(&written) {
        assert_eq!((read.at, read.value.to_bits()), (written.at, written.value.to_bits()));
    }
    assert_eq!(read[0].1.series.labels["host"], "\u{e4}\"\\ \u{fffd}b");
    assert_eq!(db.store.samples_after(3, 1).await.expect("readable")[0].0, 4);
    assert_eq!(db.store.samples_of("x", at(98), 4).await.expect("readable").len(), 3);
    let series = db.store.series(None, None).await.expect("readable");
    assert_eq!(series.len(), 1);
    assert_eq!((series[0].last_at, series[0].last_value.to_bits()), (at(100), odd[0].to_bits()));
    db.store.watch(WatchWrite { seen: Some(3), ..WatchWrite::default() }).await.expect("written");
    db.store.watch(WatchWrite { seen: Some(2), ..WatchWrite::default() }).await.expect("written");
    assert_eq!(db.store.watch_marks().await, Ok((3, 5)));
}

async fn rollups_are_what_the_samples_add_up_to(db: &mut Db) {
    let value = |second: i64| ((second * 37) % 101) as f64 / 3.0;
    let seconds: Vec<i64> = (0..7_200).step_by(20).collect();
    // In many commits and in no order: what is there already is added to.
    for chunk in seconds.chunks(90).rev() {
        let samples = chunk.iter().map(|second| sample("load", "a", *second, value(*second)));
        record(db, samples.chain([sample("load", "b", chunk[0], 1.0)]).collect()).await.expect("written");
    }
    let asked = |step: u64, to: i64| MetricQuery {
        name: "load".into(),
        matching: SeriesKey::new("", [("host", "a*")]).labels,
        from: at(0),
        to: at(to),
        step: Duration::from_secs(step),
    };
    for (step, to) in [(30, 600), (60, 7_200), (600, 7_200), (3_600, 7_200)] {
        let found = db.store.measured(&asked(step, to)).await.expect("measured");
        assert_eq!(found.len(), 1, "{step}");
        for (start, point) in &found[0].points {
            let begin = start.as_second();
            let inside: Vec<f64> =
                seconds.iter().filter(|s| (begin..begin + step as i64).contains(*s)).map(|s| value(*s)).collect();
            assert_eq!(point.get(Aggregate::Count), inside.len() as f64, "{step} {begin}");
            let max = inside.iter().copied().fold(f64::MIN, f64::max);
            let min = inside.iter().copied().fold(f64::MAX, f64::min);
            let sum: f64 = inside.iter().sum();
            assert_eq!((point.max, point.min, Some(&point.last)), (max, min, inside.last()), "{step} {begin}");
            assert!((point.sum - sum).abs() < 1e-9, "{step} {begin}: {} {sum}", point.sum);
        }
        assert_eq!(found[0].points.len() as i64, to / step as i64, "{step}");
    }
    let refused = db.store.measured(&MetricQuery { step: Duration::from_millis(1), ..asked(1, 7_200) }).await;
    assert!(matches!(refused, Err(StoreError::TooMany { .. })), "{refused:?}");
}

async fn series_without_end_are_refused_and_the_rest_goes_on(db: &mut Db) {
    let many = |from: usize, to: usize| -> Vec<Sample> {
        (from..to).map(|number| sample("many", &format!("{number}"), 0, 1.0)).collect()
    };
    record(db, many(0, METRIC_SERIES_PER_NAME_MAX)).await.expect("room");
    let (over, known, other) = tokio::join!(
        record(db, many(5, METRIC_SERIES_PER_NAME_MAX + 1)),
        record(db, many(0, 10)),
        record(db, vec![sample("other", "x", 0, 1.0)]),
    );
    let problem = over.expect_err("one too many").to_string();
    assert_eq!(
        problem,
        "the series many{host=\"1000\"} of the metric \"many\" would be one too many: at most 1000 are kept"
    );
    assert_eq!((known, other), (Ok(false), Ok(false)));
    let kept = db.store.series(Some("many"), None).await.expect("readable");
    assert_eq!(kept.len(), METRIC_SERIES_PER_NAME_MAX);
}

fn found(values: &[(i64, f64)]) -> Vec<Alert> {
    let condition = Condition::Above { threshold: 90.0, clear: 90.0 };
    let rule = Rule { hold: Duration::from_secs(60), ..Rule::new("hot", "cpu", condition) };
    let mut engine = Engine::new(vec![rule]);
    values.iter().flat_map(|(second, value)| engine.observe(&sample("cpu", "a", *second, *value))).collect()
}

async fn alerts_keep_who_saw_them_and_what_was_told(db: &mut Db) {
    let write = |alerts: Vec<Alert>| WatchWrite { alerts, ..WatchWrite::default() };
    let all = found(&[(0, 95.0), (60, 95.0), (90, 1.0), (100, 95.0), (110, 1.0)]);
    assert_eq!(all.len(), 5);
    db.store.watch(write(all[..2].to_vec())).await.expect("written");
    let id = all[1].id.clone();
    let seen = Acknowledgement { by: "uid:0".into(), at: at(70), note: "on it".into() };
    let told = Told { state: AlertState::Firing, at: at(75) };
    let noted = WatchWrite {
        acknowledged: vec![(id.clone(), seen.clone())],
        told: vec![(id.clone(), "chat".into(), told)],
        ..WatchWrite::default()
    };
    assert_eq!(db.store.watch(noted).await, Ok(true));
    db.store.watch(write(all[2..].to_vec())).await.expect("written");
    assert_eq!(db.store.alerts(None).await, Ok(vec![]));
    // The one that only pended is forgotten.
    let over = db.store.alerts(Some(at(0))).await.expect("readable");
    let summary = all[1].summary.clone();
    let expected =
        Alert { summary, told: BTreeMap::from([("chat".into(), told)]), acknowledged: Some(seen), ..all[2].clone() };
    assert_eq!(over, std::slice::from_ref(&expected));
    assert_eq!(db.store.alerts_named(&id[..6]).await, Ok(vec![expected]));
    let unknown = WatchWrite {
        acknowledged: vec![("nothing".into(), Acknowledgement { by: String::new(), at: at(0), note: String::new() })],
        ..WatchWrite::default()
    };
    assert_eq!(db.store.watch(unknown).await, Ok(false));
}

fn report(second: i64, summary: &str, ok: bool) -> WatchWrite {
    let labels: Labels = SeriesKey::new("", [("container", "web")]).labels;
    let print = fingerprint(Origin::Report, "unhealthy", &labels);
    let alert = Alert {
        id: Alert::id_of(&print, at(second)),
        fingerprint: print,
        name: "unhealthy".into(),
        origin: Origin::Report,
        state: AlertState::Firing,
        severity: crate::model::alerts::Severity::Critical,
        labels,
        summary: summary.into(),
        subject: "container web".into(),
        series: None,
        routes: Vec::new(),
        value: None,
        since: at(second),
        fired_at: Some(at(second)),
        clear_since: None,
        resolved_at: None,
        reason: None,
        last_seen: at(second),
        expires_at: Some(at(second + 600)),
        acknowledged: None,
        told: BTreeMap::new(),
    };
    WatchWrite { reports: vec![Report { alert, ok }], ..WatchWrite::default() }
}

async fn reports_raise_renew_and_clear(db: &mut Db) {
    assert_eq!(db.store.watch(report(0, "fine", true)).await, Ok(false));
    assert_eq!(db.store.watch(report(10, "exit 1", false)).await, Ok(true));
    assert_eq!(db.store.watch(report(20, "exit 2", false)).await, Ok(false));
    let live = db.store.alerts(None).await.expect("readable");
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].since, live[0].last_seen, &*live[0].summary), (at(10), at(20), "exit 2"));
    assert_eq!(live[0].expires_at, Some(at(620)));
    // Side by side in one commit they are as one after the other.
    let (ok, again) = tokio::join!(db.store.watch(report(30, "", true)), db.store.watch(report(40, "exit 3", false)));
    assert_eq!((ok, again), (Ok(true), Ok(true)));
    let all = db.store.alerts(Some(at(0))).await.expect("readable");
    let told: Vec<_> = all.iter().map(|alert| (alert.state, alert.since, alert.resolved_at)).collect();
    assert_eq!(told, [(AlertState::Firing, at(40), None), (AlertState::Resolved, at(10), Some(at(30)))]);
}

async fn checks_and_silences_are_kept(db: &mut Db) {
    let check = |name: &str| Check::new(name, "tcp", "127.0.0.1:1".into(), Duration::from_secs(5), at(0));
    let checks = |checks| WatchWrite { checks, ..WatchWrite::default() };
    db.store.watch(checks(vec![check("b"), check("a")])).await.expect("written");
    let up = Check { state: CheckState::Up, ..check("b") };
    db.store.watch(checks(vec![check("b"), up.clone()])).await.expect("written");
    assert_eq!(db.store.checks().await, Ok(vec![check("a"), up.clone()]));
    let only = WatchWrite { checks_only: Some(vec!["b".into()]), ..WatchWrite::default() };
    db.store.watch(only).await.expect("written");
    assert_eq!(db.store.checks().await, Ok(vec![up]));
    let silence = Silence {
        id: "s1".into(),
        matching: SeriesKey::new("", [("alert", "*")]).labels,
        starts_at: at(0),
        ends_at: at(100),
        by: "uid:0".into(),
        note: "work".into(),
    };
    let silences = |silences| WatchWrite { silences, ..WatchWrite::default() };
    db.store.watch(silences(vec![silence.clone()])).await.expect("written");
    assert_eq!(db.store.silences(at(99)).await, Ok(vec![silence.clone()]));
    db.store.watch(silences(vec![Silence { ends_at: at(50), ..silence }])).await.expect("written");
    assert_eq!(db.store.silences(at(50)).await, Ok(vec![]));
}

async fn what_is_old_goes_and_what_is_left_stays(db: &mut Db) {
    const HOUR: i64 = 3_600;
    let samples = (0..48).map(|hour| sample("x", "a", hour * HOUR, hour as f64)).collect();
    record(db, samples).await.expect("written");
    record(db, vec![sample("gone", "a", 0, 1.0)]).await.expect("written");
    db.store.watch(report(10, "x", false)).await.expect("written");
    db.store.watch(report(20, "x", true)).await.expect("written");
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let keep = WatchRetention { samples: hours(6), minutes: hours(12), hours: hours(24), alerts: hours(24) };
    let removed = db.store.prune_watch(&keep, at(48 * HOUR)).await.expect("pruned");
    assert!(removed > 0);
    assert_eq!(db.store.samples_after(0, 100).await.expect("readable").len(), 6);
    let asked = |step| MetricQuery {
        name: "x".into(),
        matching: Labels::new(),
        from: at(0),
        to: at(48 * HOUR),
        step: Duration::from_secs(step),
    };
    let mut left = Vec::new();
    for step in [60, 3_600] {
        left.push(
            db.store.measured(&MetricQuery { from: at(30 * HOUR), ..asked(step) }).await.expect("read")[0].points.len(),
        );
    }
    assert_eq!(left, [12, 18]);
    assert_eq!(db.store.measured(&asked(3_600)).await.expect("read")[0].points.len(), 24);
    let names: Vec<String> =
        db.store.series(None, None).await.expect("readable").into_iter().map(|row| row.series.name).collect();
    assert_eq!(names, ["x"]);
    assert_eq!(db.store.alerts(Some(at(0))).await, Ok(vec![]));
}
