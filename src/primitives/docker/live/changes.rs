//! What a created container is like, as Docker itself says.

use serde_json::{Value, json};

use super::{Lab, docker, options};

#[tokio::test]
async fn options_arrive_at_the_container() {
    let lab = Lab::open();
    let network = lab.name("net");
    let labels = json!({"aegis.test": lab.mark});
    lab.docker.create_network(&lab.permit, &network, options(json!({"labels": labels}))).await.expect("a network");
    let second = lab.name("net2");
    lab.docker.create_network(&lab.permit, &second, options(json!({"labels": labels}))).await.expect("a network");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.env");
    std::fs::write(&file, "FROM_FILE=1\nBOTH=file\n").expect("written");
    let volume = lab.name("data");
    let more = json!({
        "environment": {"A": "b", "BOTH": "table"}, "env_file": file, "user": "1000:1000", "working_dir": "/tmp",
        "ports": ["127.0.0.1::8080", "53/udp"], "expose": [9000],
        "volumes": [
            format!("{volume}:/data:ro"), format!("{}:/host:ro", folder.path().display()),
            {"type": "volume", "source": lab.name("mem"), "target": "/mem",
             "volume": {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, "labels": labels}}
        ],
        "networks": {network.clone(): {"aliases": ["api"]}, second.clone(): null},
        "extra_hosts": {"db": "10.0.0.5"}, "restart": "unless-stopped",
        "cpus": 0.5, "mem_limit": "64m", "mem_reservation": "32m", "memswap_limit": "64m", "pids_limit": 50,
        "logging": {"options": {"max-size": "1m", "max-file": 2}},
        "read_only": true, "cap_drop": ["ALL"], "tmpfs": ["/tmp:size=1m"], "security_opt": ["no-new-privileges"],
        "ulimits": {"nofile": 512}
    });
    let name = lab.run("full", more).await;
    let raw: Value = serde_json::from_str(&docker(&["inspect", &name])).expect("JSON");
    let expect = [
        ("/0/Config/User", json!("1000:1000")),
        ("/0/HostConfig/NanoCpus", json!(500_000_000)),
        ("/0/HostConfig/Memory", json!(64 << 20)),
        ("/0/HostConfig/PidsLimit", json!(50)),
        ("/0/HostConfig/ReadonlyRootfs", json!(true)),
        ("/0/HostConfig/CapDrop", json!(["ALL"])),
        ("/0/HostConfig/LogConfig/Config", json!({"max-size": "1m", "max-file": "2"})),
        ("/0/HostConfig/RestartPolicy/Name", json!("unless-stopped")),
        ("/0/HostConfig/ExtraHosts", json!(["db:10.0.0.5"])),
    ];
    for (pointer, value) in expect {
        assert_eq!(raw.pointer(pointer), Some(&value), "{pointer}");
    }
    let seen = lab.docker.inspect(&lab.permit, &name).await.expect("inspected");
    assert_eq!((seen.limits.cpus, seen.limits.memory_bytes, seen.read_only), (Some(0.5), Some(64 << 20), true));
    assert_eq!(seen.container.networks.len(), 2);
    let aliases: Vec<_> = seen.container.networks.iter().flat_map(|network| &network.aliases).collect();
    assert!(aliases.iter().any(|alias| *alias == "api"), "{aliases:?}");
    let published: Vec<_> = seen.container.ports.iter().filter(|port| port.published.is_some()).collect();
    assert!(
        published.iter().any(|port| port.target == 8080 && port.host_ip.as_deref() == Some("127.0.0.1")),
        "{published:?}"
    );
    assert!(seen.container.mounts.iter().any(|mount| mount.target == "/data" && mount.read_only));
    let env = lab.docker.exec(&lab.permit, &name, options(json!({"command": "env"}))).await.expect("ran").stdout;
    for line in ["A=b", "BOTH=table", "FROM_FILE=1"] {
        assert!(env.lines().any(|own| own == line), "{line} in {env}");
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_before_anything_is_made() {
    let lab = Lab::open();
    let create = |name: &'static str, more: Value| lab.docker.create(&lab.permit, lab.options(name, more));
    let missing = create("a", json!({"networks": [lab.name("none")]})).await.expect_err("no such network");
    assert!(missing.to_string().contains("create it first"), "{missing}");
    let unknown =
        create("a", json!({"image": "aegis-test/nothing:1", "pull_policy": "never"})).await.expect_err("no image");
    assert_eq!(unknown.code(), "docker.not_found");
    create("a", json!({})).await.expect("created");
    let taken = create("a", json!({})).await.expect_err("the name is taken");
    assert_eq!(taken.code(), "docker.conflict");
    let volume = lab.name("v");
    let labels = json!({"aegis.test": lab.mark});
    lab.docker.create_volume(&lab.permit, &volume, options(json!({"labels": labels}))).await.expect("a volume");
    let other = json!({"type": "volume", "source": volume, "target": "/v", "volume": {"driver_opts":
        {"type": "nfs", "o": "addr=10.0.0.5", "device": ":/x"}}});
    let ignored = create("b", json!({"volumes": [other]})).await.expect_err("Docker would ignore the options");
    assert_eq!(ignored.code(), "docker.conflict");
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", lab.name("b"))]), "");
}

#[tokio::test]
async fn a_container_that_cannot_join_its_networks_is_not_left_behind() {
    let lab = Lab::open();
    let (one, two) = (lab.name("n1"), lab.name("n2"));
    let labels = json!({"aegis.test": lab.mark});
    for network in [&one, &two] {
        lab.docker.create_network(&lab.permit, network, options(json!({"labels": labels}))).await.expect("a network");
    }
    let networks = json!({one: {}, two: {"ipv4_address": "203.0.113.7"}});
    let refused = lab.docker.create(&lab.permit, lab.options("half", json!({"networks": networks}))).await;
    assert!(refused.is_err(), "the address is outside of the network");
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", lab.mark)]), "");
}
