//! `aegis.proxy`, from Lua to a real HAProxy and to Traefik's files.

use serde_json::json;
use tempfile::TempDir;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::proxy::testing::{HaProxy, Web, haproxy, traefik};
use crate::primitives::{self, Primitives};

struct Balanced {
    bed: Bed,
    haproxy: HaProxy,
    folder: TempDir,
    _servers: [Web; 2],
}

fn balanced() -> Balanced {
    let mut bed = Bed::default();
    let folder = tempfile::tempdir().expect("a folder");
    let (servers, proxy) = bed.io.block_on(async {
        let servers = [Web::start("a").await, Web::start("b").await];
        let haproxy = HaProxy::start(&[&servers[0], &servers[1]]).await;
        (servers, haproxy)
    });
    let level = |name: &str, access| (name.to_owned(), access);
    let levels = [level("edge", Access::Write), level("files", Access::Write), level("seen", Access::Read)];
    bed.grants = Grants { proxy: levels.into(), ..Grants::default() };
    let proxies = [
        ("edge".to_owned(), proxy.source()),
        ("files".to_owned(), traefik(folder.path())),
        ("other".to_owned(), proxy.source()),
        ("seen".to_owned(), haproxy(&proxy.socket("user.sock"))),
    ];
    let primitives = Primitives::new(primitives::Options { proxies: proxies.into(), ..primitives::Options::default() });
    let primitives = primitives.expect("nothing can be wrong");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    Balanced { bed, haproxy: proxy, folder, _servers: servers }
}

#[test]
fn haproxy_is_told_from_lua() {
    let balanced = balanced();
    let (bed, haproxy) = (&balanced.bed, &balanced.haproxy);
    bed.io.block_on(haproxy.get("/")).expect("an answer");
    let body = "local edge = aegis.proxy.open('edge')
        local a, b = unpack(edge:servers('web'))
        local out = { edge.name, edge.kind, edge:info().kind, #edge:backends(), a.name, a.address, a.state,
          a.weight, a.up, a.requests + b.requests, b.errors, b.status_5xx, #aegis.proxy.servers('edge') }
        local changed = edge:set_weight('web', 'a', 25)
        table.insert(out, `{changed.backend}/{changed.server} {changed.before} {changed.after} {changed.changed}`)
        edge:set_address('web', 'a', '127.0.0.2', 81)
        edge:set_state('web', 'a', 'maint')
        a = edge:servers('web', { timeout = '3s' })[1]
        table.insert(out, `{a.weight} {a.address} {a.port} {a.state} {a.up} {a.status}`)
        table.insert(out, edge:drain('web', 'b', { timeout = '10s' }).sessions_before)
        table.insert(out, edge:set_state('web', 'b', 'ready', { dry_run = true }).plan)
        table.insert(out, edge:servers('web')[2].state)
        return out";
    let expected = json!([
        "edge",
        "haproxy",
        "haproxy",
        2,
        "a",
        "127.0.0.1",
        "ready",
        100,
        true,
        1,
        0,
        0,
        2,
        "web/a 100 25 true",
        "25 127.0.0.2 81 maint false MAINT",
        0,
        "set the state of web/b from drain to ready",
        "drain",
    ]);
    assert_eq!(bed.value(body), expected);
    let listed = bed.value("return aegis.proxy.list()");
    assert_eq!(listed[0], json!({ "name": "edge", "kind": "haproxy", "access": "write" }));
    assert_eq!(listed[2], json!({ "name": "other", "kind": "haproxy" }));
    let records = bed.audit.records.lock().expect("not poisoned");
    let weight = records.iter().find(|record| record.action == "aegis.proxy.set_weight").expect("it is recorded");
    assert_eq!(weight.object, "edge/web/a");
    assert_eq!(weight.permission.as_deref(), Some("proxy = { edge = \"write\" }"));
}

#[test]
fn traefik_is_told_from_lua() {
    let mut balanced = balanced();
    let (bed, folder) = (&mut balanced.bed, &balanced.folder);
    let body = "local files = aegis.proxy.open('files')
        local blue, green = 'http://10.0.0.1:8080', 'http://10.0.0.2:8080'
        local set = { { name = 'blue', url = blue, weight = 100 }, { name = 'green', url = green, weight = 0 } }
        local options = { rule = 'Host(`shop.example.com`)', sticky = { cookie = 'shop' },
          health = { path = '/health', interval = '5s' },
          routes = { { to = 'green', header = 'X-Beta', value = '1' } } }
        local first, second = files:set_services('shop', set, options), files:set_services('shop', set, options)
        local out = { first.changed, second.changed, files:set_weight('shop', 'green', 10).before }
        local found = files:services()[1]
        local green = found.services[2]
        table.insert(out, `{found.name} {found.rule} {found.cookie} {green.weight} {green.urls[1]}`)
        table.insert(out, files:info().services[1])
        table.insert(out, files:remove_services('shop', { dry_run = true }).plan)
        table.insert(out, files:remove_services('shop').removed)
        table.insert(out, files:remove_services('shop').removed)
        return out";
    let shown = "shop Host(`shop.example.com`) shop 10 http://10.0.0.2:8080";
    assert_eq!(bed.value(body), json!([true, false, "0", shown, "shop", "remove the services shop", true, false]));
    bed.dry_run = true;
    let planned = bed.value("return aegis.proxy.set_services('files', 'api', { { url = 'http://10.0.0.1' } }).plan");
    assert_eq!(planned, json!(format!("write {}", folder.path().join("aegis-api.yml").display())));
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn wrong_uses_of_proxies_are_named() {
    let balanced = balanced();
    let bed = &balanced.bed;
    let mut told = String::new();
    for call in [
        "aegis.proxy.open('egde')",
        "aegis.proxy.open(5)",
        "aegis.proxy.open('other')",
        "aegis.proxy.open('edge').servers('web')",
        "aegis.proxy.servers('egde', 'web')",
        "aegis.proxy.servers('edge', 'wbe')",
        "aegis.proxy.servers('edge', 'web', { timeout = 0 })",
        "aegis.proxy.servers('edge', 'web', { timeuot = 1 })",
        "aegis.proxy.set_weight('edge', 'web', 'a', -1)",
        "aegis.proxy.set_weight('edge', 'web', 'a', 257)",
        "aegis.proxy.set_weight('edge', 'web', 'a', 1.5)",
        "aegis.proxy.set_weight('edge', 'web', 'c', 1)",
        "aegis.proxy.set_weight('edge', 'web; show env', 'a', 1)",
        "aegis.proxy.set_weight('seen', 'web', 'a', 1)",
        "aegis.proxy.set_state('edge', 'web', 'a', 'off')",
        "aegis.proxy.set_address('edge', 'web', 'a', 'example.com', 80)",
        "aegis.proxy.set_address('edge', 'web', 'a', '10.0.0.1', 0)",
        "aegis.proxy.drain('edge', 'web', 'a', { timeout = '2h' })",
        "aegis.proxy.set_services('edge', 'shop', {})",
        "aegis.proxy.set_services('files', 'shop', {})",
        "aegis.proxy.set_services('files', 'shop', { { url = 'http://10.0.0.1', weight = -1 } })",
        "aegis.proxy.set_services('files', 'shop', { { url = 'http://10.0.0.1' } }, { rules = 'Host(`a`)' })",
        "aegis.proxy.set_services('files', '../shop', { { url = 'http://10.0.0.1' } })",
        "aegis.proxy.set_weight('files', 'shop', 'blue', 1)",
        "aegis.proxy.drain('files', 'shop', 'blue')",
        "aegis.proxy.servers('files')",
    ] {
        let fault = bed.fault(call);
        let hint = fault.hint.as_ref().map_or_else(String::new, |hint| format!(" -> {hint}"));
        told += &format!("{call}\n    {}: {}{hint}\n", fault.code, fault.message);
    }
    insta::assert_snapshot!("wrong_uses_of_proxies", told);
}

/// The user's socket of HAProxy lets nobody change anything, whatever the script was granted.
#[test]
fn a_socket_for_looking_says_what_it_lacks() {
    let mut balanced = balanced();
    let bed = &mut balanced.bed;
    bed.grants.proxy.insert("seen".into(), Access::Write);
    let fault = bed.fault("aegis.proxy.open('seen'):set_weight('web', 'a', 1)");
    assert_eq!(fault.code, "proxy.level");
    assert_eq!(fault.message, "proxies.seen: web/a: HAProxy refused: the socket may only be asked, not told");
}
