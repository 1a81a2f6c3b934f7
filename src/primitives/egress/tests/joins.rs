//! What scripts may do to networks of executions. Needs Docker, nftables and CAP_NET_ADMIN.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::live::Bed;
use crate::base::RunId;
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::docker::testing::{docker, options};
use crate::primitives::egress::{Attempt, Mode, Request};
use crate::primitives::permit::{self, DockerPermit};

/// As a job has it that runs executions and nothing else.
fn script(run: RunId) -> DockerPermit {
    let names = vec!["aegis-exec-*".to_owned()];
    let docker = Some(DockerGrant::Named(BTreeMap::from([(Access::Write, names)])));
    permit::docker(&Grants { docker, ..Grants::default() }, Access::Write, None).expect("granted").of_run(run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_puts_its_executions_on_its_own_way_out_and_on_nothing_else() {
    let (bed, own, other) = (Bed::new(), RunId::generate(), RunId::generate());
    let (egress, names, engine) = (bed.daemon(), vec!["api.test".to_owned()], &bed.lab.docker);
    let grants = Grants { egress: names.clone(), ..Grants::default() };
    let out = permit::egress(&grants, &names).expect("granted");
    let request = Request { mode: Mode::Allow, names: names.clone() };
    let mine =
        egress.open(&out, &script(own), &request, (Attempt { run: own, number: 1 }, None)).await.expect("opened");
    let theirs = bed.open(&egress, other, &names).await;
    let theirs_id = docker(&["network", "inspect", &theirs.network, "--format", "{{.Id}}"]);
    let name = format!("aegis-exec-{}-1", mine.id);
    let asked = |more: Value| {
        let mut all = json!({ "name": name, "labels": mine.labels, "dns": [mine.gateway.to_string()] });
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            all[key] = value;
        }
        bed.lab.options("in", all)
    };
    for more in [
        json!({}),
        json!({ "network_mode": "bridge" }),
        json!({ "networks": ["bridge"] }),
        json!({ "networks": [theirs.network] }),
        json!({ "networks": [theirs_id] }),
        json!({ "networks": [mine.network, theirs.network] }),
        json!({ "networks": [mine.network], "labels": theirs.labels }),
        json!({ "networks": [mine.network], "labels": {} }),
        json!({ "networks": [mine.network], "dns": [] }),
        json!({ "networks": [mine.network], "dns": ["8.8.8.8"] }),
    ] {
        let refused = engine.create(&script(own), asked(more.clone())).await.expect_err("no way out of its own");
        assert_eq!(refused.code(), "permission.denied", "{more}");
    }
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={name}")]), "");

    let created = engine.create(&script(own), asked(json!({ "networks": [mine.network] }))).await.expect("created");
    // By its id, which another network of the same name does not have.
    let mine_id = docker(&["network", "inspect", &mine.network, "--format", "{{.Id}}"]);
    assert_eq!(created.plan["HostConfig"]["NetworkMode"], json!(mine_id));
    engine.start(&script(own), &name, options(json!({}))).await.expect("started");
    let said = bed.says(&name, "nslookup api.test").await;
    assert!(said.contains("Address: 127.0.0.1"), "{said}");
    let joined =
        docker(&["inspect", &name, "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"]);
    assert_eq!(joined, mine.network);
    for network in ["bridge", &theirs.network, &theirs_id] {
        let refused = engine.connect_network(&script(own), network, &name, options(json!({}))).await;
        assert_eq!(refused.expect_err("no way out of its own").code(), "permission.denied", "{network}");
    }

    // Its network in another shape, or another's, is not for it to make or take away.
    let made = engine.create_network(&script(own), "aegis-exec-open", options(json!({}))).await;
    assert_eq!(made.expect_err("the daemon makes them").code(), "permission.denied");
    let removed = engine.remove_network(&script(own), &theirs.network, options(json!({}))).await;
    assert_eq!(removed.expect_err("another's").code(), "permission.denied");
    engine.remove(&script(own), &name, options(json!({ "force": true }))).await.expect("removed");
    egress.close(&script(own), own, &mine.id).await.expect("closed");
}
