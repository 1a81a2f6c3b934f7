//! Files as Traefik reads them, and what is never written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::SetOptions;
use crate::base::{Clock, Fault};
use crate::model::Grants;
use crate::primitives::permit::{self, SourcePermit};
use crate::primitives::proxy::testing::traefik;
use crate::primitives::proxy::{Change, How, Mode, Proxies, ProxyError, Spot};

const HOW: How = How { timeout: crate::base::limits::PROXY_TIMEOUT_DEFAULT, dry_run: false };

struct Bed {
    folder: TempDir,
    proxies: Proxies,
    permit: SourcePermit,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let proxies = Proxies::new([("web".to_owned(), traefik(folder.path()))].into(), &Clock::system());
        Self { folder, proxies, permit: permit::proxy(&Grants::all(), "web").expect("granted") }
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    async fn set(&self, name: &str, options: Value) -> Result<super::Written, Fault> {
        let options = serde_json::from_value(options).expect("options");
        self.proxies.set_services(&self.permit, name, options, false).await.map_err(Fault::from)
    }

    async fn weigh(&self, name: &str, entry: &str, weight: u16) -> Result<crate::primitives::proxy::Changed, Fault> {
        let spot = Spot { backend: name, server: entry };
        self.proxies.change(&self.permit, spot, Change::Weight(weight), HOW).await.map_err(Fault::from)
    }
}

fn full() -> Value {
    json!({
        "services": [
            { "name": "blue", "url": "http://10.0.0.1:8080", "weight": 90 },
            { "name": "green", "urls": ["http://10.0.0.2:8080/", "https://[fd00::2]:8443"], "weight": 10 },
        ],
        "rule": "Host(`shop.example.com`) && PathPrefix(`/a(b`)",
        "entry_points": ["websecure"], "middlewares": ["gzip@file"], "cert_resolver": "letsencrypt",
        "sticky": { "cookie": "shop", "secure": true, "same_site": "lax" },
        "health": { "path": "/health", "interval": "5s", "timeout": 2 },
        "routes": [
            { "to": "green", "header": "X-Beta", "value": "1" },
            { "to": "blue", "cookie": "track", "value": "a.b" },
        ],
    })
}

#[tokio::test]
async fn a_set_is_a_file_that_traefik_reads() {
    let bed = Bed::new();
    let written = bed.set("shop", full()).await.expect("written");
    insta::assert_snapshot!("whole", written.text);
    let path = bed.folder.path().join("aegis-shop.yml");
    assert_eq!((written.file, written.changed), (path.display().to_string(), true));
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), written.text);
    assert_eq!(std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o644);
    assert_eq!(bed.files(), ["aegis-shop.yml"]);
    assert!(!bed.set("shop", full()).await.expect("as before").changed);
    let small = bed.set("api", json!({ "services": [{ "url": "h2c://10.0.0.9:80" }] })).await.expect("written");
    insta::assert_snapshot!("small", small.text);
    let sets = serde_json::to_value(bed.proxies.services(&bed.permit).await.expect("sets")).expect("JSON");
    assert_eq!(sets[0]["services"], json!([{ "name": "1", "urls": ["h2c://10.0.0.9:80"], "weight": 1 }]));
    assert_eq!((&sets[1]["name"], &sets[1]["cookie"]), (&json!("shop"), &json!("shop")));
    assert_eq!(sets[1]["services"][1]["urls"], json!(["http://10.0.0.2:8080", "https://[fd00::2]:8443"]));
    let info = bed.proxies.info(&bed.permit, HOW.timeout).await.expect("it can be written");
    assert_eq!(info.services, Some(vec!["api".to_owned(), "shop".to_owned()]));
}

/// The published description of files of the provider, for what we write: which keys there are, which must be there,
/// and of which type. A name that refers to something refers to something that is there.
#[tokio::test]
async fn what_is_written_keeps_to_the_provider_s_schema() {
    let bed = Bed::new();
    let plain = json!({ "services": [{ "url": "http://10.0.0.1" }, { "url": "http://10.0.0.2", "weight": 0 }] });
    for options in [full(), plain] {
        let text = bed.set("shop", options).await.expect("written").text;
        let document: Value = serde_saphyr::from_str(&text).expect("YAML");
        keys(&document, &["http"], &["http"]);
        let http = &document["http"];
        keys(http, &["services"], &["services", "routers"]);
        for router in http["routers"].as_object().into_iter().flat_map(|routers| routers.values()) {
            keys(router, &["rule", "service"], &["rule", "service", "priority", "entryPoints", "middlewares", "tls"]);
            assert!(http["services"].get(router["service"].as_str().expect("text")).is_some(), "{router}");
            assert!(router["rule"].is_string() && router.get("priority").is_none_or(Value::is_u64));
            keys(router.get("tls").unwrap_or(&json!({})), &[], &["certResolver"]);
        }
        for service in http["services"].as_object().expect("services").values() {
            let kinds = service.as_object().expect("a map");
            assert_eq!(kinds.len(), 1, "a service is of one kind: {service}");
            if let Some(balancer) = kinds.get("loadBalancer") {
                keys(balancer, &["servers"], &["servers", "healthCheck"]);
                let servers = balancer["servers"].as_array().expect("a list");
                assert!(!servers.is_empty());
                servers.iter().for_each(|server| keys(server, &["url"], &["url"]));
                let health = ["path", "interval", "timeout"];
                balancer.get("healthCheck").into_iter().for_each(|check| keys(check, &health, &health));
            } else {
                let weighted = &kinds["weighted"];
                keys(weighted, &["services"], &["services", "sticky", "healthCheck"]);
                for part in weighted["services"].as_array().expect("a list") {
                    keys(part, &["name", "weight"], &["name", "weight"]);
                    assert!(part["weight"].is_u64());
                    assert!(http["services"].get(part["name"].as_str().expect("text")).is_some(), "{part}");
                }
                let cookie = weighted.pointer("/sticky/cookie").unwrap_or(&json!({ "name": "none" })).clone();
                keys(&cookie, &["name"], &["name", "secure", "httpOnly", "sameSite"]);
            }
        }
    }
}

#[track_caller]
fn keys(map: &Value, needed: &[&str], known: &[&str]) {
    let map = map.as_object().expect("a map");
    for key in needed {
        assert!(map.contains_key(*key), "{key} is missing");
    }
    for key in map.keys() {
        assert!(known.contains(&key.as_str()), "{key} is not known");
    }
}

#[tokio::test]
async fn weights_are_changed_in_the_file_alone() {
    let bed = Bed::new();
    let before = bed.set("shop", full()).await.expect("written").text;
    let changed = bed.weigh("shop", "green", 100).await.expect("changed");
    assert_eq!((changed.before.as_str(), changed.after.as_str(), changed.changed), ("10", "100", true));
    let path = bed.folder.path().join("aegis-shop.yml");
    let after = std::fs::read_to_string(&path).expect("the file");
    assert_eq!(after, before.replace("weight: 10\n", "weight: 100\n"));
    assert!(!bed.weigh("shop", "green", 100).await.expect("as before").changed);
    bed.weigh("shop", "blue", 0).await.expect("one is left");
    for (set, entry, weight, code, said) in [
        ("shop", "green", 0, "proxy.bad_call", "every weight is 0"),
        ("shop", "red", 1, "proxy.unknown_server", "no server \"red\""),
        ("shpo", "green", 1, "proxy.unknown_services", "did you mean \"shop\"?"),
        ("../shop", "green", 1, "proxy.unknown_services", "../shop"),
        ("shop", "green", 1_001, "proxy.bad_call", "1001"),
    ] {
        let fault = bed.weigh(set, entry, weight).await.expect_err(code);
        assert!(fault.code == code && fault.message.contains(said) && fault.hint.is_some(), "{fault}");
    }
    let drain = bed.proxies.drain(&bed.permit, Spot { backend: "shop", server: "blue" }, HOW).await;
    assert!(matches!(drain, Err(ProxyError::WrongKind { call: "drain", .. })), "{drain:?}");
    let mode = Change::Mode(Mode::Maint);
    let refused = bed.proxies.change(&bed.permit, Spot { backend: "shop", server: "blue" }, mode, HOW).await;
    let refused: Fault = refused.expect_err("not for this kind").into();
    assert_eq!(refused.hint.as_deref(), Some("set_state is for proxies of the kind haproxy"));
}

#[tokio::test]
async fn sets_come_and_go_whole() {
    let bed = Bed::new();
    let options: SetOptions = serde_json::from_value(full()).expect("options");
    let dry = bed.proxies.set_services(&bed.permit, "shop", options, true).await.expect("a plan");
    assert_eq!(dry.plan, Some(format!("write {}", bed.folder.path().join("aegis-shop.yml").display())));
    assert_eq!(bed.files(), [""; 0]);
    // What a crash left behind is in nobody's way, and a link is not followed.
    let outside = bed.folder.path().join("outside");
    std::fs::write(&outside, "mine").expect("a file");
    std::os::unix::fs::symlink(&outside, bed.folder.path().join("aegis-shop.yml.early")).expect("a link");
    bed.set("shop", full()).await.expect("written");
    assert_eq!(bed.files(), ["aegis-shop.yml", "outside"]);
    assert_eq!(std::fs::read_to_string(&outside).expect("the file"), "mine");
    let remove = async |dry| bed.proxies.remove_services(&bed.permit, "shop", dry).await.expect("asked");
    assert!(remove(true).await && bed.files().len() == 2);
    assert!(remove(false).await && bed.files() == ["outside"]);
    assert!(!remove(false).await);
    assert!(!bed.proxies.remove_services(&bed.permit, "../x", false).await.expect("asked"));
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let bed = Bed::new();
    let put = |name: &str, text: &str| std::fs::write(bed.folder.path().join(name), text).expect("a file");
    put("other.yml", "http: {}\n");
    put("aegis-not a name.yml", "x");
    assert_eq!(bed.proxies.services(&bed.permit).await.expect("none of ours"), []);
    put("aegis-odd.yml", "http:\n  services:\n    another: { weighted: { services: [] } }\n");
    let fault: Fault = bed.proxies.services(&bed.permit).await.expect_err("not ours").into();
    assert!(fault.code == "proxy.foreign" && fault.message.contains("aegis-odd.yml"), "{fault}");
    // It is in nobody's way, and can be written over.
    bed.set("shop", full()).await.expect("written");
    bed.set("odd", json!({ "services": [{ "url": "http://10.0.0.1" }] })).await.expect("written");
    assert_eq!(bed.proxies.services(&bed.permit).await.map(|sets| sets.len()).ok(), Some(2));
    let lost = Proxies::new([("web".to_owned(), traefik(Path::new("/nonexistent")))].into(), &Clock::system());
    let fault: Fault = lost.services(&bed.permit).await.expect_err("no folder").into();
    assert!(fault.code == "proxy.disk" && fault.hint.is_some_and(|hint| hint.contains("proxies.web")));
}

#[tokio::test]
async fn what_traefik_would_take_for_something_else_is_refused() {
    let bed = Bed::new();
    bed.set("a", json!({ "services": [{ "name": "b-c", "url": "http://10.0.0.1" }] })).await.expect("written");
    let one = |entry: Value| json!({ "services": [entry] });
    let with = |key: &str, value: Value| {
        let mut options = full();
        options[key] = value;
        options
    };
    let url = |url: &str| one(json!({ "url": url }));
    let route = |route: Value| with("routes", json!([route]));
    for (name, options, said) in [
        ("../a", full(), "no name for a set"),
        ("", full(), "no name for a set"),
        ("x", json!({ "services": [] }), "0 services"),
        ("x", one(json!({ "weight": 1 })), "0 URLs"),
        ("x", url("10.0.0.1:8080"), "is not a URL"),
        ("x", url("tcp://10.0.0.1:8080"), "is neither http"),
        ("x", one(json!({ "url": "http://a", "weight": -1 })), "-1 is no weight"),
        ("x", url("http://u:p@10.0.0.1"), "password"),
        ("x", url("http://10.0.0.1/path"), "a path"),
        ("x", url("http://10.0.0.1/{{ env \"HOME\" }}"), "has control characters or braces"),
        ("x", url("http://{{ .x }}/"), "has control characters or braces"),
        ("x", url("http://{{.}}:80"), "has control characters or braces"),
        ("x", url("http://user{x}.example"), "has control characters or braces"),
        ("x", one(json!({ "url": "http://a", "name": "a@b" })), "no name for a service"),
        ("x", one(json!({ "url": "http://a", "weight": 0 })), "every weight is 0"),
        ("x", one(json!({ "url": "http://a", "weight": 1001 })), "1001 is no weight"),
        (
            "x",
            json!({ "services": [{ "url": "http://a", "name": "1" }, { "url": "http://b", "name": "1" }] }),
            "two services",
        ),
        ("x", with("rule", json!("Host(`a`")), "do not close"),
        ("x", with("rule", json!("Host(`a`)) || (Path(`/`)")), "do not close"),
        ("x", with("rule", json!("Host(`{{ .a }}`)")), "template"),
        ("x", with("rule", json!(" ")), "1 to 4096"),
        ("x", with("rule", Value::Null), "of a router"),
        ("x", with("entry_points", json!(["a{{b"])), "no name of Traefik's"),
        ("x", with("sticky", json!({ "cookie": "a b" })), "no name for a cookie"),
        ("x", with("sticky", json!({ "cookie": "a", "same_site": "none" })), "browsers drop"),
        ("x", with("health", json!({ "path": "health" })), "begins with /"),
        ("x", with("health", json!({ "path": "/", "interval": "3s" })), "longer than the timeout"),
        ("x", route(json!({ "to": "red", "header": "A", "value": "1" })), "no service \"red\""),
        ("x", route(json!({ "to": "blue", "header": "A", "value": "`) || Path(`/" })), "cannot be asked for"),
        ("x", route(json!({ "to": "blue", "header": "A`", "value": "1" })), "no name of a header"),
        ("x", route(json!({ "to": "blue", "cookie": "a", "value": "1;2" })), "is no cookie"),
        ("x", route(json!({ "to": "blue", "value": "1" })), "either a header or a cookie"),
        ("x", route(json!({ "to": "blue", "header": "A", "cookie": "a", "value": "1" })), "either"),
        ("a-b", json!({ "services": [{ "name": "c", "url": "http://10.0.0.1" }] }), "the set \"a\" has a name"),
    ] {
        let fault = bed.set(name, options.clone()).await.expect_err(said);
        assert_eq!(fault.code, "proxy.bad_call", "{fault}");
        assert!(fault.message.contains(said) && fault.hint.is_some(), "{options}: {fault}");
    }
    assert_eq!(bed.files(), ["aegis-a.yml"]);
}
