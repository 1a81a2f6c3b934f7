//! What services come to in the engine's terms.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Condition, Desired, Label, Service, changed_parts};
use crate::base::Fault;
use crate::primitives::docker::CreateOptions;
use crate::primitives::stack::compose::{Entry, FileProblem, Files, Loaded, Options, load};

struct One(String);

impl Files for One {
    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, FileProblem> {
        if path == "/srv/shop/compose.yaml" { Ok(self.0.clone().into_bytes()) } else { Err(FileProblem::Missing) }
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        (path == "/srv/shop/compose.yaml").then_some(Entry::File)
    }
}

/// A Compose file of the stack `shop`.
pub(in crate::primitives::stack) fn loaded(text: &str) -> Loaded {
    let options = Options { folder: "/srv/shop".into(), name: Some("shop".into()), ..Options::default() };
    load(&One(text.to_owned()), &options).unwrap_or_else(|problem| panic!("{problem}"))
}

/// What it comes to.
pub(in crate::primitives::stack) fn try_desired(text: &str) -> Result<Desired, Fault> {
    let loaded = loaded(text);
    Desired::of(&loaded.project, &loaded.files)
}

pub(in crate::primitives::stack) fn desired(text: &str) -> Desired {
    try_desired(text).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The service `web` with these keys.
fn web(keys: &str) -> Service {
    let indented: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    let extras = "networks: { front: {}, back: { name: outside, external: true } }\nvolumes: { data: {} }\n\
                  configs: { site: { file: ./site.conf } }\nsecrets: { key: { file: ./key } }\n";
    desired(&format!("services:\n  web:\n    image: web:1\n{indented}\n  db: {{ image: db }}\n{extras}"))
        .services
        .remove("web")
        .expect("it is there")
}

fn option(keys: &str, name: &str) -> Value {
    web(keys).options.get(name).cloned().unwrap_or_default()
}

#[test]
fn keys_become_options_under_the_names_of_the_engine_s_service() {
    for (keys, name, expected) in [
        ("command: serve --port 80", "command", json!(["serve", "--port", "80"])),
        ("entrypoint: []", "entrypoint", json!([])),
        ("environment: { A: 1, B: }", "environment", json!({ "A": "1" })),
        (
            "ports: ['127.0.0.1:8080:80/udp']",
            "ports",
            json!([{ "target": 80, "published": "8080", "host_ip": "127.0.0.1", "protocol": "udp" }]),
        ),
        (
            "volumes: ['data:/d:ro', './x:/x']",
            "volumes",
            json!([{ "type": "volume", "source": "shop_data", "target": "/d", "read_only": true }, "/srv/shop/x:/x:rw"]),
        ),
        ("volumes: ['/scratch']", "volumes", json!([{ "type": "volume", "target": "/scratch", "read_only": false }])),
        (
            "volumes: [{ type: tmpfs, target: /t, tmpfs: { size: 1m, mode: 1023 } }]",
            "volumes",
            json!([{ "type": "tmpfs", "target": "/t", "read_only": false, "tmpfs": { "size": 1_048_576, "mode": 1777 } }]),
        ),
        (
            "volumes: [{ type: bind, source: ./x, target: /x, bind: { create_host_path: false } }]",
            "volumes",
            json!([{ "type": "bind", "source": "/srv/shop/x", "target": "/x", "read_only": false,
                "bind": { "propagation": null, "non_recursive": false } }]),
        ),
        (
            "secrets: [key]\nconfigs: [{ source: site, target: /etc/site }]",
            "volumes",
            json!([
                { "type": "bind", "source": "/srv/shop/site.conf", "target": "/etc/site", "read_only": true },
                { "type": "bind", "source": "/srv/shop/key", "target": "/run/secrets/key", "read_only": true },
            ]),
        ),
        (
            "healthcheck: { test: curl -f x, interval: 1m30s, retries: 2 }",
            "healthcheck",
            json!({ "test": ["CMD-SHELL", "curl -f x"], "interval": 90.0, "retries": 2 }),
        ),
        ("healthcheck: { disable: true }", "healthcheck", json!({ "disable": true })),
        ("restart: unless-stopped", "restart", json!("unless-stopped")),
        ("deploy: { restart_policy: { condition: on-failure, max_attempts: 3 } }", "restart", json!("on-failure:3")),
        ("deploy: { restart_policy: { condition: any } }", "restart", json!("always")),
        ("deploy: { resources: { limits: { cpus: '0.1', memory: 64m, pids: 9 } } }", "cpus", json!(0.1)),
        ("deploy: { resources: { limits: { memory: 64m } } }", "mem_limit", json!(64 << 20)),
        (
            "ulimits: { nofile: { soft: 1, hard: 2 }, nproc: 3 }",
            "ulimits",
            json!({ "nofile": { "soft": 1, "hard": 2 }, "nproc": 3 }),
        ),
        ("extra_hosts: ['a=10.0.0.1']", "extra_hosts", json!(["a:10.0.0.1"])),
        ("stop_grace_period: 30s", "stop_grace_period", json!(30.0)),
        ("network_mode: service:db", "network_mode", json!("service:db")),
        (
            "deploy: { resources: { reservations: { devices: [{ driver: nvidia, count: all, capabilities: [gpu] }] } } }",
            "device_requests",
            json!([{ "driver": "nvidia", "count": -1, "capabilities": ["gpu"] }]),
        ),
        ("gpus: [{ count: 2 }]", "device_requests", json!([{ "count": 2, "capabilities": ["gpu"] }])),
        ("devices: ['/dev/a:/dev/b']", "devices", json!(["/dev/a:/dev/b:rwm"])),
    ] {
        assert_eq!(option(keys, name), expected, "{keys}");
    }
}

#[test]
fn networks_come_by_priority_under_their_names_on_the_engine() {
    let service = web("networks: { front: { aliases: [shop] }, back: { priority: 5, ipv4_address: 10.0.0.9 } }");
    let networks = service.options["networks"].as_array().expect("a list").clone();
    let names: Vec<&str> = networks.iter().filter_map(|network| network["name"].as_str()).collect();
    assert_eq!(names, ["outside", "shop_front"]);
    assert_eq!(networks[0]["ipv4_address"], "10.0.0.9");
    assert_eq!(networks[1]["aliases"], json!(["web", "shop"]));
}

/// Whatever the model comes to is what the service of Docker takes.
#[test]
fn options_are_read_by_the_service_of_docker() {
    for keys in [
        "ports: ['80', '127.0.0.1:1:2']\nexpose: ['90']\nvolumes: ['data:/d', '/s', './x:/x:ro,Z']\ntmpfs: [/tmp]\nread_only: true",
        "networks: { front: { aliases: [a], link_local_ips: [169.254.1.1], mac_address: '02:42:ac:11:00:02', driver_opts: { a: b } } }",
        "healthcheck: { test: [CMD, 'true'], interval: 1s, timeout: 1s, start_period: 1s, start_interval: 1s, retries: 1 }",
        "logging: { driver: json-file, options: { max-size: 10m } }\nlabels: { a: b }\nannotations: { c: d }",
        "cpus: 1.5\ncpu_shares: 9\ncpu_period: 1000\ncpu_quota: 1000\ncpuset: '0'\nmem_limit: 64m\nmem_reservation: 32m\nmemswap_limit: 128m\nshm_size: 64m\npids_limit: 10\nmem_swappiness: 10\noom_kill_disable: true\noom_score_adj: 5",
        "cap_add: [A]\ncap_drop: [B]\nprivileged: true\nsecurity_opt: ['no-new-privileges:true']\nsysctls: { a: b }\ndevices: ['/dev/a']\ndevice_cgroup_rules: ['c 1:3 r']\nstorage_opt: { size: 1g }\nipc: host\npid: host\nuts: host\nuserns_mode: host\ncgroup: host\ncgroup_parent: x",
        "user: me\nworking_dir: /w\nhostname: h\ndomainname: d\nstop_signal: SIGINT\ninit: true\ntty: true\nstdin_open: true\ngroup_add: [1]\ndns: 1.1.1.1\ndns_search: a\ndns_opt: [b]\nruntime: runc\nplatform: linux/amd64\nvolumes_from: [db]",
    ] {
        let options = Value::Object(web(keys).options);
        let read = serde_json::from_value::<CreateOptions>(options.clone());
        assert!(read.is_ok(), "{keys}: {read:?}: {options}");
    }
}

#[test]
fn labels_let_compose_see_it() {
    let service = web("depends_on: { db: { condition: service_healthy, restart: true } }\nlabels: { own: x }");
    let labels: BTreeMap<String, String> = serde_json::from_value(service.options["labels"].clone()).expect("labels");
    let of = |label: Label| label.of(&labels).unwrap_or_else(|| panic!("no {}", label.key()));
    assert_eq!([of(Label::Project), of(Label::Service), of(Label::OneOff)], ["shop", "web", "False"]);
    assert_eq!(of(Label::DependsOn), "db:service_healthy:true");
    assert_eq!([of(Label::WorkingDir), of(Label::ConfigFiles)], ["/srv/shop", "/srv/shop/compose.yaml"]);
    assert_eq!([of(Label::ConfigHash), of(Label::OwnHash)], [service.hash.as_str(), service.hash.as_str()]);
    assert_eq!(labels["own"], "x");
}

#[test]
fn the_hash_follows_what_a_container_is_made_of() {
    let plain = web("");
    assert_eq!(plain.hash, web("").hash);
    for same in ["depends_on: [db]", "deploy: { replicas: 3 }", "pull_policy: always", "build: ."] {
        assert_eq!(plain.hash, web(same).hash, "{same}");
    }
    for (keys, part) in [
        ("environment: { A: 1 }", "environment"),
        ("labels: { a: b }", "service_labels"),
        ("command: x", "command"),
        ("ports: ['80']", "ports"),
        ("volumes: ['data:/d']", "volumes"),
        ("networks: [front]", "networks"),
        ("mem_limit: 64m", "mem_limit"),
        ("user: me", "user"),
    ] {
        let other = web(keys);
        assert_ne!(plain.hash, other.hash, "{keys}");
        let labels = super::labels::parts_text(&plain.parts);
        assert_eq!(changed_parts(&labels, &other.parts), [part], "{keys}");
        let back = super::labels::parts_text(&other.parts);
        assert_eq!(changed_parts(&back, &plain.parts), [part], "{keys}, taken away");
    }
}

#[test]
fn services_wait_and_share() {
    let text = "services:\n  web: { image: w, depends_on: { job: { condition: service_completed_successfully }, db: { condition: service_healthy, required: false } } }\n\
                \n  job: { image: j, network_mode: 'service:db' }\n  db: { image: d }\n";
    let desired = desired(text);
    let web = &desired.services["web"];
    assert_eq!(web.needs["job"].condition, Condition::Completed);
    assert_eq!((web.needs["db"].condition, web.needs["db"].required), (Condition::Healthy, false));
    assert_eq!(desired.services["job"].shares.iter().collect::<Vec<_>>(), ["db"]);
    assert_eq!(desired.waits()["job"].iter().copied().collect::<Vec<_>>(), ["db"]);
}

#[test]
fn what_cannot_be_done_is_refused_and_what_has_no_effect_is_told() {
    for (text, code, word) in [
        ("services: { a: { image: a, scale: 2000 } }", "stack.too_large", "2000 replicas"),
        (
            "services: { a: { image: a, configs: [c] } }\nconfigs: { c: { external: true } }",
            "stack.unsupported",
            "kept by a swarm",
        ),
        (
            "services: { a: { image: a, secrets: [s] } }\nsecrets: { s: { environment: NOT_SET } }",
            "stack.variable",
            "NOT_SET",
        ),
        (
            "services: { a: { image: a, volumes: [{ type: npipe, source: /a, target: /b }] } }",
            "stack.unsupported",
            "npipe",
        ),
    ] {
        let fault = try_desired(text).expect_err(text);
        assert_eq!(fault.code, code, "{text}: {fault}");
        assert!(fault.message.contains(word) && fault.hint.is_some(), "{text}: {fault}");
    }
    let desired = desired("services: { a: { image: a, links: [b], blkio_config: { weight: 9 } }, b: { image: b } }");
    assert_eq!(desired.warnings, ["services.a: nothing acts on blkio_config", "services.a: nothing acts on links"]);
}

#[test]
fn networks_and_volumes_have_compose_s_labels_and_a_hash_of_their_own() {
    let text = |more: &str| {
        format!(
            "services: {{ a: {{ image: a, networks: [n], volumes: ['vol:/v'] }} }}\nnetworks: {{ n: {{ {more} }} }}\nvolumes: {{ vol: }}\n"
        )
    };
    let plain = desired(&text(""));
    let network = &plain.networks["shop_n"];
    assert_eq!(network.options["labels"]["com.docker.compose.network"], "n");
    assert_eq!(plain.volumes["shop_vol"].options["labels"]["com.docker.compose.volume"], "vol");
    assert_eq!(plain.volumes["shop_vol"].options["labels"]["com.docker.compose.project"], "shop");
    for other in
        ["internal: true", "labels: { a: b }", "driver_opts: { a: b }", "ipam: { config: [{ subnet: 10.9.0.0/24 }] }"]
    {
        assert_ne!(network.hash, desired(&text(other)).networks["shop_n"].hash, "{other}");
    }
    let external = desired(&text("name: outside, external: true"));
    assert!(external.networks["outside"].external);
}

#[test]
fn configs_and_secrets_that_are_no_files_are_put_into_containers() {
    let text = |content: &str| {
        format!(
            "services: {{ a: {{ image: a, configs: [{{ source: c, target: /etc/c, mode: 0400, uid: '7' }}] }} }}\n\
             configs: {{ c: {{ content: '{content}' }} }}"
        )
    };
    let (one, other) = (desired(&text("one")), desired(&text("other")));
    let file = &one.services["a"].files[0];
    assert_eq!(
        (file.path.as_str(), file.content.as_slice(), file.mode, file.uid),
        ("/etc/c", b"one".as_slice(), 0o400, 7)
    );
    assert!(one.services["a"].options.get("files").is_none());
    let labels = super::labels::parts_text(&one.services["a"].parts);
    assert_eq!(changed_parts(&labels, &other.services["a"].parts), ["files"]);
}
