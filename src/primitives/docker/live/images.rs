//! Images and pulls.

use serde_json::json;

use super::super::PullProgress;
use super::{IMAGE, Lab, docker, options};
use crate::base::Fault;

#[tokio::test]
async fn policies_decide_whether_the_registry_is_asked() {
    let lab = Lab::open();
    let pull = |policy: &str| lab.docker.pull(&lab.permit, IMAGE, options(json!({"policy": policy})), |_| {});
    for policy in ["missing", "if_not_present", "never"] {
        let kept = pull(policy).await.expect("it is there");
        assert!(!kept.pulled && kept.id.is_some_and(|id| id.starts_with("sha256:")), "{policy}");
    }
    let absent = "127.0.0.1:1/aegis/none:1";
    let dry = options(json!({"policy": "missing", "dry_run": true}));
    let plan = lab.docker.pull(&lab.permit, absent, dry, |_| {}).await.expect("a plan");
    assert!(plan.pulled && plan.id.is_none());
    let never = lab.docker.pull(&lab.permit, absent, options(json!({"policy": "never"})), |_| {}).await;
    assert_eq!(never.expect_err("forbidden").code(), "docker.not_found");
    let failed = lab.docker.pull(&lab.permit, absent, options(json!({})), |_: PullProgress| {}).await;
    let fault = Fault::from(failed.expect_err("no registry there"));
    assert_eq!(fault.code, "docker.pull_failed");
    assert!(fault.message.contains(absent) && fault.hint.is_some(), "{}", fault.message);
}

#[tokio::test]
async fn images_are_tagged_listed_and_removed() {
    let lab = Lab::open();
    let backup = format!("{}/web:backup", lab.mark);
    lab.docker.tag(&lab.permit, IMAGE, &backup, options(json!({"dry_run": true}))).await.expect("a plan");
    assert_eq!(docker(&["image", "ls", "-q", &backup]), "");
    assert!(lab.docker.tag(&lab.permit, IMAGE, &backup, options(json!({}))).await.expect("tagged").changed);
    let listed = lab.docker.images(&lab.permit, options(json!({"names": [format!("{}/*", lab.mark)]}))).await;
    let listed = listed.expect("a list");
    assert!(listed[0].tags.contains(&backup) && listed[0].size_bytes > 0);
    let removed = lab.docker.remove_image(&lab.permit, &backup, options(json!({}))).await.expect("removed");
    assert_eq!(removed.details["untagged"], json!([backup]));
    assert!(!docker(&["image", "ls", "-q", IMAGE]).is_empty(), "the other name stays");
}
