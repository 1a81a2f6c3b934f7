//! The API: what it answers, and how it refuses.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::support::App;
use crate::base::Timestamp;
use crate::model::{Identity, Occurrence, OccurrenceState, Role, TriggerKind};
use crate::primitives::egress::Ended;

#[tokio::test]
async fn a_job_is_listed_described_and_run() {
    let app = App::new().await;
    let jobs = app.get("/api/v1/jobs").await.expect(StatusCode::OK).json();
    let names: Vec<&str> =
        jobs["jobs"].as_array().expect("a list").iter().filter_map(|job| job["name"].as_str()).collect();
    assert_eq!(names, ["fail", "greet", "wait"]);
    let job = app.get("/api/v1/jobs/greet").await.expect(StatusCode::OK).json();
    assert_eq!(job["upcoming"].as_array().map(Vec::len), Some(10));
    assert_eq!(job["params_schema"]["properties"]["count"]["minimum"], 1);
    assert_eq!(job["schedules"], json!(["every 5m"]));

    let run = app.run_to_end("greet", json!({ "name": "bob" })).await;
    assert_eq!((&run["state"], &run["result"]), (&json!("succeeded"), &json!({ "name": "bob" })), "{run}");
    assert_eq!(run["trigger"]["actor"], "uid:1000(alice)");
    assert_eq!(run["trigger"]["kind"], "cli");
    let id = run["id"].as_str().expect("an id");
    let by_prefix = app.get(&format!("/api/v1/runs/{}", &id[..20])).await.expect(StatusCode::OK).json();
    assert_eq!(by_prefix["id"], run["id"]);
    let log = app.get(&format!("/api/v1/runs/{id}/logs")).await.expect(StatusCode::OK).json();
    assert_eq!(log["lines"][0]["text"], "hello bob", "{log}");
    let detail = app.get("/api/v1/jobs/greet").await.json();
    assert_eq!((&detail["recent"], &detail["last_run"]["id"]), (&json!(["succeeded"]), &run["id"]));
}

#[tokio::test]
async fn a_trigger_answers_with_the_runs_address() {
    let app = App::new().await;
    let answer = app.post("/api/v1/jobs/greet/runs", Value::Null).await.expect(StatusCode::ACCEPTED);
    let id = answer.json()["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.headers["location"], format!("/api/v1/runs/{id}"));
}

#[tokio::test]
async fn a_trigger_that_waits_answers_with_the_run_when_it_has_ended() {
    let app = App::new().await;
    let answer = app.post("/api/v1/jobs/greet/runs?wait=30", json!({ "params": { "name": "bob" } })).await;
    let answer = answer.expect(StatusCode::OK);
    let run = answer.json();
    assert_eq!((&run["state"], &run["result"]), (&json!("succeeded"), &json!({ "name": "bob" })), "{run}");
    assert_eq!(answer.headers["location"], format!("/api/v1/runs/{}", run["id"].as_str().expect("an id")));
    let stored = app.get(&format!("/api/v1/runs/{}", run["id"].as_str().expect("an id"))).await.json();
    assert_eq!((&stored["state"], &stored["finished_at"]), (&run["state"], &run["finished_at"]));
    let failed = app.post("/api/v1/jobs/fail/runs?wait=30", Value::Null).await.expect(StatusCode::OK).json();
    assert_eq!((&failed["state"], &failed["error"]["message"]), (&json!("failed"), &json!("no luck")), "{failed}");
    let goes_on = app.post("/api/v1/jobs/wait/runs?wait=0", Value::Null).await.expect(StatusCode::ACCEPTED).json();
    assert!(goes_on["run_id"].is_string(), "{goes_on}");
}

#[tokio::test]
async fn one_key_makes_one_run() {
    let app = App::new().await;
    let submit = async || {
        let mut request =
            Request::post("/api/v1/jobs/greet/runs").header("idempotency-key", "order-1").body(Body::empty());
        let request = request.as_mut().expect("a request");
        request.extensions_mut().insert(Identity::new("x", Role::Operator, TriggerKind::Api));
        let request = std::mem::replace(request, Request::new(Body::empty()));
        app.send(app.web.router(), request).await.expect(StatusCode::ACCEPTED).json()
    };
    let (first, second) = (submit().await, submit().await);
    assert_eq!(first["run_id"], second["run_id"]);
    assert_eq!((&first["existing"], &second["existing"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn refusals_name_what_is_wrong() {
    let app = App::new().await;
    let post = |body: Value| app.post("/api/v1/jobs/greet/runs", body);
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    post(json!({ "params": { "count": "many" } })).await.expect_error(
        unprocessable,
        "params.invalid",
        &["count", "whole number"],
    );
    post(json!({ "params": { "nmae": "x" } })).await.expect_error(unprocessable, "params.invalid", &["nmae", "name"]);
    post(json!({ "parms": {} })).await.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["parms"]);
    app.post("/api/v1/jobs/gret/runs", json!({})).await.expect_error(
        StatusCode::NOT_FOUND,
        "job.not_found",
        &["greet"],
    );
    let found = app.get("/api/v1/jobs/greet").await.json();
    assert_eq!(found["last_run"], Value::Null, "a refusal left a run behind");

    let bad = StatusCode::BAD_REQUEST;
    app.get("/api/v1/runs?state=faild").await.expect_error(bad, "request.invalid", &["failed"]);
    app.get("/api/v1/runs?limit=minus").await.expect_error(bad, "request.invalid", &["limit"]);
    app.get("/api/v1/runs?since=yesterday").await.expect_error(bad, "request.invalid", &["since"]);
    app.get("/api/v1/runs?colour=red").await.expect_error(bad, "request.invalid", &["colour"]);
    app.get("/api/v1/runs/zzz").await.expect_error(StatusCode::NOT_FOUND, "run.not_found", &["zzz"]);
    app.get("/api/v1/jobs/%ff").await.expect_error(bad, "request.invalid", &[]);
    app.get("/api/v1/nothing").await.expect_error(StatusCode::NOT_FOUND, "request.not_found", &["/api/v1/nothing"]);
    let wrong_method = app.as_role(Role::Admin, Method::PUT, "/api/v1/jobs", Value::Null).await;
    wrong_method.expect_error(StatusCode::METHOD_NOT_ALLOWED, "request.method", &["PUT"]);
    let huge = json!({ "params": { "name": "x".repeat(2 << 20) } });
    post(huge).await.expect_error(StatusCode::PAYLOAD_TOO_LARGE, "request.too_large", &["1.0 MiB"]);
}

#[tokio::test]
async fn a_run_is_cancelled_once_and_retried_after() {
    let app = App::new().await;
    let id = app.start("wait", json!({})).await;
    app.post(&format!("/api/v1/runs/{id}/retry"), Value::Null).await.expect_error(
        StatusCode::CONFLICT,
        "run.not_final",
        &[],
    );
    app.post("/api/v1/jobs/wait/runs", json!({})).await.expect_error(StatusCode::CONFLICT, "run.skipped", &[]);
    app.post(&format!("/api/v1/runs/{id}/cancel"), Value::Null).await.expect(StatusCode::ACCEPTED);
    let parsed = id.parse().expect("an id");
    let ended = app.web.parts.runner.wait(parsed).await.expect("the store answers").expect("a run");
    assert_eq!(ended.state.as_str(), "cancelled");
    let again = app.post(&format!("/api/v1/runs/{id}/cancel"), Value::Null).await;
    again.expect_error(StatusCode::CONFLICT, "run.final", &["cancelled"]);
    let retried = app.post(&format!("/api/v1/runs/{id}/retry"), Value::Null).await.expect(StatusCode::ACCEPTED).json();
    let run = app.get(&format!("/api/v1/runs/{}", retried["run_id"].as_str().expect("an id"))).await.json();
    assert_eq!(run["parent"], id.as_str());
}

#[tokio::test]
async fn a_page_of_runs_leads_to_the_next() {
    let app = App::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.run_to_end("greet", json!({})).await["id"].clone());
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut before = String::new();
    loop {
        let page = app.get(&format!("/api/v1/runs?job=greet&limit=2{before}")).await.expect(StatusCode::OK).json();
        seen.extend(page["runs"].as_array().expect("a list").iter().map(|run| run["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(seen, ids);
    let failed = app.run_to_end("fail", json!({})).await;
    assert_eq!(failed["error"]["at"]["line"], 2, "{failed}");
    let found = app.get("/api/v1/runs?state=failed,timed_out").await.json();
    assert_eq!(found["runs"].as_array().map(Vec::len), Some(1), "{found}");
}

#[tokio::test]
async fn disabling_holds_a_job_until_it_is_enabled() {
    let app = App::new().await;
    app.store_versions().await;
    let off = app.post("/api/v1/jobs/greet/disable", Value::Null).await.expect(StatusCode::OK).json();
    assert_eq!(off, json!({ "job": "greet", "enabled": false }));
    assert_eq!(app.get("/api/v1/jobs/greet").await.json()["enabled"], false);
    app.post("/api/v1/jobs/greet/enable", Value::Null).await.expect(StatusCode::OK);
    assert_eq!(app.get("/api/v1/jobs/greet").await.json()["enabled"], true);
}

#[tokio::test]
async fn the_schedule_has_a_past_and_a_future() {
    let app = App::new().await;
    let window = app.get("/api/v1/schedule?from=1h&to=%2B1h").await.expect(StatusCode::OK).json();
    assert_eq!(window["past"], json!([]));
    let upcoming = window["upcoming"].as_array().expect("a list");
    assert!((11..=12).contains(&upcoming.len()), "{window}");
    let backwards = app.get("/api/v1/schedule?from=%2B2h&to=%2B1h").await;
    backwards.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["ends"]);
}

#[tokio::test]
async fn the_ledger_is_read_page_by_page_by_those_who_may() {
    let app = App::new().await;
    let made = |name: &str, second, state| Occurrence {
        job: name.parse().expect("a name"),
        scheduled_for: Timestamp::from_second(second).expect("a time"),
        state,
        reason: Some("why".into()),
        run: None,
        decided_at: app.clock.now(),
    };
    for second in 0..5 {
        for (name, state) in [("greet", OccurrenceState::Fired), ("fail", OccurrenceState::Missed)] {
            app.store.settle_occurrence(made(name, second, state), Vec::new()).await.expect("the store answers");
        }
    }
    let walk = async |query: &str, token: Option<&str>| {
        let (mut found, mut before) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/occurrences?limit=2{query}{before}");
            let page = match token {
                None => app.get(&path).await,
                Some(token) => app.call(Method::GET, &path, &[("authorization", token)], "").await,
            };
            let page = page.expect(StatusCode::OK).json();
            for row in page["occurrences"].as_array().expect("a list") {
                found.push(format!(
                    "{} {}",
                    row["job"].as_str().expect("a job"),
                    row["scheduled_for"].as_str().expect("a time")
                ));
            }
            let Some(next) = page["next"].as_str() else { return found };
            before = format!("&before={}", url::form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>());
        }
    };
    let everything = walk("", None).await;
    assert_eq!((everything.len(), everything[0].as_str()), (10, "greet 1970-01-01T00:00:04Z"));
    assert_eq!(walk("&state=missed&job=fail&from=1970-01-01T00:00:03Z", None).await.len(), 2);
    assert_eq!(walk("&state=held,coalesced", None).await.len(), 0);
    let confined = format!("Bearer {}", app.token(Role::Viewer, &["fail"]).await);
    let own = walk("", Some(&confined)).await;
    assert!(own.len() == 5 && own.iter().all(|row| row.starts_with("fail ")), "{own:?}");
    let unknown = app.get("/api/v1/occurrences?state=mised").await;
    unknown.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["did you mean", "skipped_overlap"]);
    let cursor = app.get("/api/v1/occurrences?before=yesterday").await;
    cursor.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["no cursor"]);
}

#[tokio::test]
async fn without_docker_containers_say_so_and_the_rest_works() {
    let app = App::new().await;
    app.get("/api/v1/containers").await.expect_error(
        StatusCode::SERVICE_UNAVAILABLE,
        "docker.unavailable",
        &["no-docker.sock"],
    );
    let ready = app.get("/health/ready").await.expect(StatusCode::SERVICE_UNAVAILABLE).json();
    let state = |name: &str| {
        let found = ready["dependencies"].as_array().expect("a list").iter().find(|found| found["name"] == name);
        found.map(|found| found["ok"].clone())
    };
    assert_eq!((state("database"), state("docker")), (Some(json!(true)), Some(json!(false))));
    app.get("/").await.expect(StatusCode::OK);
    app.get("/containers").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let app = App::new().await;
    app.run_to_end("greet", json!({})).await;
    app.run_to_end("fail", json!({})).await;
    let text = app.get("/metrics").await.expect(StatusCode::OK).text;
    for line in [
        "aegis_runs_finished_total{state=\"succeeded\"} 1",
        "aegis_runs_finished_total{state=\"failed\"} 1",
        "aegis_runs_accepted_total 2",
        "aegis_run_duration_seconds_count 2",
        "aegis_queue_depth 0",
        "aegis_jobs 3",
        "aegis_script_diagnostics{severity=\"error\"} 0",
        "# TYPE aegis_process_resident_memory_bytes gauge",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    // Nobody is let out, and no execution has ended yet.
    assert!(!text.contains("aegis_executions") && !text.contains("aegis_egress"), "{text}");
    app.web.parts.egress.ended(Ended::TimedOut);
    let text = app.get("/metrics").await.expect(StatusCode::OK).text;
    for line in
        ["aegis_executions_total{outcome=\"timed_out\"} 1", "aegis_egress_gates 0", "aegis_egress_sent_bytes_total 0"]
    {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.ends_with("# EOF\n"));
}
