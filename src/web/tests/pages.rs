//! The pages: they are there, they are sound, and they act.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Answer, App};
use crate::base::{Fault, ScriptPosition, Timestamp};
use crate::jobs::{Diagnostic, Severity};
use crate::model::{Absence, AbsenceCause, Occurrence, OccurrenceState, Role};

async fn page(app: &App, path: &str) -> String {
    app.as_role(Role::Admin, Method::GET, path, Value::Null).await.expect(StatusCode::OK).text
}

/// Sends a form as an operator without a session, as the admin socket could.
async fn form(app: &App, path: &str, body: &str) -> Answer {
    let token = format!("Bearer {}", app.token(Role::Operator, &[]).await);
    app.call(Method::POST, path, &[("authorization", &token)], body).await
}

fn spoil(app: &App) {
    app.web.parts.jobs.update(|snapshot| {
        snapshot.diagnostics.push(Diagnostic {
            file: "greet.lua".into(),
            severity: Severity::Error,
            fault: Fault::new("job.field", "unknown field \"shedule\"").hint("did you mean \"schedule\"?").at(
                ScriptPosition {
                    file: "greet.lua".into(),
                    line: 3,
                    column: None,
                    text: Some("shedule = { <every> }".into()),
                },
            ),
            since: Timestamp::now(),
            last_good_kept: true,
        });
    });
}

#[tokio::test]
async fn every_page_is_sound() {
    let app = App::new().await;
    spoil(&app);
    let _gateway = app.web.parts.volumes.open().await.expect("opened");
    app.post("/api/v1/volumes", json!({ "name": "agents/one" })).await.expect(StatusCode::CREATED);
    let good = app.run_to_end("greet", json!({ "name": "bob" })).await;
    let bad = app.run_to_end("fail", json!({})).await;
    let (good, bad) = (good["id"].as_str().expect("an id"), bad["id"].as_str().expect("an id"));
    let paths = [
        "/",
        "/jobs",
        "/jobs?q=greet&show=rejected",
        "/jobs/greet",
        "/jobs/fail",
        "/jobs/wait",
        "/runs",
        "/runs?state=failed",
        "/schedule",
        "/schedule?span=7d",
        "/containers",
        "/stacks",
        "/stacks/shop",
        "/stacks/broken",
        "/volumes",
        "/alerts",
        "/docs",
        "/settings",
        &format!("/runs/{good}"),
        &format!("/runs/{bad}"),
        &format!("/runs/{good}/log"),
        "/login",
        "/containers/web/stop",
    ];
    for path in paths {
        let html = page(&app, path).await;
        assert_eq!(html.matches("<h1").count(), 1, "{path} has one first heading");
        assert!(html.contains("<html lang=\"en\"") && html.contains("<title>"), "{path}");
        for inline in [" style=", "<style", " onclick=", " onload=", "javascript:", "<script>"] {
            assert!(!html.contains(inline), "{path} has {inline}");
        }
        let mut ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{path} has an id twice");
    }
}

#[tokio::test]
async fn what_needs_somebody_is_on_the_first_page() {
    let app = App::new().await;
    assert!(page(&app, "/").await.contains("down"), "Docker does not answer");
    app.run_to_end("fail", json!({})).await;
    spoil(&app);
    let html = page(&app, "/").await;
    for part in [
        "no luck",
        "unknown field &quot;shedule&quot;",
        "did you mean",
        "last good version",
        "shedule = { &lt;every&gt; }",
    ] {
        assert!(html.contains(part), "{part:?} is not in {html}");
    }
}

#[tokio::test]
async fn a_failed_run_shows_the_line_and_its_neighbours() {
    let app = App::new().await;
    app.store_versions().await;
    let run = app.run_to_end("fail", json!({})).await;
    let html = page(&app, &format!("/runs/{}", run["id"].as_str().expect("an id"))).await;
    for part in ["no luck", "fail.lua:2", "class=\"at\"", "error(&#39;no luck&#39;)", "Run again"] {
        assert!(html.contains(part) || html.contains(&part.replace("&#39;", "'")), "{part:?} is not in {html}");
    }
}

#[tokio::test]
async fn the_form_runs_the_job_and_shows_what_is_wrong_at_its_field() {
    let app = App::new().await;
    let html = page(&app, "/jobs/greet").await;
    for part in ["Greet now", "pattern=\"[a-z]+\"", "min=\"1\"", "value=\"you\"", "Greets &lt;somebody&gt;", "every 5m"]
    {
        assert!(html.contains(part), "{part:?} is not in {html}");
    }
    let refused = form(&app, "/jobs/greet/run", "aegis:form=1&count=many&name=bob").await;
    let refused = refused.expect(StatusCode::UNPROCESSABLE_ENTITY);
    for part in ["whole number", "aria-invalid=\"true\"", "value=\"many\"", "value=\"bob\""] {
        assert!(refused.text.contains(part), "{part:?} is not in {}", refused.text);
    }
    assert_eq!(app.get("/api/v1/runs").await.json()["runs"], json!([]));
}

#[tokio::test]
async fn a_job_that_asks_runs_only_when_told_yes() {
    let app = App::new().await;
    let listed = page(&app, "/jobs").await;
    assert!(!listed.contains("action=\"/jobs/wait/run\""), "the list has a button past the question");
    assert!(listed.contains("action=\"/jobs/greet/run\""));
    let asked = form(&app, "/jobs/wait/run", "aegis:form=1").await.expect(StatusCode::CONFLICT);
    assert!(asked.text.contains("Really wait?"));
    assert_eq!(app.get("/api/v1/runs").await.json()["runs"], json!([]));
}

#[tokio::test]
async fn failures_of_pages_are_pages_and_those_of_programs_are_not() {
    let app = App::new().await;
    let missing = app.get("/jobs/nosuch").await.expect(StatusCode::NOT_FOUND);
    assert!(missing.text.starts_with("<!DOCTYPE html>") && missing.text.contains("nosuch"), "{}", missing.text);
    app.get("/api/v1/jobs/nosuch").await.expect_error(StatusCode::NOT_FOUND, "job.not_found", &["nosuch"]);
}

#[tokio::test]
async fn assets_are_kept_and_come_as_what_they_are() {
    let app = App::new().await;
    let html = page(&app, "/").await;
    for (ending, kind) in [("app.js", "text/javascript"), ("style.css", "text/css"), ("favicon.svg", "image/svg+xml")] {
        let place = html.find(ending).expect("it is linked") + ending.len();
        let start = html[..place].rfind('"').expect("a quote") + 1;
        let asset = app.call(Method::GET, &html[start..place], &[], "").await.expect(StatusCode::OK);
        assert!(asset.headers["content-type"].to_str().expect("text").starts_with(kind));
        assert!(asset.headers["cache-control"].to_str().expect("text").contains("immutable"));
    }
    assert_eq!(app.call(Method::GET, "/assets/0000000000000000/app.js", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_overview_tells_what_was_missed_until_the_job_has_succeeded() {
    let app = App::new().await;
    let job: crate::base::JobName = "greet".parse().expect("a name");
    let missed = Occurrence {
        job: job.clone(),
        scheduled_for: Timestamp::UNIX_EPOCH,
        state: OccurrenceState::Missed,
        reason: Some("nobody was there".into()),
        run: None,
        decided_at: Timestamp::now(),
    };
    let absence =
        Absence { job, cause: AbsenceCause::NoDaemon, missed: vec![missed], caught_up: 0, unlisted_since: None };
    app.store.settle_absence(absence).await.expect("the store answers");
    let told = "1 due time (1970-01-01T00:00:00Z) was missed: no daemon kept the schedule; none was caught up";
    assert!(page(&app, "/").await.contains(told));
    app.run_to_end("greet", json!({})).await;
    assert!(!page(&app, "/").await.contains(told));
}
