//! `aegis.redis`, `aegis.graph` and `aegis.llm`, from Lua to servers.

use std::collections::BTreeMap;

use serde_json::json;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::redis::testing::{Server, source};
use crate::primitives::{self, Primitives};

fn bed(options: primitives::Options) -> Bed {
    let mut bed = Bed::default();
    let level = |name: &str, access| (name.to_owned(), access);
    let levels =
        BTreeMap::from([level("main", Access::Write), level("nowhere", Access::Read), level("slip", Access::Read)]);
    bed.grants = Grants { redis: levels.clone(), graph: levels, ..Grants::default() };
    let primitives = Primitives::new(options).expect("sources that can be used");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    bed
}

fn redis_bed() -> (Bed, Server) {
    let server = Bed::default().io.block_on(Server::start());
    let redis = [
        ("main".into(), server.source()),
        ("nowhere".into(), source("redis://127.0.0.1:1")),
        ("other".into(), server.source()),
    ];
    (bed(primitives::Options { redis: redis.into(), ..primitives::Options::default() }), server)
}

#[test]
fn values_go_to_redis_and_come_back() {
    let (bed, _server) = redis_bed();
    let body = r"local r = aegis.redis
        local bytes = '\0\255\r\n'
        local out = { r.set('main', 'k', bytes), r.get('main', 'k') == bytes, r.get('main', 'none') == nil,
          r.set('main', 'k', 1.5, { only = 'absent' }), r.set('main', 'n', 41, { ttl = '1h' }), r.incr('main', 'n'),
          r.incr('main', 'n', -2), r.expire('main', 'n', '10s'), r.expire('main', 'none', 1),
          r.command('main', { 'TTL', 'n' }) }
        r.command('main', { 'HSET', 'h', bytes, 'a', 'b', 2 })
        local h = r.command('main', { 'hgetall', 'h' })
        table.insert(out, h[bytes]) table.insert(out, h.b)
        table.insert(out, r.pipeline('main', { { 'INCR', 'c' }, { 'GET', 'none' }, { 'GET', 'c' } }, { atomic = true }))
        table.insert(out, r.publish('main', 'channel', 'x'))
        table.insert(out, #r.scan('main', { match = '[hnk]' })) table.insert(out, #r.scan('main', { limit = 1 }))
        table.insert(out, r.scan('main', { type = 'hash' }))
        table.insert(out, r.del('main', { 'k', 'n', 'none' })) table.insert(out, r.del('main', 'h')) table.insert(out, r.del('main', {}))
        table.insert(out, r.info('main', 'server').redis_mode)
        return out";
    let expected = json!([
        true,
        true,
        true,
        false,
        true,
        42,
        40,
        true,
        false,
        10,
        "a",
        "2",
        [1, null, "1"],
        0,
        3,
        1,
        ["h"],
        2,
        1,
        0,
        "standalone"
    ]);
    assert_eq!(bed.value(body), expected);
    let sources = bed.value("return aegis.redis.sources()");
    assert_eq!(sources[0], json!({ "name": "main", "granted": true }));
    assert_eq!(sources[2], json!({ "name": "other", "granted": false }));
}

#[test]
fn a_dry_run_of_redis_reads_and_plans() {
    let (mut bed, _server) = redis_bed();
    bed.value("aegis.redis.set('main', 'n', 1)");
    bed.dry_run = true;
    let body = "local r = aegis.redis
        return { r.get('main', 'n'), r.command('main', { 'SET', 'n', 'secret' }).planned, r.incr('main', 'n'), r.set('main', 'n', 2),
                 r.del('main', 'n'), r.get('main', 'n') }";
    assert_eq!(bed.value(body), json!(["1", ["SET n (2 arguments)"], 0, true, 0, "1"]));
}

#[test]
fn wrong_uses_of_sources_are_named() {
    let (bed, _server) = redis_bed();
    let cases = [
        (
            "redis.get('other', 'a')",
            "permission.denied",
            "redis = { main = \"write\", nowhere = \"read\", other = \"read\", slip = \"read\" }",
        ),
        ("redis.command('main', { 'FLUSHALL' })", "permission.denied", "main = \"admin\""),
        ("redis.get('slip', 'a')", "redis.unknown_source", "configured are: main, nowhere, other"),
        ("redis.get('nowhere', 'a')", "redis.connect", "redis.nowhere.url"),
        ("redis.get('main', 'a', { timeuot = 1 })", "args.unknown", "options: timeout"),
        ("redis.get('main', 'a', { timeout = 0 })", "args.value", "at most 10m"),
        ("redis.get('main', 5)", "args.type", ""),
        ("redis.command('main', { true })", "args.type", ""),
        ("redis.command('main', {})", "redis.bad_call", ""),
        ("redis.command('main', { 'NOPE' })", "redis.unknown_command", "the command's name"),
        ("redis.command('main', { 'SUBSCRIBE', 'c' })", "redis.not_for_scripts", "atomic = true"),
        ("redis.command('main', { 'BLPOP', 'none', 0 }, { timeout = '50ms' })", "redis.timeout", "option timeout"),
        ("redis.set('main', 'a', 'x', { ttl = 0 })", "args.value", ""),
        ("redis.set('main', 'a', 'x', { only = 'new' })", "args.type", ""),
        ("redis.scan('main', { limit = 0 })", "args.value", ""),
        ("graph.query('other', 'g', 'RETURN 1')", "permission.denied", "other = \"read\""),
        ("graph.query('main', 'g', 'RETURN 1')", "graph.unknown_source", "add graph.main.url"),
        ("graph.query('main', 'g', 'RETURN 1', { 1 })", "args.type", ""),
        ("graph.query('main', 'g', 'RETURN 1', {}, { timeout = '2h' })", "args.value", "at most 1h"),
        ("graph.delete('nowhere', 'g')", "graph.unknown_source", ""),
    ];
    for (call, code, hint) in cases {
        let fault = bed.fault(&format!("aegis.{call}"));
        assert_eq!(fault.code, code, "{call}: {fault}");
        assert!(fault.hint.clone().unwrap_or_default().contains(hint), "{call}: {fault}");
    }
    let fault = bed.fault("aegis.redis.set('main', 'a', 'x') aegis.redis.command('main', { 'LPUSH', 'a', 1 })");
    assert_eq!((&*fault.code, &fault.details["code"]), ("redis.refused", &json!("WRONGTYPE")));
}

#[test]
fn a_model_is_asked_and_answers() {
    use crate::primitives::http::testing::Server as Web;
    use crate::primitives::llm::providers::{KEY, anthropic, openai};
    let io = Bed::default().io;
    let (first, second) = io.block_on(async {
        (Web::start(|_, asked| openai::serve(asked)).await, Web::start(|_, asked| anthropic::serve(asked)).await)
    });
    let llm = serde_json::from_value(json!({
        "main": { "kind": "openai", "url": first.url(""), "key": KEY, "model": "m" },
        "other": { "kind": "anthropic", "url": second.url(""), "key": KEY, "model": "m" },
        "closed": { "kind": "ollama", "url": "http://127.0.0.1:1" },
    }));
    let llm = llm.expect("sources");
    let mut bed = bed(primitives::Options { llm, ..primitives::Options::default() });
    bed.grants.llm = vec!["main".into(), "other".into()];
    let body = "local out = {}
        for _, name in { 'main', 'other' } do
          local a = aegis.llm.chat(name, 'Hi', { system = 'Be short.', temperature = 0 })
          local j = aegis.llm.chat(name, { { role = 'user', content = 'Hi' } }, { json = { type = 'object' } })
          local question = { role = 'user', content = 'Weather?' }
          local t = aegis.llm.chat(name, { question }, { tools = { { name = 'weather', description = 'Tells it' } } })
          local call = t.tool_calls[1]
          local last = aegis.llm.chat(name, { question, { role = 'assistant', content = t.text, tool_calls = t.tool_calls },
            { role = 'tool', tool_call_id = call.id, content = 'snow' } })
          table.insert(out, { a.text, a.usage.input_tokens, a.finish, a.attempts, j.json.n, call.name, call.arguments.city, last.text })
        end
        table.insert(out, aegis.llm.embed('main', { 'a', 'b' }).vectors)
        return out";
    let one = json!(["Hello", 9, "stop", 1, 5, "weather", "Oslo", "Hello"]);
    assert_eq!(bed.value(body), json!([one, one, [[0, 0.5], [1, 0.5]]]));
    let listed = json!([
        { "name": "closed", "kind": "ollama", "granted": false },
        { "name": "main", "kind": "openai", "model": "m", "granted": true },
        { "name": "other", "kind": "anthropic", "model": "m", "granted": true },
    ]);
    assert_eq!(bed.value("return aegis.llm.sources()"), listed);
    let cases = [
        ("chat('closed', 'Hi')", "permission.denied"),
        ("chat('main')", "args.missing"),
        ("chat('main', 5)", "args.type"),
        ("chat('main', { { role = 'me', content = 'x' } })", "args.type"),
        ("chat('main', 'Hi', { modle = 'x' })", "args.unknown"),
        ("chat('main', 'Hi', { timeout = '1h' })", "args.value"),
        ("chat('main', {})", "llm.bad_request"),
        ("embed('other', { 'a' })", "llm.unsupported"),
        ("embed('main', {})", "llm.bad_request"),
    ];
    for (call, code) in cases {
        let fault = bed.fault(&format!("aegis.llm.{call}"));
        assert_eq!(fault.code, code, "{call}: {fault}");
    }
}

/// The graph's server in a container.
mod live {
    use super::*;

    #[test]
    fn values_go_to_a_graph_and_come_back() {
        let server = Bed::default().io.block_on(primitives::graph::testing::Server::start());
        let graph = [("main".to_owned(), source(&server.url()))];
        let mut bed = bed(primitives::Options { graph: graph.into(), ..primitives::Options::default() });
        let body = r#"local g = aegis.graph
            local made = g.query("main", "g", "CREATE (n:Note {text: $text, tags: $tags}) RETURN n", { text = "it's \"x\"", tags = { "a", 1 } })
            local found = g.query("main", "g", "MATCH (n:Note) RETURN n.text AS text, n.none AS none, 9007199254740993 AS big")
            return { made.statistics.nodes_created, made.rows[1].n.labels, made.rows[1].n.properties, found.columns,
                     found.rows[1].text, found.rows[1].none == aegis.null, found.rows[1].big, g.graphs("main"),
                     #g.explain("main", "g", "MATCH (n) RETURN n") > 0 }"#;
        let text = "it's \"x\"";
        let expected = json!([
            1, ["Note"], { "text": text, "tags": ["a", 1] }, ["text", "none", "big"], text, true, "9007199254740993", ["g"], true
        ]);
        assert_eq!(bed.value(body), expected);
        bed.dry_run = true;
        let body = "local g = aegis.graph
            local planned = g.query('main', 'g', 'MATCH (n) DELETE n')
            return { #planned.plan > 0, g.delete('main', 'g'), #g.query('main', 'g', 'MATCH (n) RETURN n').rows }";
        assert_eq!(bed.value(body), json!([true, true, 1]));
        bed.dry_run = false;
        assert_eq!(
            bed.value("return { aegis.graph.delete('main', 'g'), aegis.graph.delete('main', 'g') }"),
            json!([true, false])
        );
    }
}

#[test]
fn the_audit_log_has_the_level_that_a_command_needed() {
    let (bed, _server) = redis_bed();
    bed.value("aegis.redis.command('main', { 'GET', 'k' }) aegis.redis.command('main', { 'SET', 'k', 'v' })");
    let records = bed.audit.records.lock().expect("not poisoned");
    let lines: Vec<_> = records.iter().filter_map(|record| record.permission.as_deref()).collect();
    assert_eq!(lines, ["redis = { main = \"read\" }", "redis = { main = \"write\" }"]);
}
