//! What services come to in a swarm's terms.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Contents, Desired, Label, Service};
use crate::base::Fault;
use crate::base::limits::SWARM_NAME_BYTES_MAX;
use crate::primitives::docker::ObjectKind;
use crate::primitives::stack::desired::tests::loaded;

const FILES: [(&str, &str); 2] = [("/srv/shop/token", "s3cret"), ("/srv/shop/site.conf", "listen 80")];

fn contents() -> Contents {
    FILES.into_iter().map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).collect()
}

/// What a Compose file of the stack `shop` comes to.
pub(in crate::primitives::stack) fn try_desired(text: &str) -> Result<Desired, Fault> {
    Desired::of(&loaded(text).project, &contents())
}

pub(in crate::primitives::stack) fn desired(text: &str) -> Desired {
    try_desired(text).unwrap_or_else(|fault| panic!("{fault}"))
}

/// A stack whose service `web` has these keys.
fn of_web(keys: &str) -> Desired {
    let indented: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    let extras = "networks: { front: {}, back: { name: outside, external: true }, host: { external: true } }\n\
                  volumes: { data: {}, nfs: { driver: local, driver_opts: { type: nfs } }, old: { external: true } }\n\
                  configs: { site: { file: ./site.conf } }\n\
                  secrets: { token: { file: ./token }, theirs: { external: true } }\n";
    desired(&format!("services:\n  web:\n    image: web:1\n{indented}\n  db: {{ image: db }}\n{extras}"))
}

fn web(keys: &str) -> Service {
    of_web(keys).services.remove("web").expect("it is there")
}

const CONTAINER: &str = "/TaskTemplate/ContainerSpec";
const TASK: &str = "/TaskTemplate";

/// Whether keys of a service come to a value at a place of its container, or of its task.
fn hold<const ROWS: usize>(rows: [(&str, String, Value); ROWS]) {
    for (keys, place, expected) in rows {
        assert_eq!(web(keys).spec.pointer(&place), Some(&expected), "{keys}");
    }
}

#[test]
fn keys_become_what_docker_stack_deploy_makes_of_them() {
    hold([
        ("command: serve --port 80", format!("{CONTAINER}/Args"), json!(["serve", "--port", "80"])),
        ("entrypoint: []", format!("{CONTAINER}/Command"), json!([])),
        ("environment: { B: , A: 1 }", format!("{CONTAINER}/Env"), json!(["A=1", "B"])),
        ("hostname: h", format!("{CONTAINER}/Hostname"), json!("h")),
        ("working_dir: /w", format!("{CONTAINER}/Dir"), json!("/w")),
        ("user: '5'", format!("{CONTAINER}/User"), json!("5")),
        ("group_add: [7]", format!("{CONTAINER}/Groups"), json!(["7"])),
        ("init: true", format!("{CONTAINER}/Init"), json!(true)),
        ("tty: true", format!("{CONTAINER}/TTY"), json!(true)),
        ("stdin_open: true", format!("{CONTAINER}/OpenStdin"), json!(true)),
        ("read_only: true", format!("{CONTAINER}/ReadOnly"), json!(true)),
        ("stop_signal: SIGINT", format!("{CONTAINER}/StopSignal"), json!("SIGINT")),
        ("stop_grace_period: 1s", format!("{CONTAINER}/StopGracePeriod"), json!(1_000_000_000)),
        ("extra_hosts: ['db:10.0.0.1']", format!("{CONTAINER}/Hosts"), json!(["10.0.0.1 db"])),
        ("dns: 1.1.1.1", format!("{CONTAINER}/DNSConfig/Nameservers"), json!(["1.1.1.1"])),
        ("dns_search: x.y", format!("{CONTAINER}/DNSConfig/Search"), json!(["x.y"])),
        ("dns_opt: [rotate]", format!("{CONTAINER}/DNSConfig/Options"), json!(["rotate"])),
        ("cap_add: [NET_ADMIN, all]", format!("{CONTAINER}/CapabilityAdd"), json!(["ALL", "CAP_NET_ADMIN"])),
        ("cap_drop: [CAP_CHOWN]", format!("{CONTAINER}/CapabilityDrop"), json!(["CAP_CHOWN"])),
        ("sysctls: { net.core.somaxconn: 1 }", format!("{CONTAINER}/Sysctls"), json!({ "net.core.somaxconn": "1" })),
        (
            "ulimits: { nofile: 10, nproc: { soft: 1, hard: 2 } }",
            format!("{CONTAINER}/Ulimits"),
            json!([{ "Name": "nofile", "Soft": 10, "Hard": 10 }, { "Name": "nproc", "Soft": 1, "Hard": 2 }]),
        ),
        (
            "healthcheck: { test: 'true', interval: 1s, timeout: 2s, start_period: 3s, retries: 4 }",
            format!("{CONTAINER}/Healthcheck"),
            json!({ "Test": ["CMD-SHELL", "true"], "Interval": 1e9 as u64, "Timeout": 2e9 as u64,
                    "StartPeriod": 3e9 as u64, "Retries": 4 }),
        ),
        ("healthcheck: { disable: true }", format!("{CONTAINER}/Healthcheck"), json!({ "Test": ["NONE"] })),
        ("", format!("{CONTAINER}/Image"), json!("web:1")),
        ("labels: { a: b }", format!("{CONTAINER}/Labels"), json!({ "a": "b", "com.docker.stack.namespace": "shop" })),
        (
            "logging: { driver: json-file, options: { max-size: 1m } }",
            format!("{TASK}/LogDriver"),
            json!({ "Name": "json-file", "Options": { "max-size": "1m" } }),
        ),
    ]);
}

#[test]
fn networks_volumes_and_files_become_what_docker_stack_deploy_makes_of_them() {
    let own = json!({ "com.docker.stack.namespace": "shop" });
    hold([
        (
            "networks: { front: { aliases: [shop] } }",
            format!("{TASK}/Networks"),
            json!([{ "Target": "shop_front", "Aliases": ["shop", "web"] }]),
        ),
        ("networks: [back]", format!("{TASK}/Networks/0/Target"), json!("outside")),
        ("networks: [host]", format!("{TASK}/Networks"), json!([{ "Target": "host" }])),
        ("", format!("{TASK}/Networks"), json!([{ "Target": "shop_default", "Aliases": ["web"] }])),
        (
            "volumes: ['data:/data:ro']",
            format!("{CONTAINER}/Mounts"),
            json!([{ "Type": "volume", "Source": "shop_data", "Target": "/data", "ReadOnly": true,
                     "VolumeOptions": { "Labels": own } }]),
        ),
        (
            "volumes: ['nfs:/n']",
            format!("{CONTAINER}/Mounts/0/VolumeOptions"),
            json!({ "Labels": own, "DriverConfig": { "Name": "local", "Options": { "type": "nfs" } } }),
        ),
        (
            "volumes: ['old:/o', '/scratch']",
            format!("{CONTAINER}/Mounts"),
            json!([{ "Type": "volume", "Source": "old", "Target": "/o" }, { "Type": "volume", "Target": "/scratch" }]),
        ),
        (
            "volumes: ['/etc:/host:ro']",
            format!("{CONTAINER}/Mounts"),
            json!([{ "Type": "bind", "Source": "/etc", "Target": "/host", "ReadOnly": true }]),
        ),
        (
            "tmpfs: ['/run:size=64m,mode=1777']",
            format!("{CONTAINER}/Mounts"),
            json!([{ "Type": "tmpfs", "Target": "/run", "TmpfsOptions": { "SizeBytes": 67_108_864, "Mode": 0o1777 } }]),
        ),
        (
            "configs: [{ source: site, target: /etc/site, uid: '5', mode: 0400 }]",
            format!("{CONTAINER}/Configs/0/File"),
            json!({ "Name": "/etc/site", "UID": "5", "GID": "0", "Mode": 0o400 }),
        ),
        (
            "secrets: [token]",
            format!("{CONTAINER}/Secrets/0/File"),
            json!({ "Name": "token", "UID": "0", "GID": "0", "Mode": 0o444 }),
        ),
        ("secrets: [theirs]", format!("{CONTAINER}/Secrets/0/SecretName"), json!("theirs")),
    ]);
}

#[test]
fn deploy_says_how_many_run_where_and_how_they_are_replaced() {
    for (keys, place, expected) in [
        ("", "/Mode", json!({ "Replicated": { "Replicas": 1 } })),
        ("scale: 2", "/Mode", json!({ "Replicated": { "Replicas": 2 } })),
        ("deploy: { replicas: 3 }", "/Mode", json!({ "Replicated": { "Replicas": 3 } })),
        ("deploy: { mode: global }", "/Mode", json!({ "Global": {} })),
        (
            "deploy: { mode: replicated-job, replicas: 2 }",
            "/Mode",
            json!({ "ReplicatedJob": { "MaxConcurrent": 2, "TotalCompletions": 2 } }),
        ),
        ("deploy: { mode: global-job }", "/Mode", json!({ "GlobalJob": {} })),
        ("deploy: { endpoint_mode: dnsrr }", "/EndpointSpec", json!({ "Mode": "dnsrr" })),
        (
            "ports: ['8080:80', { target: 53, published: 53, protocol: udp, mode: host }]",
            "/EndpointSpec/Ports",
            json!([
                { "Protocol": "udp", "TargetPort": 53, "PublishedPort": 53, "PublishMode": "host" },
                { "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress" },
            ]),
        ),
        (
            "deploy: { update_config: { delay: 1s, monitor: 2s, failure_action: rollback, order: start-first, \
             max_failure_ratio: 0.5 } }",
            "/UpdateConfig",
            json!({ "Parallelism": 1, "Delay": 1e9 as u64, "Monitor": 2e9 as u64, "FailureAction": "rollback",
                    "Order": "start-first", "MaxFailureRatio": 0.5 }),
        ),
        ("deploy: { rollback_config: { parallelism: 0 } }", "/RollbackConfig", json!({ "Parallelism": 0 })),
        (
            "deploy: { restart_policy: { condition: on-failure, delay: 1s, max_attempts: 3, window: 2s } }",
            "/TaskTemplate/RestartPolicy",
            json!({ "Condition": "on-failure", "Delay": 1e9 as u64, "MaxAttempts": 3, "Window": 2e9 as u64 }),
        ),
        ("restart: unless-stopped", "/TaskTemplate/RestartPolicy", json!({ "Condition": "any" })),
        ("restart: 'no'", "/TaskTemplate/RestartPolicy", json!({ "Condition": "none" })),
        (
            "restart: on-failure:3",
            "/TaskTemplate/RestartPolicy",
            json!({ "Condition": "on-failure", "MaxAttempts": 3 }),
        ),
        (
            "deploy: { placement: { constraints: [node.role == manager], preferences: [{ spread: node.labels.zone }], \
             max_replicas_per_node: 2 } }",
            "/TaskTemplate/Placement",
            json!({ "Constraints": ["node.role == manager"], "MaxReplicas": 2,
                    "Preferences": [{ "Spread": { "SpreadDescriptor": "node.labels.zone" } }] }),
        ),
        (
            "platform: linux/arm64",
            "/TaskTemplate/Placement/Platforms",
            json!([{ "OS": "linux", "Architecture": "arm64" }]),
        ),
        (
            "deploy: { resources: { limits: { cpus: '0.1', memory: 64M, pids: 5 }, reservations: { memory: 16M, \
             generic_resources: [{ discrete_resource_spec: { kind: gpu, value: 2 } }] } } }",
            "/TaskTemplate/Resources",
            json!({
                "Limits": { "NanoCPUs": 100_000_000, "MemoryBytes": 67_108_864, "Pids": 5 },
                "Reservations": { "MemoryBytes": 16_777_216,
                    "GenericResources": [{ "DiscreteResourceSpec": { "Kind": "gpu", "Value": 2 } }] },
            }),
        ),
        (
            "mem_limit: 64M\ncpus: 0.5\npids_limit: 5",
            "/TaskTemplate/Resources",
            json!({ "Limits": { "NanoCPUs": 500_000_000, "MemoryBytes": 67_108_864, "Pids": 5 } }),
        ),
    ] {
        assert_eq!(web(keys).spec.pointer(place), Some(&expected), "{keys}");
    }
}

#[test]
fn a_service_bears_the_stack_s_labels_and_a_hash_of_what_it_is() {
    let service = web("deploy: { labels: { a: b } }");
    assert_eq!((service.name.as_str(), service.spec["Name"].as_str()), ("shop_web", Some("shop_web")));
    let labels: BTreeMap<String, String> = serde_json::from_value(service.spec["Labels"].clone()).expect("labels");
    assert_eq!(Label::Namespace.of(&labels), Some("shop"));
    assert_eq!(Label::StackImage.of(&labels), Some("web:1"));
    assert_eq!(Label::OwnHash.of(&labels), Some(service.hash.as_str()));
    assert_eq!(web("deploy: { labels: { a: b } }").hash, service.hash);
    let other = web("deploy: { labels: { a: c } }");
    assert_ne!(other.hash, service.hash);
    let parts = Label::OwnParts.of(&labels).expect("parts");
    assert_eq!(crate::primitives::stack::desired::changed_parts(parts, &other.parts), ["deploy.labels"]);
}

#[test]
fn networks_are_overlays_with_the_settings_of_the_files() {
    let found = of_web("networks: [front, back]").networks;
    assert!(found["outside"].external && found["outside"].options.is_empty());
    let front = &found["shop_front"].options;
    assert_eq!((&front["driver"], &front["labels"]["com.docker.stack.namespace"]), (&json!("overlay"), &json!("shop")));
    assert!(of_web("network_mode: none").networks.contains_key("shop_default"));
    let own = "services: { w: { image: w, networks: [n] } }\nnetworks: { n: { driver_opts: { encrypted: '' }, \
               attachable: true, internal: true } }";
    let options = &desired(own).networks["shop_n"].options;
    assert_eq!(options["driver_opts"], json!({ "encrypted": "" }));
    assert_eq!((&options["attachable"], &options["internal"]), (&json!(true), &json!(true)));
}

#[test]
fn secrets_and_configs_are_called_by_what_they_hold() {
    let names = |of: &Desired| -> Vec<String> {
        of.objects.iter().filter(|(_, one)| one.0.is_some()).map(|((_, name), _)| name.clone()).collect()
    };
    let text = "services: { w: { image: w, secrets: [token], configs: [site] } }\n\
                secrets: { token: { file: ./token } }\nconfigs: { site: { content: one } }";
    let (first, again) = (desired(text), desired(text));
    assert_eq!(names(&first), names(&again));
    let other = desired(&text.replace("content: one", "content: two"));
    assert_eq!(names(&first)[0], names(&other)[0]);
    assert_ne!(names(&first)[1], names(&other)[1]);
    assert!(names(&first)[0].starts_with("shop_token.") && names(&first)[1].starts_with("shop_site."), "{first:?}");
    assert_ne!(names(&first), names(&desired(&text.replace("content: one", "content: one, labels: { a: b }"))));
    let secret = &first.objects[&(ObjectKind::Secret, names(&first)[0].clone())].0;
    assert_eq!(secret.as_ref().map(|one| one.content.as_slice()), Some(b"s3cret".as_slice()));
    assert!(!format!("{first:?}").contains("s3cret"), "nothing prints it");
    let key = "k".repeat(SWARM_NAME_BYTES_MAX);
    let long =
        format!("services: {{ w: {{ image: w, secrets: [{key}] }} }}\nsecrets: {{ {key}: {{ file: ./token }} }}");
    assert_eq!(names(&desired(&long))[0].len(), SWARM_NAME_BYTES_MAX);
}

#[test]
fn what_a_swarm_does_not_do_is_told_by_service_and_key() {
    for (keys, word) in [
        ("build: .", "build: the image must be in a registry"),
        ("container_name: c", "container_name"),
        ("depends_on: [db]", "depends_on: services start in any order"),
        ("privileged: true", "privileged: say cap_add"),
        ("network_mode: host", "network_mode: it is on the stack's own network"),
        ("devices: [/dev/null]", "devices"),
        ("links: [db]", "links: services of a network find each other"),
        ("pid: host", "pid"),
        ("ipc: host", "ipc"),
        ("security_opt: [no-new-privileges]", "security_opt"),
        ("shm_size: 1m", "shm_size: mount a tmpfs"),
        ("mac_address: 02:00:00:00:00:01", "mac_address"),
        ("expose: [80]", "expose"),
        ("pull_policy: always", "pull_policy"),
        ("domainname: d", "domainname"),
        ("userns_mode: host", "userns_mode"),
        ("cpuset: '0'", "cpuset"),
        ("cpu_shares: 5", "cpu_shares"),
        ("memswap_limit: 64m", "memswap_limit"),
        ("oom_score_adj: 5", "oom_score_adj"),
        ("runtime: other", "runtime"),
        ("annotations: { a: b }", "annotations"),
        ("storage_opt: { size: 1G }", "storage_opt"),
        ("healthcheck: { test: 'true', start_interval: 1s }", "healthcheck.start_interval"),
        ("networks: { front: { ipv4_address: 10.0.0.5 } }", "networks.front.ipv4_address"),
        ("ports: ['127.0.0.1:80:80']", "on every address, not on 127.0.0.1 alone"),
        ("ports: [{ target: 80, published: '8000-8010' }]", "instead of one of 8000-8010"),
        ("tmpfs: ['/t:uid=5']", "uid=5 of tmpfs /t"),
        ("volumes: ['./x:/x:z']", "volumes.bind.selinux"),
        ("deploy: { mode: global, replicas: 2 }", "each node has one"),
    ] {
        let warnings = of_web(keys).warnings;
        let is_told = warnings.iter().any(|one| one.starts_with("services.web: ") && one.contains(word));
        assert!(is_told, "{keys}: {warnings:?}");
    }
    assert_eq!(of_web("environment: { A: b }\nnetworks: [front]\nports: ['80:80']").warnings, [""; 0]);
}

#[test]
fn what_no_swarm_could_run_is_refused_with_its_remedy() {
    let one = |keys: &str, more: &str| format!("services: {{ web: {{ {keys} }} }}\n{more}");
    for (text, code, word) in [
        (one("build: .", ""), "swarm.unsupported", "has no image"),
        (one("image: w, deploy: { mode: swarm }", ""), "swarm.unsupported", "\"swarm\""),
        (one("image: w, deploy: { replicas: 1001 }", ""), "stack.too_large", "1001 replicas"),
        (one("image: w, volumes: [{ type: npipe, source: a, target: b }]", ""), "swarm.unsupported", "\"npipe\""),
        (one("image: w, networks: [n]", "networks: { n: { driver: bridge } }"), "swarm.unsupported", "\"bridge\""),
        (one("image: w, secrets: [s]", "secrets: { s: { environment: NOT_SET } }"), "stack.variable", "NOT_SET"),
        (one("image: w, secrets: [s]", "secrets: { s: { file: ./other } }"), "stack.file", "/srv/shop/other"),
    ] {
        let fault = try_desired(&text).expect_err("it is refused");
        assert_eq!(fault.code, code, "{text}: {fault}");
        assert!(fault.message.contains(word) && fault.hint.is_some(), "{text}: {fault:?}");
    }
}

#[test]
fn a_spec_is_empty_where_nothing_is_said() {
    let spec = web("").spec;
    let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(keys(&spec), ["Labels", "Mode", "Name", "TaskTemplate"]);
    assert_eq!(keys(&spec["TaskTemplate"]), ["ContainerSpec", "Networks"]);
    assert_eq!(keys(&spec["TaskTemplate"]["ContainerSpec"]), ["Image", "Labels"]);
}
