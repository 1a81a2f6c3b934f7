//! `aegis.egress`, from Lua to the lists; `src/primitives/egress/tests/` has it with real containers.

use serde_json::json;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::egress::{Options, Owner};
use crate::primitives::{self, Primitives};

fn bed(enabled: bool) -> Bed {
    bed_of(enabled, true)
}

fn bed_of(enabled: bool, of_daemon: bool) -> Bed {
    let grants = Grants {
        docker: Some(DockerGrant::Everything(Access::Write)),
        egress: vec!["*.example.com".into(), "mirror.internal".into()],
        ..Grants::default()
    };
    let mut bed = Bed { grants, ..Bed::default() };
    let egress = Options { enabled, ..Options::default() };
    let docker_host = "unix:///nonexistent/docker.sock".to_owned();
    let primitives = Primitives::new(primitives::Options { egress, docker_host, ..primitives::Options::default() });
    let primitives = primitives.expect("nothing can be wrong");
    if of_daemon {
        primitives.egress.begin(Owner { store: "s".into(), daemon: "d".into() });
    }
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    bed
}

#[test]
fn the_lists_are_asked_without_opening_anything() {
    let bed = bed(true);
    let body = r#"local lists, out = { mode = "allow", names = { "*.example.com", "mirror.internal:873" } }, {}
        for _, target in { "api.example.com:443", "api.example.com:22", "mirror.internal:873", "1.1.1.1:443", "x" } do
          local said = aegis.egress.check(lists, target)
          table.insert(out, if said.allowed then "yes" else said.code)
        end
        return out"#;
    assert_eq!(bed.value(body), json!(["yes", "not_listed", "yes", "literal", "malformed"]));
    let labels = bed.value("return aegis.egress.labels()");
    assert_eq!((&labels["aegis.owner"], &labels["aegis.daemon"]), (&json!("s"), &json!("d")));
    assert!(labels["aegis.run"].is_string());
    assert_eq!(labels["aegis.attempt"], json!("1"));
    // Where nobody is let out, attempts are told from each other all the same.
    let labels = bed_of(false, false).value("return aegis.egress.labels()");
    assert_eq!((&labels["aegis.owner"], &labels["aegis.attempt"]), (&json!(null), &json!("1")));
    assert!(labels["aegis.run"].is_string());
}

#[test]
fn a_dry_run_plans_and_each_call_is_in_the_audit_log() {
    let bed = bed(true);
    let body = r#"return aegis.egress.open({ mode = "allow", names = { "a.example.com", "b.example.com" }, dry_run = true }).plan"#;
    assert_eq!(bed.value(body), json!("let an execution out to a.example.com, b.example.com"));
    let records = bed.audit.records.lock().expect("not poisoned");
    let record = records.last().expect("a record");
    assert_eq!(record.object, "a.example.com, b.example.com");
    assert_eq!(record.permission.as_deref(), Some(r#"egress = { "a.example.com", "b.example.com" }"#));
}

#[test]
fn wrong_uses_name_the_remedy() {
    let bed = bed(true);
    for (body, code) in [
        (r#"aegis.egress.open({ mode = "allow", names = { "evil.test" } })"#, "permission.denied"),
        (r#"aegis.egress.open({ mode = "deny", names = { "a.example.com" } })"#, "permission.denied"),
        (r#"aegis.egress.open({ mode = "allow", names = {} })"#, "egress.names"),
        (r#"aegis.egress.open({ mode = "open", names = { "a.example.com" } })"#, "args.type"),
        (r#"aegis.egress.open({ mode = "allow", names = { "a.example.com" } })"#, "docker.unavailable"),
        (r#"aegis.egress.check({ mode = "allow", names = { "evil.test" } }, "evil.test:443")"#, "permission.denied"),
        (r#"aegis.egress.decisions("none")"#, "egress.unknown"),
        (r#"aegis.egress.close("none")"#, "egress.unknown"),
        (r#"aegis.egress.ended("well")"#, "args.type"),
    ] {
        let fault = bed.fault(body);
        let is_told = fault.hint.is_some() || code == "args.type";
        assert!(fault.code == code && is_told, "{body}: {fault:?}");
    }
    let off = self::bed(false).fault(r#"aegis.egress.open({ mode = "allow", names = { "a.example.com" } })"#);
    assert!(off.code == "egress.off" && off.message.contains("egress.enabled: true"), "{off:?}");
}
