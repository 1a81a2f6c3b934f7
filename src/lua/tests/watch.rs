//! Metrics, alerts and checks as scripts use them, and each wrong use of them.

use serde_json::json;

use super::support::*;
use crate::model::Grants;
use crate::model::alerts::Severity;
use crate::model::grants::Access;

fn writer() -> Bed {
    Bed { grants: Grants { alerts: Some(Access::Write), ..Grants::default() }, ..Bed::default() }
}

#[test]
fn what_is_recorded_and_reported_arrives() {
    let bed = Bed::default();
    bed.body(
        "aegis.metrics.record('queue_length', 7, { shop = 'a' })
         aegis.metrics.record('jobs_total', 1e3)
         aegis.alerts.report { name = 'unhealthy', labels = { container = 'web' }, severity = 'critical', ttl = '10m' }
         aegis.alerts.report { name = 'unhealthy', labels = { container = 'web' }, ok = true }",
    );
    let samples = bed.watch.samples.lock().expect("not poisoned");
    let shown: Vec<String> = samples.iter().map(|sample| format!("{} {}", sample.series, sample.value)).collect();
    assert_eq!(shown, ["queue_length{shop=\"a\"} 7", "jobs_total 1000"]);
    let reports = bed.watch.reports.lock().expect("not poisoned");
    let [first, second] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((first.ok, second.ok, &first.alert.fingerprint), (false, true, &second.alert.fingerprint));
    assert_eq!((first.alert.severity, first.alert.summary.as_str()), (Severity::Critical, "unhealthy"));
    let lasts = first.alert.expires_at.expect("it ends").duration_since(first.alert.since);
    assert_eq!(lasts.as_secs(), 600);
}

#[test]
fn silences_and_acknowledgements_need_a_permission() {
    let bed = writer();
    let value = bed.value(
        "local id = aegis.alerts.silence { labels = { alert = 'disk_*' }, duration = '2h', note = 'moving' }
         return { #id, aegis.alerts.acknowledge('00ff', { note = 'on it' }), #aegis.alerts.list(), #aegis.checks.list(),
             #aegis.metrics.series(), #aegis.metrics.query('up', { step = '5m', agg = 'max' }) }",
    );
    assert_eq!(value, json!([26, false, 0, 0, 0, 0]));
    let silences = bed.watch.silences.lock().expect("not poisoned");
    let [silence] = &silences[..] else { panic!("{silences:?}") };
    assert_eq!(silence.ends_at.duration_since(silence.starts_at).as_secs(), 7_200);
    assert_eq!((silence.matching["alert"].as_str(), silence.note.as_str()), ("disk_*", "moving"));
    assert!(silence.by.starts_with("job:tester/"), "{}", silence.by);
    let denied = Bed::default().fault("aegis.alerts.acknowledge('00ff')");
    assert_eq!(denied.code, "permission.denied");
    assert_eq!(denied.hint.as_deref(), Some("add to the job's table: permissions = { alerts = \"write\" }"));
}

#[test]
fn a_dry_run_changes_nothing() {
    let bed = Bed { dry_run: true, ..writer() };
    bed.body(
        "aegis.metrics.record('x', 1) aegis.alerts.report { name = 'x' } aegis.alerts.acknowledge('a')
         aegis.alerts.silence { labels = { alert = 'x' }, duration = 60 }",
    );
    assert!(bed.watch.samples.lock().expect("not poisoned").is_empty());
    assert!(bed.watch.reports.lock().expect("not poisoned").is_empty());
    assert!(bed.watch.silences.lock().expect("not poisoned").is_empty());
}

#[test]
fn each_wrong_use_says_what_is_wrong() {
    let long = "('x'):rep(5000)";
    let cases = [
        ("aegis.metrics.record('a b', 1)".to_owned(), "metrics.name", "\"a b\""),
        ("aegis.metrics.record('aegis_runs', 1)".to_owned(), "metrics.name", "aegis_runs"),
        ("aegis.metrics.record('x', 0/0)".to_owned(), "metrics.value", "\"value\""),
        ("aegis.metrics.record('x', 'many')".to_owned(), "args.type", "value"),
        ("aegis.metrics.record('x', 1, { ['a b'] = '1' })".to_owned(), "metrics.labels", "\"a b\""),
        ("aegis.metrics.query('x', { step = 0 })".to_owned(), "metrics.span", "steps of"),
        ("aegis.metrics.query('x', { agg = 'median' })".to_owned(), "args.type", "agg"),
        ("aegis.metrics.query('x', { stpe = 5 })".to_owned(), "args.unknown", "stpe"),
        ("aegis.alerts.report {}".to_owned(), "args.missing", "name"),
        ("aegis.alerts.report { name = '' }".to_owned(), "alerts.name", "\"name\""),
        (format!("aegis.alerts.report {{ name = {long} }}"), "alerts.too_large", "\"name\" has 5000 bytes"),
        (format!("aegis.alerts.report {{ name = 'x', summary = {long} }}"), "alerts.too_large", "\"summary\""),
        ("aegis.alerts.report { name = 'x', severity = 'bad' }".to_owned(), "args.type", "severity"),
        ("aegis.alerts.silence { labels = {}, duration = '1h' }".to_owned(), "alerts.silence", "\"labels\""),
        ("aegis.alerts.silence { labels = { a = '1' }, duration = 0 }".to_owned(), "alerts.silence", "\"duration\""),
        ("aegis.alerts.silence { labels = { a = '1' } }".to_owned(), "args.missing", "duration"),
    ];
    for (body, code, named) in cases {
        let fault = writer().fault(&body);
        assert!(fault.code == code && fault.message.contains(named), "{body}: {fault:?}");
    }
}
