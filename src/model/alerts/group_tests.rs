use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::base::Timestamp;
use crate::model::metrics::SeriesKey;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn policy() -> Policy {
    let routes = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    Policy {
        group_by: vec!["alert".into(), "host".into()],
        group_wait: Duration::from_secs(10),
        group_interval: Duration::from_secs(300),
        repeat_interval: Duration::from_secs(3_600),
        routes: BTreeMap::from([
            (Severity::Warning, routes(&["chat"])),
            (Severity::Emergency, routes(&["chat", "phone"])),
        ]),
    }
}

fn firing(name: &str, mount: &str, severity: Severity, fired: i64) -> Alert {
    let series = SeriesKey::new("disk", [("mount", mount)]);
    let fingerprint = fingerprint(Origin::Rule, name, &series.labels);
    Alert {
        id: Alert::id_of(&fingerprint, at(fired)),
        fingerprint,
        name: name.into(),
        origin: Origin::Rule,
        state: AlertState::Firing,
        severity,
        labels: series.labels.clone(),
        summary: String::new(),
        subject: series.to_string(),
        series: Some(series),
        routes: Vec::new(),
        value: None,
        since: at(fired),
        fired_at: Some(at(fired)),
        clear_since: None,
        resolved_at: None,
        reason: None,
        last_seen: at(fired),
        expires_at: None,
        acknowledged: None,
        told: BTreeMap::new(),
    }
}

/// Plays the plan second by second and notes what each route is told: `(second, route, firing, resolved)`.
fn play(
    alerts: &mut Vec<Alert>,
    silences: &[Silence],
    until: i64,
    mut change: impl FnMut(i64, &mut Vec<Alert>),
) -> Vec<(i64, String, usize, usize)> {
    let mut told = Vec::new();
    for second in 0..=until {
        change(second, alerts);
        let found = plan(&policy(), alerts, silences, at(second));
        assert!(found.next.is_none_or(|next| next > at(second)), "at {second}: {:?}", found.next);
        for notice in found.due {
            told.push((second, notice.route.clone(), notice.firing.len(), notice.resolved.len()));
            let (fires, over) = (AlertState::Firing, AlertState::Resolved);
            for (state, named) in [(fires, &notice.firing), (over, &notice.resolved)] {
                for alert in alerts.iter_mut().filter(|alert| named.iter().any(|other| other.id == alert.id)) {
                    alert.told.insert(notice.route.clone(), Told { state, at: at(second) });
                }
            }
        }
    }
    told
}

fn chat(second: i64, firing: usize, resolved: usize) -> (i64, String, usize, usize) {
    (second, "chat".into(), firing, resolved)
}

#[test]
fn alerts_of_a_group_are_told_together_then_at_intervals_then_as_a_reminder() {
    let mut alerts = vec![firing("full", "/a", Severity::Warning, 0)];
    let told = play(&mut alerts, &[], 5_000, |second, alerts| match second {
        5 => alerts.push(firing("full", "/b", Severity::Warning, 5)),
        60 => alerts.push(firing("full", "/c", Severity::Warning, 60)),
        400 => alerts[0].resolve(at(400), ""),
        _ => {}
    });
    // The wait, the news after an interval, the end of one after another interval, the reminder.
    assert_eq!(told, [chat(10, 2, 0), chat(310, 3, 0), chat(610, 2, 1), chat(4_210, 2, 0)]);
}

#[test]
fn what_was_over_before_anybody_was_told_is_not_told() {
    let mut alerts = vec![firing("full", "/a", Severity::Warning, 0)];
    let told = play(&mut alerts, &[], 900, |second, alerts| {
        if second == 9 {
            alerts[0].resolve(at(9), "");
        }
    });
    assert_eq!(told, []);
}

#[test]
fn an_emergency_keeps_the_warning_about_the_same_quiet() {
    let mut alerts = vec![
        firing("high", "/a", Severity::Warning, 0),
        firing("high", "/b", Severity::Warning, 0),
        firing("full", "/a", Severity::Emergency, 0),
    ];
    let told = play(&mut alerts, &[], 100, |_, _| {});
    assert_eq!(told, [chat(10, 1, 0), chat(10, 1, 0), (10, "phone".into(), 1, 0)]);
    assert!(alerts[0].told.is_empty() && alerts[1].told.contains_key("chat"));
    // It is told when the emergency is over and the warning stays.
    let told = play(&mut alerts, &[], 700, |second, alerts| {
        if second == 200 {
            alerts[2].resolve(at(200), "");
        }
    });
    assert_eq!(told, [chat(310, 0, 1), chat(310, 2, 0), (310, "phone".into(), 0, 1)]);
}

#[test]
fn silences_and_acknowledgements_keep_alerts_quiet_but_not_their_end() {
    let silence = Silence {
        id: "s".into(),
        matching: SeriesKey::new("", [("alert", "full"), ("mount", "/a*")]).labels,
        starts_at: at(100),
        ends_at: at(5_000),
        by: "uid:0".into(),
        note: String::new(),
    };
    let mut alerts = vec![firing("full", "/a", Severity::Warning, 0), firing("odd", "/x", Severity::Warning, 0)];
    let told = play(&mut alerts, &[silence], 9_000, |second, alerts| match second {
        50 => {
            alerts[1].acknowledged = Some(Acknowledgement { by: "uid:0".into(), at: at(50), note: String::new() });
        }
        200 => alerts.push(firing("full", "/ab", Severity::Warning, 200)),
        7_000 => alerts.iter_mut().for_each(|alert| alert.resolve(at(7_000), "")),
        _ => {}
    });
    // Both at first; then nothing until the silence ends, when the newer one is told with the older; then all ends.
    let expected = [chat(10, 1, 0), chat(10, 1, 0), chat(5_000, 2, 0), chat(7_000, 0, 2), chat(7_000, 0, 1)];
    assert_eq!(told, expected);
}

#[test]
fn a_silence_that_asks_for_nothing_covers_nothing() {
    let silence = Silence {
        id: "s".into(),
        matching: BTreeMap::new(),
        starts_at: at(0),
        ends_at: at(10),
        by: String::new(),
        note: String::new(),
    };
    assert!(!silence.covers(&firing("full", "/a", Severity::Warning, 0)));
    assert!(silence.is_on(at(0)) && !silence.is_on(at(10)));
}

#[test]
fn a_restart_tells_nothing_twice() {
    let mut alerts = vec![firing("full", "/a", Severity::Warning, 0)];
    assert_eq!(play(&mut alerts, &[], 20, |_, _| {}).len(), 1);
    let mut kept: Vec<Alert> =
        serde_json::from_str(&serde_json::to_string(&alerts).expect("JSON")).expect("the same again");
    assert_eq!(kept, alerts);
    assert_eq!(play(&mut kept, &[], 3_000, |_, _| {}), []);
}
