//! `aegis.stack`, from Lua to the real engine of this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::docker::testing::{IMAGE, Lab, LabSwarm};
use crate::primitives::stack::{Orchestrator, Source};
use crate::primitives::{Options, Primitives};

/// A bed whose scripts reach one stack, which is called as the lab's things are.
struct Reach {
    bed: Bed,
    lab: Lab,
    _folder: tempfile::TempDir,
}

fn reach(access: Access) -> Reach {
    run_by(Orchestrator::Compose, access)
}

fn run_by(orchestrator: Orchestrator, access: Access) -> Reach {
    let lab = Lab::open();
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "services:\n  web: {{ image: '{IMAGE}', command: [sh, -c, 'echo up; sleep 600'], init: true, \
         stop_grace_period: 1s, environment: {{ TOKEN: s3cret }}, \
         deploy: {{ update_config: {{ monitor: 100ms }} }} }}\n"
    );
    std::fs::write(folder.path().join("compose.yaml"), text).expect("written");
    let source =
        |folder: &tempfile::TempDir| Source { folder: folder.path().to_owned(), orchestrator, ..Source::default() };
    let stacks = BTreeMap::from([(lab.mark.clone(), source(&folder)), ("other".to_owned(), source(&folder))]);
    let primitives = Primitives::new(Options { stacks, ..Options::default() }).expect("services");
    let mut bed = Bed::default();
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    let names = vec![format!("{}-*", lab.mark), format!("{}_*", lab.mark)];
    let docker = Some(DockerGrant::Named(BTreeMap::from([(access, names)])));
    bed.grants = Grants { docker, stack: vec![lab.mark.clone()], ..Grants::default() };
    Reach { bed, lab, _folder: folder }
}

impl Reach {
    fn filled(&self, body: &str) -> String {
        body.replace("SHOP", &self.lab.mark)
    }
}

#[test]
fn a_script_carries_a_stack_through_its_life() {
    let reach = reach(Access::Admin);
    let seen = reach.bed.value(&reach.filled(
        "local planned = aegis.stack.plan('SHOP')
         local dry = aegis.stack.up('SHOP', { dry_run = true })
         local up = aegis.stack.up('SHOP', { wait = true, timeout = '1m' })
         local again = aegis.stack.up('SHOP')
         local ps = aegis.stack.ps('SHOP')
         local said = aegis.stack.exec('SHOP', 'web', { command = { 'echo', 'hi' } })
         local restarted = aegis.stack.restart('SHOP', { services = { 'web' } })
         local lines = aegis.stack.logs('SHOP', { tail = 10 })
         local config = aegis.stack.config('SHOP')
         local down = aegis.stack.down('SHOP', { volumes = true })
         return { names = #aegis.stack.names(), planned = #planned.actions, dry = dry.dry_run, up = up.changed,
            verb = up.actions[2].verb, why = up.actions[2].reasons[1], again = again.changed, state = ps[1].state,
            said = said.stdout, restarted = #restarted, line = lines[1].text, service = lines[1].service,
            token = config.services.web.environment.TOKEN, down = #down.actions }",
    ));
    assert_eq!(
        seen,
        json!({
            "names": 1, "planned": 2, "dry": true, "up": true, "verb": "create", "why": "there is none",
            "again": false, "state": "running", "said": "hi\n", "restarted": 1, "line": "up", "service": "web",
            "token": "<hidden>", "down": 2
        })
    );
    let lines = reach.bed.log.texts();
    assert!(lines.iter().any(|line| line.contains("create container") && line.ends_with("done")), "{lines:?}");
}

#[test]
fn a_container_takes_the_place_of_another_which_is_put_aside() {
    let reach = reach(Access::Admin);
    let seen = reach.bed.value(&reach.filled(
        "local dry = aegis.stack.prepare('SHOP', { dry_run = true })
         local first = aegis.stack.prepare('SHOP')
         local none = #aegis.stack.ps('SHOP')
         aegis.stack.up('SHOP')
         local web = aegis.stack.services('SHOP')[1]
         local old = aegis.docker.inspect('SHOP-web-1')
         local made = aegis.stack.create('SHOP', 'web',
            { name = 'SHOP-web-1.next.a', replaces = old.id, labels = { mark = 'a' } })
         local new = aegis.docker.inspect(made.id)
         aegis.docker.rename('SHOP-web-1', 'SHOP-web-1.kept.a')
         aegis.docker.rename(made.name, 'SHOP-web-1')
         aegis.docker.start(made.id)
         local planned = aegis.stack.plan('SHOP')
         local restarted = aegis.stack.restart('SHOP')
         local down = aegis.stack.down('SHOP')
         return { dry = #dry.actions, first = #first.actions, none = none, name = web.name, alone = web.alone,
            image = made.image_id == web.image_id, state = new.state, mark = new.labels.mark,
            left = #planned.actions, restarted = #restarted, down = #down.actions, gone = #aegis.stack.ps('SHOP') }",
    ));
    assert_eq!(
        seen,
        json!({
            "dry": 1, "first": 1, "none": 0, "name": "web", "image": true, "state": "created", "mark": "a",
            "left": 0, "restarted": 1, "down": 3, "gone": 0
        })
    );
}

#[test]
fn a_stack_that_a_run_deploys_is_changed_by_nobody_else() {
    let mut reach = reach(Access::Admin);
    let other = crate::base::RunId::generate();
    *reach.bed.jobs.rollout.lock().expect("not poisoned") = Some(other);
    for call in ["up", "down", "restart"] {
        let fault = reach.bed.fault(&reach.filled(&format!("aegis.stack.{call}('SHOP')")));
        assert_eq!(fault.code, "stack.busy", "{call}: {fault}");
        assert!(fault.message.contains(&other.to_string()) && fault.retryable, "{call}: {fault}");
        assert_eq!(fault.details["run"], other.to_string());
    }
    let seen = reach.bed.value(
        &reach.filled("return { aegis.stack.rollout('SHOP'), aegis.stack.up('SHOP', { dry_run = true }).changed }"),
    );
    assert_eq!(seen, json!([other.to_string(), true]));
    reach.bed.grants.stack.clear();
    let denied = reach.bed.fault(&reach.filled("aegis.stack.rollout('SHOP')"));
    assert_eq!(denied.code, "permission.denied", "{denied}");
}

#[test]
fn wrong_uses_say_what_is_wrong() {
    let read = reach(Access::Read);
    for (call, code, word) in [
        ("plan('other')", "permission.denied", "stack = {"),
        ("up('SHOP')", "permission.denied", "docker ="),
        ("exec('SHOP', 'web', { command = 'ls' })", "permission.denied", "docker ="),
        ("plan('SHOP', { services = { 'wbe' } })", "stack.no_service", "did you mean \"web\""),
        ("up('SHOP', { forse = true })", "args.unknown", "forse"),
        ("plan()", "args.missing", "stack"),
    ] {
        let fault = read.bed.fault(&read.filled(&format!("aegis.stack.{call}")));
        assert_eq!(fault.code, code, "{call}: {fault}");
        assert!(fault.to_string().contains(word), "{call}: {fault}");
    }
    let mut write = reach(Access::Write);
    let late = write.bed.fault(&write.filled("aegis.stack.up('SHOP', { timeout = '9h' })"));
    assert_eq!(late.code, "stack.invalid", "{late}");
    for (call, code) in [
        ("create('SHOP', 'wbe')", "stack.no_service"),
        ("create('SHOP', 'web', { image = 'nonesuch:1' })", "stack.no_image"),
        ("create('SHOP', 'web', { replaces = 'nonesuch' })", "stack.missing"),
        ("create('SHOP', 'web', { labels = { ['com.docker.compose.service'] = 'db' } })", "stack.invalid"),
        ("prepare('SHOP', { services = { 'wbe' } })", "stack.no_service"),
    ] {
        let fault = write.bed.fault(&write.filled(&format!("aegis.stack.{call}")));
        assert_eq!(fault.code, code, "{call}: {fault}");
    }
    write.bed.grants.stack.push("nonesuch".into());
    let unknown = write.bed.fault("aegis.stack.up('nonesuch')");
    assert_eq!(unknown.code, "stack.unknown", "{unknown}");
}

#[test]
fn a_script_carries_a_stack_of_a_swarm_through_its_life() {
    let _swarm = LabSwarm::open();
    let mut reach = run_by(Orchestrator::Swarm, Access::Admin);
    reach.bed.timeout = Duration::from_secs(120);
    let seen = reach.bed.value(&reach.filled(
        "local planned = aegis.stack.plan('SHOP')
         local up = aegis.stack.up('SHOP', { timeout = '1m' })
         local again = aegis.stack.up('SHOP')
         local ps = aegis.stack.ps('SHOP')
         local said = aegis.stack.exec('SHOP', 'web', { command = { 'echo', 'hi' } })
         local lines = aegis.stack.logs('SHOP', { tail = 10 })
         local refused, why = aegis.try(aegis.stack.services, 'SHOP')
         local down = aegis.stack.down('SHOP')
         return { planned = #planned.actions, kind = up.actions[2].kind, again = again.changed, state = ps[1].state,
            service = ps[1].service, node = ps[1].node ~= nil, said = said.stdout, line = lines[1].text,
            refused = refused, why = why.code, hint = string.find(why.hint, 'aegis stack up', 1, true) ~= nil,
            down = #down.actions, left = #aegis.stack.ps('SHOP') }",
    ));
    assert_eq!(
        seen,
        json!({
            "planned": 2, "kind": "service", "again": false, "state": "running", "service": "web", "node": true,
            "said": "hi\n", "line": "up", "refused": false, "why": "swarm.unsupported", "hint": true, "down": 2,
            "left": 0
        })
    );
}
