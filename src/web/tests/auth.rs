//! Who gets in, how far, and who does not.

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::support::{Answer, App};
use crate::base::{RunId, limits};
use crate::model::{Role, Run, RunState};
use crate::store::NewRun;
use crate::web::auth;

async fn link(app: &App) -> String {
    let link = auth::issue_login_link(&app.store, &app.clock, "http://127.0.0.1:8080").await.expect("a link");
    link.split_once("token=").expect("a token").1.to_owned()
}

async fn log_in(app: &App, secret: &str) -> Answer {
    let body = format!("token={secret}&next=%2Fjobs");
    app.call(Method::POST, "/login", &[("origin", "http://127.0.0.1:8080")], &body).await
}

/// The session's cookie.
async fn session(app: &App) -> String {
    let answer = log_in(app, &link(app).await).await.expect(StatusCode::SEE_OTHER);
    let set = answer.headers["set-cookie"].to_str().expect("text").to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    set.split(';').next().expect("a pair").to_owned()
}

fn csrf_in(page: &str) -> String {
    let start = page.split_once("name=\"csrf\" content=\"").expect("a form token").1;
    start.split_once('"').expect("an end").0.to_owned()
}

#[tokio::test]
async fn strangers_are_told_nothing() {
    let app = App::new().await;
    for path in
        ["/api/v1/jobs", "/api/v1/jobs/greet", "/api/v1/runs", "/api/v1/events", "/metrics", "/live", "/palette"]
    {
        let answer = app.call(Method::GET, path, &[], "").await;
        assert_eq!(answer.headers.get("www-authenticate").map(|_| ()), Some(()), "{path}");
        answer.expect_error(StatusCode::UNAUTHORIZED, "auth.required", &[]);
    }
    for path in ["/", "/jobs/greet", "/settings"] {
        let answer = app.call(Method::GET, path, &[], "").await.expect(StatusCode::SEE_OTHER);
        assert!(answer.headers["location"].to_str().expect("text").starts_with("/login?next=%2F"), "{path}");
    }
    app.call(Method::GET, "/health/live", &[], "").await.expect(StatusCode::OK);
    let ready = app.call(Method::GET, "/health/ready", &[], "").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(!ready.text.contains("no-docker.sock"), "a stranger is told why: {}", ready.text);
    assert!(app.get("/health/ready").await.text.contains("no-docker.sock"));
}

#[tokio::test]
async fn roles_bound_what_a_token_does() {
    let app = App::new().await;
    let (viewer, operator) = (app.token(Role::Viewer, &[]).await, app.token(Role::Operator, &[]).await);
    let with = async |token: &str, method, path: &str| {
        app.call(method, path, &[("authorization", &format!("Bearer {token}"))], "").await
    };
    with(&viewer, Method::GET, "/api/v1/jobs").await.expect(StatusCode::OK);
    let refused = with(&viewer, Method::POST, "/api/v1/jobs/greet/runs").await;
    refused.expect_error(StatusCode::FORBIDDEN, "permission.denied", &["viewer", "operator"]);
    with(&operator, Method::POST, "/api/v1/jobs/greet/runs").await.expect(StatusCode::ACCEPTED);
    with(&operator, Method::GET, "/api/v1/tokens").await.expect_error(StatusCode::FORBIDDEN, "permission.denied", &[]);
    with(&operator, Method::DELETE, "/api/v1/tokens/viewer-0").await.expect_error(
        StatusCode::FORBIDDEN,
        "permission.denied",
        &[],
    );
}

#[tokio::test]
async fn a_confined_token_sees_only_its_jobs() {
    let app = App::new().await;
    app.run_to_end("greet", json!({})).await;
    let failed = app.run_to_end("fail", json!({})).await;
    let token = format!("Bearer {}", app.token(Role::Operator, &["gr*"]).await);
    let with = async |method, path: &str| app.call(method, path, &[("authorization", &token)], "").await;
    let jobs = with(Method::GET, "/api/v1/jobs").await.json();
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs}");
    let runs = with(Method::GET, "/api/v1/runs").await.json();
    assert!(runs["runs"].as_array().expect("a list").iter().all(|run| run["job"] == "greet"), "{runs}");
    with(Method::GET, "/api/v1/jobs/fail").await.expect_error(StatusCode::NOT_FOUND, "job.not_found", &[]);
    with(Method::POST, "/api/v1/jobs/fail/runs").await.expect_error(StatusCode::NOT_FOUND, "job.not_found", &[]);
    let path = format!("/api/v1/runs/{}", failed["id"].as_str().expect("an id"));
    with(Method::GET, &path).await.expect_error(StatusCode::NOT_FOUND, "run.not_found", &[]);
    for path in ["/api/v1/containers", "/api/v1/scripts/diagnostics", "/metrics", "/"] {
        assert_eq!(with(Method::GET, path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_confined_page_looks_through_so_many_foreign_runs_and_no_more() {
    let app = App::new().await;
    let own = app.run_to_end("greet", json!({})).await["id"].clone();
    let known: RunId = own.as_str().expect("an id").parse().expect("an id");
    let like = app.store.run(known).await.expect("readable").expect("there");
    let foreign = (0..limits::RUNS_LOOKED_THROUGH_MAX).map(|_| {
        let (id, job) = (RunId::generate(), "other".parse().expect("a name"));
        let run = Run { id, job, state: RunState::Queued, finished_at: None, result: None, ..like.clone() };
        app.store.accept_run(NewRun { run, occurrence: None, events: vec![], alone: false })
    });
    assert!(join_all(foreign).await.iter().all(Result::is_ok));
    for (role, patterns, pages) in [(Role::Operator, ["gr*"], 2), (Role::Viewer, ["greet"], 1)] {
        let token = format!("Bearer {}", app.token(role, &patterns).await);
        let mut path = "/api/v1/runs?limit=1".to_owned();
        for page in 1..=pages {
            let runs = app.call(Method::GET, &path, &[("authorization", &token)], "").await.json();
            let expected = if page == pages { json!([own]) } else { json!([]) };
            let ids: Value = runs["runs"].as_array().expect("a list").iter().map(|run| run["id"].clone()).collect();
            assert_eq!(ids, expected, "{patterns:?}, page {page}");
            path = format!("/api/v1/runs?limit=1&before={}", runs["next"].as_str().unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn a_link_lets_in_once() {
    let app = App::new().await;
    let secret = link(&app).await;
    let page = app.call(Method::GET, &format!("/login?token={secret}"), &[], "").await.expect(StatusCode::OK);
    assert!(page.text.contains("Open the dashboard"), "looking at the link does not use it up");
    let first = log_in(&app, &secret).await.expect(StatusCode::SEE_OTHER);
    assert_eq!(first.headers["location"], "/jobs");
    let second = log_in(&app, &secret).await.expect(StatusCode::UNAUTHORIZED);
    assert!(second.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn a_session_acts_only_through_its_own_pages() {
    let app = App::new().await;
    let cookie = session(&app).await;
    let page = app.call(Method::GET, "/jobs/greet", &[("cookie", &cookie)], "").await.expect(StatusCode::OK);
    let csrf = csrf_in(&page.text);
    let post = async |path: &str, headers: &[(&str, &str)], body: &str| {
        let headers: Vec<_> = headers.iter().copied().chain([("cookie", cookie.as_str())]).collect();
        app.call(Method::POST, path, &headers, body).await
    };
    let (ours, body) = (("origin", "http://127.0.0.1:8080"), format!("csrf={csrf}&name=bob"));
    for foreign in ["http://evil.example", "null", "http://localhost:9090"] {
        assert_eq!(
            post("/jobs/greet/run", &[("origin", foreign)], &body).await.status,
            StatusCode::FORBIDDEN,
            "{foreign}"
        );
    }
    assert_eq!(post("/jobs/greet/run", &[], &body).await.status, StatusCode::FORBIDDEN, "no word of the browser");
    assert_eq!(
        post("/jobs/greet/run", &[ours, ("sec-fetch-site", "same-site")], &body).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(post("/jobs/greet/run", &[ours], "csrf=wrong&name=bob").await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.get("/api/v1/runs").await.json()["runs"], json!([]), "a forged form ran a job");

    let answer = post("/jobs/greet/run", &[ours], &body).await.expect(StatusCode::SEE_OTHER);
    assert!(answer.headers["location"].to_str().expect("text").starts_with("/runs/"));
    let run = app.get("/api/v1/runs").await.json()["runs"][0].clone();
    assert_eq!((&run["trigger"]["kind"], &run["trigger"]["actor"]), (&json!("button"), &json!("session:admin")));

    post("/logout", &[ours], &format!("csrf={csrf}")).await.expect(StatusCode::SEE_OTHER);
    app.call(Method::GET, "/jobs", &[("cookie", &cookie)], "").await.expect(StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_with_the_token_that_opened_it() {
    let app = App::new().await;
    let token = app.token(Role::Operator, &[]).await;
    let answer = log_in(&app, &token).await.expect(StatusCode::SEE_OTHER);
    let cookie = answer.headers["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
    let jobs = async || app.call(Method::GET, "/jobs", &[("cookie", &cookie)], "").await;
    assert!(jobs().await.expect(StatusCode::OK).text.contains("token:operator-0"));
    let gone = app.as_role(Role::Admin, Method::DELETE, "/api/v1/tokens/operator-0", Value::Null).await;
    gone.expect(StatusCode::NO_CONTENT);
    jobs().await.expect(StatusCode::SEE_OTHER);
    let row = app.store.tokens().await.expect("the store answers").remove(0);
    assert!(row.last_used_at.is_some() && row.revoked_at.is_some(), "{row:?}");
    let late = crate::store::TokenRow { revoked_at: None, ..row };
    app.store.put_token(late).await.expect("the store answers");
    let bearer = app.call(Method::GET, "/api/v1/jobs", &[("authorization", &format!("Bearer {token}"))], "").await;
    bearer.expect_error(StatusCode::UNAUTHORIZED, "auth.token", &[]);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_what_is_good_is_not() {
    let app = App::new().await;
    let cookie = session(&app).await;
    for _ in 0..limits::AUTH_FAILURES_MAX {
        let wrong = app.call(Method::GET, "/api/v1/jobs", &[("authorization", "Bearer aegis_guess")], "").await;
        wrong.expect_error(StatusCode::UNAUTHORIZED, "auth.token", &[]);
    }
    let slowed = app.call(Method::GET, "/api/v1/jobs", &[("authorization", "Bearer aegis_guess")], "").await;
    assert!(slowed.headers.contains_key("retry-after"));
    slowed.expect_error(StatusCode::TOO_MANY_REQUESTS, "auth.throttled", &[]);
    assert_eq!(log_in(&app, "guess").await.status, StatusCode::TOO_MANY_REQUESTS);
    session(&app).await;
    app.as_role(Role::Viewer, Method::GET, "/api/v1/jobs", Value::Null).await.expect(StatusCode::OK);
    app.call(Method::GET, "/jobs", &[("cookie", &cookie)], "").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn tokens_are_shown_once_and_stored_as_hashes() {
    let app = App::new().await;
    let make = |body: Value| app.as_role(Role::Admin, Method::POST, "/api/v1/tokens", body);
    let made =
        make(json!({ "name": "ci", "role": "operator", "lifetime": "90d" })).await.expect(StatusCode::CREATED).json();
    let token = made["token"].as_str().expect("a secret");
    assert!(token.starts_with("aegis_") && token.len() > 40, "{token}");
    make(json!({ "name": "ci", "role": "viewer" })).await.expect_error(StatusCode::CONFLICT, "token.exists", &["ci"]);
    make(json!({ "name": "a b", "role": "viewer" })).await.expect_error(
        StatusCode::BAD_REQUEST,
        "request.invalid",
        &[],
    );
    make(json!({ "name": "x", "role": "king" })).await.expect_error(
        StatusCode::BAD_REQUEST,
        "request.invalid",
        &["role"],
    );
    let listed = app.as_role(Role::Admin, Method::GET, "/api/v1/tokens", Value::Null).await;
    assert!(!listed.text.contains(token) && listed.text.contains("\"ci\""));
    let stored = app.store.tokens().await.expect("the store answers");
    assert!(stored.iter().all(|row| !token.contains(&row.hash) && row.hash.len() == 64));
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_foreign_names_get_none() {
    let app = App::new().await;
    for path in ["/login", "/api/v1/jobs", "/health/live", "/nothing"] {
        let answer = app.call(Method::GET, path, &[], "").await;
        let policy = answer.headers["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let token = format!("Bearer {}", app.token(Role::Admin, &[]).await);
    let misnamed = [("host", "evil.example"), ("authorization", token.as_str())];
    let answer = app.call(Method::GET, "/api/v1/jobs", &misnamed, "").await;
    answer.expect_error(StatusCode::MISDIRECTED_REQUEST, "request.host", &["allowed_hosts"]);
}
