//! From creation to removal.

use serde_json::json;

use super::{IMAGE, Lab, docker, options};
use crate::base::Fault;

#[tokio::test]
async fn a_container_lives_and_dies() {
    let lab = Lab::open();
    let (docker, permit) = (&lab.docker, &lab.permit);
    let name = lab.run("web", json!({"labels": {"aegis.test": lab.mark, "aegis.purpose": "the front door"}})).await;

    let again = docker.start(permit, &name, options(json!({}))).await.expect("starting twice is no error");
    assert!(!again.changed);
    let listed = docker.list(permit, options(json!({"names": [name]}))).await.expect("a list");
    assert_eq!(listed.len(), 1);
    let web = &listed[0];
    assert_eq!((web.state.as_str(), web.image.as_str(), web.exit_code), ("running", IMAGE, None));
    assert!(web.uptime_seconds.is_some_and(|seconds| seconds < 60) && web.status.starts_with("Up "), "{web:?}");
    assert_eq!(web.purpose.as_deref(), Some("the front door"));
    assert_eq!(web.networks[0].name, "bridge");

    let killed = docker.kill(permit, &name, options(json!({}))).await.expect("killed");
    assert_eq!(killed.details, json!({"signal": "SIGKILL"}));
    let ended = docker.wait(permit, &name, options(json!({"timeout": "10s"}))).await.expect("ended");
    assert_eq!(ended.exit_code, 137);
    let listed = docker.list(permit, options(json!({"names": [name], "states": ["exited"]}))).await.expect("a list");
    assert_eq!((listed[0].exit_code, listed[0].uptime_seconds), (Some(137), None));
    let twice = docker.kill(permit, &name, options(json!({}))).await.expect_err("it is stopped");
    assert_eq!(twice.code(), "docker.conflict");

    docker.restart(permit, &name, options(json!({"timeout": "1s"}))).await.expect("restarted");
    let refused = docker.remove(permit, &name, options(json!({}))).await.expect_err("it runs");
    assert!(refused.to_string().contains("force = true"), "{refused}");
    let stopped = docker.stop(permit, &name, options(json!({"timeout": "1s"}))).await.expect("stopped");
    assert!(stopped.changed);
    assert!(!docker.stop(permit, &name, options(json!({}))).await.expect("stopped before").changed);
    let renamed = lab.name("old");
    docker.rename(permit, &name, &renamed, options(json!({}))).await.expect("renamed");
    docker.remove(permit, &renamed, options(json!({"volumes": true}))).await.expect("removed");
    let gone = Fault::from(docker.remove(permit, &renamed, options(json!({}))).await.expect_err("gone"));
    assert_eq!(gone.code, "docker.not_found");
    assert!(gone.message.contains(&renamed), "{}", gone.message);
}

#[tokio::test]
async fn settings_change_while_it_runs() {
    let lab = Lab::open();
    let name = lab.run("web", json!({"restart": "on-failure:3", "mem_limit": "64MiB"})).await;
    let update = async |more| lab.docker.update(&lab.permit, &name, options(more)).await;
    let seen = async || lab.docker.inspect(&lab.permit, &name).await.expect("inspected");
    assert!(update(json!({"restart": "no", "dry_run": true})).await.expect("a plan").changed);
    assert_eq!(seen().await.restart_policy, "on-failure:3");
    let more = json!({"restart": "no", "mem_limit": "96MiB", "memswap_limit": "192MiB", "pids_limit": 50});
    assert!(update(more.clone()).await.expect("changed").changed);
    let web = seen().await;
    assert_eq!(
        (web.restart_policy.as_str(), web.limits.memory_bytes, web.limits.pids),
        ("no", Some(96 << 20), Some(50))
    );
    assert_eq!(web.container.state, "running");
    assert!(!update(more).await.expect("it is so already").changed);
    for (wrong, word) in
        [(json!({}), "they change nothing"), (json!({"restart": "allways"}), "always"), (json!({"cpus": -1}), "CPUs")]
    {
        let fault = Fault::from(update(wrong).await.expect_err("refused"));
        assert!(fault.code == "docker.invalid" && fault.message.contains(word), "{fault}");
    }
}

#[tokio::test]
async fn an_exit_status_is_an_outcome() {
    let lab = Lab::open();
    let name = lab.create("exit", json!({"command": ["sh", "-c", "sleep 0.2; exit 7"]})).await;
    let waiting = lab.docker.wait(&lab.permit, &name, options(json!({})));
    let ended = waiting.await.expect("a container that never ran is not running");
    assert_eq!(ended.exit_code, 0);
    lab.docker.start(&lab.permit, &name, options(json!({}))).await.expect("started");
    let ended = lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "20s"}))).await.expect("ended");
    assert_eq!((ended.exit_code, ended.oom_killed, ended.error), (7, false, None));
}

#[tokio::test]
async fn waiting_has_an_end() {
    let lab = Lab::open();
    let name = lab.run("long", json!({})).await;
    let late = lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "200ms"}))).await.expect_err("it runs");
    assert_eq!(late.code(), "docker.timeout");
    assert!(late.to_string().contains("took longer than 200ms"), "{late}");
}

#[tokio::test]
async fn health_is_reported_and_old_engines_are_warned_about() {
    let lab = Lab::open();
    let healthcheck = json!({"test": ["CMD", "true"], "interval": "1s", "timeout": "2s", "start_interval": "1s"});
    let created =
        lab.docker.create(&lab.permit, lab.options("ok", json!({"healthcheck": healthcheck}))).await.expect("created");
    let old = lab.docker.version(&lab.permit).await.expect("a version").api_version.as_str() < "1.44";
    assert_eq!(created.warnings.iter().any(|text| text.contains("start_interval")), old, "{:?}", created.warnings);
    let name = lab.name("ok");
    lab.docker.start(&lab.permit, &name, options(json!({}))).await.expect("started");
    let mut health = None;
    for _ in 0..100 {
        health = lab.docker.inspect(&lab.permit, &name).await.expect("inspected").container.health;
        if health.as_deref() == Some("healthy") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(health.as_deref(), Some("healthy"));
    let seen = lab.docker.inspect(&lab.permit, &name).await.expect("inspected");
    assert!(seen.container.status.ends_with("(healthy)") && !seen.health_log.is_empty(), "{}", seen.container.status);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let lab = Lab::open();
    let dry = || options(json!({"dry_run": true}));
    let planned = lab
        .docker
        .create(&lab.permit, lab.options("ghost", json!({"dry_run": true, "environment": {"TOKEN": "s3cret"}})))
        .await
        .expect("a plan");
    assert!(planned.dry_run && planned.id.is_none());
    assert_eq!(planned.plan["Env"], json!(["TOKEN=<hidden>"]));
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", lab.mark)]), "");
    let name = lab.run("real", json!({})).await;
    let started = super::docker(&["inspect", "-f", "{{.State.StartedAt}}", &name]);
    assert!(lab.docker.stop(&lab.permit, &name, options(json!({"dry_run": true}))).await.expect("a plan").changed);
    assert!(lab.docker.restart(&lab.permit, &name, options(json!({"dry_run": true}))).await.expect("a plan").dry_run);
    lab.docker.kill(&lab.permit, &name, options(json!({"dry_run": true}))).await.expect("a plan");
    lab.docker.remove(&lab.permit, &name, options(json!({"dry_run": true, "force": true}))).await.expect("a plan");
    lab.docker.rename(&lab.permit, &name, &lab.name("x"), dry()).await.expect("a plan");
    assert_eq!(super::docker(&["inspect", "-f", "{{.State.StartedAt}}", &name]), started);
}
