//! What is planned for which differences.

use serde_json::{Value, json};

use super::desired::Desired;
use super::desired::tests::desired;
use super::plan::{Observed, SeenNetwork, down, plan};
use crate::primitives::docker::{ObjectKind, SwarmObject, SwarmService};
use crate::primitives::stack::plan::{Options, Plan};

const SHOP: &str = "services:
  web: { image: 'web:1', environment: { A: '1' }, networks: [front], secrets: [token], depends_on: [db] }
  db: { image: db, configs: [site] }
networks: { front: }
secrets: { token: { file: ./token } }
configs: { site: { content: one } }
";

/// What the swarm has once a stack is up.
fn observed(desired: &Desired) -> Observed {
    let labels = |value: &Value| serde_json::from_value(value.clone()).expect("labels");
    let mut observed = Observed::default();
    for (name, network) in desired.networks.iter().filter(|(_, network)| !network.external) {
        let id = format!("id of {name}");
        let seen = SeenNetwork { id, is_swarm: true, labels: labels(&network.options["labels"]) };
        observed.networks.insert(name.clone(), seen);
    }
    for ((kind, name), object) in &desired.objects {
        let labels = object.0.as_ref().map(|new| new.labels.clone()).unwrap_or_default();
        let seen = SwarmObject { id: format!("id of {name}"), name: name.clone(), labels };
        observed.objects.insert((*kind, name.clone()), seen);
    }
    for service in desired.services.values() {
        let mut spec = service.spec.clone();
        for network in spec["TaskTemplate"]["Networks"].as_array_mut().into_iter().flatten() {
            network["Target"] = json!(format!("id of {}", network["Target"].as_str().unwrap_or_default()));
        }
        let seen = SwarmService {
            id: format!("id of {}", service.name),
            name: service.name.clone(),
            labels: labels(&spec["Labels"]),
            spec,
            ..SwarmService::default()
        };
        observed.services.insert(service.name.clone(), seen);
    }
    observed
}

/// Its actions, without the digests of names.
fn shown(plan: &Plan) -> Vec<String> {
    let digestless =
        |line: String| match line.split_once('.').filter(|_| line.contains(" secret ") || line.contains(" config ")) {
            Some((head, rest)) => format!("{head}:{}", rest.split_once(':').map_or("", |(_, why)| why)),
            None => line,
        };
    plan.actions.iter().map(|action| digestless(action.to_string())).collect()
}

fn planned(text: &str, observed: &Observed) -> Vec<String> {
    shown(&plan(&desired(text), observed, &Options::default()))
}

#[test]
fn everything_is_made_once_and_then_nothing_is_done() {
    assert_eq!(
        planned(SHOP, &Observed::default()),
        [
            "create network shop_default: there is none",
            "create network shop_front: there is none",
            "create secret shop_token: there is none",
            "create config shop_site: there is none",
            "create service shop_db: there is none",
            "create service shop_web: there is none",
        ]
    );
    assert_eq!(planned(SHOP, &observed(&desired(SHOP))), [""; 0]);
}

#[test]
fn each_change_of_the_files_has_its_actions() {
    for (from, to, expected) in [
        ("A: '1'", "A: '2'", vec!["update service shop_web: other settings: environment"]),
        ("image: 'web:1'", "image: 'web:2'", vec!["update service shop_web: other settings: image"]),
        (
            "image: db,",
            "image: db, deploy: { mode: global },",
            vec!["recreate service shop_db: it is to be global, which a service never becomes"],
        ),
        (
            "content: one",
            "content: two",
            vec![
                "create config shop_site: there is none",
                "update service shop_db: other settings: configs",
                "remove config shop_site: no service uses it any more",
            ],
        ),
        (
            "networks: [front]",
            "networks: [default]",
            vec![
                "update service shop_web: other settings: networks",
                "remove network shop_front: no service uses it any more",
            ],
        ),
        (
            ", secrets: [token]",
            "",
            vec![
                "update service shop_web: other settings: secrets",
                "remove secret shop_token: no service uses it any more",
            ],
        ),
    ] {
        assert!(SHOP.contains(from), "{from}");
        assert_eq!(planned(&SHOP.replace(from, to), &observed(&desired(SHOP))), expected, "{to}");
    }
}

#[test]
fn what_was_changed_by_others_comes_back() {
    let wanted = desired(SHOP);
    let of = |change: &dyn Fn(&mut SwarmService)| {
        let mut seen = observed(&wanted);
        change(seen.services.get_mut("shop_web").expect("it is there"));
        shown(&plan(&wanted, &seen, &Options::default()))
    };
    for (change, expected) in [
        (json!({ "/Mode/Replicated/Replicas": 5 }), "update service shop_web: somebody else changed replicas"),
        (
            json!({ "/TaskTemplate/ContainerSpec/Env": ["A=9"], "/TaskTemplate/ContainerSpec/Image": "web:9" }),
            "update service shop_web: somebody else changed environment, image",
        ),
        (json!({ "/TaskTemplate/ContainerSpec/Image": "web:1@sha256:ab" }), ""),
    ] {
        let apply = |service: &mut SwarmService| {
            for (place, value) in change.as_object().expect("a table") {
                *service.spec.pointer_mut(place).expect("it is there") = value.clone();
            }
        };
        assert_eq!(of(&apply).join("\n"), expected, "{change}");
    }
    let stuck = of(&|service| service.update_state = "rollback_paused".into());
    assert_eq!(stuck, ["update service shop_web: its last update is rollback paused"]);
    let foreign = of(&|service| drop(service.labels.remove("aegis.config-hash")));
    assert_eq!(foreign, ["update service shop_web: it was not made by Aegis"]);
}

#[test]
fn services_that_left_the_files_go_when_that_is_asked() {
    let before = observed(&desired(SHOP));
    let text = "services: { db: { image: db, configs: [site] } }\nconfigs: { site: { content: one } }";
    let kept = plan(&desired(text), &before, &Options::default());
    assert_eq!(shown(&kept), [""; 0], "what it is given stays with it");
    assert!(kept.warnings.iter().any(|one| one.contains("shop_web") && one.contains("remove_orphans")), "{kept:?}");
    let gone = plan(&desired(text), &before, &Options { remove_orphans: true, ..Options::default() });
    assert_eq!(
        shown(&gone),
        [
            "remove service shop_web: the files have no such service",
            "remove network shop_front: no service uses it any more",
            "remove secret shop_token: no service uses it any more",
        ]
    );
    let profiled = SHOP.replace("web: { image", "web: { profiles: [more], image");
    let kept = plan(&desired(&profiled), &before, &Options { remove_orphans: true, ..Options::default() });
    assert_eq!((shown(&kept).len(), kept.warnings.len()), (0, 0), "{kept:?}");
}

#[test]
fn services_that_are_asked_for_come_with_what_they_depend_on() {
    let of = |name: &str, force: bool, observed: &Observed| {
        let options = Options { services: [name.to_owned()].into(), force, ..Options::default() };
        shown(&plan(&desired(SHOP), observed, &options))
    };
    assert_eq!(
        of("db", false, &Observed::default()),
        [
            "create network shop_default: there is none",
            "create config shop_site: there is none",
            "create service shop_db: there is none",
        ]
    );
    assert_eq!(of("web", false, &Observed::default()).len(), 6);
    assert_eq!(of("db", true, &observed(&desired(SHOP))), ["update service shop_db: as asked"]);
}

#[test]
fn what_stands_in_the_way_is_named() {
    let text = "services: { w: { image: w, networks: [n, far, host], secrets: [s] } }\n\
                networks: { n: {}, far: { external: true }, host: { external: true } }\n\
                secrets: { s: { external: true, name: theirs } }";
    let mut seen = Observed::default();
    let local = SeenNetwork { id: "l".into(), is_swarm: false, ..SeenNetwork::default() };
    seen.networks.insert("shop_n".into(), local.clone());
    seen.networks.insert("far".into(), local);
    let missing = plan(&desired(text), &seen, &Options::default()).missing;
    assert_eq!(missing.len(), 3, "{missing:?}");
    for word in ["\"far\" of the swarm", "\"shop_n\" for a network of the swarm", "the secret \"theirs\""] {
        assert!(missing.iter().any(|one| one.contains(word)), "{word}: {missing:?}");
    }
    let mut seen = observed(&desired(SHOP));
    let internal = SHOP.replace("networks: { front: }", "networks: { front: { internal: true } }");
    let warnings = plan(&desired(&internal), &seen, &Options::default()).warnings;
    assert!(warnings.iter().any(|one| one.contains("shop_front has other settings")), "{warnings:?}");
    seen.networks.get_mut("shop_front").expect("it is there").labels.clear();
    let warnings = plan(&desired(SHOP), &seen, &Options::default()).warnings;
    assert!(warnings.iter().any(|one| one.contains("shop_front was not made for this stack")), "{warnings:?}");
}

#[test]
fn down_takes_all_that_bears_the_label_and_nothing_else() {
    let mut seen = observed(&desired(SHOP));
    seen.volumes.insert("shop_data".into());
    let other = SwarmObject { name: "theirs".into(), ..SwarmObject::default() };
    seen.objects.insert((ObjectKind::Secret, "theirs".into()), other);
    seen.networks.insert("ingress".into(), SeenNetwork { is_swarm: true, ..SeenNetwork::default() });
    assert_eq!(
        shown(&down("shop", &seen, false)),
        [
            "remove service shop_db: the stack goes down",
            "remove service shop_web: the stack goes down",
            "remove secret shop_token: the stack goes down",
            "remove config shop_site: the stack goes down",
            "remove network shop_default: the stack goes down",
            "remove network shop_front: the stack goes down",
        ]
    );
    assert_eq!(shown(&down("shop", &seen, true)).len(), 7);
}
