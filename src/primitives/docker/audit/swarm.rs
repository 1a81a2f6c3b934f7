//! Sections 5.1 and 7: a swarm, where there is one.

use super::facts::Facts;
use super::rule::{AuditObject, Rule, Verdict, engine, flag, number, text};

const SWARM: Rule = Rule {
    id: "",
    section: "Docker swarm",
    title: "",
    level: 1,
    fires: Verdict::Warn,
    find: |_| Vec::new(),
    remedy: "",
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "5.1",
        title: "Ensure swarm mode is not enabled, if not needed",
        find: |facts| engine(is_active(facts), "this engine is part of a swarm"),
        remedy: "leave the swarm (docker swarm leave) if nothing is deployed through it",
        ..SWARM
    },
    Rule {
        id: "7.1",
        title: "Ensure that the minimum number of manager nodes have been created in a swarm",
        find: |facts| {
            let managers = number(&facts.engine, "/Swarm/Managers");
            let detail = format!("there are {managers} managers, of which each can do everything");
            engine(is_active(facts) && managers > 1 && managers % 2 == 0, detail)
        },
        remedy: "use an odd number of managers, and no more than the failures that are to be survived need",
        ..SWARM
    },
    Rule {
        id: "7.2",
        title: "Ensure that swarm services are bound to a specific host interface",
        fires: Verdict::Info,
        find: |facts| {
            let address = text(&facts.engine, "/Swarm/NodeAddr");
            engine(
                is_active(facts),
                format!("the node is known as {address:?}; the API does not tell where it listens"),
            )
        },
        remedy: "see with `ss -ltn` that port 2377 is not on every address; set it with --listen-addr",
        ..SWARM
    },
    Rule {
        id: "7.3",
        title: "Ensure that all Docker swarm overlay networks are encrypted",
        find: |facts| {
            let plain = facts.networks.iter().filter(|network| {
                let encrypted = network.get("Options").and_then(|options| options.get("encrypted"));
                text(network, "/Driver") == "overlay" && encrypted.is_none()
            });
            let object = |network| AuditObject {
                name: text(network, "/Name").to_owned(),
                detail: "its traffic between hosts is plain".to_owned(),
            };
            plain.map(object).collect()
        },
        remedy: "make the network anew with driver_opts = { encrypted = \"\" }",
        ..SWARM
    },
    Rule {
        id: "7.5",
        title: "Ensure that swarm manager is run in auto-lock mode",
        find: |facts| {
            let locks = flag(&facts.swarm, "/Spec/EncryptionConfig/AutoLockManagers");
            engine(is_active(facts) && !facts.swarm.is_null() && !locks, "keys lie on the disk of the managers")
        },
        remedy: "docker swarm update --autolock=true, and keep the key that it prints",
        ..SWARM
    },
];

fn is_active(facts: &Facts) -> bool {
    text(&facts.engine, "/Swarm/LocalNodeState") == "active"
}
