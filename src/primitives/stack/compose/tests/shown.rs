//! Short syntaxes, defaults and values, as they are shown.

use serde_json::json;

use super::{shown, web};

#[test]
fn a_small_stack_is_completed() {
    let shown = shown(
        "services:\n  web:\n    build: ./web\n    depends_on: [db]\n  db:\n    image: db:1\nvolumes: {unused: {}}\n",
    );
    assert_eq!(
        shown,
        json!({
            "name": "shop",
            "services": {
                "db": { "command": null, "entrypoint": null, "image": "db:1", "networks": { "default": null } },
                "web": {
                    "build": { "context": "/srv/shop/web", "dockerfile": "Dockerfile" },
                    "command": null,
                    "entrypoint": null,
                    "depends_on": { "db": { "condition": "service_started", "required": true } },
                    "networks": { "default": null },
                },
            },
            "networks": { "default": { "name": "shop_default", "ipam": {} } },
        })
    );
}

#[test]
fn ports_are_long() {
    let web =
        web("ports: ['8000-8001:80-81', '127.0.0.1:53:53/udp', 9000, {target: 443, published: 8443, mode: host}]");
    assert_eq!(
        web["ports"],
        json!([
            { "mode": "ingress", "target": 80, "published": "8000", "protocol": "tcp" },
            { "mode": "ingress", "target": 81, "published": "8001", "protocol": "tcp" },
            { "mode": "ingress", "host_ip": "127.0.0.1", "target": 53, "published": "53", "protocol": "udp" },
            { "mode": "ingress", "target": 9000, "protocol": "tcp" },
            { "mode": "host", "target": 443, "published": "8443", "protocol": "tcp" },
        ])
    );
}

#[test]
fn mounts_are_long() {
    let web = web(
        "volumes: ['data:/data:ro', './x:/x/', '~/y:/y', /anonymous, {type: tmpfs, target: /t, tmpfs: {size: 64m}}]",
    );
    assert_eq!(
        web["volumes"],
        json!([
            { "type": "volume", "source": "data", "target": "/data", "read_only": true, "volume": {} },
            { "type": "bind", "source": "/srv/shop/x", "target": "/x", "bind": { "create_host_path": true } },
            { "type": "bind", "source": "/home/ops/y", "target": "/y", "bind": { "create_host_path": true } },
            { "type": "volume", "target": "/anonymous", "volume": {} },
            { "type": "tmpfs", "target": "/t", "tmpfs": { "size": "67108864" } },
        ])
    );
}

#[test]
fn every_way_of_writing_ends_in_one_form() {
    for (keys, key, result) in [
        ("command: sh -c 'a b'", "command", json!(["sh", "-c", "a b"])),
        ("command: []", "command", json!([])),
        ("entrypoint: [a, b]", "entrypoint", json!(["a", "b"])),
        (
            "environment: {A: 1, B: true, C: 1.50, D: '', E: }",
            "environment",
            json!({"A": "1", "B": "true", "C": "1.5", "D": "", "E": null}),
        ),
        ("environment: [A=1, B=x=y, C]", "environment", json!({"A": "1", "B": "x=y", "C": null})),
        ("labels: [a=1, b]", "labels", json!({"a": "1", "b": ""})),
        ("extra_hosts: ['a:1.2.3.4', 'b=::1', 'c=[::2]']", "extra_hosts", json!(["a=1.2.3.4", "b=::1", "c=::2"])),
        ("extra_hosts: {a: 1.2.3.4}", "extra_hosts", json!(["a=1.2.3.4"])),
        ("dns: 1.1.1.1", "dns", json!(["1.1.1.1"])),
        ("tmpfs: /run", "tmpfs", json!(["/run"])),
        ("expose: [80, '81']", "expose", json!(["80", "81"])),
        ("mem_limit: 1g", "mem_limit", json!("1073741824")),
        ("cpus: '0.5'", "cpus", json!(0.5)),
        ("cpus: 2", "cpus", json!(2)),
        ("scale: 0", "scale", json!(0)),
        ("init: false", "init", json!(false)),
        ("privileged: 'yes'", "privileged", json!(true)),
        ("stop_grace_period: 90s", "stop_grace_period", json!("1m30s")),
        (
            "ulimits: {nproc: 65535, nofile: {soft: 1, hard: 2}}",
            "ulimits",
            json!({"nproc": 65535, "nofile": {"soft": 1, "hard": 2}}),
        ),
        (
            "devices: ['/dev/a', '/dev/b:/dev/c:r']",
            "devices",
            json!([
                {"source": "/dev/a", "target": "/dev/a", "permissions": "rwm"},
                {"source": "/dev/b", "target": "/dev/c", "permissions": "r"},
            ]),
        ),
    ] {
        assert_eq!(web(keys)[key], result, "{keys}");
    }
}

#[test]
fn what_has_parts_is_shown_in_its_long_form() {
    for (keys, key, result) in [
        ("networks: [front, back]", "networks", json!({"front": null, "back": null})),
        (
            "networks: {front: {aliases: [w], ipv4_address: 10.0.0.5, priority: 1}}",
            "networks",
            json!({"front": {"aliases": ["w"], "ipv4_address": "10.0.0.5", "priority": 1}}),
        ),
        ("configs: [site]", "configs", json!([{"source": "site"}])),
        (
            "secrets: [key, {source: key, target: other, mode: 0440}]",
            "secrets",
            json!([
                {"source": "key", "target": "/run/secrets/key"}, {"source": "key", "target": "other", "mode": 288},
            ]),
        ),
        (
            "healthcheck: {test: curl x, interval: 1m, retries: 3, start_period: 500ms}",
            "healthcheck",
            json!({"test": ["CMD-SHELL", "curl x"], "interval": "1m0s", "retries": 3, "start_period": "500ms"}),
        ),
        (
            "logging: {driver: json-file, options: {max-size: 10m, max-file: 3}}",
            "logging",
            json!({"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}),
        ),
        (
            "deploy: {replicas: 2, resources: {limits: {cpus: '0.50', memory: 50M}}}",
            "deploy",
            json!({"replicas": 2, "resources": {"limits": {"cpus": 0.5, "memory": "52428800"}}, "placement": {}}),
        ),
        ("gpus: all", "gpus", json!([{"count": -1}])),
        ("pull_policy: if_not_present", "pull_policy", json!("missing")),
        ("sysctls: {net.core.somaxconn: 1024}", "sysctls", json!({"net.core.somaxconn": "1024"})),
        (
            "blkio_config: {weight: 300, device_read_bps: [{path: /dev/sda, rate: 12mb}]}",
            "blkio_config",
            json!({"weight": 300, "device_read_bps": [{"Path": "/dev/sda", "Rate": "12582912"}]}),
        ),
        ("command: echo $$HOME", "command", json!(["echo", "$$HOME"])),
    ] {
        assert_eq!(web(keys)[key], result, "{keys}");
    }
}

#[test]
fn resources_are_named_and_external_ones_keep_their_name() {
    let shown = shown(
        "services:\n  web:\n    image: w\n    networks: [own, theirs, old]\n    volumes: ['data:/d']\n\
         networks:\n  own:\n    ipam: {config: [{subnet: 10.1.0.0/24}]}\n  theirs: {external: true}\n  old: {external: {name: older}}\n\
         volumes:\n  data: {driver: local, driver_opts: {type: none, o: bind, device: ./d}}\n",
    );
    assert_eq!(
        shown["networks"],
        json!({
            "own": { "name": "shop_own", "ipam": { "config": [{ "subnet": "10.1.0.0/24" }] } },
            "theirs": { "name": "theirs", "ipam": {}, "external": true },
            "old": { "name": "older", "ipam": {}, "external": true },
        })
    );
    let options = json!({ "type": "none", "o": "bind", "device": "/srv/shop/d" });
    assert_eq!(shown["volumes"]["data"], json!({ "name": "shop_data", "driver": "local", "driver_opts": options }));
}

#[test]
fn links_and_namespaces_imply_dependencies() {
    let shown = shown(
        "services:\n  a:\n    image: a\n    links: ['b:bee']\n    pid: service:c\n    volumes_from: ['d:ro']\n\
         \n  b: {image: b}\n  c: {image: c}\n  d: {image: d}\n",
    );
    let implied = |restart: bool| {
        let mut dependency = json!({ "condition": "service_started", "required": true });
        if restart {
            dependency["restart"] = json!(true);
        }
        dependency
    };
    let depends_on = json!({ "b": implied(true), "c": implied(true), "d": implied(false) });
    assert_eq!(shown["services"]["a"]["depends_on"], depends_on);
}

#[test]
fn extensions_are_kept_at_the_top_and_not_shown_below() {
    let shown = shown("x-top: {a: 1}\nservices:\n  web:\n    image: w\n    x-own: 1\n");
    assert_eq!(shown["x-top"], json!({ "a": 1 }));
    assert!(shown["services"]["web"].get("x-own").is_none());
}
