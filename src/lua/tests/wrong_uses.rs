//! Every wrong use of every function, as scripts are told of it: the field, the object, the remedy. Two tables, which
//! change only on purpose.

use std::collections::BTreeSet;
use std::net::TcpListener;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::support::Bed;
use crate::base::{Clock, Fault};
use crate::lua::bind::{Call, Field, Function, MODULES, ModuleKind, Phase, Type, full_name};
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::primitives::{self, Primitives};

/// A value that fits, as a script writes it.
fn fitting(field: &Field) -> String {
    match (field.name, &field.kind) {
        _ if field.doc.contains("TENANT/VOLUME") => "'agents/x'".into(),
        ("path" | "from" | "to", _) => "'data:x'".into(),
        ("url", _) => "'https://api.example.com/'".into(),
        ("options", Type::Record(record)) if record.name.starts_with("Kv") => "{ scope = 'shared:x' }".into(),
        (_, kind) => fitting_kind(kind),
    }
}

fn fitting_kind(kind: &Type) -> String {
    match kind {
        Type::Boolean => "true".into(),
        Type::String | Type::Bytes => "'x'".into(),
        Type::Duration => "'1s'".into(),
        Type::Choice(choices) => format!("'{}'", choices[0]),
        Type::List(_) | Type::Map(_) => "{}".into(),
        Type::Record(record) => {
            let needed = record.fields.iter().filter(|field| field.required);
            let fields: Vec<String> = needed.map(|field| format!("{} = {}", field.name, fitting(field))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Type::OneOf(kinds) => fitting_kind(&kinds[0]),
        Type::Optional(of) => fitting_kind(of),
        Type::Function | Type::Callback(_) => "print".into(),
        _ => "1".into(),
    }
}

/// A value that fits nothing of this kind.
fn odd(kind: &Type) -> Option<&'static str> {
    match kind {
        Type::Any => None,
        Type::Function | Type::Callback(_) => Some("1"),
        _ => Some("print"),
    }
}

/// Calls with one thing wrong, and the field that it is wrong with.
fn wrong_uses(name: &str, function: &Function) -> Vec<(String, &'static str)> {
    let call = |values: Vec<String>| format!("{name}({})", values.join(", "));
    let before = |place: usize| function.params[..place].iter().map(fitting).collect::<Vec<_>>();
    let mut uses = Vec::new();
    for (place, field) in function.params.iter().enumerate() {
        if field.required {
            uses.push((call(before(place)), field.name));
        }
        let with = |value: String| call([before(place), vec![value]].concat());
        uses.extend(odd(&field.kind).map(|value| (with(value.into()), field.name)));
        if matches!(field.kind, Type::Held | Type::Secret) {
            // A secret cannot be written down: what follows it is checked like everything else.
            break;
        }
        if let Type::Record(record) = &field.kind {
            let needed = fitting_kind(&field.kind);
            let needed = needed.trim_start_matches('{').strip_suffix('}').unwrap_or_default().trim();
            let more =
                |entry: String| with(format!("{{ {needed}{} {entry} }}", if needed.is_empty() { "" } else { "," }));
            uses.push((more("nonsense = 1".into()), "nonsense"));
            for option in record.fields {
                uses.extend(odd(&option.kind).map(|value| (more(format!("{} = {value}", option.name)), option.name)));
            }
        }
    }
    uses
}

fn line(call: &str, fault: &Fault) -> String {
    let hint = fault.hint.as_ref().map_or_else(String::new, |hint| format!(" -> {hint}"));
    format!("{call}\n    {}: {}{hint}\n", fault.code, fault.message)
}

/// Those that scripts call by name; what the prelude carries out asks these.
fn functions() -> impl Iterator<Item = (String, &'static Function)> {
    let named = MODULES.iter().filter(|module| module.kind == ModuleKind::Namespace && !module.name.is_empty());
    let all = named.flat_map(|module| module.functions.iter().map(|function| (full_name(module, function), function)));
    all.filter(|(_, function)| function.phase != Phase::Load && !matches!(function.call, Call::Prelude))
}

#[test]
fn every_wrong_argument_is_named_with_its_function() {
    let bed = Bed::default();
    let mut told = String::new();
    for (name, function) in functions() {
        for (call, field) in wrong_uses(&name, function) {
            let fault = bed.fault(&call);
            assert!(fault.code.starts_with("args."), "{}", line(&call, &fault));
            let said = format!("{} {}", fault.message, fault.hint.as_deref().unwrap_or_default());
            assert!(said.starts_with(&format!("{name}: ")) && said.contains(field), "{}", line(&call, &fault));
            told += &line(&call, &fault);
        }
    }
    insta::assert_snapshot!("wrong_arguments", told);
}

/// They are about something that another call has opened or found, and that call is asked.
const ASKED_BEFORE: [&str; 9] = [
    "aegis.http.close",
    "aegis.http.read",
    "aegis.jobs.wait",
    "aegis.secrets.reveal",
    "aegis.sql.close",
    "aegis.sql.fetch",
    "aegis.sql.finish",
    "aegis.alerts.acknowledge",
    "aegis.volumes.recover",
];

/// They give what is granted, and nothing where nothing is.
const SHOW_WHAT_IS_GRANTED: [&str; 3] = ["aegis.stack.names", "aegis.volumes.deleted", "aegis.volumes.list"];

#[test]
fn every_missing_grant_is_named_with_the_line_to_add() {
    let bed = Bed::default();
    let mut told = String::new();
    let never_denied: BTreeSet<&str> = ASKED_BEFORE.into_iter().chain(SHOW_WHAT_IS_GRANTED).collect();
    let mut others = String::new();
    for (name, function) in functions().filter(|(_, function)| function.permission.is_some()) {
        if never_denied.contains(name.as_str()) {
            continue;
        }
        let values: Vec<String> = function.params.iter().map(fitting).collect();
        let call = format!("{name}({})", values.join(", "));
        let fault = bed.fault(&call);
        let hint = fault.hint.as_deref().unwrap_or_default();
        let is_named = hint.starts_with("add to the job's table: permissions = { ");
        let told = if fault.code == "permission.denied" && is_named { &mut told } else { &mut others };
        *told += &line(&call, &fault);
    }
    assert_eq!(others, "", "not a denial that names the line to add");
    insta::assert_snapshot!("missing_grants", told);
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as a configuration has it")
}

/// Services at addresses where nothing answers, and where somebody takes calls and says nothing.
fn lonely(silent: &TcpListener) -> Bed {
    let mut bed = Bed { grants: Grants::all(), ..Bed::default() };
    bed.grants.http = vec!["127.0.0.1".into()];
    let silent = silent.local_addr().expect("an address");
    let redis = |url: &str| crate::primitives::redis::testing::source(url);
    let silent_redis = format!("redis://{silent}");
    let options = primitives::Options {
        docker_host: "unix:///nonexistent/docker.sock".into(),
        sql: [
            ("gone".to_owned(), read(json!({ "url": "postgres://app@127.0.0.1:1/app", "acquire_timeout": "200ms" }))),
            ("lost".to_owned(), read(json!({ "url": "sqlite:///nonexistent/lost.db" }))),
        ]
        .into(),
        redis: [("gone".into(), redis("redis://127.0.0.1:1")), ("silent".into(), redis(&silent_redis))].into(),
        graph: [("gone".into(), redis("redis://127.0.0.1:1")), ("silent".into(), redis(&silent_redis))].into(),
        llm: [
            ("gone".into(), read(json!({ "kind": "ollama", "url": "http://127.0.0.1:1", "model": "m" }))),
            ("silent".into(), read(json!({ "kind": "ollama", "url": format!("http://{silent}"), "model": "m" }))),
        ]
        .into(),
        proxies: [
            ("gone".to_owned(), read(json!({ "kind": "haproxy", "socket": "/nonexistent/admin.sock" }))),
            ("silent".to_owned(), read(json!({ "kind": "haproxy", "address": silent.to_string() }))),
            ("lost".to_owned(), read(json!({ "kind": "traefik", "directory": "/nonexistent/folder" }))),
        ]
        .into(),
        roots: [("lost".to_owned(), "/nonexistent/folder".into())].into(),
        ..primitives::Options::default()
    };
    let primitives = Primitives::new(options).expect("services");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    bed
}

/// Without what was left of a patience at the moment.
fn steady(text: &str) -> String {
    let mut pieces = text.split("within ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |shown, piece| {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start_matches(['m', 's']);
        format!("{shown}within a while{rest}")
    })
}

#[test]
fn services_that_are_away_or_late_are_named_with_what_to_look_at() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port().to_string();
    let bed = lonely(&silent);
    let mut told = String::new();
    for call in [
        "aegis.docker.list()",
        "aegis.docker.pull('x')",
        "aegis.http.get('http://127.0.0.1:1/')",
        "aegis.http.get('http://127.0.0.1:PORT/', { timeout = '50ms' })",
        "aegis.http.download('http://127.0.0.1:1/', 'lost:x')",
        "aegis.sql.query('nowhere', 'SELECT 1')",
        "aegis.sql.query('gone', 'SELECT 1')",
        "aegis.sql.query('lost', 'SELECT 1')",
        "aegis.redis.get('nowhere', 'k')",
        "aegis.redis.get('gone', 'k')",
        "aegis.redis.get('silent', 'k', { timeout = '50ms' })",
        "aegis.graph.query('nowhere', 'g', 'RETURN 1')",
        "aegis.graph.query('gone', 'g', 'RETURN 1')",
        "aegis.graph.query('silent', 'g', 'RETURN 1', {}, { timeout = '50ms' })",
        "aegis.llm.chat('nowhere', 'hello')",
        "aegis.llm.chat('gone', 'hello')",
        "aegis.llm.chat('silent', 'hello', { timeout = '50ms' })",
        "aegis.proxy.open('nowhere')",
        "aegis.proxy.servers('gone', 'web')",
        "aegis.proxy.servers('silent', 'web', { timeout = '50ms' })",
        "aegis.proxy.drain('lost', 'web', 'a')",
        "aegis.proxy.services('gone')",
        "aegis.proxy.services('lost')",
        "aegis.notify.send('nowhere', { title = 't', text = 'x' })",
        "aegis.secrets.get('NOWHERE')",
        "aegis.fs.read('nowhere:x')",
        "aegis.fs.read('lost:x')",
        "aegis.process.run('no-such-program')",
        "aegis.process.run('sleep', { args = { '60' }, timeout = '50ms', kill_after = '50ms' })",
        "aegis.host.dns('example.com', { server = '127.0.0.1', timeout = '50ms' })",
    ] {
        let fault = bed.fault(&call.replace("PORT", &port));
        let shown = steady(&line(call, &fault).replace(&port, "PORT"));
        assert!(fault.hint.is_some(), "{shown}");
        told += &shown;
    }
    insta::assert_snapshot!("services_away", told);
}
