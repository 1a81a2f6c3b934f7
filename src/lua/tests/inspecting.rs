//! Loading a file without running it.

use serde_json::json;

use super::support::{Bed, bundle};
use crate::lua::Engine;

#[test]
fn the_job_table_is_read_with_its_lines() {
    let bed = Bed::default();
    let source = "local every = '5m'\nprint('loading')\nreturn aegis.job {\n  description = 'x',\n  schedule = {\n    every = every,\n  },\n  \
                  params = { n = { type = 'integer', min = 1 } },\n  permissions = { kv = {} },\n  run = function(ctx) end,\n}";
    let inspected = bed.engine.inspect(&bundle(source)).expect("a job");
    let expected = json!({ "description": "x", "schedule": { "every": "5m" },
                           "params": { "n": { "type": "integer", "min": 1 } }, "permissions": { "kv": {} },
                           "run": { "$function": true } });
    assert_eq!(inspected.table, expected);
    let line = |key: &str| inspected.lines.get(key).copied();
    assert_eq!((line("description"), line("schedule.every"), line("run")), (Some(4), Some(6), Some(10)));
    assert!(bed.log.texts().is_empty());
}

#[test]
fn what_cannot_be_loaded_says_where() {
    let bed = Bed::default();
    for (source, code, line) in [
        ("local x = 1\nreturn aegis.job {", "script.syntax", Some(2)),
        ("local x = nil\nreturn aegis.job { run = x.y }", "script.error", Some(2)),
        ("local n = 0\nwhile true do\nn += 1\nend", "load.timeout", Some(3)),
        ("local n = 0\nwhile true do pcall(function()\nwhile true do\nn += 1 end end) end", "load.timeout", Some(4)),
        ("local t = {}\nfor i = 1, 1e9 do t[i] = { i } end", "run.memory load.timeout", Some(2)),
        ("\nlocal v = aegis.kv.get('x')", "phase.load", Some(2)),
        ("\naegis.sleep('1s')", "phase.load", Some(2)),
        ("return {}", "job.missing", None),
        ("\nrequire('@lib/none')", "require.not_found", Some(2)),
        ("\n\u{1b}Lua", "script.syntax", Some(2)),
    ] {
        let fault = bed.engine.inspect(&bundle(source)).expect_err(source);
        assert!(code.split(' ').any(|code| code == fault.code), "{source}: {fault:?}");
        assert!(fault.at.as_ref().map(|at| at.line) == line || code.starts_with("run.memory"), "{source}: {fault:?}");
        assert!(!fault.message.is_empty());
    }
}

#[test]
fn a_body_that_yields_is_loaded_all_the_same() {
    let bed = Bed::default();
    let inspected = bed.engine.inspect(&bundle("coroutine.yield(1)\nreturn aegis.job { description = 'y' }"));
    assert_eq!(inspected.expect("a job").table, json!({ "description": "y" }));
}

#[test]
fn requires_are_read_from_the_source() {
    assert_eq!(Engine::requires("local a = require('@lib/a') -- require('b')"), ["@lib/a"]);
    assert_eq!(Engine::required_files("@lib/a"), ["lib/a.lua", "lib/a.luau", "lib/a/init.lua", "lib/a/init.luau"]);
    assert!(Engine::required_files("@std/retry").is_empty());
}
