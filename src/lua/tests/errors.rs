//! Errors, as scripts catch them and as people read them.

use serde_json::json;

use super::support::Bed;
use crate::lua::Outcome;

#[test]
fn an_uncaught_error_shows_the_scripts_line() {
    let bed = Bed::default();
    let Outcome::Raised(fault) = bed.file(
        "local function helper(x)\n  return x.missing.field\nend\n\
         return aegis.job { run = function(ctx)\n  helper({})\n  return 1\nend }",
    ) else {
        panic!("did not raise")
    };
    assert_eq!((&*fault.code, fault.message.as_str()), ("script.error", "attempt to index nil with 'field'"));
    let at = fault.at.expect("a position");
    assert_eq!((at.file.as_str(), at.line, at.text.as_deref()), ("tester.lua", 2, Some("  return x.missing.field")));
    assert_eq!(fault.trace, ["tester.lua:2 helper", "tester.lua:5 run"]);
}

#[test]
fn thrown_values_keep_their_meaning() {
    let bed = Bed::default();
    let thrown = |code: &str| bed.fault(code);
    assert_eq!(thrown("error('plain')").message, "plain");
    assert_eq!(thrown("error('at caller', 2)").message, "at caller");
    let fault = thrown("error { code = 'app.broken', message = 'no disk', retryable = true, details = { left = 3 } }");
    assert_eq!((&*fault.code, fault.message.as_str(), fault.retryable), ("app.broken", "no disk", true));
    assert_eq!((fault.details, fault.at.map(|at| at.line)), (json!({ "left": 3 }), Some(2)));
    assert_eq!(thrown("error({ 1, 2 })").message, "the script raised { 1, 2 }");
    assert_eq!(thrown("error()").message, "the script raised nil");
    assert_eq!(&*thrown("error({ code = 'not a code!', message = 'm' })").code, "script.error");
}

#[test]
fn caught_errors_are_objects() {
    let bed = Bed::default();
    let body = "local ok, err = pcall(aegis.kv.get)
                return { ok, err.code, tostring(err), err.retryable, err.trace[1], type(err) }";
    let expected =
        json!([false, "args.missing", "aegis.kv.get: argument \"key\" is missing", false, "tester.lua:2 run", "table"]);
    assert_eq!(bed.value(body), expected);
    let body = "local ok, err = aegis.try(function() error('plain') end)
                local fine, a, b = aegis.try(function(x) aegis.sleep(0) return x, 2 end, 1)
                return { ok, err.code, err.message, fine, a, b, (select(2, pcall(error, 'text'))) }";
    assert_eq!(bed.value(body), json!([false, "script.error", "plain", true, 1, 2, "text"]));
}

#[test]
fn a_result_that_is_no_json_is_refused() {
    let bed = Bed::default();
    assert_eq!(&*bed.fault("return print").code, "run.result");
    let fault = bed.fault("return { a = { b = coroutine.create(print) } }");
    assert_eq!(fault.message, "the returned value cannot be stored: a thread has no JSON (at .a.b)");
    assert_eq!(&*bed.fault("return ('x'):rep(2000000)").code, "run.result");
}

#[test]
fn running_out_of_memory_is_said_to_be_that() {
    let bed = Bed::default();
    let fault = bed.fault("local t = {} for i = 1, 1e9 do t[i] = { i } end");
    assert_eq!(&*fault.code, "run.memory");
    assert_eq!(bed.value("local ok = pcall(string.rep, 'x', 1e9) return ok"), json!(false));
}
