//! Plans against engines that are played.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Container, DownOptions, Kind, Label, Observed, Options, Plan, Reason, Surrounding, Verb, down, plan};
use crate::primitives::stack::desired::Desired;
use crate::primitives::stack::desired::tests::desired;

const SHOP: &str = "services:\n  web: { image: w, depends_on: { api: { condition: service_started, restart: true } }, networks: [front] }\n\
                    \n  api: { image: a, depends_on: [db], networks: [front, back], environment: { A: 1 } }\n\
                    \n  side: { image: s, network_mode: 'service:api' }\n\
                    \n  db: { image: d, volumes: ['data:/d'], networks: [back] }\n\
                    networks: { front: {}, back: {} }\nvolumes: { data: {} }\n";

/// What an engine has after a plan was carried out on what it had.
fn applied(desired: &Desired, before: &Observed, plan: &Plan) -> Observed {
    let mut after = before.clone();
    for action in &plan.actions {
        match (action.kind, action.verb) {
            (Kind::Image, _) => {
                after.images.insert(action.name.clone(), format!("id of {}", action.name));
            }
            (Kind::Network | Kind::Volume, Verb::Remove) => {
                after.networks.remove(&action.name);
                after.volumes.remove(&action.name);
            }
            (Kind::Network, _) => {
                after.networks.insert(action.name.clone(), surrounding(&desired.networks[&action.name].options));
            }
            (Kind::Volume, _) => {
                after.volumes.insert(action.name.clone(), surrounding(&desired.volumes[&action.name].options));
            }
            (Kind::Container, verb) => {
                let place = after.containers.iter().position(|one| Some(&one.id) == action.id.as_ref());
                match (verb, place) {
                    (Verb::Remove, Some(at)) => drop(after.containers.remove(at)),
                    (Verb::Start | Verb::Restart, Some(at)) => after.containers[at].state = "running".into(),
                    (Verb::Rename, Some(at)) => after.containers[at].name.clone_from(&action.name),
                    (_, at) => {
                        at.map(|at| after.containers.remove(at));
                        let service = action.service.as_deref().expect("a service");
                        after.containers.push(made(desired, service, action.number.expect("a number")));
                    }
                }
            }
            (Kind::Secret | Kind::Config | Kind::Service, _) => panic!("only a swarm has such: {action}"),
        }
    }
    // Images that were fetched are what new containers are made of.
    for one in &mut after.containers {
        if let Some(service) = desired.services.get(&one.service)
            && one.image_id.is_empty()
        {
            one.image_id = after.images.get(&service.image).cloned().unwrap_or_default();
        }
    }
    after
}

fn surrounding(options: &serde_json::Map<String, serde_json::Value>) -> Surrounding {
    Surrounding { labels: serde_json::from_value(options["labels"].clone()).expect("labels") }
}

fn made(desired: &Desired, service: &str, number: u32) -> Container {
    let service = &desired.services[service];
    Container {
        id: format!("{}-{number}-{}", service.name, &service.hash[..8]),
        name: service.container(&desired.project, number),
        service: service.name.clone(),
        number,
        state: "running".into(),
        networks: service.networks.clone(),
        labels: serde_json::from_value(service.options["labels"].clone()).expect("labels"),
        ..Container::default()
    }
}

fn up(desired: &Desired) -> Observed {
    let nothing = Observed::default();
    let first = plan(desired, &nothing, &Options::default());
    applied(desired, &nothing, &first)
}

/// `verb name` of each action on containers.
fn done(plan: &Plan) -> Vec<String> {
    plan.on(Kind::Container).map(|action| format!("{} {}", action.verb.as_str(), action.name)).collect()
}

fn shop(from: &str, to: &str) -> String {
    assert!(SHOP.contains(from), "{from}");
    SHOP.replace(from, to)
}

#[test]
fn a_new_stack_is_made_in_order() {
    let shop = desired(SHOP);
    let first = plan(&shop, &Observed::default(), &Options::default());
    let shown: Vec<String> = first.to_string().lines().map(str::to_owned).collect();
    assert_eq!(
        shown,
        [
            "pull image d: there is none",
            "pull image a: there is none",
            "pull image s: there is none",
            "pull image w: there is none",
            "create network shop_back: there is none",
            "create network shop_front: there is none",
            "create volume shop_data: there is none",
            "create container shop-db-1: there is none",
            "create container shop-api-1: there is none",
            "create container shop-side-1: there is none",
            "create container shop-web-1: there is none",
        ]
    );
    let second = plan(&shop, &up(&shop), &Options::default());
    assert_eq!(second.to_string(), "shop: nothing to do\n");
}

#[test]
fn each_change_makes_anew_exactly_what_must_be() {
    let before = up(&desired(SHOP));
    let web = "image: w,";
    for (change, expected, why) in [
        (
            shop("A: 1", "A: 2"),
            vec!["recreate shop-api-1", "recreate shop-side-1", "restart shop-web-1"],
            "other settings: environment",
        ),
        (shop("'data:/d'", "'data:/e'"), vec!["recreate shop-db-1"], "other settings: volumes"),
        (shop(web, "image: w, command: x,"), vec!["recreate shop-web-1"], "other settings: command"),
        (shop(web, "image: w, labels: { a: b },"), vec!["recreate shop-web-1"], "other settings: service_labels"),
        (shop(web, "image: w, ports: ['80'],"), vec!["recreate shop-web-1"], "other settings: ports"),
        (shop(web, "image: w, scale: 2,"), vec!["create shop-web-2"], "there is none"),
        (shop(web, "image: w, scale: 0,"), vec!["remove shop-web-1"], "none is wanted"),
        (
            shop("front: {}", "front: { internal: true }"),
            vec!["recreate shop-api-1", "recreate shop-side-1", "recreate shop-web-1"],
            "the network shop_front is made anew",
        ),
        (shop("data: {}", "data: { labels: { a: b } }"), vec![], ""),
        (shop("depends_on: [db], ", ""), vec![], ""),
    ] {
        let next = plan(&desired(&change), &before, &Options::default());
        let mut found = done(&next);
        found.sort();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected, "{change}");
        if !why.is_empty() {
            assert!(next.to_string().contains(why), "{change}: {next}");
        }
        let after = applied(&desired(&change), &before, &next);
        let again = plan(&desired(&change), &after, &Options::default());
        assert!(again.is_empty(), "{change}: {again}");
    }
}

#[test]
fn images_networks_and_states_count_too() {
    let shop = desired(SHOP);
    let before = up(&shop);
    let changed = |change: &dyn Fn(&mut Observed)| {
        let mut observed = before.clone();
        change(&mut observed);
        plan(&shop, &observed, &Options::default())
    };
    let of = |observed: &mut Observed, name: &str| {
        observed.containers.iter().position(|one| one.name == name).expect("it is there")
    };
    let image = changed(&|observed| drop(observed.images.insert("w".into(), "another".into())));
    assert_eq!(done(&image), ["recreate shop-web-1"]);
    assert!(image.to_string().contains("w is another image now"), "{image}");
    let detached = changed(&|observed| {
        let at = of(observed, "shop-api-1");
        observed.containers[at].networks.remove("shop_back");
    });
    assert!(detached.to_string().contains("it is not on the network shop_back"), "{detached}");
    let stopped = changed(&|observed| {
        let at = of(observed, "shop-db-1");
        observed.containers[at].state = "exited".into();
    });
    assert_eq!(stopped.to_string(), "start container shop-db-1: it is exited\n");
    let foreign = changed(&|observed| {
        let at = of(observed, "shop-web-1");
        observed.containers[at].labels.remove(Label::OwnHash.key());
    });
    assert!(foreign.to_string().contains("it was not made by Aegis"), "{foreign}");
    let forced = plan(&shop, &before, &Options { force: true, ..Options::default() });
    assert_eq!(done(&forced).len(), 4);
    let only = Options { force: true, services: BTreeSet::from(["api".to_owned()]), ..Options::default() };
    assert_eq!(done(&plan(&shop, &before, &only)), ["recreate shop-db-1", "recreate shop-api-1"]);
}

#[test]
fn work_that_others_wait_for_is_done_once() {
    let text = "services:\n  web: { image: w, depends_on: { job: { condition: service_completed_successfully } } }\n  job: { image: j }\n";
    let stack = desired(text);
    let mut observed = up(&stack);
    let job = observed.containers.iter().position(|one| one.service == "job").expect("it is there");
    (observed.containers[job].state, observed.containers[job].exit_code) = ("exited".into(), Some(0));
    assert!(plan(&stack, &observed, &Options::default()).is_empty());
    observed.containers[job].exit_code = Some(1);
    assert_eq!(done(&plan(&stack, &observed, &Options::default())), ["start shop-job-1"]);
}

#[test]
fn what_an_interruption_left_is_brought_to_its_end() {
    let shop = desired(SHOP);
    let mut observed = up(&shop);
    let web = observed.containers.iter().position(|one| one.service == "web").expect("it is there");
    let mut beside = observed.containers[web].clone();
    (beside.id, beside.name, beside.replaces) = ("new".into(), "shop-web-1.new".into(), Some("old".into()));
    beside.state = "created".into();
    observed.containers.push(beside.clone());
    let both = plan(&shop, &observed, &Options::default());
    assert_eq!(done(&both), ["remove shop-web-1.new"], "the old one is there still, and is what is wanted");
    observed.containers.remove(web);
    let alone = plan(&shop, &observed, &Options::default());
    assert_eq!(done(&alone), ["rename shop-web-1", "start shop-web-1.new"]);
}

#[test]
fn strangers_are_told_of_and_removed_when_asked() {
    let shop = desired(SHOP);
    let mut observed = up(&shop);
    observed.containers.push(Container {
        id: "o".into(),
        name: "shop-old-1".into(),
        service: "old".into(),
        number: 1,
        ..Container::default()
    });
    observed.volumes.insert("shop_data".into(), Surrounding::default());
    let told = plan(&shop, &observed, &Options::default());
    assert!(told.is_empty());
    assert_eq!(told.warnings.len(), 2, "{:?}", told.warnings);
    let asked = Options { remove_orphans: true, ..Options::default() };
    assert_eq!(done(&plan(&shop, &observed, &asked)), ["remove shop-old-1"]);
    let external = desired(
        "services: { a: { image: a, networks: [n], volumes: ['vol:/v'] } }\nnetworks: { n: { external: true } }\nvolumes: { vol: { external: true } }\n",
    );
    let missing = plan(&external, &Observed::default(), &Options::default()).missing;
    assert_eq!(missing, ["the network \"n\", which is external", "the volume \"vol\", which is external"]);
}

#[test]
fn pull_policies_decide_about_images() {
    for (keys, is_there, expected) in [
        ("image: i", false, vec!["pull image i: there is none"]),
        ("image: i", true, vec![]),
        ("image: i, pull_policy: always", true, vec!["pull image i: pull_policy is always"]),
        ("build: .", false, vec!["build image shop-a: there is none"]),
        ("build: ., image: i", true, vec![]),
        ("build: ., image: i, pull_policy: build", true, vec!["build image i: pull_policy is build"]),
        ("image: i, scale: 0", false, vec![]),
    ] {
        let stack = desired(&format!("services: {{ a: {{ {keys} }} }}"));
        let images = if is_there { BTreeMap::from([("i".to_owned(), "1".to_owned())]) } else { BTreeMap::new() };
        let found = plan(&stack, &Observed { images, ..Observed::default() }, &Options::default());
        let shown: Vec<String> = found.on(Kind::Image).map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{keys}");
    }
}

#[test]
fn a_stack_goes_down_dependents_first() {
    let shop = desired(SHOP);
    let observed = up(&shop);
    let gone = down("shop", &observed, &DownOptions::default());
    let names: Vec<&str> = gone.actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(names, ["shop-side-1", "shop-web-1", "shop-api-1", "shop-db-1", "shop_back", "shop_front"]);
    assert!(gone.actions.iter().all(|action| action.reasons == [Reason::Down]));
    assert_eq!(gone.rounds, [2, 1, 1]);
    let all = DownOptions { volumes: true, ..DownOptions::default() };
    assert!(down("shop", &observed, &all).to_string().ends_with("remove volume shop_data: the stack goes down\n"));
    let known = Some(BTreeSet::from(["web".to_owned()]));
    let some = down("shop", &observed, &DownOptions { services: known, ..DownOptions::default() });
    assert_eq!((done(&some).len(), some.warnings.len()), (1, 3));
    assert!(down("other", &observed, &DownOptions { services: Some(BTreeSet::new()), ..all }).is_empty());
}

fn stacks() -> impl Strategy<Value = String> {
    let service = (0_u32..4, prop::bool::ANY, 0_u8..3, prop::option::of(0_usize..4), prop::bool::ANY, prop::bool::ANY);
    prop::collection::vec(service, 1..5).prop_map(|services| {
        let mut text = "services:\n".to_owned();
        for (index, (scale, built, value, need, front, data)) in services.iter().enumerate() {
            let mut keys =
                vec![format!("image: i{value}"), format!("scale: {scale}"), format!("environment: {{ A: {value} }}")];
            keys.extend(built.then(|| "build: .".to_owned()));
            keys.extend(need.filter(|need| *need < index).map(|need| format!("depends_on: [s{need}]")));
            keys.extend(front.then(|| "networks: [front, default]".to_owned()));
            keys.extend(data.then(|| "volumes: ['data:/d']".to_owned()));
            text += &format!("  s{index}: {{ {} }}\n", keys.join(", "));
        }
        let internal = services[0].1;
        text + &format!("networks: {{ front: {{ internal: {internal} }}, default: {{}} }}\nvolumes: {{ data: }}\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// From whatever was up to whatever is wanted: once carried out, there is nothing to do; what is as wanted is not
    /// touched; and the plan does not depend on the order in which the engine lists things.
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(from in stacks(), to in stacks(), remove_orphans: bool) {
        let (old, new) = (desired(&from), desired(&to));
        let before = up(&old);
        let options = Options { remove_orphans, ..Options::default() };
        let found = plan(&new, &before, &options);
        let mut turned = before.clone();
        turned.containers.reverse();
        let other = plan(&new, &turned, &options);
        let set = |plan: &Plan| plan.actions.iter().cloned().collect::<BTreeSet<_>>();
        prop_assert_eq!(set(&other), set(&found));
        let after = applied(&new, &before, &found);
        let again = plan(&new, &after, &options);
        prop_assert!(again.is_empty(), "{}", again);
        for service in new.services.values() {
            let running = after.containers.iter().filter(|one| one.service == service.name).count();
            prop_assert_eq!(running, service.replicas as usize);
        }
        let remade: BTreeSet<&str> = found.on(Kind::Network).map(|action| action.name.as_str()).collect();
        for action in found.on(Kind::Container).filter(|action| action.verb == Verb::Recreate) {
            let service = &new.services[action.service.as_deref().expect("a service")];
            let is_same = old.services.get(&service.name).is_some_and(|one| one.hash == service.hash);
            prop_assert!(!is_same || service.networks.iter().any(|name| remade.contains(name.as_str())), "{}", action);
        }
    }
}
