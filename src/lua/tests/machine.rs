//! `aegis.host`, `aegis.process` and `aegis.fs`, from Lua to this machine.

use std::collections::BTreeMap;

use serde_json::json;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::grants::Access;
use crate::model::{Grants, LogLevel};
use crate::primitives::{self, Primitives};

fn start() -> (tempfile::TempDir, Bed) {
    let dir = tempfile::tempdir().expect("a folder");
    let grants = Grants {
        host: Some(Access::Read),
        process: ["printf", "sort", "false", "seq", "sleep", "missing-program"].map(str::to_owned).into(),
        fs: BTreeMap::from([("data".to_owned(), Access::Write), ("gone".to_owned(), Access::Read)]),
        ..Grants::default()
    };
    let mut bed = Bed { grants, ..Bed::default() };
    let roots = BTreeMap::from([
        ("data".to_owned(), dir.path().to_owned()),
        ("gone".to_owned(), dir.path().join("gone")),
        ("other".to_owned(), dir.path().to_owned()),
    ]);
    let options = primitives::Options { roots, ..primitives::Options::default() };
    let primitives = Primitives::new(options).expect("roots that can be used");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    (dir, bed)
}

#[test]
fn the_machine_is_told_in_records() {
    let (_dir, bed) = start();
    let body = "local info, memory, cpu = aegis.host.info(), aegis.host.memory(), aegis.host.cpu({ interval = '10ms' })
                local top = aegis.host.processes({ sort = 'memory', limit = 3 })
                assert(info.cpus == #cpu.cores and memory.total_bytes == info.memory_bytes)
                assert(#aegis.host.disks() > 0 and aegis.host.interfaces()[1].received_bytes ~= nil)
                assert(aegis.host.tcp_stats().retransmitted ~= nil and type(aegis.host.listeners()) == 'table')
                local pressure = aegis.host.pressure()
                assert(pressure == nil or pressure.io.some_10 >= 0)
                return { #top, type(top[1].pid), type(info.boot_time) }";
    assert_eq!(bed.value(body), json!([3, "number", "string"]));
}

#[test]
fn programs_are_run_and_their_lines_logged() {
    let (dir, bed) = start();
    let body = "local r = aegis.process.run('printf', { args = { '%s\\n', 'a b', '$HOME' }, log = true })
                local s = aegis.process.run('sort', { stdin = 'b\\na\\n', stdout = 'data:sorted' })
                local f = aegis.process.run('false')
                return { r.ok, r.code, r.stdout, s.ok, s.stdout, s.stdout_bytes, f.ok, f.code }";
    assert_eq!(bed.value(body), json!([true, 0, "a b\n$HOME\n", true, "", 4, false, 1]));
    assert_eq!(std::fs::read_to_string(dir.path().join("sorted")).expect("a file"), "a\nb\n");
    let lines = bed.log.lines.lock().expect("not poisoned").clone();
    assert!(lines.iter().any(|(level, text, _)| *level == LogLevel::Info && text == "$HOME"), "{lines:?}");
    let planned = "return aegis.process.run('printf', { args = { 'a b' }, dry_run = true }).plan";
    assert_eq!(bed.value(planned), json!("/usr/bin/printf 'a b'"));
    let fault = bed.fault("aegis.process.run('false', { check = true })");
    assert_eq!((&*fault.code, &*fault.message), ("process.failed", "false ended with the exit code 1"));
}

#[test]
fn files_are_kept_in_their_root() {
    let (dir, mut bed) = start();
    let body = "local w = aegis.fs.write('data:a/../a', 'x')";
    assert_eq!(&*bed.fault(body).code, "fs.bad_path");
    let body = "aegis.fs.mkdir('data:a/b', { parents = true })
                local w = aegis.fs.write('data:a/b/x', 'hello\\0')
                aegis.fs.append('data:a/b/x', '!')
                aegis.fs.copy('data:a/b/x', 'data:y')
                aegis.fs.move('data:y', 'data:z')
                local found = {}
                for _, entry in aegis.fs.list('data:', { recursive = true }) do table.insert(found, entry.path) end
                local s = aegis.fs.stat('data:z')
                return { w.bytes, #aegis.fs.read('data:z'), found, s.kind, s.bytes, s.mode, aegis.fs.stat('data:y') == nil,
                         aegis.fs.hash('data:z') == aegis.hash.sha256('hello\\0!'), aegis.fs.space('data:').total_bytes > 0,
                         aegis.fs.remove('data:a', { recursive = true }).entries }";
    let found = json!(["data:a", "data:a/b", "data:a/b/x", "data:z"]);
    assert_eq!(bed.value(body), json!([6, 7, found, "file", 7, "0640", true, true, true, 3]));
    bed.dry_run = true;
    let plans = "return { aegis.fs.write('data:z', 'new').plan, aegis.fs.remove('data:z').plan,
                          aegis.fs.mkdir('data:m').plan, aegis.fs.append('data:z', 'x').plan,
                          aegis.fs.copy('data:z', 'data:c').plan, aegis.fs.move('data:z', 'data:c').plan }";
    let expected = json!([
        "write 3 B to data:z",
        "remove data:z",
        "make the folder data:m",
        "append 1 B to data:z",
        "copy data:z to data:c",
        "move data:z to data:c"
    ]);
    assert_eq!(bed.value(plans), expected);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1);
}

#[test]
fn each_wrong_use_names_the_object_and_the_remedy() {
    let (_dir, bed) = start();
    let cases = [
        ("process.run('sh')", "permission.denied", r#""missing-program", "sh" }"#),
        ("process.run('printf', { argv = {} })", "args.unknown", "args"),
        ("process.run('printf', { args = 'x' })", "args.type", "args"),
        ("process.run()", "args.missing", "program"),
        ("process.run('missing-program')", "process.not_found", "process.programs"),
        ("process.run('printf', { env = { LD_PRELOAD = 'x' } })", "process.environment", "LD_PRELOAD"),
        ("process.run('printf', { cwd = 'other:' })", "permission.denied", r#"["other"] = "read""#),
        ("process.run('printf', { stdout = 'gone:x' })", "permission.denied", r#"["gone"] = "write""#),
        ("process.run('sleep', { args = { '100' }, timeout = '50ms' })", "process.timeout", "timeout"),
        ("fs.read('other:x')", "permission.denied", r#"["other"] = "read""#),
        ("fs.write('gone:x', '')", "permission.denied", r#"["gone"] = "write""#),
        ("fs.read('gone:x')", "fs.root_missing", "fs.roots"),
        ("fs.read('data:x')", "fs.not_found", "data:x"),
        ("fs.read('data')", "fs.bad_path", "root:relative/path"),
        ("fs.read('data:\\255')", "args.type", "path"),
        ("fs.read('data:x', { maximum = 1 })", "args.unknown", "max"),
        ("fs.list('data:', { limit = 'x' })", "args.type", "limit"),
        ("fs.hash('data:x', 'md5')", "args.type", "blake3"),
        ("fs.remove('data:')", "fs.bad_path", "root itself"),
        ("host.cpu({ interval = 'soon' })", "args.type", "interval"),
        ("host.processes({ sort = 'size' })", "args.type", "memory"),
    ];
    for (call, code, named) in cases {
        let fault = bed.fault(&format!("aegis.{call}"));
        assert_eq!(&*fault.code, code, "{call}: {fault}");
        assert!(fault.to_string().contains(named), "{call}: {fault}");
    }
    let none = Bed { grants: Grants::default(), ..bed };
    let calls = ["info", "cpu", "memory", "disks", "interfaces", "tcp_stats", "processes", "listeners", "pressure"];
    for call in calls {
        let fault = none.fault(&format!("aegis.host.{call}()"));
        assert_eq!(&*fault.code, "permission.denied", "{call}");
        assert!(fault.to_string().contains(r#"permissions = { host = "read" }"#), "{call}: {fault}");
    }
}
