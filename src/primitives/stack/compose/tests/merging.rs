//! Several files, several documents, extensions, inclusions.

use serde_json::{Value, json};

use super::{shown, shown_of, try_load};

/// The service `web` of two files, one over the other.
fn merged(base: &str, over: &str) -> Value {
    let file = |keys: &str| format!("services:\n  web:\n    image: w\n    {}\n", keys.replace('\n', "\n    "));
    let files = [("compose.yaml", file(base)), ("compose.override.yaml", file(over))];
    let mut shown = shown_of(&files.each_ref().map(|(path, text)| (*path, text.as_str())));
    shown["services"]["web"].take()
}

#[test]
fn each_key_merges_by_its_own_rule() {
    for (base, over, key, result) in [
        ("environment: {A: 1, B: 2}", "environment: [B=3, C=4]", "environment", json!({"A": "1", "B": "3", "C": "4"})),
        ("labels: [a=1]", "labels: {a: 2}", "labels", json!({"a": "2"})),
        ("command: [a, b]", "command: [c]", "command", json!(["c"])),
        ("entrypoint: a", "entrypoint: []", "entrypoint", json!([])),
        (
            "healthcheck: {test: [CMD, a], retries: 3}",
            "healthcheck: {test: [CMD, b]}",
            "healthcheck",
            json!({"test": ["CMD", "b"], "retries": 3}),
        ),
        ("dns: 1.1.1.1", "dns: [1.1.1.1, 8.8.8.8]", "dns", json!(["1.1.1.1", "8.8.8.8"])),
        ("expose: ['80']", "expose: [80, 81]", "expose", json!(["80", "81"])),
        (
            "volumes: ['./a:/x', './b:/y']",
            "volumes: ['./c:/x']",
            "volumes",
            json!([
                {"type": "bind", "source": "/srv/shop/c", "target": "/x", "bind": {"create_host_path": true}},
                {"type": "bind", "source": "/srv/shop/b", "target": "/y", "bind": {"create_host_path": true}},
            ]),
        ),
        (
            "ports: ['80:80']",
            "ports: ['80:80', '81:81']",
            "ports",
            json!([
                {"mode": "ingress", "target": 80, "published": "80", "protocol": "tcp"},
                {"mode": "ingress", "target": 81, "published": "81", "protocol": "tcp"},
            ]),
        ),
    ] {
        assert_eq!(merged(base, over)[key], result, "{base} | {over}");
    }
}

#[test]
fn settings_with_parts_merge_part_by_part() {
    for (base, over, key, result) in [
        (
            "ulimits: {nofile: 1}",
            "ulimits: {nofile: {soft: 2, hard: 3}}",
            "ulimits",
            json!({"nofile": {"soft": 2, "hard": 3}}),
        ),
        (
            "logging: {driver: a, options: {x: 1}}",
            "logging: {driver: b, options: {y: 2}}",
            "logging",
            json!({"driver": "b", "options": {"y": "2"}}),
        ),
        (
            "logging: {driver: a, options: {x: 1}}",
            "logging: {options: {y: 2}}",
            "logging",
            json!({"driver": "a", "options": {"x": "1", "y": "2"}}),
        ),
        (
            "extra_hosts: ['a=1.1.1.1']",
            "extra_hosts: {a: 1.1.1.1, b: 2.2.2.2}",
            "extra_hosts",
            json!(["a=1.1.1.1", "b=2.2.2.2"]),
        ),
        (
            "build: ./x",
            "build: {target: dev}",
            "build",
            json!({"context": "/srv/shop/x", "dockerfile": "Dockerfile", "target": "dev"}),
        ),
        ("cap_add: [A]", "cap_add: [A, B]", "cap_add", json!(["A", "B"])),
        ("environment: {A: 1}", "environment: !reset {}", "environment", Value::Null),
        (
            "ports: ['80:80']",
            "ports: !override ['81:81']",
            "ports",
            json!([
                {"mode": "ingress", "target": 81, "published": "81", "protocol": "tcp"},
            ]),
        ),
        ("hostname: a", "hostname: b", "hostname", json!("b")),
    ] {
        assert_eq!(merged(base, over)[key], result, "{base} | {over}");
    }
}

#[test]
fn documents_of_one_file_merge_too() {
    let shown = shown("services: {web: {image: a}}\n---\nservices: {web: {hostname: h}}\n");
    assert_eq!(shown["services"]["web"]["image"], "a");
    assert_eq!(shown["services"]["web"]["hostname"], "h");
}

#[test]
fn anchors_and_merge_keys_unfold() {
    let shown = shown(
        "x-base: &base {image: a, hostname: h}\nx-more: &more {hostname: i, user: u}\n\
         services:\n  one: {<<: *base, user: me}\n  two: {<<: [*more, *base]}\n",
    );
    let of = |name: &str, key: &str| shown["services"][name][key].clone();
    assert_eq!([of("one", "image"), of("one", "hostname"), of("one", "user")], [json!("a"), json!("h"), json!("me")]);
    assert_eq!([of("two", "image"), of("two", "hostname"), of("two", "user")], [json!("a"), json!("i"), json!("u")]);
}

#[test]
fn services_extend_each_other_and_those_of_other_files() {
    let shown = shown_of(&[
        (
            "compose.yaml",
            "services:\n  web:\n    extends: base\n    environment: {B: 2}\n  base:\n    image: w\n    environment: {A: 1}\n\
             \n  job:\n    extends: {file: sub/common.yaml, service: job}\n    user: me\n",
        ),
        ("sub/common.yaml", "services:\n  job:\n    extends: root\n    volumes: ['./x:/x']\n  root:\n    build: .\n"),
    ]);
    assert_eq!(shown["services"]["web"]["environment"], json!({ "A": "1", "B": "2" }));
    let job = &shown["services"]["job"];
    assert_eq!(job["build"]["context"], "/srv/shop/sub");
    assert_eq!(job["volumes"][0]["source"], "/srv/shop/sub/x");
    assert_eq!(job["user"], "me");
}

#[test]
fn inclusions_have_folders_and_variables_of_their_own() {
    let shown = shown_of(&[
        (
            "compose.yaml",
            "include:\n  - db/compose.yaml\n  - {path: [a.yaml, b.yaml], project_directory: elsewhere, env_file: own.env}\nservices: {web: {image: w, depends_on: [db]}}\n",
        ),
        ("db/compose.yaml", "services: {db: {image: 'db:${TAG}', volumes: ['./d:/d']}}\n"),
        ("db/.env", "TAG=from-db\n"),
        (".env", "OTHER=1\n"),
        ("own.env", "TAG=from-own\n"),
        ("a.yaml", "services: {job: {image: 'job:${TAG}', volumes: ['./d:/d']}}\n"),
        ("b.yaml", "services: {job: {hostname: '${OTHER}'}}\n"),
    ]);
    assert_eq!(shown["services"]["db"]["image"], "db:from-db");
    assert_eq!(shown["services"]["db"]["volumes"][0]["source"], "/srv/shop/db/d");
    assert_eq!(shown["services"]["job"]["image"], "job:from-own");
    assert_eq!(shown["services"]["job"]["hostname"], "1");
    assert_eq!(shown["services"]["job"]["volumes"][0]["source"], "/srv/shop/elsewhere/d");
}

#[test]
fn profiles_choose_services() {
    let text =
        "services:\n  web: {image: w}\n  debug: {image: d, profiles: [debug]}\n  test: {image: t, profiles: [test]}\n";
    let names = |profiles: &[&str]| {
        let chosen = profiles.iter().map(ToString::to_string).collect();
        let loaded = try_load(&[("compose.yaml", text)], |options| options.profiles = chosen).expect("it loads");
        loaded.project.services.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["web"]);
    assert_eq!(names(&["debug"]), ["debug", "web"]);
    assert_eq!(names(&["*"]), ["debug", "test", "web"]);
}
