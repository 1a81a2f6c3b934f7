//! `aegis.secrets`: what a script can do with a secret, and what it cannot.

use serde_json::{Value, json};

use super::support::Bed;
use crate::base::{Clock, Fault, MASK};
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::primitives::http::testing::{Answer, Asked, Server, answer};
use crate::primitives::secrets::SecretsConfig;
use crate::primitives::sql::testing;
use crate::primitives::{self, Primitives};

const SECRET: &str = "p&ss/w+rd \"9~\" of tests";

/// A script that has `key`, a server at `URL` that says what it was asked, and a database.
struct Desk {
    bed: Bed,
    server: Server,
    _folders: [tempfile::TempDir; 2],
}

fn echo(_: usize, asked: &Asked) -> Answer {
    let said = json!({
        "path": asked.path,
        "key": asked.header("x-key"),
        "authorization": asked.header("authorization"),
        "body": String::from_utf8_lossy(&asked.body),
    });
    answer(200, &[("content-type", "application/json")], said.to_string())
}

fn desk() -> Desk {
    let mut bed = Bed::default();
    let server = bed.io.block_on(Server::start(echo));
    let folder = tempfile::tempdir().expect("a folder");
    let env_file = folder.path().join("env");
    let quoted = SECRET.replace('"', "\\\"");
    std::fs::write(&env_file, format!("KEY=\"{quoted}\"\nOTHER=not-for-you\nSHOWN=may-be-shown")).expect("written");
    std::fs::set_permissions(&env_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    let (database, url) = testing::sqlite();
    let config = SecretsConfig { env_file: Some(env_file), ..SecretsConfig::default() };
    let options = primitives::Options {
        secrets: primitives::secrets::Options { config, credentials_directory: None },
        sql: testing::main_source(&url),
        ..primitives::Options::default()
    };
    let primitives = Primitives::new(options).expect("options that can be used");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    bed.grants = Grants {
        secrets: vec!["KEY".into()],
        reveal: vec!["SHOWN".into()],
        http: vec!["127.0.0.1".into()],
        process: vec!["printenv".into(), "cat".into()],
        sql: [("main".to_owned(), crate::model::grants::Access::Write)].into(),
        ..Grants::default()
    };
    Desk { bed, server, _folders: [folder, database] }
}

impl Desk {
    fn body(&self, body: &str) -> String {
        let body = body.replace("URL", &self.server.url(""));
        format!("local key = aegis.secrets.get('KEY')\n{body}")
    }

    #[track_caller]
    fn value(&self, body: &str) -> Value {
        self.bed.value(&self.body(body))
    }

    #[track_caller]
    fn fault(&self, body: &str) -> Fault {
        self.bed.fault(&self.body(body))
    }

    fn asked(&self) -> Asked {
        self.server.asked().pop().expect("a request")
    }
}

#[test]
fn a_handle_shows_its_name_and_nothing_else() {
    let desk = desk();
    let shown = desk.value(
        "print(key, `{key}`)
         return { tostring(key), key.name, type(key), key.value == nil, key.text == nil, tostring(key:bearer()),
           select(2, pcall(function() return 'x' .. key end)) ~= nil,
           (pcall(aegis.json.encode, { key })), (pcall(function() return #key end)), (pcall(function() key.name = 1 end)),
           (pcall(string.format, '%s', key)), string.format('%*', key), typeof(key) }",
    );
    let flat = shown.to_string();
    assert!(!flat.contains("9~"), "{flat}");
    let name = "secret(KEY)";
    let expected = json!([name, "KEY", "userdata", true, true, name, true, false, false, false, false, name, "secret"]);
    assert_eq!(shown, expected);
    assert_eq!(desk.bed.log.texts(), ["secret(KEY)\tsecret(KEY)"]);
    for (body, code, said) in [
        ("return key", "run.result", "secret(KEY)"),
        ("return aegis.json.encode({ a = { key } })", "args.json", "secret(KEY)"),
        ("ctx:log('info', 'x', { k = key })", "args.json", "secret(KEY)"),
        ("return 'a' .. key", "script.error", "concatenate"),
        ("aegis.kv.set('k', key)", "args.json", "secret(KEY)"),
        ("return aegis.template.render('{{ k }}', { k = key })", "args.json", "secret(KEY)"),
        ("error(key)", "script.error", "secret(KEY)"),
        ("return aegis.base64.encode(key)", "args.type", "secret(KEY)"),
    ] {
        let fault = desk.fault(body);
        assert!(fault.code == code && fault.message.contains(said), "{body}: {fault:?}");
    }
}

#[test]
fn calls_are_given_the_text_and_show_none_of_it() {
    let desk = desk();
    let seen = desk.value("return aegis.http.get('URL/a', { headers = { ['X-Key'] = key } }).json");
    assert_eq!((desk.asked().header("x-key"), &seen["key"]), (SECRET, &json!(MASK)));
    let seen = desk.value("return aegis.http.get('URL/a', { headers = { Authorization = key:bearer() } }).json");
    assert_eq!(desk.asked().header("authorization"), format!("Bearer {SECRET}"));
    assert_eq!(seen["authorization"], json!("Bearer ***"));
    let seen = desk.value("return aegis.http.get('URL/a', { headers = { Authorization = key:basic('me') } }).json");
    assert_eq!(desk.asked().header("authorization"), "Basic bWU6cCZzcy93K3JkICI5fiIgb2YgdGVzdHM=");
    assert!(seen["authorization"].as_str().is_some_and(|text| text.contains(MASK) && text.len() < 20), "{seen}");
    desk.value("return aegis.http.get('URL/a', { query = { k = key } }).body");
    assert!(desk.asked().path.contains("p%26ss%2Fw%2Brd"), "{}", desk.asked().path);
    let seen = desk.value("return aegis.http.post('URL/a', { json = { deep = { key, 1 } } }).json.body");
    assert_eq!((desk.asked().json(), seen), (json!({ "deep": [SECRET, 1] }), json!("{\"deep\":[\"***\",1]}")));
    let seen = desk.value("return aegis.http.post('URL/a', { body = key:wrap('<', '>') }).json.body");
    assert_eq!((&*desk.asked().body, seen), (format!("<{SECRET}>").as_bytes(), json!("<***>")));
    desk.value("return aegis.http.post('URL/a', { form = { k = key } }).status");
    assert!(String::from_utf8_lossy(&desk.asked().body).contains("p%26ss%2Fw%2Brd+%229"));
    let rows = desk.value("return aegis.sql.query('main', 'SELECT ? AS a, length(?) AS b', { key, key })");
    assert_eq!(rows, json!([{ "a": MASK, "b": SECRET.len() }]));
    let hmac = desk.value(&format!("return aegis.hmac.sha256(key, 'x') == aegis.hmac.sha256({SECRET:?}, 'x')"));
    assert_eq!(hmac, json!(true));
    let program = "return aegis.process.run('printenv', { args = { 'K' }, env = { K = key } }).stdout";
    assert_eq!(desk.value(program), json!("***\n"));
    assert_eq!(desk.value("return aegis.process.run('cat', { stdin = key }).stdout"), json!(MASK));
}

#[test]
fn faults_of_calls_that_were_given_a_secret_are_masked() {
    let desk = desk();
    let fault = desk.fault("aegis.sql.query('main', 'SELECT ? FROM nowhere', { key })");
    assert!(!fault.message.contains("9~"), "{fault}");
    let fault = desk.fault("aegis.http.json('http://127.0.0.1:1/x', { query = { k = key } })");
    assert!(!serde_json::to_string(&fault).expect("JSON").contains("ss%2F"), "{fault:?}");
}

#[test]
fn the_text_needs_a_grant_of_its_own() {
    let desk = desk();
    assert_eq!(desk.value("return aegis.secrets.get('SHOWN'):reveal()"), json!("may-be-shown"));
    assert_eq!(
        desk.value("return aegis.secrets.reveal(aegis.secrets.get('SHOWN'):wrap('<', '>'))"),
        json!("<may-be-shown>")
    );
    let fault = desk.fault("return key:reveal()");
    assert_eq!(&*fault.code, "permission.denied");
    assert_eq!(fault.details["line"], json!("permissions = { secrets = { SHOWN = \"reveal\", KEY = \"reveal\" } }"));
    let fault = desk.fault("aegis.secrets.get('OTHER')");
    assert_eq!(fault.details["line"], json!("permissions = { secrets = { \"KEY\", \"OTHER\", SHOWN = \"reveal\" } }"));
    let caught = desk.value("local ok, err = pcall(key.reveal, key) return { ok, err.code }");
    assert_eq!(caught, json!([false, "permission.denied"]));
    let listed = desk.value("return aegis.secrets.list()");
    let names: Vec<_> = listed.as_array().expect("a list").iter().map(|one| (&one["name"], &one["reveal"])).collect();
    assert_eq!(names, [(&json!("KEY"), &json!(false)), (&json!("SHOWN"), &json!(true))]);
}

#[test]
fn wrong_uses_name_what_is_wrong() {
    let desk = desk();
    for (body, code, said) in [
        ("aegis.secrets.get()", "args.missing", "\"name\""),
        ("aegis.secrets.get('KEY', 1)", "args.count", "too many"),
        ("aegis.secrets.get(key)", "args.type", "secret(KEY)"),
        ("aegis.secrets.reveal('KEY')", "args.type", "a secret"),
        ("key.reveal()", "args.missing", "\"secret\""),
        ("key:basic()", "args.missing", "\"user\""),
        ("key:basic('a:b')", "args.value", "colon"),
        ("key:wrap(key)", "args.type", "secret(KEY)"),
        ("key:wrap(string.rep('x', 200000))", "args.size", "longer"),
        ("key:nothing()", "script.error", "missing method 'nothing' of secret"),
        ("aegis.http.get(key)", "args.type", "\"url\""),
        ("aegis.secrets.set('A', 'b')", "script.error", "nil"),
    ] {
        let fault = desk.fault(body);
        assert!(fault.code == code && fault.message.contains(said), "{body}: {fault:?}");
    }
    let mut desk = desk;
    desk.bed.grants.secrets.push("N*".into());
    let fault = desk.fault("aegis.secrets.get('NONE')");
    assert!(fault.code == "secrets.not_found" && fault.hint.is_some_and(|hint| hint.contains("aegis secret set NONE")));
}

#[test]
fn what_is_known_to_be_secret_is_kept_nowhere() {
    let desk = desk();
    for body in [
        "aegis.kv.set('k', { deep = { aegis.secrets.get('SHOWN'):reveal() } })",
        "aegis.kv.set('k', aegis.base64.encode('user:' .. aegis.secrets.get('SHOWN'):reveal()))",
        "aegis.kv.set(aegis.secrets.get('SHOWN'):reveal(), 1)",
    ] {
        assert_eq!(&*desk.fault(body).code, "kv.secret", "{body}");
    }
}

#[test]
fn a_file_that_is_loaded_has_no_secrets() {
    let desk = desk();
    let outcome = desk.bed.file("local k = aegis.secrets.get('KEY') return aegis.job { run = function() end }");
    assert!(format!("{outcome:?}").contains("phase.load"), "{outcome:?}");
}
