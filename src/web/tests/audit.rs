//! What callers do is recorded; the log is for administrators.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::App;
use crate::model::{NewAudit, Role};
use crate::web::auth;

async fn records(app: &App, query: &str) -> Vec<(String, String, String, String)> {
    // What is queued is committed before what comes after it.
    app.store.ping().await.expect("the store answers");
    let answer = app.as_role(Role::Admin, Method::GET, &format!("/api/v1/audit?{query}"), Value::Null).await;
    let page = answer.expect(StatusCode::OK).json();
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    let shown = page["records"].as_array().expect("a list").iter();
    let of = |field| move |record: &Value| text(record, field);
    shown.map(|one| (of("actor")(one), of("action")(one), of("object")(one), of("outcome")(one))).collect()
}

fn row(actor: &str, action: &str, object: &str, outcome: &str) -> (String, String, String, String) {
    (actor.into(), action.into(), object.into(), outcome.into())
}

const ALICE: &str = "uid:1000(alice)";

#[tokio::test]
async fn acts_are_recorded_with_who_and_what_and_how_it_went() {
    let app = App::new().await;
    let token = json!({ "name": "ci", "role": "operator" });
    app.as_role(Role::Admin, Method::POST, "/api/v1/tokens", token.clone()).await.expect(StatusCode::CREATED);
    app.post("/api/v1/tokens", token).await.expect(StatusCode::FORBIDDEN);
    app.as_role(Role::Admin, Method::DELETE, "/api/v1/tokens/ci", Value::Null).await.expect(StatusCode::NO_CONTENT);
    app.store_versions().await;
    app.post("/api/v1/jobs/greet/disable", Value::Null).await.expect(StatusCode::OK);
    app.run_to_end("greet", json!({})).await;
    app.get("/api/v1/jobs").await.expect(StatusCode::OK);
    app.call(Method::POST, "/api/v1/jobs/greet/runs", &[], "").await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(
        records(&app, "after=0").await,
        [
            row(ALICE, "token.create", "ci", "ok"),
            row(ALICE, "token.create", "", "http.403"),
            row(ALICE, "token.revoke", "ci", "ok"),
            row(ALICE, "job.disable", "greet", "ok"),
            row(ALICE, "job.trigger", "greet", "ok"),
        ]
    );
    assert_eq!(records(&app, "refused=true").await, [row(ALICE, "token.create", "", "http.403")]);
    assert_eq!(records(&app, "job=greet&limit=1").await, [row(ALICE, "job.trigger", "greet", "ok")]);
    assert_eq!(records(&app, "action=token.&after=1").await.len(), 2);
}

#[tokio::test]
async fn signing_in_is_recorded_also_when_it_fails() {
    let app = App::new().await;
    let link = auth::issue_login_link(&app.store, &app.clock, "http://127.0.0.1:8080").await.expect("a link");
    let secret = link.split_once("token=").expect("a token").1.to_owned();
    let origin = [("origin", "http://127.0.0.1:8080")];
    app.call(Method::POST, "/login", &origin, "token=wrong").await.expect(StatusCode::UNAUTHORIZED);
    let body = format!("token={secret}");
    app.call(Method::POST, "/login", &origin, &body).await.expect(StatusCode::SEE_OTHER);
    let found = records(&app, "after=0").await;
    assert_eq!(found, [row("", "login", "", "http.401"), row("session:admin", "login", "", "ok")]);
    let page = app.as_role(Role::Admin, Method::GET, "/api/v1/audit", Value::Null).await;
    assert!(!page.text.contains(&secret), "a secret is recorded");
}

/// A record in which a secret is found later is hidden in part, and can be verified all the same.
#[tokio::test]
async fn a_record_that_is_masked_says_whether_it_is_intact() {
    let app = App::new().await;
    let token = |name: &str| json!({ "name": name, "role": "operator" });
    for name in ["plain", "hunter2-hunter2"] {
        app.as_role(Role::Admin, Method::POST, "/api/v1/tokens", token(name)).await.expect(StatusCode::CREATED);
    }
    assert!(app.store.masker().set(["hunter2-hunter2"]));
    app.store.queue_audit(NewAudit::new(app.clock.now(), "job:a", "x.y", "so hunter2-hunter2")).expect("room");
    app.store.ping().await.expect("the store answers");
    let page = app.as_role(Role::Admin, Method::GET, "/api/v1/audit?after=0", Value::Null).await.json();
    let shown: Vec<_> =
        page["records"].as_array().expect("records").iter().map(|one| (&one["object"], &one["intact"])).collect();
    let (hidden, null) = (json!("***"), Value::Null);
    // What is queued while it is known is masked before it is hashed: then there is nothing left to hide.
    assert_eq!(shown, [(&json!("plain"), &null), (&hidden, &json!(true)), (&json!("so ***"), &null)]);
}

#[tokio::test]
async fn the_log_is_for_administrators() {
    let app = App::new().await;
    for role in [Role::Viewer, Role::Operator] {
        let refused = app.as_role(role, Method::GET, "/api/v1/audit", Value::Null).await;
        refused.expect_error(StatusCode::FORBIDDEN, "permission.denied", &["admin"]);
        app.as_role(role, Method::GET, "/audit", Value::Null).await.expect(StatusCode::FORBIDDEN);
        let overview = app.as_role(role, Method::GET, "/", Value::Null).await.expect(StatusCode::OK);
        assert!(!overview.text.contains("href=\"/audit\""), "{role} is shown the way");
    }
    app.run_to_end("greet", json!({})).await;
    app.store.ping().await.expect("the store answers");
    let page = app.as_role(Role::Admin, Method::GET, "/audit", Value::Null).await.expect(StatusCode::OK);
    for words in ["href=\"/audit\"", "job.trigger", "uid:1000(alice)", "aegis audit verify"] {
        assert!(page.text.contains(words), "{words} is not on the page");
    }
    let none = app.as_role(Role::Admin, Method::GET, "/audit?job=none", Value::Null).await.expect(StatusCode::OK);
    assert!(none.text.contains("No record fits"));
    let wrong = app.as_role(Role::Admin, Method::GET, "/api/v1/audit?since=yesterday", Value::Null).await;
    wrong.expect_error(StatusCode::BAD_REQUEST, "request.invalid", &["yesterday"]);
}

#[tokio::test]
async fn rights_that_wait_are_shown_and_approved() {
    let app = App::new().await;
    let none = app.post("/api/v1/jobs/greet/approve", json!({ "hash": "x" })).await;
    none.expect_error(StatusCode::CONFLICT, "rights.not_waiting", &["greet"]);
    let name = "greet".parse::<crate::base::JobName>().expect("a name");
    app.web.parts.jobs.update(|snapshot| {
        let job = snapshot.jobs[&name].clone();
        let right = |on: &str| crate::model::Right { area: "process".into(), level: None, on: Some(on.into()) };
        let waiting = crate::jobs::Waiting {
            file: job.file.clone(),
            version: job.bundle.hash,
            rights: vec![right("git"), right("tar")],
            added: vec![right("git")],
            removed: vec![right("rsync")],
            hash: "f00d".into(),
            since: crate::base::Timestamp::now(),
            held: true,
        };
        snapshot.waiting.insert(name.clone(), std::sync::Arc::new(waiting));
    });
    let job = app.get("/api/v1/jobs/greet").await.expect(StatusCode::OK).json();
    assert_eq!((&job["waiting"], &job["rights"]["waiting"]["added"]), (&json!(1), &json!(["process git"])));
    let page = app.as_role(Role::Operator, Method::GET, "/jobs/greet", Value::Null).await.expect(StatusCode::OK);
    for words in ["process git", "process rsync", "process tar", "Approve these rights"] {
        assert!(page.text.contains(words), "{words} is not on the page");
    }
    assert!(!app.get("/jobs/greet").await.text.contains("Approve these rights"), "a viewer is offered the button");
    let viewer = app.as_role(Role::Viewer, Method::POST, "/api/v1/jobs/greet/approve", json!({ "hash": "f00d" })).await;
    viewer.expect_error(StatusCode::FORBIDDEN, "permission.denied", &[]);
    let stale = app.post("/api/v1/jobs/greet/approve", json!({ "hash": "beef" })).await;
    stale.expect_error(StatusCode::CONFLICT, "rights.changed", &[]);
    let approved =
        app.post("/api/v1/jobs/greet/approve", json!({ "hash": "f00d" })).await.expect(StatusCode::OK).json();
    assert_eq!(approved["rights"]["approved"]["by"], ALICE);
    let acts = records(&app, "action=rights.&after=0").await;
    let outcomes: Vec<_> = acts.iter().map(|(_, _, _, outcome)| outcome.as_str()).collect();
    assert_eq!(outcomes, ["http.409", "http.403", "http.409", "ok"]);
    assert!(
        acts.iter()
            .all(|(actor, action, object, _)| (&**actor, &**action, &**object) == (ALICE, "rights.approve", "greet"))
    );
}
