//! The audit, over the real engine.

use serde_json::json;

use super::super::{AuditCheck, Verdict};
use super::{Lab, docker, options};

#[tokio::test]
async fn an_audit_finds_what_is_wrong_with_real_containers() {
    let lab = Lab::open();
    let loose = lab
        .run(
            "loose",
            json!({"environment": {"API_TOKEN": "hunter2"}, "ports": ["8080"],
            "volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/s", "read_only": true}]}),
        )
        .await;
    let tight = lab
        .run(
            "tight",
            json!({"user": "1000:1000", "mem_limit": "32MiB", "cpus": 0.5, "pids_limit": 50, "read_only": true,
            "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "network_mode": "none",
            "healthcheck": {"test": ["CMD", "true"]}, "restart": "on-failure:5"}),
        )
        .await;
    // The engine tells of what is executed now, and forgets what has ended.
    docker(&["exec", "-d", "-u", "0", &loose, "sleep", "600"]);
    let only = json!({"containers": [format!("{}-*", lab.mark)]});
    let audit = lab.docker.audit(&lab.permit, options(only)).await.expect("an audit");
    assert_eq!((audit.containers, audit.warnings.len()), (2, 0));
    assert_eq!(audit.pass + audit.warn + audit.info, audit.checks.len());
    let of = |name: &str| -> Vec<&str> {
        let about = |check: &&AuditCheck| check.objects.iter().any(|object| object.name == name);
        audit.checks.iter().filter(about).map(|check| check.id).collect()
    };
    let found = of(&loose);
    for id in ["4.1", "5.9", "5.11", "5.12", "5.13", "5.14", "5.24", "5.26", "5.27", "5.29", "5.30", "5.32", "aegis.1"]
    {
        assert!(found.contains(&id), "{id} is not in {found:?}");
    }
    // Whether profiles are in use is the host's business.
    let left: Vec<&str> = of(&tight).into_iter().filter(|id| !matches!(*id, "5.2" | "5.3" | "5.28")).collect();
    assert_eq!(left, Vec::<&str>::new());
    assert!(!serde_json::to_string(&audit).expect("JSON").contains("hunter2"));
    let live_restore = audit.checks.iter().find(|check| check.id == "2.15").expect("the check");
    assert!(live_restore.result == Verdict::Warn && live_restore.objects[0].name == "engine", "{live_restore:?}");
}

#[tokio::test]
async fn an_audit_of_one_section_asks_only_that() {
    let lab = Lab::open();
    let only = json!({"checks": ["5.11"], "containers": [lab.name("none")]});
    let audit = lab.docker.audit(&lab.permit, options(only)).await.expect("an audit");
    assert_eq!((audit.checks.len(), audit.checks[0].id, audit.pass), (1, "5.11", 1));
    let wrong = lab.docker.audit(&lab.permit, options(json!({"checks": ["9.9"]}))).await.expect_err("no such check");
    assert_eq!(wrong.code(), "docker.invalid");
}
