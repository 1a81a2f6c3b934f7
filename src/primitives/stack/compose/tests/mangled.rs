//! Whatever the bytes, loading ends with a stack or a problem, and never with a panic.

use proptest::prelude::*;

use super::{super::load, Memory, Options};

/// A file with something of everything in it.
const WHOLE: &str = "name: shop
x-base: &base
  restart: always
  logging: {driver: json-file, options: {max-size: '10m'}}
include: [{path: other.yaml}]
services:
  web:
    <<: *base
    build: {context: ., args: [A=1, B], ssh: [default], secrets: [key]}
    command: sh -c 'echo ${NAME:-x ${OTHER:+y}}'
    ports: ['127.0.0.1:8000-8002:80-82/udp', 443, {target: 1, published: '2'}]
    volumes: ['data:/data:ro', './x:/x', {type: tmpfs, target: /t, tmpfs: {size: 64m}}]
    environment: {A: 1, B: , C: 1.5}
    env_file: [{path: a.env, required: false}]
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {test: curl x, interval: 30s, retries: 3}
    deploy: {replicas: 2, resources: {limits: {cpus: '0.5', memory: 64M}}}
    networks: {front: {aliases: [w]}}
    extra_hosts: ['a:1.2.3.4']
    ulimits: {nofile: {soft: 1, hard: 2}}
    secrets: [key]
  db: {image: 'db:1', extends: {service: base, file: other.yaml}, devices: ['/dev/a:/dev/b']}
networks: {front: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}
volumes: {data: !override {driver: local, driver_opts: {o: bind, device: ./d}}}
secrets: {key: {file: ./key}}
---
services: {web: {ports: !reset []}}
";

const OTHER: &str = "services:\n  base: {image: b, ports: ['1:1']}\n";
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "\n  ",
    "&a ",
    "*a",
    "<<: ",
    "!reset ",
    "!override ",
    "${",
    "$",
    "'",
    "\"",
    "null",
    "0",
    "-1",
    "1e9",
    "\t",
    "|\n",
    "? ",
    "---\n",
    "services",
    "é",
    "\u{0}",
    "extends: web",
    "*base",
];

fn run(text: &[u8]) {
    let files = [("/p/compose.yaml", text), ("/p/other.yaml", OTHER.as_bytes()), ("/p/.env", text)];
    let memory = Memory(files.iter().take(2).map(|(path, text)| ((*path).into(), text.to_vec())).collect());
    let options = Options { folder: "/p".into(), ..Options::default() };
    if let Ok(loaded) = load(&memory, &options) {
        loaded.project.to_json().expect("JSON");
    }
    let memory = Memory(files.iter().skip(1).map(|(path, text)| ((*path).into(), text.to_vec())).collect());
    let named = Options { files: vec!["/p/other.yaml".into()], ..options };
    let _ = load(&memory, &named);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_and_patched_files_never_panic(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..30, 0..TOKENS.len()), 1..6),
    ) {
        let mut text = WHOLE.as_bytes().to_vec();
        for (at, length, token) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, TOKENS[token].bytes());
        }
        run(&text);
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        run(&bytes);
    }

    #[test]
    fn values_of_any_type_never_panic(line in 0_usize..30, value in prop::sample::select(vec![
        "1", "-1", "1.5", "true", "null", "~", "''", "a", "[]", "[1]", "[a, a]", "[[]]", "[{}]", "{}", "{a: 1}",
        "{a: [b]}", "99999999999999999999", ".nan", "!!binary x", "*base",
    ])) {
        let lines: Vec<String> = WHOLE.lines().enumerate().map(|(index, text)| match text.split_once(": ") {
            Some((key, _)) if index == line => format!("{key}: {value}"),
            _ => text.to_owned(),
        }).collect();
        run((lines.join("\n") + "\n").as_bytes());
    }
}
