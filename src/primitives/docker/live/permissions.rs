//! The grants of a script hold, whatever name it uses.

use serde_json::json;

use super::{Lab, options};
use crate::base::Fault;
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::permit;

fn granted(levels: &[(Access, &str)]) -> permit::DockerPermit {
    let levels = levels.iter().map(|(level, pattern)| (*level, vec![(*pattern).to_owned()])).collect();
    let grants = Grants { docker: Some(DockerGrant::Named(levels)), ..Grants::default() };
    permit::docker(&grants, Access::Read, None).expect("a permit")
}

#[tokio::test]
async fn patterns_hold_for_ids_too() {
    let lab = Lab::open();
    let (own, other) = (lab.run("web-1", json!({})).await, lab.run("db", json!({})).await);
    let id = lab.docker.inspect(&lab.permit, &other).await.expect("inspected").container.id;
    let pattern = lab.name("web-*");
    let permit = granted(&[(Access::Write, &pattern)]);
    for reference in [other.as_str(), &id, &id[..12], &format!("/{other}")] {
        let denied = lab.docker.stop(&permit, reference, options(json!({}))).await.expect_err("not its own");
        let fault = Fault::from(denied);
        assert_eq!(fault.code, "permission.denied");
        assert!(fault.hint.is_some_and(|hint| hint.contains(&other)), "the line names the container");
        assert!(lab.docker.logs(&permit, reference, options(json!({}))).await.is_err());
    }
    let listed = lab.docker.list(&permit, options(json!({}))).await.expect("a list");
    assert_eq!(listed.iter().map(|container| &container.name).collect::<Vec<_>>(), [&own]);
    assert_eq!(lab.docker.stats_all(&permit).await.expect("stats").len(), 1);
    lab.docker.stop(&permit, &own, options(json!({"timeout": 0}))).await.expect("its own");
    let stolen = lab.docker.rename(&permit, &own, &lab.name("db2"), options(json!({}))).await;
    assert_eq!(stolen.expect_err("outside of the pattern").code(), "permission.denied");
    let eternal = lab.docker.update(&permit, &other, options(json!({"restart": "always"}))).await;
    assert_eq!(eternal.expect_err("not its own").code(), "permission.denied");
}

#[tokio::test]
async fn admin_is_asked_for_what_reaches_the_host() {
    let lab = Lab::open();
    let write = granted(&[(Access::Write, "*")]);
    let name = lab.run("plain", json!({})).await;
    let exec = lab.docker.exec(&write, &name, options(json!({"command": "true"}))).await.expect_err("exec");
    assert_eq!(exec.code(), "permission.denied");
    let mounted = lab.docker.create(&write, lab.options("root", json!({"volumes": ["/:/host"]}))).await;
    let fault = Fault::from(mounted.expect_err("the host's root"));
    assert!(fault.message.contains("a path of the host in volumes"), "{}", fault.message);
    let volume = options(json!({"driver_opts": {"type": "none", "o": "bind", "device": "/"}}));
    assert!(lab.docker.create_volume(&write, &lab.name("v"), volume).await.is_err());
    let root = json!({"type": "none", "o": "bind", "device": "/"});
    let volume = options(json!({"driver": "", "driver_opts": root.clone()}));
    let refused = lab.docker.create_volume(&write, &lab.name("v"), volume).await;
    assert_eq!(refused.expect_err("the same by another name").code(), "permission.denied");
    let inline = json!({"type": "volume", "source": lab.name("v"), "target": "/host",
        "volume": {"driver": "", "driver_opts": root}});
    assert!(lab.docker.create(&write, lab.options("inline", json!({"volumes": [inline]}))).await.is_err());
    let host = lab.docker.network(&lab.permit, "host").await.expect("every engine has it");
    for name in ["host", &host.id, &host.id[..12]] {
        let refused = lab.docker.create(&write, lab.options("hostnet", json!({"networks": [name]}))).await;
        assert_eq!(refused.expect_err("the host's network").code(), "permission.denied", "{name}");
    }
    let lan = options(json!({"driver": "macvlan", "driver_opts": {"parent": "eth0"}}));
    assert!(lab.docker.create_network(&write, &lab.name("lan"), lan).await.is_err());
    let prune =
        lab.docker.prune(&write, super::super::PruneTarget::Containers, options(json!({"dry_run": true}))).await;
    assert_eq!(prune.expect_err("prune").code(), "permission.denied");
    lab.docker.create(&write, lab.options("modest", json!({"read_only": true}))).await.expect("created");
}

#[tokio::test]
async fn secrets_in_the_environment_are_for_admins() {
    let lab = Lab::open();
    let name = lab.create("env", json!({"environment": {"TOKEN": "hunter2hunter2"}})).await;
    let seen = lab.docker.inspect(&granted(&[(Access::Read, "*")]), &name).await.expect("inspected");
    assert!(seen.environment.contains(&"TOKEN".to_owned()));
    assert!(!serde_json::to_string(&seen).expect("JSON").contains("hunter2"));
    let admin = lab.docker.inspect(&lab.permit, &name).await.expect("inspected");
    assert!(admin.raw.to_string().contains("TOKEN=hunter2hunter2"));
}
