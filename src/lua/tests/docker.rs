//! `aegis.docker`, from Lua to the real engine of this machine. They fail when there is none: `tests/run` starts it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::docker::testing::{IMAGE, Lab};
use crate::primitives::{Options, Primitives};

/// A bed whose scripts reach the engine, and a mark that begins every name.
struct Reach {
    bed: Bed,
    lab: Lab,
}

fn reach(grant: DockerGrant) -> Reach {
    let mut bed = Bed::default();
    let primitives = Primitives::new(Options::default()).expect("services");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    bed.grants = Grants { docker: Some(grant), ..Grants::default() };
    Reach { bed, lab: Lab::open() }
}

impl Reach {
    fn filled(&self, body: &str) -> String {
        body.replace("NAME", &self.lab.name("lua")).replace("IMAGE", IMAGE)
    }

    #[track_caller]
    fn value(&self, body: &str) -> Value {
        self.bed.value(&self.filled(body))
    }

    #[track_caller]
    fn fault(&self, body: &str) -> crate::base::Fault {
        self.bed.fault(&self.filled(body))
    }
}

const CREATE: &str = "aegis.docker.create { name = 'NAME', image = 'IMAGE', command = { 'sleep', '600' }, init = true,
    environment = { MODE = 'test', COUNT = 3 }, mem_limit = '32MiB', cpus = 0.5, stop_grace_period = '1s',
    ports = { '127.0.0.1::8080' }, tmpfs = '/scratch', labels = { purpose = 'a test' },
    healthcheck = { test = { 'CMD', 'true' }, interval = '1s' } }";

#[test]
fn a_script_carries_a_container_through_its_life() {
    let reach = reach(DockerGrant::Everything(Access::Admin));
    let seen = reach.value(&format!(
        "local made = {CREATE}
         local started = aegis.docker.start('NAME')
         local list = aegis.docker.list {{ names = {{ 'NAME' }} }}
         local ran = aegis.docker.exec('NAME', {{ command = {{ 'sh', '-c', 'echo $MODE $COUNT $X; exit 4' }},
            environment = {{ X = 1 }}, timeout = '20s' }})
         local stats = aegis.docker.stats('NAME')
         local stopped = aegis.docker.stop('NAME', {{ timeout = '1s' }})
         local ended = aegis.docker.wait('NAME', {{ timeout = '10s' }})
         local seen = aegis.docker.inspect('NAME')
         local events = aegis.docker.events {{ containers = {{ 'NAME' }}, since = '2m', actions = {{ 'start', 'die' }} }}
         aegis.docker.remove('NAME')
         return {{ made = made.id ~= nil, changed = started.changed, count = #list, purpose = list[1].purpose,
            exit_code = list[1].exit_code, code = ran.exit_code, out = ran.stdout, limit = stats.memory_limit_bytes,
            stopped = stopped.changed, ended = ended.exit_code > 0, cpus = seen.limits.cpus,
            interval = seen.raw.Config.Healthcheck.Interval, actions = {{ events[1].action, events[2].action }},
            plan = made.plan.Env, state = seen.state }}"
    ));
    let expected = json!({
        "made": true, "changed": true, "count": 1, "purpose": "a test", "code": 4, "out": "test 3 1\n",
        "limit": 32 << 20, "stopped": true, "ended": true, "cpus": 0.5, "interval": 1_000_000_000,
        "actions": ["start", "die"], "plan": ["COUNT=<hidden>", "MODE=<hidden>"], "state": "exited"
    });
    assert_eq!(seen, expected);
}

#[test]
fn a_dry_run_of_the_job_is_one_of_every_call() {
    let mut reach = reach(DockerGrant::Everything(Access::Admin));
    reach.bed.dry_run = true;
    let seen = reach.value(&format!(
        "local made = {CREATE}
         local pruned = aegis.docker.prune('volumes', {{ labels = {{ 'aegis.nothing.has.this' }} }})
         local net = aegis.docker.create_network('NAME', {{ subnet = '10.99.0.0/24' }})
         return {{ made.dry_run, pruned.dry_run, net.dry_run, #aegis.docker.list {{ names = {{ 'NAME' }} }}, #pruned.removed }}"
    ));
    assert_eq!(seen, json!([true, true, true, 0, 0]));
}

#[test]
fn failures_reach_the_script_with_code_and_hint() {
    let reach = reach(DockerGrant::Everything(Access::Write));
    let caught = reach.value(
        "local ok, err = aegis.try(aegis.docker.stop, 'NAME')
         return { ok, err.code, err.retryable }",
    );
    assert_eq!(caught, json!([false, "docker.not_found", false]));
    let denied = reach.fault("aegis.docker.exec('NAME', { command = 'true' })");
    assert_eq!(denied.code, "permission.denied");
    assert!(
        denied.hint.as_deref().is_some_and(|hint| hint.ends_with("permissions = { docker = \"admin\" }")),
        "{denied:?}"
    );
    let unknown = reach.fault("aegis.docker.create { image = 'IMAGE', memory = '1g' }");
    assert!(unknown.message.contains("has no option \"memory\""), "{unknown}");
    let nested = reach.fault("aegis.docker.create { image = 'IMAGE', networks = { front = { alias = 'x' } } }");
    assert!(nested.code == "args.option" && nested.message.contains("unknown field `alias`"), "{nested}");
    let value = reach.fault("aegis.docker.create { name = 'NAME', image = 'IMAGE', restart = 'allways' }");
    assert!(value.code == "docker.invalid" && value.message.contains("did you mean \"always\""), "{value}");
    let absent = Bed::default().fault("aegis.docker.list()");
    assert_eq!(absent.hint.as_deref(), Some("add to the job's table: permissions = { docker = \"read\" }"));
}

#[test]
fn an_absent_engine_is_an_error_that_says_what_to_do() {
    let bed = Bed { grants: Grants::all(), ..Bed::default() };
    let fault = bed.fault("aegis.docker.list()");
    assert!(fault.code == "docker.unavailable" && fault.retryable && fault.hint.is_some(), "{fault:?}");
}

#[test]
fn patterns_of_names_hold() {
    let all = reach(DockerGrant::Everything(Access::Admin));
    all.value(&format!("{CREATE} return 1"));
    let read = BTreeMap::from([(Access::Read, vec!["*".to_owned()]), (Access::Write, vec!["other-*".to_owned()])]);
    let some = reach(DockerGrant::Named(read));
    let body = all.filled("local id = aegis.docker.inspect('NAME').id; aegis.docker.start(id)");
    let denied = some.bed.fault(&body);
    assert_eq!(denied.code, "permission.denied");
    assert!(
        denied
            .hint
            .is_some_and(|hint| hint.contains(&format!("write = {{ \"other-*\", \"{}\" }}", all.lab.name("lua"))))
    );
}

#[test]
fn a_script_builds_an_image_and_asks_what_is_wrong() {
    let reach = reach(DockerGrant::Everything(Access::Admin));
    let seen = reach.value(
        "local made = aegis.docker.build {
            files = { Dockerfile = 'FROM IMAGE\\nARG X\\nRUN echo $X > /x\\n' }, args = { X = 5 }, tag = { 'NAME:1' } }
         local dry = aegis.docker.build { files = { Dockerfile = 'FROM IMAGE' }, dry_run = true }
         aegis.docker.create { name = 'NAME', image = 'NAME:1', command = { 'sh', '-c', 'cat /x; exit 3' } }
         aegis.docker.start('NAME')
         local ended = aegis.docker.wait('NAME', { timeout = '20s' })
         local lines = aegis.docker.logs('NAME', { wait = '5s' })
         local rest = aegis.docker.logs('NAME', { after = lines.next, wait = '1m' })
         local why = aegis.docker.diagnose('NAME')
         local audit = aegis.docker.audit { all = true, containers = { 'NAME' }, checks = { '5.11', 'aegis' } }
         local use = aegis.docker.stats('NAME', { wait = '1s' })
         aegis.docker.remove('NAME')
         aegis.docker.remove_image('NAME:1')
         return { steps = made.steps, id = made.id ~= nil, dry = dry.id == nil, code = ended.exit_code,
            line = lines.lines[1].text, rest = #rest.lines, running = use.running,
            ok = why.ok, finding = why.findings[1].code, last = why.log[1].text,
            checks = #audit.checks, warned = audit.checks[1].objects[1].name == 'NAME' }",
    );
    let expected = json!({
        "steps": 3, "id": true, "dry": true, "code": 3, "line": "5", "rest": 0, "running": false, "ok": false,
        "finding": "exit_code", "last": "5", "checks": 2, "warned": true
    });
    assert_eq!(seen, expected);
}

#[test]
fn wrong_uses_of_builds_and_audits_name_what_is_wrong() {
    let reach = reach(DockerGrant::Everything(Access::Read));
    let table = [
        ("aegis.docker.build { files = {} }", "permission.denied", "write"),
        ("aegis.docker.push('x')", "permission.denied", "write"),
        ("aegis.docker.audit { checks = { '9.9' } }", "docker.invalid", "9.9"),
        ("aegis.docker.audit { cheks = {} }", "args.unknown", "cheks"),
        ("aegis.docker.diagnose('NAME')", "docker.not_found", "NAME"),
        ("aegis.docker.stats('NAME', { every = '1s' })", "args.unknown", "every"),
        ("aegis.docker.logs('NAME', { after = 'yesterday' })", "args.type", "after"),
    ];
    for (body, code, word) in table {
        let fault = reach.fault(body);
        assert_eq!(fault.code, code, "{body}: {fault}");
        assert!(fault.message.contains(&reach.filled(word)), "{body}: {fault}");
    }
    let writing = self::reach(DockerGrant::Everything(Access::Write));
    let fault = writing.fault("aegis.docker.build { context = 'src:app' }");
    assert!(fault.code == "permission.denied" && fault.hint.is_some_and(|hint| hint.contains("fs = {")));
}
