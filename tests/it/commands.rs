//! Commands that need no daemon, and what a stranger does first.

use crate::support::cli::Cli;
use crate::support::scripts::ECHO;
use crate::support::{TestApp, json};

/// A folder without a daemon.
fn empty() -> (tempfile::TempDir, Cli) {
    let dir = tempfile::tempdir().unwrap();
    let cli = Cli { dir: dir.path().to_owned(), socket: dir.path().join("run/aegis.sock") };
    (dir, cli)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_can_be_checked_run_and_started() {
    let (dir, cli) = empty();
    cli.ok(&["init", "site"]).await;
    let site = dir.path().join("site");
    for file in ["scripts", "config/aegis.yaml"] {
        assert!(site.join(file).exists(), "init did not write {file}");
    }
    let inside = Cli { dir: site.clone(), ..cli.clone() };
    inside.ok(&["check"]).await;
    let scripts: Vec<_> = std::fs::read_dir(site.join("scripts")).unwrap().flatten().collect();
    assert!(
        scripts.iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".lua")),
        "no example was written"
    );
    // A second init must not overwrite what somebody has changed since.
    std::fs::write(site.join("config/aegis.yaml"), "# mine\n").unwrap();
    inside.run(&["init", "."]).await;
    assert_eq!(std::fs::read_to_string(site.join("config/aegis.yaml")).unwrap(), "# mine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_file_line_and_remedy() {
    let (dir, cli) = empty();
    std::fs::write(dir.path().join("good.lua"), ECHO).unwrap();
    std::fs::write(dir.path().join("typo.lua"), "return aegis.job {\n  timeuot = '5s',\n  run = function() end,\n}\n")
        .unwrap();
    std::fs::write(dir.path().join("syntax.lua"), "return aegis.job {\n  run = function( end,\n}\n").unwrap();
    cli.ok(&["check", "good.lua"]).await;
    let typo = cli.run(&["check", "typo.lua"]).await.expect_code(1);
    typo.expect_said(&["typo.lua:2", "timeuot", "timeout"]);
    cli.run(&["check", "syntax.lua"]).await.expect_code(1).expect_said(&["syntax.lua:2"]);
    cli.run(&["check", "nosuch.lua"]).await.expect_code(5).expect_said(&["nosuch.lua"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_runs_without_a_daemon() {
    let (dir, cli) = empty();
    std::fs::write(dir.path().join("echo.lua"), ECHO).unwrap();
    let ran = cli.run(&["run", "echo.lua", "--param", "text=alone", "--param", "count=2"]).await.expect_code(0);
    ran.expect_said(&["echo: alone"]);
    let refused = cli.run(&["run", "echo.lua", "--param", "count=many"]).await;
    assert_ne!(refused.code, 0, "{refused}");
    refused.expect_said(&["count", "whole number"]);
    std::fs::write(
        dir.path().join("bad.lua"),
        "return aegis.job {\n  run = function()\n    error('no luck')\n  end,\n}",
    )
    .unwrap();
    cli.run(&["run", "bad.lua"]).await.expect_code(3).expect_said(&["no luck", "bad.lua:3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_daemon_works_without_one() {
    let (dir, cli) = empty();
    cli.ok(&["--version"]).await;
    let help = cli.ok(&["--help"]).await;
    for command in ["daemon", "init", "check", "run", "jobs", "trigger", "runs", "logs", "cancel", "repl", "doctor"] {
        assert!(help.contains(command), "{command} is not in {help}");
    }
    cli.ok(&["types", "--out", "stubs"]).await;
    let stubs = std::fs::read_dir(dir.path().join("stubs")).unwrap().flatten().next().expect("stubs are written");
    let text = std::fs::read_to_string(stubs.path()).unwrap();
    assert!(text.contains("aegis") && text.contains("docker"), "{text}");
    let doctor = cli.run(&["doctor"]).await;
    assert!(!doctor.said().trim().is_empty(), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_evaluates_what_is_piped_into_it() {
    let app = TestApp::start().await;
    let chunk = "local x = 20\nfor i = 1, 2 do\n  print('turn ' .. i)\nend\nreturn x + 22\n";
    let said = app.cli.run_with_input(&["repl"], chunk).await.expect_code(0);
    said.expect_said(&["42", "turn 1", "turn 2"]);
    app.cli.run(&["repl", "-e", "error('oh no')"]).await.expect_code(1).expect_said(&["oh no"]);
    let runs = app.api.get("/api/v1/runs?console=true").await;
    let runs = crate::support::api::items(&runs.body, "runs");
    assert!(runs.iter().any(|run| run["trigger"]["kind"] == "repl"), "console lines are not in the history: {runs:?}");
}

/// The examples in the documents are jobs that load.
#[tokio::test(flavor = "multi_thread")]
async fn examples_in_the_documents_are_jobs() {
    let (dir, cli) = empty();
    let mut examples = 0;
    let documents =
        [include_str!("../../README.md"), include_str!("../../docs/guide.md"), include_str!("../../docs/recipes.md")];
    for document in documents {
        for block in document.split("```lua\n").skip(1) {
            let source = block.split("```").next().unwrap_or_default();
            let Some(path) = source.lines().next().and_then(|line| line.strip_prefix("-- scripts/")) else { continue };
            std::fs::write(dir.path().join(path), source).unwrap();
            cli.ok(&["check", path]).await;
            examples += 1;
        }
    }
    assert!(examples >= 2, "only {examples} examples were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_scripts_load() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let (_dir, cli) = empty();
    cli.ok(&["check", scripts]).await;
    let app = TestApp::builder().config("/scripts/dir", json!(scripts)).start().await;
    for job in [
        "hello",
        "health_sweep",
        "container_report",
        "image_cleanup",
        "morning_routine",
        "ingest_transcripts",
        "page_watch",
    ] {
        app.api.job_appears(job).await;
    }
    assert_eq!(app.api.diagnostics().await, Vec::<serde_json::Value>::new());
    let first = app.api.run_to_end("hello", json!({ "name": "Ada", "times": 2 })).await;
    assert_eq!(first["result"]["greeted"], 2, "{first}");
    let second = app.api.run_to_end("hello", json!({})).await;
    assert_eq!(second["result"]["greeted"], 3, "{second}");
}
