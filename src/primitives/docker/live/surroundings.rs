//! Networks, volumes, and the engine itself.

use serde_json::json;

use super::super::PruneTarget;
use super::{Lab, docker, options};

#[tokio::test]
async fn networks_come_and_go() {
    let lab = Lab::open();
    let (docker, permit) = (&lab.docker, &lab.permit);
    let name = lab.name("net");
    let settings = json!({"subnet": "10.213.77.0/24", "internal": true, "labels": {"aegis.test": lab.mark}});
    let mut dry = settings.clone();
    dry["dry_run"] = json!(true);
    docker.create_network(permit, &name, options(dry)).await.expect("a plan");
    assert_eq!(docker.network(permit, &name).await.expect_err("not made").code(), "docker.not_found");
    docker.create_network(permit, &name, options(settings.clone())).await.expect("made");
    let twice = docker.create_network(permit, &name, options(settings)).await.expect_err("made before");
    assert_eq!(twice.code(), "docker.conflict");
    let container = lab.run("member", json!({})).await;
    let joined = docker.connect_network(permit, &name, &container, options(json!({"aliases": ["db"]}))).await;
    assert!(joined.expect("joined").changed);
    let again = docker.connect_network(permit, &name, &container, options(json!({}))).await.expect("on it already");
    assert!(!again.changed);
    let seen = docker.network(permit, &name).await.expect("inspected");
    assert!(seen.internal && seen.containers[&container].starts_with("10.213.77."));
    let busy = docker.remove_network(permit, &name, options(json!({}))).await.expect_err("in use");
    assert!(busy.to_string().contains(&name), "{busy}");
    docker.disconnect_network(permit, &name, &container, options(json!({}))).await.expect("left");
    docker.remove_network(permit, &name, options(json!({}))).await.expect("removed");
    let left = docker.networks(permit, options(json!({"names": [name]}))).await.expect("a list");
    assert!(left.is_empty());
}

#[tokio::test]
async fn volumes_come_and_go() {
    let lab = Lab::open();
    let (docker, permit) = (&lab.docker, &lab.permit);
    let name = lab.name("vol");
    let settings = json!({"labels": {"aegis.test": lab.mark}, "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}});
    assert!(docker.create_volume(permit, &name, options(settings.clone())).await.expect("made").changed);
    assert!(!docker.create_volume(permit, &name, options(settings)).await.expect("there").changed);
    let other = docker.create_volume(permit, &name, options(json!({}))).await.expect_err("other options");
    assert_eq!(other.code(), "docker.conflict");
    assert_eq!(docker.volume(permit, &name).await.expect("inspected").options["type"], "tmpfs");
    docker.remove_volume(permit, &name, options(json!({"dry_run": true}))).await.expect("a plan");
    docker.remove_volume(permit, &name, options(json!({}))).await.expect("removed");
    assert!(docker.volumes(permit, options(json!({"names": [name]}))).await.expect("a list").is_empty());
}

#[tokio::test]
async fn pruning_takes_what_it_showed_and_nothing_else() {
    let lab = Lab::open();
    let running = lab.run("up", json!({})).await;
    let (stopped, kept) = (lab.create("down", json!({})).await, lab.create("keep", json!({})).await);
    let label = format!("aegis.test={}", lab.mark);
    let prune = |dry: bool| {
        let settings = options(json!({"labels": [label], "keep": [kept], "dry_run": dry}));
        lab.docker.prune(&lab.permit, PruneTarget::Containers, settings)
    };
    let planned = prune(true).await.expect("a plan");
    assert_eq!(planned.removed.iter().map(|removed| &removed.name).collect::<Vec<_>>(), [&stopped]);
    let done = prune(false).await.expect("pruned");
    assert_eq!(done.removed, planned.removed);
    let left = lab.docker.list(&lab.permit, options(json!({"labels": [label]}))).await.expect("a list");
    let mut left: Vec<_> = left.into_iter().map(|container| container.name).collect();
    left.sort();
    assert_eq!(left, [kept, running]);

    let volume = lab.name("named");
    let labels = json!({"labels": {"aegis.test": lab.mark}});
    lab.docker.create_volume(&lab.permit, &volume, options(labels)).await.expect("a volume");
    let guarded = options(json!({"labels": [label]}));
    let none = lab.docker.prune(&lab.permit, PruneTarget::Volumes, guarded).await.expect("pruned");
    assert!(none.removed.is_empty(), "named volumes need all = true");
    let all = options(json!({"labels": [label], "all": true}));
    let one = lab.docker.prune(&lab.permit, PruneTarget::Volumes, all).await.expect("pruned");
    assert_eq!(one.removed[0].name, volume);
}

#[tokio::test]
async fn the_engine_tells_of_itself() {
    let lab = Lab::open();
    let version = lab.docker.version(&lab.permit).await.expect("a version");
    assert_eq!(version.version, docker(&["version", "-f", "{{.Server.Version}}"]));
    let info = lab.docker.info(&lab.permit).await.expect("info");
    assert!(info.cpus > 0 && info.memory_bytes > 0 && !info.storage_driver.is_empty());
    let usage = lab.docker.disk_usage(&lab.permit).await.expect("usage");
    assert!(usage.images.count > 0 && usage.total_bytes > 0, "{usage:?}");
    let health = lab.docker.health().await;
    assert!(matches!(health.state, super::super::HealthState::Up { .. }), "{health:?}");
}
