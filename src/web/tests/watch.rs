//! Alerts, silences and checks over the API and on the page.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::App;
use crate::model::Role;
use crate::model::alerts::{Condition, Engine, Rule};
use crate::model::checks::{Check, Debounce};
use crate::model::metrics::{Sample, SeriesKey};
use crate::store::WatchWrite;

/// A firing alert, a check that is down with its samples, and a counter.
async fn trouble(app: &App) {
    let now = app.clock.now();
    let sample = |series: SeriesKey, value| Sample { series, at: now, value };
    let rule = Rule::new("disk_full", "disk", Condition::Above { threshold: 95.0, clear: 93.0 });
    let disk = sample(SeriesKey::new("disk", [("mount", "/<data>")]), 97.5);
    let alerts = Engine::new(vec![rule]).observe(&disk);
    let mut check = Check::new("web", "http", "http://www.example.com/".into(), Duration::from_secs(30), now);
    check.answered(Err("it answered <503>".into()), Debounce { up_after: 2, down_after: 1 }, now);
    let ok = |value| sample(SeriesKey::new("check_ok", [("check", "web")]), value);
    let samples = vec![disk, ok(1.0), ok(0.0), sample(SeriesKey::new("orders_total", []), 12.0)];
    let write = WatchWrite { samples, alerts, checks: vec![check], ..WatchWrite::default() };
    app.store.watch(write).await.expect("written");
}

async fn get(app: &App, path: &str) -> Value {
    app.as_role(Role::Viewer, Method::GET, path, Value::Null).await.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn alerts_are_listed_acknowledged_and_silenced() {
    let app = App::new().await;
    trouble(&app).await;
    let alerts = get(&app, "/api/v1/alerts?state=firing").await;
    let alert = &alerts["alerts"][0];
    assert_eq!((alert["name"].as_str(), &alert["quiet"]), (Some("disk_full"), &Value::Null));
    let id = alert["id"].as_str().expect("an id");
    let act = async |method: Method, path: &str, body: Value| app.as_role(Role::Operator, method, path, body).await;
    let seen = act(Method::POST, &format!("/api/v1/alerts/{}/acknowledge", &id[..6]), json!({ "note": "on it" })).await;
    assert_eq!(seen.expect(StatusCode::OK).json()["quiet"], "acknowledged");
    act(Method::POST, "/api/v1/alerts/zz/acknowledge", json!({})).await.expect(StatusCode::NOT_FOUND);
    for (body, problem) in [
        (json!({ "duration": "2h" }), "without labels"),
        (json!({ "labels": { "alert": "x" }, "duration": "soon" }), "duration: "),
        (json!({ "labels": { "alert": "x" }, "duration": "0s" }), "more than 0"),
    ] {
        let refused = act(Method::POST, "/api/v1/silences", body).await.expect(StatusCode::BAD_REQUEST);
        assert!(refused.text.contains(problem), "{}", refused.text);
    }
    let body = json!({ "labels": { "alert": "disk_*" }, "duration": "2h", "note": "moving" });
    let made = act(Method::POST, "/api/v1/silences", body).await.expect(StatusCode::CREATED).json();
    let silence = made["id"].as_str().expect("an id");
    assert_eq!(get(&app, "/api/v1/silences").await["silences"][0]["note"], "moving");
    act(Method::DELETE, &format!("/api/v1/silences/{silence}"), Value::Null).await.expect(StatusCode::OK);
    act(Method::DELETE, &format!("/api/v1/silences/{silence}"), Value::Null).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(get(&app, "/api/v1/silences").await["silences"], json!([]));
    let viewer = app.as_role(Role::Viewer, Method::POST, "/api/v1/silences", json!({})).await;
    viewer.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn checks_have_their_uptime_and_metrics_their_text() {
    let app = App::new().await;
    trouble(&app).await;
    let checks = get(&app, "/api/v1/checks").await;
    let check = &checks["checks"][0];
    assert_eq!((check["state"].as_str(), check["uptime"].as_f64()), (Some("down"), Some(0.5)));
    let hours = check["hours"].as_array().expect("hours");
    assert_eq!((hours.len(), hours.last().and_then(Value::as_f64)), (24, Some(0.5)));
    let text = app.as_role(Role::Viewer, Method::GET, "/metrics", Value::Null).await.expect(StatusCode::OK).text;
    for line in [
        "disk{mount=\"/<data>\"} 97.5\n",
        "# TYPE disk gauge\n",
        "orders_total{} 12.0\n",
        "check_ok{check=\"web\"} 0.0\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(text.matches("# EOF").count(), 1);
}

#[tokio::test]
async fn the_page_shows_and_acts() {
    let app = App::new().await;
    trouble(&app).await;
    let page = |path: &'static str| async {
        app.as_role(Role::Operator, Method::GET, path, Value::Null).await.expect(StatusCode::OK).text
    };
    let html = page("/alerts").await;
    for part in
        ["disk_full", "mount=/&lt;data&gt;", "it answered &lt;503&gt;", "50.00 %", "Acknowledge", "Nothing is silenced"]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(page("/").await.contains("disk_full"));
    let token = format!("Bearer {}", app.token(Role::Operator, &[]).await);
    let send = async |path: &str, body: &str| app.call(Method::POST, path, &[("authorization", &token)], body).await;
    send("/silences", "labels=alert%3Ddisk_*&duration=1h&note=moving").await.expect(StatusCode::SEE_OTHER);
    send("/silences", "labels=disk&duration=1h").await.expect(StatusCode::BAD_REQUEST);
    let html = page("/alerts").await;
    assert!(html.contains("moving") && html.contains("silenced"), "{html}");
    assert!(!page("/").await.contains("disk_full"));
}
