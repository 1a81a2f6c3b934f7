//! `aegis.http` and `aegis.notify`, from Lua to a real server on loopback.

use std::collections::BTreeMap;

use serde_json::json;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::{Grants, LogLevel};
use crate::primitives::http::testing::{Answer, Asked, Server, answer};
use crate::primitives::{self, Primitives};

/// A bed, a server that the script's text reaches as `URL`, and the grants for both.
struct Reach {
    bed: Bed,
    server: Server,
}

fn start(serve: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Reach {
    let mut bed = Bed::default();
    let server = bed.io.block_on(Server::start(serve));
    bed.grants = Grants {
        http: vec!["127.0.0.1".into()],
        notify: vec!["alerts".into(), "broken".into(), "both".into()],
        ..Grants::default()
    };
    let hook = |path: &str| json!({ "webhook": { "url": server.url(path) } });
    let routes = json!({
        "alerts": [hook("/hook")],
        "broken": [hook("/missing")],
        "both": [hook("/hook"), hook("/missing")],
        "secret": [],
    });
    let routes: BTreeMap<_, _> = serde_json::from_value(routes).expect("routes");
    let primitives = Primitives::new(primitives::Options { routes, ..primitives::Options::default() });
    let primitives = primitives.expect("routes that can be used");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    Reach { bed, server }
}

impl Reach {
    fn with_url(&self, body: &str) -> String {
        body.replace("URL", &self.server.url(""))
    }

    #[track_caller]
    fn value(&self, body: &str) -> serde_json::Value {
        self.bed.value(&self.with_url(body))
    }

    #[track_caller]
    fn fault(&self, body: &str) -> crate::base::Fault {
        self.bed.fault(&self.with_url(body))
    }
}

fn echo(_: usize, asked: &Asked) -> Answer {
    let said = json!({
        "method": asked.method,
        "path": asked.path,
        "type": asked.header("content-type"),
        "key": asked.header("x-key"),
        "body": String::from_utf8_lossy(&asked.body),
    });
    match asked.path.as_str() {
        "/text" => answer(200, &[("set-cookie", "a=1"), ("set-cookie", "b=2")], "plain"),
        "/missing" => answer(404, &[], "no such thing"),
        "/busy" => answer(503, &[], ""),
        "/hook" => answer(204, &[], ""),
        _ => answer(200, &[("content-type", "application/json; charset=utf-8")], said.to_string()),
    }
}

#[test]
fn each_method_sends_what_it_is_given() {
    let reach = start(echo);
    let cases = [
        (
            "get('URL/a?x=1', { query = { n = 2, list = { 'a', 3, true } } })",
            "GET",
            "/a?x=1&list=a&list=3&list=true&n=2",
            "",
            "",
        ),
        (
            "post('URL/', { json = { a = 1, none = aegis.null } })",
            "POST",
            "/",
            "application/json",
            r#"{"a":1,"none":null}"#,
        ),
        (
            "put('URL/', { body = 'raw', headers = { ['Content-Type'] = 'text/plain' } })",
            "PUT",
            "/",
            "text/plain",
            "raw",
        ),
        (
            "patch('URL/', { form = { a = '1 2', n = 5 } })",
            "PATCH",
            "/",
            "application/x-www-form-urlencoded",
            "a=1+2&n=5",
        ),
        ("delete('URL/x')", "DELETE", "/x", "", ""),
        ("request { method = 'OPTIONS', url = 'URL/' }", "OPTIONS", "/", "", ""),
        ("request { url = 'URL/' }", "GET", "/", "", ""),
    ];
    for (call, method, path, kind, body) in cases {
        let said = reach.value(&format!("return aegis.http.{call}.json"));
        let expected = json!({ "method": method, "path": path, "type": kind, "key": "", "body": body });
        assert_eq!(said, expected, "{call}");
    }
    let parts = "{ { name = 'a', content = 'x' }, { name = 'f', content = '\\0', file_name = 'f.bin' } }";
    let said = reach.value(&format!("return aegis.http.post('URL/', {{ multipart = {parts} }}).json"));
    assert!(said["type"].as_str().is_some_and(|kind| kind.starts_with("multipart/form-data; boundary=")), "{said}");
    assert!(said["body"].as_str().is_some_and(|body| body.contains("filename=\"f.bin\"")), "{said}");
}

#[test]
fn a_response_is_a_record() {
    let reach = start(echo);
    let body = "local r = aegis.http.get('URL/text', { headers = { ['X-Key'] = 5 } })
                return { r.status, r.ok, r.body, r.headers['set-cookie'], r.url == 'URL/text', r.attempts, r.json == nil,
                         type(r.took_ms) }";
    assert_eq!(reach.value(body), json!([200, true, "plain", "a=1, b=2", true, 1, true, "number"]));
    assert_eq!(reach.server.asked()[0].header("x-key"), "5");
    let body = "local r = aegis.http.get('URL/missing') return { r.status, r.ok, r.body }";
    assert_eq!(reach.value(body), json!([404, false, "no such thing"]));
    assert_eq!(reach.value("return aegis.http.head('URL/').body"), json!(""));
}

#[test]
fn json_is_parsed_or_refused() {
    let reach = start(echo);
    assert_eq!(reach.value("return aegis.http.json('URL/a').path"), json!("/a"));
    assert_eq!(reach.server.asked()[0].header("accept"), "application/json");
    let fault = reach.fault("aegis.http.json('URL/missing')");
    assert_eq!((&*fault.code, fault.retryable), ("http.status", false));
    assert_eq!(fault.details, json!({ "status": 404, "body": "no such thing" }));
    assert!(reach.fault("aegis.http.json('URL/busy')").retryable);
    assert_eq!(&*reach.fault("aegis.http.json('URL/text')").code, "http.not_json");
}

#[test]
fn a_script_reaches_what_it_was_granted_and_is_told_the_rest() {
    let reach = start(echo);
    let fault = reach.fault("aegis.http.get('https://db.example.com/')");
    assert_eq!(&*fault.code, "permission.denied");
    let hint = fault.hint.unwrap_or_default();
    assert!(hint.contains(r#"permissions = { http = { "127.0.0.1", "db.example.com" } }"#), "{hint}");
    let cases = [
        ("get('URL/', { body = 'x' })", "args.unknown"),
        ("post('URL/', { json = 1, form = {} })", "http.bad_request"),
        ("post('URL/', { retry = { attempts = 3 } })", "http.bad_request"),
        ("request { url = 'URL/', method = 'BREW' }", "args.type"),
        ("get('URL/', { redirects = -1 })", "http.bad_request"),
        ("get('URL/', { max_body = '1GiB' })", "http.bad_request"),
        ("get('nonsense')", "http.bad_url"),
    ];
    for (call, code) in cases {
        assert_eq!(&*reach.fault(&format!("aegis.http.{call}")).code, code, "{call}");
    }
    assert_eq!(reach.server.connections(), 0);
}

#[test]
fn a_dry_run_reads_and_plans() {
    let mut reach = start(echo);
    let planned = "local r = aegis.http.post('URL/x', { json = 1, dry_run = true }) return { r.ok, r.status, r.plan }";
    let plan = format!("POST {} with a body of 1 B", reach.server.url("/x"));
    assert_eq!(reach.value(planned), json!([true, 0, plan]));
    reach.bed.dry_run = true;
    let both = "return { aegis.http.delete('URL/x').plan ~= nil, aegis.http.get('URL/x').json.method,
                         aegis.notify.send('alerts', { text = 'x' })[1].outcome }";
    assert_eq!(reach.value(both), json!([true, "GET", "planned"]));
    assert_eq!(reach.server.asked().len(), 1);
    assert_eq!(&*reach.fault("aegis.http.delete('https://db.example.com/')").code, "permission.denied");
}

#[test]
fn a_message_reaches_its_route() {
    let reach = start(echo);
    let body = "return aegis.notify.send('alerts', { title = 'db is down', text = 'exit 137', severity = 'critical',
                  fields = { { name = 'host', value = 'a' }, { name = 'count', value = 3 } } })";
    let told = json!([{ "destination": "webhook (127.0.0.1)", "outcome": "delivered", "attempts": 1 }]);
    assert_eq!(reach.value(body), told);
    let sent = reach.server.asked()[0].json();
    assert_eq!((&sent["title"], &sent["severity"]), (&json!("db is down"), &json!("critical")));
    assert_eq!(sent["fields"], json!([{ "name": "host", "value": "a" }, { "name": "count", "value": "3" }]));
    let routes = reach.value("return aegis.notify.routes()");
    assert_eq!(routes[0], json!({ "name": "alerts", "destinations": ["webhook (127.0.0.1)"], "granted": true }));
    assert_eq!((&routes[3]["name"], &routes[3]["granted"]), (&json!("secret"), &json!(false)));
}

#[test]
fn what_reaches_nobody_is_an_error_and_what_reaches_some_is_logged() {
    let reach = start(echo);
    let fault = reach.fault("aegis.notify.send('broken', { text = 'x' })");
    assert_eq!((&*fault.code, fault.retryable), ("notify.failed", false));
    assert!(fault.message.contains("the receiver answered 404: no such thing"), "{fault}");
    let body = "local told = {} for _, one in aegis.notify.send('both', { text = 'x' }) do
                  table.insert(told, { one.outcome, one.error and one.error.code }) end return told";
    assert_eq!(reach.value(body), json!([["delivered"], ["failed", "notify.refused"]]));
    let lines = reach.bed.log.lines.lock().expect("not poisoned").clone();
    assert!(
        lines.iter().any(|(level, text, _)| *level == LogLevel::Warn && text.contains("answered 404")),
        "{lines:?}"
    );

    assert_eq!(&*reach.fault("aegis.notify.send('secret', { text = 'x' })").code, "permission.denied");
    assert_eq!(&*reach.fault("aegis.notify.send('alerts', {})").code, "notify.bad_message");
    assert_eq!(&*reach.fault("aegis.notify.send('alerts', { severity = 'loud' })").code, "args.type");
    let grants = Grants { notify: vec!["*".into()], ..Grants::default() };
    let reach = Reach { bed: Bed { grants, ..reach.bed }, ..reach };
    let fault = reach.fault("aegis.notify.send('alert', { text = 'x' })");
    assert_eq!(&*fault.code, "notify.unknown_route");
    assert!(fault.message.contains("did you mean \"alerts\"?"), "{fault}");
}
