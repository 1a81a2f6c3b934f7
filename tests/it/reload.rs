//! Editing a live system: a bad edit keeps the last good version and says what is wrong; runs keep theirs.

use crate::support::scripts::{SLEEPER, returning};
use crate::support::{TestApp, Value, eventually, json};

/// Waits for a diagnostic about `file` and gives it.
async fn diagnosed(app: &TestApp, file: &str) -> Value {
    eventually(&format!("a diagnostic for {file}"), || async {
        app.api.diagnostics().await.into_iter().find(|found| found["file"] == file)
    })
    .await
}

async fn undiagnosed(app: &TestApp, file: &str) {
    eventually(&format!("no diagnostic for {file}"), || async {
        app.api.diagnostics().await.iter().all(|found| found["file"] != file).then_some(())
    })
    .await;
}

async fn result_of(app: &TestApp, job: &str) -> Value {
    app.api.run_to_end(job, json!({})).await["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_keeps_the_last_good_version() {
    let app = TestApp::start().await;
    app.add_job("job", &returning("'good'")).await;
    let edits = [
        ("a syntax error", "return aegis.job {\n  run = function(ctx)\n    return 1 +\n  end,\n}\n", vec![]),
        (
            "an unknown field",
            "return aegis.job {\n  timeuot = '5s',\n  run = function() end,\n}\n",
            vec!["timeuot", "timeout"],
        ),
        ("a wrong type", "return aegis.job {\n  timeout = true,\n  run = function() end,\n}\n", vec!["timeout"]),
        ("an endless loop", "while true do end\n", vec![]),
        ("an error", "error('broken on purpose')\n", vec!["broken on purpose"]),
        ("a host call", "aegis.docker.list()\nreturn aegis.job { run = print }\n", vec!["docker"]),
        ("no job", "local x = 1\n", vec!["aegis.job"]),
    ];
    for (what, source, words) in edits {
        app.write_script("job.lua", source);
        let found = diagnosed(&app, "job.lua").await;
        assert!(found["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {found}");
        assert_eq!(found["last_good_kept"], true, "{what}: {found}");
        if what != "no job" {
            assert!(found["at"]["line"].as_u64().is_some_and(|line| line >= 1), "{what}: {found}");
        }
        for word in words {
            assert!(found.to_string().contains(word), "{what}: {word:?} is not in {found}");
        }
        assert_eq!(result_of(&app, "job").await, "good", "after {what}");
        app.cli.run(&["check", "scripts"]).await.expect_code(1).expect_said(&["job.lua"]);
        app.write_script("job.lua", &returning("'good'"));
        undiagnosed(&app, "job.lua").await;
    }
    app.cli.run(&["check", "scripts"]).await.expect_code(0);
    app.write_script("job.lua", &returning("'better'"));
    eventually("the new version runs", || async { (result_of(&app, "job").await == "better").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diagnostics_are_seen_by_the_command_line() {
    let app = TestApp::start().await;
    app.add_job("job", &returning("1")).await;
    app.write_script("job.lua", "return aegis.job {\n  timeuot = '5s',\n  run = function() end,\n}\n");
    diagnosed(&app, "job.lua").await;
    let listed = app.cli.run(&["jobs"]).await.expect_code(0);
    listed.expect_said(&["job.lua", "timeuot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_takes_its_job_along_and_comes_back() {
    let app = TestApp::start().await;
    app.add_job("gone", &returning("1")).await;
    app.remove_script("gone.lua");
    eventually("the job is gone", || async { (!app.api.job_names().await.contains(&"gone".to_owned())).then_some(()) })
        .await;
    let refused = app.api.post("/api/v1/jobs/gone/runs", json!({})).await;
    refused.expect_error(reqwest::StatusCode::NOT_FOUND, &["gone"]);
    app.add_job("gone", &returning("2")).await;
    assert_eq!(result_of(&app, "gone").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_flight_is_untouched() {
    let app = TestApp::start().await;
    app.add_job("sleeper", SLEEPER).await;
    let runs = [
        app.api.trigger("sleeper", json!({ "seconds": 3 })).await,
        app.api.trigger("sleeper", json!({ "seconds": 3 })).await,
    ];
    for run in &runs {
        app.api.reaches(run, &["running"]).await;
    }
    app.write_script("sleeper.lua", "this is not Lua");
    diagnosed(&app, "sleeper.lua").await;
    app.write_script("sleeper.lua", &returning("'another version'"));
    undiagnosed(&app, "sleeper.lua").await;
    assert_eq!(result_of(&app, "sleeper").await, "another version");
    app.remove_script("sleeper.lua");
    for run in &runs {
        let ended = app.api.ended(run).await;
        assert_eq!((&ended["state"], &ended["result"]), (&json!("succeeded"), &json!("slept")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_required_file_reloads_its_jobs() {
    let app = TestApp::builder()
        .script("lib/words.lua", "return { greeting = 'hello' }")
        .script(
            "greet.lua",
            "local words = require('@lib/words')\nreturn aegis.job { run = function() return words.greeting end }",
        )
        .start()
        .await;
    app.api.job_appears("greet").await;
    assert_eq!(result_of(&app, "greet").await, "hello");
    app.write_script("lib/words.lua", "return { greeting = 'good day' }");
    eventually("the job has the new words", || async { (result_of(&app, "greet").await == "good day").then_some(()) })
        .await;
    app.write_script("lib/words.lua", "return {");
    eventually("a diagnostic names the library", || async {
        let found = app.api.diagnostics().await;
        found.iter().any(|one| one.to_string().contains("lib/words.lua")).then_some(())
    })
    .await;
    assert_eq!(result_of(&app, "greet").await, "good day");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_folder_can_be_switched_by_symlink() {
    let builder = TestApp::builder();
    for (release, word) in [("one", "'one'"), ("two", "'two'")] {
        std::fs::create_dir_all(builder.dir().join(release)).unwrap();
        std::fs::write(builder.dir().join(release).join("job.lua"), returning(word)).unwrap();
    }
    std::os::unix::fs::symlink("one", builder.dir().join("current")).unwrap();
    let app = builder.config("/scripts/dir", json!("current")).start().await;
    app.api.job_appears("job").await;
    assert_eq!(result_of(&app, "job").await, "one");
    std::os::unix::fs::symlink("two", app.path("next")).unwrap();
    std::fs::rename(app.path("next"), app.path("current")).unwrap();
    eventually("the other release runs", || async { (result_of(&app, "job").await == "two").then_some(()) }).await;
}
