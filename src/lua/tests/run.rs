//! A run from its file to its outcome.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{Bed, bundle, job, on_lane};
use crate::lua::{Bundle, Outcome};

#[test]
fn a_run_returns_its_result() {
    let bed = Bed { params: json!({ "name": "world", "big": 9_007_199_254_740_993_i64 }), ..Bed::default() };
    let outcome = bed.file(
        "return aegis.job { run = function(ctx)
           print('hello', ctx.params.name)
           return { text = 'hi ' .. ctx.params.name, list = { 1, 2.5 }, none = aegis.null, job = ctx.job,
                    big = ctx.params.big }
         end }",
    );
    let expected = json!({ "text": "hi world", "list": [1, 2.5], "none": null, "job": "tester",
                           "big": "9007199254740993" });
    assert_eq!(outcome, Outcome::Returned(expected));
    assert_eq!(bed.log.texts(), ["hello\tworld"]);
}

#[test]
fn waiting_calls_wait_without_holding_the_lane() {
    let bed = Bed::default();
    let sleeper = bundle(&job("aegis.sleep('300ms') return 1"));
    let began = Instant::now();
    let outcomes = on_lane(async {
        let runs = (0..10).map(|_| bed.engine.execute(sleeper.clone(), bed.scope()));
        futures_util::future::join_all(runs).await
    });
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Returned(json!(1))), "{outcomes:?}");
    // One after the other they would take as long as this.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn a_run_ends_at_its_wall_time() {
    let bed = Bed { timeout: Duration::from_millis(50), ..Bed::default() };
    let Outcome::TimedOut(fault) = bed.body("aegis.sleep('10s')") else { panic!("not timed out") };
    assert_eq!(fault.code, "run.timeout");
    let at = fault.at.expect("a position");
    assert_eq!((at.file.as_str(), at.line, at.text.as_deref()), ("tester.lua", 2, Some("aegis.sleep('10s')")));
}

#[test]
fn a_run_ends_at_its_cpu_budget() {
    let bed = Bed { cpu: Duration::from_millis(50), ..Bed::default() };
    let Outcome::TimedOut(fault) = bed.body("local n = 0\nwhile true do n += 1 end") else { panic!("not stopped") };
    assert_eq!((&*fault.code, fault.at.map(|at| at.line)), ("run.cpu", Some(3)));
}

#[test]
fn sleeping_is_no_cpu_time() {
    let bed = Bed { cpu: Duration::from_millis(40), ..Bed::default() };
    assert_eq!(bed.value("for _ = 1, 4 do aegis.sleep('30ms') end return 'done'"), json!("done"));
}

#[test]
fn a_cancelled_run_is_cancelled_asleep_or_busy() {
    for body in ["aegis.sleep('10s')", "while true do pcall(function() while true do end end) end"] {
        let bed = Bed::default();
        let cancel = bed.cancel.clone();
        bed.io.spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            cancel.cancel();
        });
        assert_eq!(bed.body(body), Outcome::Cancelled, "{body}");
    }
}

#[test]
fn busy_runs_take_turns() {
    let bed = Bed::default();
    let busy = bundle(&job("while true do end"));
    let quick = bundle(&job("return 'done'"));
    let (quick, busy) = on_lane(async {
        let (engine, scope) = (bed.engine.clone(), bed.scope());
        let busy = tokio::task::spawn_local(async move { engine.execute(busy, scope).await });
        tokio::task::yield_now().await;
        let quick = bed.engine.execute(quick, bed.scope()).await;
        bed.cancel.cancel();
        (quick, busy.await.expect("the busy run ends"))
    });
    // Without turns the quick one would begin when the busy one has used up its time, and find nothing to cancel.
    assert!(matches!(quick, Outcome::Returned(_)), "{quick:?}");
    assert_eq!(busy, Outcome::Cancelled);
}

#[test]
fn a_failing_hook_and_a_missing_one() {
    let bed = Bed::default();
    let source = "return aegis.job { run = function() end,
                  on_failure = function(ctx, err) return ctx.job .. ':' .. err.code end }";
    let hook = |name: &'static str| {
        on_lane(bed.engine.execute_hook(bundle(source), bed.scope(), name, json!({ "code": "x.y" })))
    };
    assert_eq!(hook("on_failure"), Outcome::Returned(json!("tester:x.y")));
    assert_eq!(hook("on_success"), Outcome::Returned(json!(null)));
}

#[test]
fn tasks_of_a_group_run_together() {
    let bed = Bed::default();
    let began = Instant::now();
    let made = bed.value(
        "return ctx:map({ 'a', 'b', 'c', 'd' }, function(item, index)
           aegis.sleep('500ms')
           return item .. index
         end, { limit = 4 })",
    );
    assert_eq!(made, json!(["a1", "b2", "c3", "d4"]));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(bed.value("return ctx:all { function() return 1 end, function() end }"), json!([1, null]));
}

#[test]
fn a_failing_task_cancels_its_siblings() {
    let bed = Bed::default();
    let began = Instant::now();
    let fault = bed.fault(
        "ctx:all { function() aegis.sleep('10s') print('not reached') end,
                   function() aegis.sleep('20ms') error { code = 'x.failed', message = 'no' } end }",
    );
    assert_eq!(&*fault.code, "x.failed");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(bed.log.texts().is_empty());
}

#[test]
fn waiting_works_in_the_scripts_own_coroutines() {
    let bed = Bed::default();
    let made = bed.value(
        "local function items()
           for i = 1, 3 do aegis.sleep('2ms') coroutine.yield(i) end
         end
         local seen = {}
         for i in coroutine.wrap(items) do table.insert(seen, i) end
         local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) aegis.sleep('1ms') return b * 2 end)
         local _, first = coroutine.resume(co, 1)
         local _, second = coroutine.resume(co, 21)
         return { seen, first, second, coroutine.status(co), select('#', coroutine.resume(co)) }",
    );
    assert_eq!(made, json!([[1, 2, 3], 2, 42, "dead", 2]));
}

#[test]
fn files_are_required_once_from_the_bundle() {
    let bed = Bed::default();
    let files = |main: &str| {
        let file = |path: &str, source: &str| (path.to_owned(), source.to_owned());
        std::sync::Arc::new(Bundle::new(vec![
            file("tester.lua", main),
            file("lib/counter.lua", "local M = { count = 0 } function M.up() M.count += 1 return M.count end return M"),
            file("lib/deep/init.luau", "return { name = 'deep', counter = require('@lib/counter') }"),
            file("lib/a.lua", "return require('lib.b')"),
            file("lib/b.lua", "return require('@lib/a')"),
        ]))
    };
    let main = "local counter = require('@lib/counter') local deep = require('lib.deep')
                return aegis.job { run = function()
                  counter.up() deep.counter.up() return { counter.count, deep.name } end }";
    assert_eq!(bed.bundle(files(main)), Outcome::Returned(json!([2, "deep"])));
    let Outcome::Raised(cycle) = bed.bundle(files("require('@lib/a')")) else { panic!("no cycle") };
    assert_eq!(
        (&*cycle.code, cycle.message.as_str()),
        ("require.cycle", "files require each other in a circle: lib/a.lua -> lib/b.lua -> lib/a.lua",)
    );
    let Outcome::Raised(missing) = bed.bundle(files("require('@lib/conter')")) else { panic!("found") };
    assert_eq!(missing.message, "there is no \"@lib/conter\" among this job's files; did you mean \"@lib/counter\"?");
}

#[test]
fn a_file_that_declares_no_job_says_so() {
    let bed = Bed::default();
    for (source, code) in [
        ("", "job.missing"),
        ("aegis.job { run = print }", "job.not_returned"),
        ("aegis.job {} return aegis.job {}", "job.twice"),
        ("return aegis.job(1)", "args.type"),
        ("return aegis.job { run = function() return aegis.job {} end }", "phase.run"),
        ("aegis.kv.get('x')", "phase.load"),
        ("return aegis.jbo {}", "api.unknown"),
        ("return aegis.job {", "script.syntax"),
    ] {
        let Outcome::Raised(fault) = bed.file(source) else { panic!("{source} did not raise") };
        assert_eq!(&*fault.code, code, "{source}: {fault:?}");
        assert!(code == "job.missing" || code == "job.not_returned" || fault.at.is_some(), "{source}: {fault:?}");
    }
}
