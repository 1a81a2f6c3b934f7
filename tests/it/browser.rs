//! The dashboard in a real Chromium: by link into the daemon, by button to a finished run, seen live.

use crate::support::browser::Browser;
use crate::support::docker::Containers;
use crate::support::scripts::ECHO;
use crate::support::{TestApp, json};

/// Enters by the link that the daemon printed.
async fn log_in(browser: &Browser, app: &TestApp) {
    browser.goto(&app.login_link().await).await;
    let asks = browser.script("return document.querySelector('form[action=\"/login\"] button') !== null").await;
    if asks == true {
        browser.click("form[action=\"/login\"] button").await;
    }
    browser.sees("Overview").await;
}

async fn expect_clean(browser: &Browser, page: &str) {
    let errors = browser.console_errors().await;
    assert!(errors.is_empty(), "{page}: {errors:#?}");
    let overflow = browser.overflow().await;
    assert!(overflow <= 0, "{page} is {overflow} px wider than the window");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_runs_the_sweep_and_the_run_is_seen_live() {
    let containers = Containers::new();
    containers.start("web", &[], &["sleep", "300"]);
    let app = TestApp::builder()
        .real_docker()
        .script("health_sweep.lua", include_str!("../../scripts/health_sweep.lua"))
        .start()
        .await;
    app.api.job_appears("health_sweep").await;
    let browser = Browser::open(1280, 900).await;
    log_in(&browser, &app).await;
    browser.goto(&format!("{}/jobs/health_sweep", app.api.base)).await;
    browser.sees("Sweep now").await;
    browser.screenshot("job").await;
    browser.click("#start button[type=\"submit\"]").await;
    // Its page says so by itself, without being loaded again.
    browser.sees("succeeded").await;
    browser.screenshot("run").await;
    expect_clean(&browser, "the run's page").await;
    let run = app.api.runs_of("health_sweep").await.remove(0);
    assert_eq!((&run["state"], &run["trigger"]["kind"]), (&json!("succeeded"), &json!("button")), "{run}");
    let url = browser.url().await;
    assert!(url.contains(run["id"].as_str().unwrap()), "the browser is at {url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_value_in_the_form_is_shown_at_its_field() {
    let app = TestApp::builder().script("echo.lua", ECHO).start().await;
    app.api.job_appears("echo").await;
    let browser = Browser::open(1280, 900).await;
    log_in(&browser, &app).await;
    browser.goto(&format!("{}/jobs/echo", app.api.base)).await;
    // Past what the browser itself checks: what counts is the daemon's answer.
    browser.script("const field = document.querySelector('[name=\"count\"]'); field.form.noValidate = true; field.type = 'text'; field.value = 'many'").await;
    browser.click("#start button[type=\"submit\"]").await;
    browser.sees("whole number").await;
    assert!(app.api.runs_of("echo").await.is_empty(), "a refused form left a run behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_usable_on_a_telephone() {
    let app = TestApp::builder()
        .script("echo.lua", ECHO)
        .script("bad.lua", "return aegis.job { run = function() error('a long message '..string.rep('x', 300)) end }")
        .script("broken.lua", "return aegis.job { timeuot = 1 }")
        .start()
        .await;
    app.api.job_appears("bad").await;
    let failed = app.api.run_to_end("bad", json!({})).await;
    let browser = Browser::open(390, 844).await;
    log_in(&browser, &app).await;
    let run = format!("/runs/{}", failed["id"].as_str().unwrap());
    for path in ["/", "/jobs", "/jobs/echo", "/jobs/bad", "/runs", &run, "/schedule", "/containers"] {
        browser.goto(&format!("{}{path}", app.api.base)).await;
        let title = browser.script("return document.title").await;
        assert!(title.as_str().is_some_and(|title| !title.is_empty()), "{path} has no title");
        let headings = browser.script("return document.querySelectorAll('h1').length").await;
        assert_eq!(headings, 1, "{path} has {headings} first headings");
        let unnamed = "return [...document.querySelectorAll('input:not([type=hidden]),select,textarea')]\
            .filter(f => f.labels.length === 0 && !f.ariaLabel).map(f => f.outerHTML)";
        assert_eq!(browser.script(unnamed).await, json!([]), "{path} has fields without labels");
        browser.screenshot(&format!("telephone{}", path.replace('/', "-").chars().take(24).collect::<String>())).await;
        expect_clean(&browser, path).await;
    }
    browser.goto(&format!("{}{run}", app.api.base)).await;
    assert!(browser.text().await.contains("bad.lua"), "the error does not name the script");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_shown_the_login_page() {
    let app = TestApp::start().await;
    let browser = Browser::open(1280, 900).await;
    browser.goto(&format!("{}/jobs", app.api.base)).await;
    let text = browser.text().await.to_lowercase();
    assert!(text.contains("token") || text.contains("link"), "{text}");
    assert!(!text.contains("overview"), "{text}");
}
