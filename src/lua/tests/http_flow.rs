//! `aegis.http` with files and streams, from Lua to a real server on loopback.

use std::collections::BTreeMap;

use serde_json::json;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::http::testing::{Answer, Asked, Server, answer};
use crate::primitives::{self, Primitives};

struct Reach {
    bed: Bed,
    server: Server,
    dir: tempfile::TempDir,
}

fn serve(_: usize, asked: &Asked) -> Answer {
    match asked.path.as_str() {
        "/lines" => answer(200, &[("x-kind", "log")], "one\ntwo\nthree"),
        "/events" => {
            answer(200, &[("content-type", "text/event-stream")], "data: a\n\nevent: done\ndata: b\nid: 9\n\n")
        }
        "/missing" => answer(404, &[], "no such thing"),
        "/echo" => answer(200, &[], asked.body.clone()),
        _ => answer(200, &[], vec![b'x'; 100_000]),
    }
}

fn start() -> Reach {
    let mut bed = Bed::default();
    let server = bed.io.block_on(Server::start(serve));
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("note.txt"), "from a file").expect("written");
    let fs = BTreeMap::from([("out".to_owned(), Access::Write)]);
    bed.grants = Grants { http: vec!["127.0.0.1".into()], fs, ..Grants::default() };
    let roots = BTreeMap::from(["out", "closed"].map(|name| (name.to_owned(), dir.path().to_owned())));
    let primitives = Primitives::new(primitives::Options { roots, ..primitives::Options::default() });
    let primitives = primitives.expect("roots that can be used");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    Reach { bed, server, dir }
}

impl Reach {
    #[track_caller]
    fn value(&self, body: &str) -> serde_json::Value {
        self.bed.value(&body.replace("URL", &self.server.url("")))
    }

    #[track_caller]
    fn fault(&self, body: &str) -> crate::base::Fault {
        self.bed.fault(&body.replace("URL", &self.server.url("")))
    }
}

#[test]
fn a_download_is_a_file() {
    let reach = start();
    let said = reach.value(
        "local got = aegis.http.download('URL/large', 'out:large.bin', { max_size = '1MiB' })
         local again = aegis.http.download('URL/large', 'out:large.bin', { sha256 = got.sha256 })
         return { got.bytes, got.path, #got.sha256, got.attempts, again.sha256 == got.sha256 }",
    );
    assert_eq!(said, json!([100_000, "out:large.bin", 64, 1, true]));
    assert_eq!(std::fs::read(reach.dir.path().join("large.bin")).expect("a file").len(), 100_000);
    let planned = reach.value("return aegis.http.download('URL/large', 'out:dry', { dry_run = true }).plan");
    assert!(
        planned.as_str().is_some_and(|plan| plan.starts_with("GET ") && plan.ends_with(" into out:dry")),
        "{planned}"
    );
    assert!(!reach.dir.path().join("dry").exists());
}

#[test]
fn wrong_downloads_say_what_is_wrong() {
    let reach = start();
    let cases = [
        ("download('URL/missing', 'out:x')", "http.status", "answered 404"),
        ("download('URL/large', 'out:x', { max_size = 5 })", "http.body_too_large", "larger than 5"),
        ("download('URL/large', 'out:x', { sha256 = '00' })", "http.checksum", "00 was expected"),
        ("download('URL/large', 'closed:x')", "permission.denied", "closed"),
        ("download('URL/large', 'out:../x')", "fs.bad_path", "out:../x"),
        ("download('https://db.example.com/', 'out:x')", "permission.denied", "db.example.com"),
        ("download('URL/large')", "args.missing", "path"),
        ("download('URL/large', 'out:note.txt', { overwrite = false })", "fs.exists", "note.txt"),
        ("post('URL/', { multipart = { { name = 'a' } } })", "http.bad_request", "\"a\" needs either content or file"),
        ("post('URL/', { multipart = { { name = 'a', file = 'closed:x' } } })", "permission.denied", "closed"),
        ("get('URL/', { idle = 0 })", "http.bad_request", "idle must be more than 0"),
        ("read(7)", "http.stream", "no open stream 7"),
        ("stream { url = 'URL/', by = 'words' }", "args.type", "by"),
        ("stream { url = 'URL/', max = 1 }", "args.unknown", "max"),
    ];
    for (call, code, text) in cases {
        let fault = reach.fault(&format!("aegis.http.{call}"));
        assert!(fault.code == code && fault.to_string().contains(text), "{call}: {}: {fault}", fault.code);
    }
    assert!(!reach.dir.path().join("x").exists());
}

#[test]
fn an_answer_is_read_while_it_arrives() {
    let reach = start();
    let said = reach.value(
        "local found = {}
         local stream = aegis.http.stream { url = 'URL/lines', by = 'lines' }
         for line in stream do table.insert(found, line) end
         return { found, stream.status, stream.ok, stream.headers['x-kind'], stream() == nil }",
    );
    assert_eq!(said, json!([["one", "two", "three"], 200, true, "log", true]));
    let said = reach.value(
        "local found = {}
         for event in aegis.http.stream { url = 'URL/events', by = 'events' } do table.insert(found, event) end
         return found",
    );
    assert_eq!(said[0], json!({ "event": "message", "data": "a", "id": null }));
    assert_eq!(said[1], json!({ "event": "done", "data": "b", "id": "9" }));
    let said = reach.value(
        "local bytes = 0
         for chunk in aegis.http.stream { url = 'URL/large' } do bytes += #chunk end
         local stream = aegis.http.stream { url = 'URL/lines', by = 'lines' }
         local first = stream()
         stream:close()
         stream:close()
         return { bytes, first, stream() == nil }",
    );
    assert_eq!(said, json!([100_000, "one", true]));
    let fault = reach.fault("local all = {} for n = 1, 20 do all[n] = aegis.http.stream { url = 'URL/lines' } end");
    assert_eq!((&*fault.code, fault.message.contains("16 streams are open")), ("http.stream", true), "{fault}");
}

#[test]
fn a_part_may_be_a_file() {
    let reach = start();
    let said = reach.value(
        "local parts = { { name = 'note', file = 'out:note.txt', content_type = 'text/plain' }, { name = 'a', content = 'b' } }
         return aegis.http.post('URL/echo', { multipart = parts }).body",
    );
    let said = said.as_str().unwrap_or_default();
    assert!(said.contains("filename=\"note.txt\"") && said.contains("from a file"), "{said}");
}
