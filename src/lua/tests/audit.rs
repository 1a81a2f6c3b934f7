//! Privileged calls are recorded, whatever becomes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::support::Bed;
use crate::lua::Outcome;
use crate::model::Grants;
use crate::model::grants::{Access, Cap, Origin};

/// Action, object, permission and outcome of each record.
fn records(bed: &Bed) -> Vec<(String, String, Option<String>, String)> {
    let records = bed.audit.records.lock().expect("not poisoned");
    let shown = records.iter().map(|record| {
        assert_eq!(
            (record.actor.as_str(), record.job.as_ref().map(|job| job.as_str())),
            ("uid:0(test)", Some("tester"))
        );
        assert!(record.run.is_some());
        (record.action.clone(), record.object.clone(), record.permission.clone(), record.outcome.clone())
    });
    shown.collect()
}

fn row(action: &str, object: &str, permission: &str, outcome: &str) -> (String, String, Option<String>, String) {
    let permission = (!permission.is_empty()).then(|| permission.to_owned());
    (action.into(), object.into(), permission, outcome.into())
}

#[test]
fn what_needs_a_permission_is_recorded_with_it() {
    let grants = Grants {
        kv: vec!["shared:deploys".into()],
        jobs: vec!["hello".into()],
        events: vec!["paid".into()],
        ..Grants::default()
    };
    let bed = Bed { grants, ..Bed::default() };
    bed.value(
        "aegis.kv.set('own', 1) aegis.kv.get('own') print('x')
         aegis.kv.set('last', 1, { scope = 'shared:deploys' })
         aegis.kv.list { scope = 'shared:deploys', prefix = 'la' }
         aegis.jobs.wait(aegis.jobs.trigger('hello'))
         aegis.events.send('paid')",
    );
    assert_eq!(
        records(&bed)[..3],
        [
            row("aegis.kv.set", "shared:deploys/last", "kv = { \"shared:deploys\" }", "ok"),
            row("aegis.kv.list", "shared:deploys/la", "kv = { \"shared:deploys\" }", "ok"),
            row("aegis.jobs.trigger", "hello", "jobs = { \"hello\" }", "ok"),
        ],
        "the job's own keys are its own business"
    );
    assert_eq!(records(&bed).last(), Some(&row("aegis.events.send", "paid", "events = { \"paid\" }", "ok")));
}

#[test]
fn what_is_refused_is_recorded_with_what_it_would_have_needed() {
    let bed = Bed::default();
    bed.value(
        "pcall(aegis.process.run, 'git') pcall(aegis.kv.get, 'k', { scope = 'shared:x' })
         pcall(aegis.http.get, 'https://u:p@api.example.com/a?key=secret') pcall(aegis.docker.stop, 'web')
         pcall(aegis.events.send, 'paid') pcall(aegis.jobs.trigger, 'hello')",
    );
    let denied = |action, object, permission| row(action, object, permission, "permission.denied");
    assert_eq!(
        records(&bed),
        [
            denied("aegis.process.run", "git", "process = { \"git\" }"),
            denied("aegis.kv.get", "shared:x/k", "kv = { \"shared:x\" }"),
            denied("aegis.http.get", "https://api.example.com/a", "http = { \"api.example.com\" }"),
            denied("aegis.docker.stop", "web", "docker = \"write\""),
            denied("aegis.events.send", "paid", "events = { \"paid\" }"),
            denied("aegis.jobs.trigger", "hello", "jobs = { \"hello\" }"),
        ]
    );
}

#[test]
fn nothing_privileged_is_done_that_cannot_be_recorded() {
    let grants = Grants { jobs: vec!["hello".into()], ..Grants::default() };
    let bed = Bed { grants, ..Bed::default() };
    bed.audit.is_full.store(true, Ordering::Relaxed);
    assert_eq!(bed.fault("aegis.jobs.trigger('hello')").code, "audit.no_room");
    assert!(bed.jobs.triggered.lock().expect("not poisoned").is_empty());
    bed.value("aegis.kv.set('own', 1)");
}

#[test]
fn a_call_that_is_given_up_is_recorded() {
    let grants = Grants { http: vec!["127.0.0.1".into()], ..Grants::default() };
    let bed = Bed { grants, ..Bed::default() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let cancel = bed.cancel.clone();
    // The request has come; it gets no answer.
    let waits = std::thread::spawn(move || {
        let accepted = listener.accept().expect("a request");
        cancel.cancel();
        accepted
    });
    let outcome = bed.body(&format!("aegis.http.get('http://127.0.0.1:{port}/')"));
    assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    drop(waits.join().expect("no panic"));
    let found = records(&bed);
    assert_eq!((found.len(), found[0].3.as_str()), (1, "run.cancelled"), "{found:?}");
}

#[test]
fn a_bound_is_named_by_who_set_it() {
    let own = || Grants {
        process: vec!["*".into()],
        jobs: vec!["*".into()],
        sql: [("main".to_owned(), Access::Write)].into(),
        ..Grants::default()
    };
    let cap = |origin| Grants { caps: vec![Arc::new(Cap { grants: Grants::default(), origin })], ..own() };
    let lines = Arc::new([("process".to_owned(), 7)].into());
    let origins = [
        (Origin::Policy { file: "config/policy.yaml".into(), line: 3, lines }, "config/policy.yaml:7 bounds"),
        (Origin::Approval { job: "tester".into() }, "aegis job approve tester"),
        (Origin::Caller { job: "boss".into() }, "add to the table of the job boss"),
    ];
    for (origin, remedy) in origins {
        let bed = Bed { grants: cap(origin), ..Bed::default() };
        let fault = bed.fault("aegis.process.run('git')");
        assert_eq!(fault.code, "permission.denied");
        assert!(fault.hint.as_deref().is_some_and(|hint| hint.contains(remedy)), "{fault:?}");
        assert_eq!(records(&bed)[0].3, "permission.denied");
    }
}

#[test]
fn what_a_job_starts_may_do_no_more_than_it_may() {
    let policy = Grants { jobs: vec!["*".into()], process: vec!["git".into()], ..Grants::default() };
    let origin = Origin::Caller { job: "first".into() };
    let grants = Grants { caps: vec![Arc::new(Cap { grants: policy, origin })], ..Grants::all() };
    let bed = Bed { grants, ..Bed::default() };
    bed.value("aegis.jobs.trigger('hello')");
    let by = bed.jobs.triggered.lock().expect("not poisoned")[0].2.clone();
    assert_eq!(by.payload["caller"]["job"], json!("tester"));
    let called = Grants { caps: Grants::callers(&by.payload), ..Grants::all() };
    assert_eq!(called.caps.len(), 2, "the caller's own grants, and what bounds them");
    let called = Bed { grants: called, ..Bed::default() };
    let fault = called.fault("aegis.process.run('rsync')");
    assert!(fault.message.contains("the job tester, which started this run"), "{fault:?}");
    // A chain of jobs that start each other does not grow what each hands on.
    called.value("aegis.jobs.trigger('hello')");
    let next = called.jobs.triggered.lock().expect("not poisoned")[0].2.clone();
    assert_eq!(Grants::callers(&next.payload).len(), 2);
    let forged = json!({ "caller": { "job": "x", "rights": "all" } });
    let nothing = Grants { caps: Grants::callers(&forged), ..Grants::all() };
    assert_eq!(Bed { grants: nothing, ..Bed::default() }.fault("aegis.process.run('git')").code, "permission.denied");
}
