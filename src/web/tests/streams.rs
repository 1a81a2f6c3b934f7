//! Streams: they replay, go on, resume, end, and are counted.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::support::App;
use crate::base::limits;
use crate::model::{Identity, Role, TriggerKind};

/// Opens a stream as a viewer.
async fn open(app: &App, path: &str, headers: &[(&str, &str)]) -> axum::response::Response {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    let mut request = request.body(Body::empty()).expect("a request");
    request.extensions_mut().insert(Identity::new("x", Role::Viewer, TriggerKind::Api));
    app.web.router().oneshot(request).await.expect("routers do not fail")
}

/// Reads until `end` is in the text, or the stream ends.
async fn read_until(response: axum::response::Response, end: &str) -> String {
    let mut body = response.into_body();
    let mut text = String::new();
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            text += &frame.into_data().map(|data| String::from_utf8_lossy(&data).into_owned()).unwrap_or_default();
            if text.contains(end) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("the stream goes on");
    text
}

#[tokio::test]
async fn a_finished_log_is_replayed_and_ends() {
    let app = App::new().await;
    let run = app.run_to_end("greet", json!({ "name": "bob" })).await;
    let path = format!("/api/v1/runs/{}/logs?follow=true", run["id"].as_str().expect("an id"));
    let response = open(&app, &path, &[("accept", "text/event-stream")]).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let text = read_until(response, "never").await;
    assert!(text.contains("event: log\n") && text.contains("id: 1\n") && text.contains("hello bob"), "{text}");
    assert!(text.contains("event: end\n") && text.contains("succeeded"), "{text}");

    let resumed = open(&app, &path, &[("accept", "text/event-stream"), ("last-event-id", "1")]).await;
    assert!(!read_until(resumed, "never").await.contains("hello bob"), "the line came again");

    let lines = read_until(open(&app, &path, &[]).await, "never").await;
    let parsed: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((parsed.len(), &parsed[0]["text"]), (1, &json!("hello bob")));
}

#[tokio::test]
async fn a_log_is_followed_while_the_run_goes_on() {
    let app = App::new().await;
    let id = app.start("wait", json!({})).await;
    let path = format!("/api/v1/runs/{id}/logs?follow=true");
    let text = read_until(open(&app, &path, &[]).await, "begun").await;
    assert!(text.contains("begun"), "{text}");
    let whole = open(&app, &path, &[("accept", "text/event-stream")]).await;
    app.post(&format!("/api/v1/runs/{id}/cancel"), Value::Null).await.expect(StatusCode::ACCEPTED);
    assert!(read_until(whole, "event: end").await.contains("cancelled"));
}

#[tokio::test]
async fn events_are_replayed_filtered_and_resumed() {
    let app = App::new().await;
    let run = app.run_to_end("greet", json!({})).await;
    app.run_to_end("fail", json!({})).await;
    let text = read_until(open(&app, "/api/v1/events?after=0&job=greet&kind=run.", &[]).await, "run.succeeded").await;
    assert!(text.contains(run["id"].as_str().expect("an id")) && !text.contains("\"fail\""), "{text}");
    let last =
        text.lines().rfind(|line| line.starts_with("id: ")).expect("an id").trim_start_matches("id: ").to_owned();
    let rest = read_until(open(&app, "/api/v1/events", &[("last-event-id", &last)]).await, "run.failed").await;
    assert!(!rest.contains("run.succeeded"), "{rest}");
}

#[tokio::test]
async fn a_page_is_told_of_changes() {
    let app = App::new().await;
    let response = open(&app, "/live", &[]).await;
    let watching = read_until(response, "event: change");
    let acting = async {
        // Something happens until the page has heard of it.
        loop {
            app.run_to_end("greet", json!({})).await;
        }
    };
    let text = tokio::select! {
        text = watching => text,
        () = acting => unreachable!("the loop has no end"),
    };
    assert!(text.starts_with("event: hello"), "{text}");
}

#[tokio::test]
async fn what_a_page_missed_is_told_at_once() {
    let app = App::new().await;
    app.run_to_end("greet", json!({})).await;
    let text = read_until(open(&app, "/live?seen=0", &[]).await, "event: change").await;
    assert!(text.starts_with("event: hello") && text.contains("event: change"), "{text}");
}

#[tokio::test]
async fn streams_are_counted_and_end_when_the_daemon_stops() {
    let app = App::new().await;
    let mut streams = Vec::new();
    for _ in 0..limits::API_STREAMS_MAX {
        let response = open(&app, "/api/v1/events", &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        streams.push(response);
    }
    assert_eq!(open(&app, "/api/v1/events", &[]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    streams.pop();
    let last = open(&app, "/api/v1/events", &[]).await;
    assert_eq!(last.status(), StatusCode::OK);
    app.web.close_streams();
    read_until(last, "never").await;
}
