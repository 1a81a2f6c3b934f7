//! Who may do what: tokens, roles, browser sessions, foreign hosts and foreign pages.

use reqwest::{Method, StatusCode};

use crate::support::api::{Answer, client};
use crate::support::scripts::ECHO;
use crate::support::{TestApp, json};

async fn app() -> TestApp {
    let app = TestApp::builder().script("echo.lua", ECHO).start().await;
    app.api.job_appears("echo").await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_told() {
    let app = app().await;
    let stranger = app.api.without_token();
    for path in ["/api/v1/jobs", "/api/v1/runs", "/api/v1/jobs/echo", "/api/v1/schedule", "/api/v1/events", "/metrics"]
    {
        stranger.get(path).await.expect_error(StatusCode::UNAUTHORIZED, &[]);
    }
    stranger.post("/api/v1/jobs/echo/runs", json!({})).await.expect_error(StatusCode::UNAUTHORIZED, &[]);
    let wrong = stranger.with_token("aegis_not_a_token").get("/api/v1/jobs").await;
    wrong.expect_error(StatusCode::UNAUTHORIZED, &[]);
    // Monitors may ask whether it lives without being told more.
    assert_eq!(stranger.get("/health/live").await.status, StatusCode::OK);
    let ready = stranger.get("/health/ready").await;
    assert!(!ready.text.contains("/nonexistent/"), "a stranger is told paths: {}", ready.text);
    assert!(app.api.runs_of("echo").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_reads_and_an_operator_acts() {
    let app = app().await;
    let token = |role: &'static str| {
        let cli = app.cli.clone();
        async move { cli.ok(&["token", "create", role, "--role", role]).await.trim().to_owned() }
    };
    let viewer = app.api.with_token(token("viewer").await);
    assert_eq!(viewer.get("/api/v1/jobs").await.status, StatusCode::OK);
    viewer.post("/api/v1/jobs/echo/runs", json!({})).await.expect_error(StatusCode::FORBIDDEN, &[]);
    let operator = app.api.with_token(token("operator").await);
    let run = operator.run_to_end("echo", json!({})).await;
    assert_eq!(run["trigger"]["actor"], "token:operator", "{run}");
    app.cli.ok(&["token", "revoke", "operator", "--yes"]).await;
    operator.get("/api/v1/jobs").await.expect_error(StatusCode::UNAUTHORIZED, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_never_written_down() {
    let app = app().await;
    let listed = app.cli.ok(&["token", "list"]).await;
    assert!(listed.contains("integration-test") && !listed.contains(&app.token), "{listed}");
    let database: Vec<u8> = ["data/aegis.db", "data/aegis.db-wal"]
        .iter()
        .filter_map(|file| std::fs::read(app.path(file)).ok())
        .flatten()
        .collect();
    assert!(!database.is_empty());
    let token = app.token.as_bytes();
    assert!(!database.windows(token.len()).any(|window| window == token), "the database holds the token itself");
    assert!(!app.log().contains(&app.token), "the daemon logged the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_name_and_a_foreign_page_get_nothing() {
    let app = app().await;
    let misnamed = app.api.request(Method::GET, "/api/v1/jobs").header("host", "evil.example").send().await.unwrap();
    assert!(misnamed.status().is_client_error(), "{}", misnamed.status());
    let answer = app.api.request(Method::POST, "/api/v1/jobs/echo/runs").header("origin", "http://evil.example");
    assert_eq!(Answer::of(answer.json(&json!({}))).await.status, StatusCode::FORBIDDEN);
    assert!(app.api.runs_of("echo").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_link_works_once_and_its_session_is_guarded() {
    let app = app().await;
    let link = app.login_link().await;
    let cookie = log_in(&link).await.expect("the link lets in");
    assert!(log_in(&link).await.is_none(), "the link let in twice");

    let page = |method: Method, path: &str| {
        client().request(method, format!("{}{path}", app.api.base)).header("cookie", &cookie)
    };
    let overview = page(Method::GET, "/").send().await.unwrap();
    assert_eq!(overview.status(), 200);
    let policy = overview.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");

    // Without the page's own proof, a form post with the cookie alone is a forgery.
    for origin in ["http://evil.example", "null"] {
        let forged =
            page(Method::POST, "/api/v1/jobs/echo/runs").header("origin", origin).json(&json!({})).send().await;
        assert_eq!(forged.unwrap().status(), 403);
    }
    let bare = page(Method::POST, "/jobs/echo/run").form(&[("text", "forged")]).send().await.unwrap();
    assert!(bare.status().is_client_error(), "{}", bare.status());
    assert!(app.api.runs_of("echo").await.is_empty(), "a forged request ran a job");
}

/// Follows the link as a browser does; the session's cookie when it lets in.
async fn log_in(link: &str) -> Option<String> {
    let url: url::Url = link.parse().expect("a link");
    let origin = url.origin().ascii_serialization();
    let opened = client().get(url.clone()).header("sec-fetch-site", "none").send().await.expect("an answer");
    let mut cookie = cookie_of(&opened);
    if cookie.is_none() && opened.status().is_success() {
        // The page asks for a click, so that link previews do not use the link up.
        let (name, value) = url.query_pairs().next().map(|(name, value)| (name.into_owned(), value.into_owned()))?;
        let request = client().post(format!("{origin}/login")).header("origin", &origin).form(&[(name, value)]);
        cookie = cookie_of(&request.send().await.expect("an answer"));
    }
    cookie
}

fn cookie_of(response: &reqwest::Response) -> Option<String> {
    let set = response.headers().get("set-cookie")?.to_str().ok()?;
    assert!(set.contains("HttpOnly") && set.contains("SameSite"), "{set}");
    Some(set.split(';').next()?.to_owned())
}
