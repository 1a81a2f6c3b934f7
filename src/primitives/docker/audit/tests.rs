//! Each rule, over an engine on which everything is right and one on which one thing is wrong.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::facts::{ContainerFacts, ImageFacts};
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// Nothing is wrong with it.
fn good() -> Facts {
    let engine = json!({
        "SecurityOptions": ["name=apparmor", "name=seccomp,profile=/etc/docker/own.json", "name=selinux", "name=rootless"],
        "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {"docker.io": {"Secure": true}}},
        "Driver": "overlay2", "LoggingDriver": "journald", "LiveRestoreEnabled": true, "ExperimentalBuild": false,
        "Plugins": {"Authorization": ["opa"]}, "Swarm": {"LocalNodeState": "inactive"}
    });
    let raw = json!({
        "AppArmorProfile": "docker-default", "ProcessLabel": "system_u:object_r:x", "Image": "sha256:1",
        "Config": {"User": "1000:1000", "Env": ["PATH=/bin", "DB_PASSWORD_FILE=/run/secrets/db"],
            "Healthcheck": {"Test": ["CMD", "true"]}},
        "HostConfig": {"CapAdd": ["NET_BIND_SERVICE"], "NetworkMode": "front", "Memory": 67_108_864, "NanoCpus": 500_000_000,
            "ReadonlyRootfs": true, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}, "PidMode": "",
            "IpcMode": "private", "Devices": [], "UTSMode": "", "SecurityOpt": ["no-new-privileges:true"],
            "CgroupParent": "", "PidsLimit": 100, "UsernsMode": ""},
        "Mounts": [{"Type": "bind", "Source": "/srv/data", "Propagation": "rprivate", "RW": true}],
        "NetworkSettings": {"Ports": {}, "Networks": {"front": {}}}
    });
    let web = ContainerFacts {
        name: "web".into(),
        raw,
        processes: vec!["nginx".into()],
        executions: vec![json!({"ProcessConfig": {"entrypoint": "ls", "user": "1000", "privileged": false}})],
    };
    let image = ImageFacts {
        name: "web:1".into(),
        raw: json!({"Id": "sha256:1", "Created": "2026-01-01T00:00:00Z",
            "Config": {"Env": ["PATH=/bin"], "Healthcheck": {"Test": ["CMD", "true"]}}}),
        history: vec!["COPY . /app".into(), "RUN apt-get update && apt-get install -y nginx".into()],
    };
    Facts {
        now: at("2026-02-01T00:00:00Z"),
        engine,
        networks: vec![json!({"Name": "bridge", "Options": {"com.docker.network.bridge.enable_icc": "false"}})],
        containers: vec![web],
        images: vec![image],
        containers_total: 1,
        containers_running: 1,
        images_used: vec!["sha256:1".into()],
        swarm: Value::Null,
    }
}

fn set(raw: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = raw.pointer_mut(pointer) {
        *place = value;
        return;
    }
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    raw.pointer_mut(parent).expect("its parent")[key] = value;
}

/// What is changed, and the rules that fire then.
type Case = (&'static [&'static str], fn(&mut Facts));

fn in_web(facts: &mut Facts, pointer: &str, value: Value) {
    set(&mut facts.containers[0].raw, pointer, value);
}

fn in_engine(facts: &mut Facts, pointer: &str, value: Value) {
    set(&mut facts.engine, pointer, value);
}

fn swarm(facts: &mut Facts, managers: u32, locks: bool) {
    in_engine(facts, "/Swarm", json!({"LocalNodeState": "active", "Managers": managers, "NodeAddr": "10.0.0.5"}));
    facts.swarm = json!({"Spec": {"EncryptionConfig": {"AutoLockManagers": locks}}});
}

const ENGINE: &[Case] = &[
    (&["2.1", "2.9"], |facts| {
        in_engine(facts, "/SecurityOptions", json!(["name=seccomp,profile=/own.json", "name=apparmor", "name=selinux"]))
    }),
    (&["2.1"], |facts| in_engine(facts, "/SecurityOptions", json!(["name=seccomp,profile=/own.json", "name=userns"]))),
    (&["2.2"], |facts| facts.networks[0]["Options"]["com.docker.network.bridge.enable_icc"] = json!("true")),
    (&["2.5"], |facts| in_engine(facts, "/RegistryConfig/InsecureRegistryCIDRs", json!(["10.0.0.0/8"]))),
    (&["2.5"], |facts| in_engine(facts, "/RegistryConfig/IndexConfigs", json!({"r.example.com": {"Secure": false}}))),
    (&["2.6"], |facts| in_engine(facts, "/Driver", json!("aufs"))),
    (&["2.12"], |facts| in_engine(facts, "/Plugins/Authorization", json!(null))),
    (&["2.13"], |facts| in_engine(facts, "/LoggingDriver", json!("json-file"))),
    (&["2.15"], |facts| in_engine(facts, "/LiveRestoreEnabled", json!(false))),
    (&["2.17"], |facts| in_engine(facts, "/SecurityOptions", json!(["name=seccomp,profile=default", "name=rootless"]))),
    (&["2.18"], |facts| in_engine(facts, "/ExperimentalBuild", json!(true))),
    (&["5.1", "7.2"], |facts| swarm(facts, 3, true)),
    (&["5.1", "7.1", "7.2"], |facts| swarm(facts, 2, true)),
    (&["5.1", "7.2", "7.5"], |facts| swarm(facts, 1, false)),
    (&["7.3"], |facts| facts.networks.push(json!({"Name": "over", "Driver": "overlay", "Options": {}}))),
    (&[], |facts| facts.networks.push(json!({"Name": "over", "Driver": "overlay", "Options": {"encrypted": ""}}))),
];

const IMAGES: &[Case] = &[
    (&["4.1"], |facts| in_web(facts, "/Config/User", json!(""))),
    (&["4.1"], |facts| in_web(facts, "/Config/User", json!("0:0"))),
    (&["4.6"], |facts| set(&mut facts.images[0].raw, "/Config/Healthcheck", json!(null))),
    (&["4.7"], |facts| facts.images[0].history.push("/bin/sh -c apt-get update".into())),
    (&["4.9"], |facts| facts.images[0].history.push("/bin/sh -c #(nop) ADD file:1 in /".into())),
    (&["4.10"], |facts| set(&mut facts.images[0].raw, "/Config/Env", json!(["NPM_TOKEN=abc"]))),
    (&["6.1"], |facts| facts.images_used.clear()),
    (&["6.2"], |facts| facts.containers_total = 60),
];

const RUNTIME: &[Case] = &[
    (&["5.2"], |facts| in_web(facts, "/AppArmorProfile", json!("unconfined"))),
    (&["5.3"], |facts| in_web(facts, "/ProcessLabel", json!(""))),
    (&["5.4"], |facts| in_web(facts, "/HostConfig/CapAdd", json!(["CAP_SYS_ADMIN"]))),
    (&["5.5"], |facts| in_web(facts, "/HostConfig/Privileged", json!(true))),
    (&["5.6"], |facts| in_web(facts, "/Mounts/0/Source", json!("/etc"))),
    (&["5.7"], |facts| facts.containers[0].processes.push("sshd".into())),
    (&["5.8", "5.9"], |facts| ports(facts, "127.0.0.1", "80")),
    (&["5.9"], |facts| ports(facts, "127.0.0.1", "8080")),
    (&["5.9", "5.14"], |facts| ports(facts, "0.0.0.0", "8080")),
    (&["5.10"], |facts| in_web(facts, "/HostConfig/NetworkMode", json!("host"))),
    (&["5.11"], |facts| in_web(facts, "/HostConfig/Memory", json!(0))),
    (&["5.12"], |facts| in_web(facts, "/HostConfig/NanoCpus", json!(0))),
    (&["5.13"], |facts| in_web(facts, "/HostConfig/ReadonlyRootfs", json!(false))),
    (&["5.15"], |facts| in_web(facts, "/HostConfig/RestartPolicy/Name", json!("always"))),
    (&["5.15"], |facts| in_web(facts, "/HostConfig/RestartPolicy/MaximumRetryCount", json!(0))),
    (&[], |facts| in_web(facts, "/HostConfig/RestartPolicy/Name", json!("no"))),
    (&["5.16"], |facts| in_web(facts, "/HostConfig/PidMode", json!("host"))),
    (&["5.17"], |facts| in_web(facts, "/HostConfig/IpcMode", json!("host"))),
    (&["5.18"], |facts| in_web(facts, "/HostConfig/Devices", json!([{"PathOnHost": "/dev/sda"}]))),
    (&["5.19"], |facts| in_web(facts, "/HostConfig/Ulimits", json!([{"Name": "nofile"}]))),
    (&["5.20"], |facts| in_web(facts, "/Mounts/0/Propagation", json!("rshared"))),
    (&["5.21"], |facts| in_web(facts, "/HostConfig/UTSMode", json!("host"))),
    (&["5.22"], |facts| in_web(facts, "/HostConfig/SecurityOpt", json!(["seccomp=unconfined", "no-new-privileges"]))),
    (&["5.23"], |facts| set(&mut facts.containers[0].executions[0], "/ProcessConfig/privileged", json!(true))),
    (&["5.24"], |facts| set(&mut facts.containers[0].executions[0], "/ProcessConfig/user", json!("root"))),
    (&["5.25"], |facts| in_web(facts, "/HostConfig/CgroupParent", json!("/big"))),
    (&["5.26"], |facts| in_web(facts, "/HostConfig/SecurityOpt", json!([]))),
    (&["5.27"], |facts| in_web(facts, "/Config/Healthcheck", json!({"Test": ["NONE"]}))),
    (&["5.28"], |facts| facts.now = at("2026-06-01T00:00:00Z")),
    (&["5.29"], |facts| in_web(facts, "/HostConfig/PidsLimit", json!(null))),
    (&["5.30"], |facts| in_web(facts, "/NetworkSettings/Networks", json!({"bridge": {}}))),
    (&["5.31"], |facts| in_web(facts, "/HostConfig/UsernsMode", json!("host"))),
    (&["5.32"], |facts| {
        in_web(facts, "/Mounts/0", json!({"Type": "bind", "Source": "/var/run/docker.sock", "RW": false}))
    }),
    (&["aegis.1"], |facts| in_web(facts, "/Config/Env", json!(["STRIPE_API_KEY=sk_x"]))),
    (&["aegis.1"], |facts| in_web(facts, "/Config/Env", json!(["DATABASE_URL=postgres://me:pw@db/x"]))),
    (&[], |facts| in_web(facts, "/Config/Env", json!(["TOKEN=", "URL=https://example.com/", "AUTHOR=me"]))),
];

fn ports(facts: &mut Facts, address: &str, port: &str) {
    in_web(facts, "/NetworkSettings/Ports", json!({"80/tcp": [{"HostIp": address, "HostPort": port}], "81/tcp": null}));
}

fn fired(facts: &Facts) -> Vec<&'static str> {
    rules().map(|rule| rule.apply(facts)).filter(|check| check.result != Verdict::Pass).map(|check| check.id).collect()
}

#[test]
fn an_engine_on_which_all_is_right_passes_every_check() {
    assert_eq!(fired(&good()), Vec::<&str>::new());
}

#[test]
fn each_rule_fires_for_what_it_is_about_and_for_nothing_else() {
    let mut tried = BTreeSet::new();
    for (number, (expected, spoil)) in ENGINE.iter().chain(IMAGES).chain(RUNTIME).enumerate() {
        let mut facts = good();
        spoil(&mut facts);
        let found: BTreeSet<&str> = fired(&facts).into_iter().collect();
        assert_eq!(found, expected.iter().copied().collect(), "case {number}");
        tried.extend(expected.iter().copied());
    }
    let all: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(tried, all, "each rule has a case");
    assert_eq!(rules().count(), all.len(), "no id is used twice");
}

#[test]
fn values_of_credentials_never_show() {
    let mut facts = good();
    in_web(&mut facts, "/Config/Env", json!(["PASSWORD=hunter2", "DATABASE_URL=postgres://me:hunter2@db/x"]));
    let shown = serde_json::to_string(&rules().map(|rule| rule.apply(&facts)).collect::<Vec<_>>()).expect("JSON");
    assert!(shown.contains("PASSWORD, DATABASE_URL") && !shown.contains("hunter2"));
}

#[test]
fn a_mounted_socket_says_whether_it_is_writable() {
    for (writable, word) in [(true, "writable"), (false, "read-only")] {
        let mut facts = good();
        let mount = json!({"Type": "bind", "Source": "/var/run/docker.sock", "RW": writable});
        in_web(&mut facts, "/Mounts/0", mount);
        let check = rules().find(|rule| rule.id == "5.32").expect("the rule").apply(&facts);
        assert!(check.objects[0].detail.ends_with(&format!("docker.sock ({word})")), "{check:?}");
        assert_eq!(check.objects[0].name, "web");
    }
}

#[test]
fn sections_and_checks_are_chosen_by_id() {
    assert!(is_of("5.31", "5") && is_of("5.31", "5.31") && !is_of("5.31", "5.3") && is_of("aegis.1", "aegis"));
    assert!(check_ids(&Texts(vec!["5".into(), "2.13".into()])).is_ok());
    assert!(check_ids(&Texts(vec!["5.99".into()])).is_err_and(|error| error.to_string().contains("5.99")));
}
