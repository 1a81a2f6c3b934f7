//! Lua tests of scripts: `*_test.lua` with `require("@std/test")`.

use std::sync::Arc;
use std::time::Duration;

use mlua::{Table, Value};
use tokio_util::sync::CancellationToken;

use super::bundle::Bundle;
use super::engine::{Core, Engine};
use super::error::{fault_of, locate, of_mlua};
use super::trace;
use super::vm::library::main_chunk;
use super::vm::{Budget, Ended, Vm};
use crate::base::quantity::show_duration;
use crate::base::{Fault, limits};

/// One `it(…)`; or, when the file itself fails, the file.
#[derive(Debug, Clone, PartialEq)]
pub struct TestResult {
    /// The words of its `describe`s and its own.
    pub name: String,
    /// A failed expectation has the code `test.failed`.
    pub outcome: Result<(), Fault>,
    pub duration: Duration,
}

impl Engine {
    /// Runs a file of tests, the bundle's first; the others are what it tests, by their paths. Blocking and bounded by
    /// `TEST_FILE_TIMEOUT`: call it on a blocking thread.
    pub fn run_tests(&self, bundle: &Arc<Bundle>) -> Vec<TestResult> {
        carry_out(self.core(), bundle).unwrap_or_else(|mut fault| {
            locate(&mut fault, Some(bundle));
            let name = bundle.files.first().map(|(file, _)| file.clone()).unwrap_or_default();
            vec![TestResult { name, outcome: Err(fault), duration: Duration::ZERO }]
        })
    }
}

fn carry_out(core: &Arc<Core>, bundle: &Arc<Bundle>) -> Result<Vec<TestResult>, Fault> {
    let vm = Vm::new(core, limits::RUN_MEMORY_BYTES_DEFAULT)?;
    vm.host().set_bundle(bundle.clone());
    let chunk = main_chunk(vm.lua(), bundle)?.map_err(|problem| of_mlua(&problem))?;
    let budget =
        Budget { wall: limits::TEST_FILE_TIMEOUT, cpu: limits::TEST_FILE_TIMEOUT, cancel: CancellationToken::new() };
    match vm.drive_blocking(vm.entry("test")?, chunk, &budget)? {
        Ended::Returned(Value::Table(results)) => {
            let results = results.sequence_values::<Table>();
            results.map(|result| result.and_then(|result| read(&result, &vm)).map_err(|e| of_mlua(&e))).collect()
        }
        Ended::Returned(_) | Ended::Halted(_) => {
            Err(Fault::new("test.results", "the tests returned nothing that can be read"))
        }
        Ended::Raised(fault) => Err(fault),
        Ended::Stopped(_, trace) => {
            let limit = show_duration(limits::TEST_FILE_TIMEOUT);
            let mut fault = Fault::new("test.timeout", format!("the tests were not done within {limit}"));
            fault.at = trace.first().and_then(|frame| trace::position(frame)).map(|(at, _)| at);
            fault.trace = trace;
            Err(fault)
        }
    }
}

fn read(result: &Table, vm: &Vm) -> mlua::Result<TestResult> {
    let passed: bool = result.raw_get("ok")?;
    let problem: Value = result.raw_get("problem")?;
    let seconds: f64 = result.raw_get("seconds")?;
    Ok(TestResult {
        name: result.raw_get("name")?,
        outcome: if passed { Ok(()) } else { Err(failure(&problem, vm)) },
        duration: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
    })
}

/// A failed expectation points at the test, not into the framework.
fn failure(problem: &Value, vm: &Vm) -> Fault {
    let mut fault = fault_of(problem, vm.host());
    if fault.code == "test.failed" {
        fault.trace.retain(|frame| !frame.starts_with("@std/test:"));
        fault.at = None;
        locate(&mut fault, vm.host().bundle().as_deref());
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lua::tests::support::Bed;

    fn run(test: &str, job: &str) -> Vec<TestResult> {
        let file = |path: &str, source: &str| (path.to_owned(), source.to_owned());
        let library = file("lib/names.lua", "return { of = function() return aegis.docker.list {}[1].name end }");
        let bundle = Bundle::new(vec![file("x_test.lua", test), file("x.lua", job), library]);
        Bed::default().engine.run_tests(&Arc::new(bundle))
    }

    const JOB: &str = "local names = require('@lib/names')
        return aegis.job { params = { greeting = { type = 'string', default = 'hello' } }, run = function(ctx)
          aegis.log.info('begin', { dry = ctx.dry_run })
          aegis.sleep('1h')
          aegis.kv.set('last', ctx.params.greeting)
          print('at', aegis.time.now())
          return ctx.params.greeting .. ' ' .. names.of()
        end }";

    #[test]
    fn a_job_runs_against_fakes() {
        let results = run(
            "local test = require('@std/test')
             local expect = test.expect
             test.describe('x', function()
               test.it('greets', function()
                 local result, world = test.run('x.lua', { fakes = { docker = { list = { { name = 'web' } } } } })
                 expect(result).to_be('hello web')
                 expect(world.kv).to_equal({ ['job/last'] = 'hello' })
                 expect(world.logs[1].text).to_be('begin')
                 expect(world.logs[2].text).to_match('2027%-01%-01T01:00:00Z')
                 expect(world.calls[1].name).to_be('docker.list')
                 expect(world.slept).to_be(3600)
               end)
               test.it('fails without a fake', function()
                 local err = expect(function() test.run('x.lua') end).to_raise('test.failed')
                 expect(err.message).to_contain('aegis.docker.list was called but has no fake')
               end)
               test.it('is wrong', function() expect({ 1 }).to_equal({ 2 }) end)
             end)",
            JOB,
        );
        let outcomes: Vec<_> =
            results.iter().map(|r| (r.name.as_str(), r.outcome.as_ref().err().map(|f| f.message.as_str()))).collect();
        assert_eq!(
            outcomes,
            [("x greets", None), ("x fails without a fake", None), ("x is wrong", Some("expected [2], got [1]")),]
        );
        let at = results[2].outcome.as_ref().err().and_then(|fault| fault.at.as_ref());
        assert_eq!(at.map(|at| (at.file.as_str(), at.line)), Some(("x_test.lua", 17)));
    }

    #[test]
    fn the_faked_store_has_revisions_and_no_more_than_its_fakes() {
        let results = run(
            "local test = require('@std/test')
             local expect = test.expect
             test.it('keeps', function()
               local _, _, fake = test.load('x.lua', { kv = { ['job/a'] = 1 } })
               expect(fake.kv.entry('b')).to_be(nil)
               expect(fake.kv.entry('a').revision).to_be(1)
               local revision = fake.kv.set('a', 2, { revision = 1 })
               expect(fake.kv.entry('a')).to_equal({ key = 'a', value = 2, revision = revision })
               expect(function() fake.kv.set('a', 3, { revision = 1 }) end).to_raise('kv.conflict')
               local err = expect(function() fake.kv.forget('a') end).to_raise('test.failed')
               expect(err.message).to_contain('aegis.kv.forget was called but has no fake')
             end)",
            JOB,
        );
        assert_eq!(results.iter().map(|result| result.outcome.clone()).collect::<Vec<_>>(), [Ok(())]);
    }

    #[test]
    fn a_durable_job_runs_against_answers_of_the_test() {
        let job = "return aegis.job { resume = true, run = function(ctx)
              local plan = ctx:step('plan', function() return { hosts = 2 } end,
                                    { undo = function(plan) aegis.log.info('undo ' .. plan.hosts) end })
              ctx:compensate('note', function() aegis.log.info('undo note') end)
              local payment = ctx:wait_event('paid')
              ctx:artifact('report', 'text')
              aegis.events.send('started', { payload = payment })
              return { by = ctx:approval('switch', { show = plan, timeout = '1h' }).by, paid = payment.amount }
            end }";
        let results = run(
            "local test = require('@std/test')
             local expect = test.expect
             local function try(approvals)
               return test.try('x.lua', { events = { paid = { amount = 5 } }, approvals = approvals })
             end
             test.it('is approved', function()
               local ok, result, world = try { switch = function(plan) return { approved = plan.hosts == 2, by = 'ada' } end }
               expect(ok).to_be(true)
               expect(result).to_equal({ by = 'ada', paid = 5 })
               expect(world.steps).to_equal({ { name = 'plan', ok = true } })
               expect({ world.artifacts.report.data, world.sent[1].name, #world.undone }).to_equal({ 'text', 'started', 0 })
             end)
             test.it('is rejected', function()
               local ok, err, world = try { switch = false }
               expect({ ok, err.code }).to_equal({ false, 'approval.rejected' })
               expect({ world.logs[1].text, world.logs[2].text }).to_equal({ 'undo note', 'undo 2' })
             end)
             test.it('times out', function()
               local ok, err, world = try {}
               expect({ ok, err.code, world.slept }).to_equal({ false, 'approval.timeout', 3600 })
             end)
             test.it('waits in vain', function()
               expect(function() test.run('x.lua') end).to_raise('test.failed')
             end)",
            job,
        );
        let failed: Vec<_> = results.iter().filter_map(|result| result.outcome.as_ref().err()).collect();
        assert!(failed.is_empty() && results.len() == 4, "{failed:?}");
    }

    #[test]
    fn a_file_that_fails_is_one_failed_test() {
        let results = run("error('broken')", JOB);
        assert_eq!(results.len(), 1);
        assert_eq!(
            (results[0].name.as_str(), results[0].outcome.as_ref().err().map(|f| f.message.as_str())),
            ("x_test.lua", Some("broken"))
        );
    }

    #[test]
    fn the_framework_is_for_tests_only() {
        let fault = Bed::default().fault("require('@std/test')");
        assert_eq!(&*fault.code, "test.outside");
    }
}
