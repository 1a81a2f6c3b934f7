//! What cannot be broken on a real engine, or not quickly; the rest is tried on one.

use serde_json::{Value, json};

use super::facts::{Facts, HostPort, Taken};
use super::*;

fn facts(raw: Value) -> Facts {
    Facts { name: "web".into(), raw, image: Some(json!({})), ..Facts::default() }
}

fn codes(facts: &Facts) -> Vec<&'static str> {
    rules::examine(facts).into_iter().map(|finding| finding.code).collect()
}

#[test]
fn a_container_that_runs_or_did_its_work_has_no_findings() {
    let running = json!({"State": {"Status": "running", "Running": true}});
    assert_eq!(codes(&facts(running)), Vec::<&str>::new());
    let done = json!({"State": {"Status": "exited", "ExitCode": 0, "FinishedAt": "2026-01-01T00:00:00Z"}});
    let done = facts(done);
    assert_eq!(codes(&done), Vec::<&str>::new());
    assert!(done.calm().contains("did its work"));
}

#[test]
fn a_port_is_held_where_addresses_meet() {
    let port =
        |address: &str, port, protocol: &str| HostPort { protocol: protocol.into(), address: address.into(), port };
    let mine = port("127.0.0.1", 80, "tcp");
    for other in [port("0.0.0.0", 80, "tcp"), port("", 80, "tcp"), port("::", 80, "tcp"), port("127.0.0.1", 80, "tcp")]
    {
        assert!(mine.collides(&other), "{other}");
    }
    for other in [port("10.0.0.1", 80, "tcp"), port("0.0.0.0", 81, "tcp"), port("0.0.0.0", 80, "udp")] {
        assert!(!mine.collides(&other), "{other}");
    }
}

#[test]
fn a_port_that_a_program_of_the_host_holds_names_it() {
    let raw = json!({"State": {"Status": "created", "ExitCode": 128, "Error": "listen tcp4 0.0.0.0:8080: bind: address already in use"},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}});
    let mut held = facts(raw);
    assert!(rules::examine(&held)[0].message.contains("ss -ltnup"));
    let listener = |process: &str| Listening {
        protocol: "tcp".into(),
        address: "0.0.0.0".into(),
        port: 8_080,
        process: Some(process.to_owned()),
    };
    held.listening = vec![listener("nginx")];
    assert!(rules::examine(&held)[0].message.contains("the program \"nginx\""));
    held.taken = vec![Taken {
        port: HostPort { protocol: "tcp".into(), address: "0.0.0.0".into(), port: 8_080 },
        holder: "the container \"front\"".into(),
    }];
    let found = rules::examine(&held);
    assert_eq!((found.len(), found[0].code), (1, "port_taken"));
    assert!(found[0].message.contains("the container \"front\"") && found[0].remedy.contains("8080"));
}

#[test]
fn a_network_of_the_same_name_is_another_network() {
    let raw = json!({"State": {"Status": "exited"}, "NetworkSettings": {"Networks": {"front": {"NetworkID": "0a"}}}});
    let mut gone = facts(raw);
    gone.networks = vec!["front".into(), "0b".into()];
    assert_eq!(codes(&gone), ["network_missing"]);
    gone.networks.push("0a".into());
    assert_eq!(codes(&gone), Vec::<&str>::new());
}

#[test]
fn a_partner_that_does_not_run_and_a_dead_container_are_told() {
    let mut alone = facts(json!({"State": {"Status": "dead"}}));
    alone.shares_with = Some(("vpn".into(), false));
    assert_eq!(codes(&alone), ["network_missing", "dead"]);
    alone.shares_with = Some(("vpn".into(), true));
    assert_eq!(codes(&alone), ["dead"]);
}

#[test]
fn what_no_rule_knows_is_told_in_the_engine_s_words() {
    let raw = json!({"State": {"Status": "created", "ExitCode": 128, "Error": "no space left on device"}});
    let found = rules::examine(&facts(raw));
    assert_eq!((found.len(), found[0].code), (1, "engine_error"));
    assert!(found[0].message.ends_with("no space left on device"));
}

#[test]
fn a_kill_under_a_limit_that_nobody_ordered_is_suspected_of_memory() {
    let state = json!({"Status": "exited", "ExitCode": 137, "FinishedAt": "2026-01-01T00:00:00Z"});
    let raw = json!({"State": state, "HostConfig": {"Memory": 8 << 20}});
    let told = |raw: &Value, deaths: &[&str]| {
        let mut killed = facts(raw.clone());
        killed.deaths = deaths.iter().map(|action| (*action).to_owned()).collect();
        let found = rules::examine(&killed);
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].code, found[0].message.contains("perhaps"), found[0].message.contains("8.0 MiB"))
    };
    assert_eq!(told(&raw, &[]), ("exit_code", true, true));
    assert_eq!(told(&raw, &["kill"]), ("exit_code", false, false));
    assert_eq!(told(&raw, &["oom"]), ("oom_killed", false, true));
    let unlimited = json!({"State": state});
    assert_eq!(told(&unlimited, &[]), ("exit_code", false, false));
}
