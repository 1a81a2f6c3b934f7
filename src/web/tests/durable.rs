//! Durable runs, approvals, events, artifacts, nodes and simulations, as callers meet them.

use axum::http::{Method, StatusCode};
use jiff::ToSpan;
use serde_json::{Value, json};

use super::support::App;
use crate::model::{Entry, Occurrence, OccurrenceState, Role};
use crate::store::tests::support::{entries, new_run, running, step};

async fn ended(app: &App) -> String {
    app.run_to_end("greet", json!({})).await["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_run_without_a_journal_has_neither_steps_nor_artifacts() {
    let app = App::new().await;
    let id = ended(&app).await;
    assert_eq!(
        app.get(&format!("/api/v1/runs/{id}/steps")).await.expect(StatusCode::OK).json(),
        json!({ "steps": [] })
    );
    let detail = app.get(&format!("/api/v1/runs/{id}")).await.json();
    assert_eq!(
        (&detail["steps"], &detail["wake_at"], &detail["deadline_at"]),
        (&json!([]), &Value::Null, &Value::Null)
    );
    let artifacts = app.get(&format!("/api/v1/runs/{id}/artifacts")).await.expect(StatusCode::OK).json();
    assert_eq!(artifacts, json!({ "artifacts": [] }));
    let missing = app.get(&format!("/api/v1/runs/{id}/artifacts/report.txt")).await;
    missing.expect_error(StatusCode::NOT_FOUND, "artifact.not_found", &["report.txt", &id]);
    assert_eq!(app.get("/api/v1/approvals").await.expect(StatusCode::OK).json(), json!({ "approvals": [] }));
    let html = app.get(&format!("/runs/{id}")).await.expect(StatusCode::OK).text;
    assert!(!html.contains("id=\"steps\"") && !html.contains("id=\"artifacts\""), "{html}");
}

#[tokio::test]
async fn deciding_and_sending_need_an_operator() {
    let app = App::new().await;
    let id = ended(&app).await;
    for path in
        [format!("/api/v1/runs/{id}/approve"), format!("/api/v1/runs/{id}/reject"), "/api/v1/events/paid".into()]
    {
        let refused = app.as_role(Role::Viewer, Method::POST, &path, json!({})).await;
        refused.expect_error(StatusCode::FORBIDDEN, "permission.denied", &["operator"]);
    }
    let refused = app.as_role(Role::Operator, Method::GET, "/api/v1/backup", Value::Null).await;
    refused.expect_error(StatusCode::FORBIDDEN, "permission.denied", &["admin"]);
}

#[tokio::test]
async fn a_confined_token_sends_events_to_runs_of_its_jobs_only() {
    let app = App::new().await;
    let token = format!("Bearer {}", app.token(Role::Operator, &["fail"]).await);
    let id = ended(&app).await;
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let to_all = app.call(Method::POST, "/api/v1/events/paid", &headers, "{}").await;
    to_all.expect_error(StatusCode::FORBIDDEN, "permission.denied", &["confined"]);
    let body = json!({ "run": id }).to_string();
    let to_other = app.call(Method::POST, "/api/v1/events/paid", &headers, &body).await;
    to_other.expect_error(StatusCode::NOT_FOUND, "run.not_found", &[]);
}

#[tokio::test]
async fn what_is_too_long_is_refused_before_it_is_kept() {
    let app = App::new().await;
    let id = ended(&app).await;
    let comment = json!({ "comment": "x".repeat(5_000) });
    let refused = app.post(&format!("/api/v1/runs/{id}/approve"), comment).await;
    refused.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["comment", "4096"]);
    let refused = app.post(&format!("/api/v1/events/{}", "x".repeat(300)), json!({})).await;
    refused.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["name", "256"]);
    let refused = app.post("/api/v1/events/paid", json!({ "data": 1 })).await;
    refused.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["data"]);
    let fits = "x".repeat(crate::base::limits::STEP_SHOWN_BYTES_MAX - 2);
    app.post("/api/v1/events/paid", json!({ "payload": fits })).await.expect(StatusCode::ACCEPTED);
    let refused = app.post("/api/v1/events/paid", json!({ "payload": fits + "x" })).await;
    refused.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["payload", "65536"]);
}

#[tokio::test]
async fn a_long_result_is_given_whole_only_by_itself() {
    let app = App::new().await;
    let run = running("greet", 1_000_000);
    app.store.accept_run(new_run(&run)).await.expect("accepted");
    let result = json!("x".repeat(100_000));
    let long = Entry { result: Some(result.clone()), ..step("4.2.1", "fetch") };
    app.store.journal_write(entries(&run, vec![step("1", "build"), long])).await.expect("written");
    let path = format!("/api/v1/runs/{}", run.id);
    for path in [path.clone(), format!("{path}/steps")] {
        let steps = app.get(&path).await.expect(StatusCode::OK).json()["steps"].clone();
        assert_eq!(
            (&steps[0]["result"], &steps[1]["result"]["cut"]["bytes"]),
            (&json!({"of": "build"}), &json!(100_002))
        );
    }
    let page = app.get(&format!("/runs/{}", run.id)).await.expect(StatusCode::OK).text;
    assert!(page.contains("too much to be shown here") && page.len() < 100_000);
    let whole = app.get(&format!("{path}/steps?key=4.2.1")).await.expect(StatusCode::OK).json();
    assert_eq!((whole["steps"].as_array().map(Vec::len), &whole["steps"][0]["result"]), (Some(1), &result));
    assert_eq!(app.get(&format!("{path}/steps?key=9")).await.json(), json!({ "steps": [] }));
    app.get(&format!("{path}/steps?key=a")).await.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["key"]);
}

#[tokio::test]
async fn a_period_is_played_through_with_the_time_that_runs_took() {
    let app = App::new().await;
    ended(&app).await;
    let path = "/api/v1/schedule/simulation?to=%2B1h";
    let simulation = app.get(path).await.expect(StatusCode::OK).json();
    let greet = &simulation["jobs"][0];
    assert_eq!(
        (&greet["job"], &greet["due"], &greet["runs"]),
        (&json!("greet"), &json!(12), &json!(12)),
        "{simulation}"
    );
    assert_eq!((&greet["sampled"], &greet["skipped"]), (&json!(1), &json!(0)), "{simulation}");
    assert!(greet["median_ms"].is_u64() && simulation["alive_max"] == 1, "{simulation}");
    app.get(&format!("{path}&assume=long")).await.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["assume"]);
}

#[tokio::test]
async fn metrics_tell_how_late_due_times_were_decided() {
    let app = App::new().await;
    let decided_at = app.clock.now();
    let occurrence = Occurrence {
        job: "greet".parse().expect("a name"),
        scheduled_for: decided_at - 2.seconds(),
        state: OccurrenceState::Fired,
        reason: None,
        run: None,
        decided_at,
    };
    app.store.settle_occurrence(occurrence, Vec::new()).await.expect("the store answers");
    let text = app.get("/metrics").await.expect(StatusCode::OK).text;
    for line in [
        "aegis_schedule_fired_last_minute 1",
        "aegis_schedule_lateness_max_seconds 2",
        "aegis_runs_live{state=\"parked\"} 0",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
}
