//! What goes wrong on a real machine: each says what, where, and what to do; nothing hangs, panics or is silent.

use std::os::unix::fs::symlink;

use crate::support::scripts::returning;
use crate::support::{TestApp, eventually, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_in_the_configuration_names_its_line_and_the_near_one() {
    let said = TestApp::builder().config("/http/lisen", json!("127.0.0.1:1")).start_and_fail().await.expect_code(1);
    said.expect_said(&["aegis.yaml", "lisen", "\"listen\""]);
    let has_position = said.said().lines().any(|line| line.contains("aegis.yaml:") || line.contains("line "));
    assert!(has_position, "no line is named\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_value_in_the_configuration_is_named() {
    for (pointer, value, word) in [
        ("/http/listen", json!("nowhere"), "listen"),
        ("/runner/lanes", json!(0), "lanes"),
        ("/runner/shutdown_grace", json!("5 parsecs"), "shutdown_grace"),
        ("/store/url", json!("mysql://x"), "store"),
        ("/log/format", json!("xml"), "format"),
        ("/retention/runs", json!("soon"), "retention"),
    ] {
        TestApp::builder().config(pointer, value).start_and_fail().await.expect_code(1).expect_said(&[word]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_configuration_file_is_named() {
    let app = TestApp::start().await;
    app.cli.run(&["daemon", "--config", "nosuch.yaml"]).await.expect_code(1).expect_said(&["nosuch.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = TestApp::builder().config("/http/listen", json!(address)).start_and_fail().await;
    said.expect_code(1).expect_said(&[&address]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_socket_does_not_push_the_first_out() {
    let app = TestApp::start().await;
    let second = TestApp::builder().config("/admin/socket", json!(app.path("run/aegis.sock"))).start_and_fail().await;
    second.expect_code(1).expect_said(&["aegis.sock"]);
    assert!(app.cli.run(&["jobs"]).await.code == 0, "the first daemon lost its socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_dead_daemon_is_taken_over() {
    let mut app = TestApp::start().await;
    app.kill().await;
    assert!(app.path("run/aegis.sock").exists(), "a killed daemon leaves its socket");
    app.restart().await;
    app.cli.ok(&["jobs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_scripts_folder_is_said_and_recovers() {
    let builder = TestApp::builder();
    // A link to itself cannot be read by root either.
    symlink("loop", builder.dir().join("loop")).unwrap();
    let app = builder.config("/scripts/dir", json!("loop")).start().await;
    let said = eventually("the folder's trouble is told", || async {
        let found = app.api.diagnostics().await;
        (!found.is_empty()).then(|| json!(found).to_string())
    })
    .await;
    assert!(said.contains("loop"), "{said}");
    std::fs::remove_file(app.path("loop")).unwrap();
    std::fs::create_dir(app.path("loop")).unwrap();
    std::fs::write(app.path("loop/late.lua"), returning("1")).unwrap();
    app.api.job_appears("late").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_things_in_the_scripts_folder_hurt_nobody_else() {
    let app = TestApp::builder().script("good.lua", returning("1")).start().await;
    let scripts = app.path("scripts");
    std::fs::create_dir(scripts.join("folder.lua")).unwrap();
    symlink("/dev/zero", scripts.join("endless.lua")).unwrap();
    symlink("nowhere", scripts.join("dangling.lua")).unwrap();
    symlink("circle.lua", scripts.join("circle.lua")).unwrap();
    std::fs::write(scripts.join("latin.lua"), b"return '\xe4\xf6\xfc'").unwrap();
    std::fs::write(scripts.join("huge.lua"), vec![b' '; 4 << 20]).unwrap();
    std::fs::write(scripts.join("bytecode.lua"), b"\x1bLua\x06garbage").unwrap();
    std::fs::write(scripts.join("a name with spaces.lua"), returning("1")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(scripts.join("pipe.lua")).status().unwrap();
    assert!(fifo.success());
    app.add_job("after", &returning("2")).await;
    for job in ["good", "after"] {
        assert_eq!(app.api.run_to_end(job, json!({})).await["state"], "succeeded");
    }
    let found = eventually("each odd file is told of", || async {
        let found = json!(app.api.diagnostics().await).to_string();
        // A folder and a pipe are no files, whatever they are called: they only must not hold anything up.
        let files = ["endless.lua", "latin.lua", "huge.lua", "bytecode.lua", "dangling.lua", "a name with spaces.lua"];
        files.iter().all(|file| found.contains(file)).then_some(found)
    })
    .await;
    assert!(found.contains("256"), "the limit is not named: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_cannot_be_one_job() {
    let source = |value: &str| format!("return aegis.job {{ name = 'same', run = function() return '{value}' end }}");
    let app = TestApp::builder().script("one.lua", source("one")).start().await;
    app.api.job_appears("same").await;
    app.write_script("two.lua", &source("two"));
    let found = eventually("a diagnostic", || async { app.api.diagnostics().await.into_iter().next() }).await;
    assert!(found.to_string().contains("one.lua") && found.to_string().contains("two.lua"), "{found}");
    assert_eq!(app.api.run_to_end("same", json!({})).await["result"], "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_refused_politely() {
    let app = TestApp::builder().script("echo.lua", crate::support::scripts::ECHO).start().await;
    app.api.job_appears("echo").await;
    let post = |body: String| app.api.request(reqwest::Method::POST, "/api/v1/jobs/echo/runs").body(body);
    let json_type = |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    for body in ["{", "[]", "17", "{\"params\": 3}", "{\"parms\": {}}", &"[".repeat(100_000)] {
        let answer = crate::support::api::Answer::of(json_type(post(body.to_owned()))).await;
        assert!(answer.status.is_client_error(), "{} for {}", answer.status, &body[..body.len().min(20)]);
        assert!(answer.body["error"]["message"].is_string(), "{}", answer.text);
    }
    let huge = format!("{{\"params\": {{\"text\": \"{}\"}}}}", "x".repeat(3 << 20));
    let refused = json_type(post(huge)).send().await.unwrap();
    assert_eq!(refused.status(), 413);
    for path in [
        "/api/v1/runs/not-an-id",
        "/api/v1/runs?limit=minus",
        "/api/v1/nothing",
        "/api/v1/jobs/%00",
        "/api/v1/jobs/..%2f..%2fetc",
    ] {
        let answer = app.api.get(path).await;
        assert!(answer.status.is_client_error(), "{path}: {} {}", answer.status, answer.text);
        assert!(answer.body["error"]["code"].is_string(), "{path}: {}", answer.text);
    }
    assert!(app.api.runs_of("echo").await.is_empty());
}
