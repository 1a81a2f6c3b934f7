//! The shipped sweep against a real Docker Engine, and a Docker that is not there at first.

use std::os::unix::fs::symlink;

use crate::support::docker::Containers;
use crate::support::{TestApp, Value, eventually, json};

const SWEEP: &str = include_str!("../../scripts/health_sweep.lua");
const HEALTHY: [&str; 4] = ["--health-cmd=true", "--health-interval=1s", "--health-retries=1", "--init"];

/// One healthy container, one that restarts again and again, one that was killed for its memory.
pub async fn three() -> Containers {
    let containers = Containers::new();
    containers.start("healthy", &HEALTHY, &["sleep", "600"]);
    containers.start("restarting", &["--restart=always"], &["sh", "-c", "exit 3"]);
    containers.start("exited", &[], &["sh", "-c", "exit 137"]);
    settled(&containers).await;
    containers
}

async fn settled(containers: &Containers) {
    eventually("the containers are as they shall be", || async {
        let healthy = containers.inspect("healthy", "{{.State.Health.Status}}") == "healthy";
        let exited = containers.inspect("exited", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137";
        let restarts: u32 = containers.inspect("restarting", "{{.RestartCount}}").parse().unwrap_or(0);
        (healthy && exited && restarts >= 3).then_some(())
    })
    .await;
}

#[track_caller]
fn expect_report(run: &Value, containers: &Containers) {
    assert_eq!(run["state"], "succeeded", "{run}");
    let report = &run["result"];
    let listed = report["containers"].as_array().unwrap_or_else(|| panic!("no containers in {report}"));
    let of = |short: &str| {
        let name = containers.name(short);
        listed.iter().find(|one| one["name"] == name.as_str()).unwrap_or_else(|| panic!("{name} is not in {report}"))
    };
    assert_eq!((&of("healthy")["state"], &of("healthy")["health"]), (&json!("running"), &json!("healthy")));
    assert_eq!((&of("exited")["state"], &of("exited")["exit_code"]), (&json!("exited"), &json!(137)));
    assert!(of("restarting")["restarts"].as_u64().is_some_and(|count| count >= 3), "{report}");
    let findings = report["findings"].to_string();
    assert!(
        findings.contains(&containers.name("exited")) && findings.contains(&containers.name("restarting")),
        "{findings}"
    );
    assert!(!findings.contains(&containers.name("healthy")), "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_tells_the_healthy_from_the_sick_by_every_way_in() {
    let containers = three().await;
    let every_second = SWEEP.replace("every = \"5m\"", "every = \"2s\"");
    assert_ne!(every_second, SWEEP, "the sweep is not every five minutes any more");
    let app = TestApp::builder().real_docker().script("health_sweep.lua", every_second).start().await;
    app.api.job_appears("health_sweep").await;

    let scheduled = eventually("the schedule fires", || async {
        let runs = app.api.runs_of("health_sweep").await;
        runs.into_iter().find(|run| run["trigger"]["kind"] == "schedule" && run["state"] == "succeeded")
    })
    .await;
    expect_report(&app.api.run(scheduled["id"].as_str().unwrap()).await, &containers);

    app.cli.ok(&["disable", "health_sweep"]).await;
    eventually("none is running", || async {
        let runs = app.api.runs_of("health_sweep").await;
        runs.iter().all(|run| run["finished_at"].is_string()).then_some(())
    })
    .await;
    expect_report(&app.api.run_to_end("health_sweep", json!({})).await, &containers);

    app.cli.ok(&["trigger", "health_sweep", "--wait"]).await;
    let newest = app.api.runs_of("health_sweep").await.remove(0);
    assert_eq!(newest["trigger"]["kind"], "cli");
    expect_report(&app.api.run(newest["id"].as_str().unwrap()).await, &containers);

    let line = "aegis.jobs.wait(aegis.jobs.trigger('health_sweep')).state";
    app.cli.run(&["repl", "-e", line]).await.expect_code(0).expect_said(&["succeeded"]);
    let newest = app.api.runs_of("health_sweep").await.remove(0);
    expect_report(&app.api.run(newest["id"].as_str().unwrap()).await, &containers);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_docker_the_daemon_says_so_and_recovers_when_it_comes() {
    let probe = "return aegis.job { permissions = { docker = 'read' }, run = function() return #aegis.docker.list{ all = true } end }";
    let builder = TestApp::builder().script("probe.lua", probe);
    let socket = builder.dir().join("docker.sock");
    let host = format!("unix://{}", socket.display());
    let app = builder.config("/docker/host", json!(host)).start().await;
    app.api.job_appears("probe").await;

    let ready = app.api.get("/health/ready").await;
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(ready.text.contains("docker"), "{}", ready.text);
    let failed = app.api.run_to_end("probe", json!({})).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["error"]["code"].as_str().is_some_and(|code| code.starts_with("docker.")), "{failed}");
    assert!(failed["error"]["message"].to_string().contains("docker.sock"), "{failed}");
    assert_eq!(failed["error"]["at"]["file"], "probe.lua", "{failed}");

    let _containers = Containers::new();
    symlink("/var/run/docker.sock", &socket).unwrap();
    eventually("it is ready", || async { (app.api.get("/health/ready").await.status == 200).then_some(()) }).await;
    assert_eq!(app.api.run_to_end("probe", json!({})).await["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_can_do_with_containers_what_it_was_granted_and_no_more() {
    let containers = Containers::new();
    let name = containers.name("made");
    let source = include_str!("docker_life.lua");
    let app = TestApp::builder().real_docker().script("life.lua", source).start().await;
    app.api.job_appears("life").await;
    let run = app.api.run_to_end("life", json!({ "name": name })).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let result = &run["result"];
    assert_eq!(result["exec"], json!({ "code": 4, "text": "inside\n" }), "{result}");
    assert_eq!(result["exit_code"], 7, "{result}");
    assert!(result["log"].to_string().contains("hello from the container"), "{result}");
    assert_eq!(result["memory_limit"], 64 << 20, "{result}");
    assert!(!containers.exists("made"), "the script did not remove it");

    containers.start("other", &[], &["sleep", "300"]);
    let refused = app.api.run_to_end("life", json!({ "name": containers.name("other"), "only_stop": true })).await;
    assert_eq!(refused["error"]["code"], "permission.denied", "{refused}");
    assert_eq!(containers.inspect("other", "{{.State.Running}}"), "true");
}

/// The tour of the libraries in the recipes does what it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_libraries_works_as_it_is_written() {
    let recipes = include_str!("../../docs/recipes.md");
    let tour =
        recipes.split("```lua\n").find(|block| block.starts_with("-- scripts/library_tour.lua")).expect("a tour");
    let source = tour.split("```").next().expect("its end");
    let app = TestApp::builder().real_docker().script("library_tour.lua", source).start().await;
    app.api.job_appears("library_tour").await;
    let run = app.api.run_to_end("library_tour", json!({})).await;
    let page = run["result"].as_str().unwrap_or_default();
    assert!(page.contains("Billing API") && page.contains("CONTAINERS"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_container_starts_a_run() {
    let containers = Containers::new();
    let mourner = format!(
        r#"return aegis.job {{
  on = {{ docker = {{ event = "die", container = "{}*" }} }},
  permissions = {{ docker = {{ read = {{ "{}*" }} }} }},
  run = function(ctx) return ctx.trigger.payload end,
}}"#,
        containers.prefix, containers.prefix
    );
    let app = TestApp::builder().real_docker().script("mourner.lua", mourner).start().await;
    app.api.job_appears("mourner").await;
    let name = containers.start("short", &[], &["sh", "-c", "exit 9"]);
    let run = eventually("the run that its end starts", || async { app.api.runs_of("mourner").await.pop() }).await;
    let run = app.api.ended(run["id"].as_str().expect("an id")).await;
    assert_eq!((&run["trigger"]["kind"], &run["result"]["name"]), (&json!("docker"), &json!(name)), "{run}");
    assert_eq!(run["result"]["exit_code"], 9);
}
