//! The modules, called from Lua.

use serde_json::json;

use super::support::Bed;
use crate::model::Grants;

#[test]
fn values_are_kept_between_runs() {
    let bed = Bed::default();
    assert_eq!(bed.value("return aegis.kv.get('n')"), json!(null));
    assert_eq!(bed.value("return aegis.kv.set('n', { count = 1 })"), json!(1));
    assert_eq!(bed.value("return aegis.kv.get('n').count"), json!(1));
    let count = "return aegis.kv.update('n', function(old) return { count = old.count + 1 } end).count";
    assert_eq!(bed.value(count), json!(2));
    assert_eq!(&*bed.fault("aegis.kv.set('n', 5, { revision = 0 })").code, "kv.conflict");
    assert_eq!(bed.value("return #aegis.kv.list { prefix = 'n' }"), json!(1));
    assert_eq!(bed.value("aegis.kv.delete('n') return aegis.kv.get('n')"), json!(null));
}

#[test]
fn a_shared_scope_needs_its_grant() {
    let bed = Bed::default();
    let fault = bed.fault("aegis.kv.set('n', 1, { scope = 'shared:deploys' })");
    assert_eq!(&*fault.code, "permission.denied");
    let hint = fault.hint.unwrap_or_default();
    assert!(hint.contains("permissions = { kv = { \"shared:deploys\" } }"), "{hint}");
    let grants = crate::model::Grants { kv: vec!["shared:*".into()], ..Default::default() };
    let bed = Bed { grants, ..Bed::default() };
    assert_eq!(bed.value("return aegis.kv.set('n', 1, { scope = 'shared:deploys' })"), json!(1));
}

#[test]
fn json_keeps_what_lua_would_lose() {
    let bed = Bed::default();
    let round = |text: &str| {
        let body =
            format!("return aegis.json.encode(aegis.json.decode({}))", serde_json::to_string(text).expect("text"));
        bed.value(&body)
    };
    assert_eq!(round(r#"{"a":[],"b":{},"c":null,"d":[null,1]}"#), json!(r#"{"a":[],"b":{},"c":null,"d":[null,1]}"#));
    assert_eq!(bed.value("return aegis.json.decode('9007199254740993')"), json!("9007199254740993"));
    assert_eq!(bed.value("return aegis.json.encode({ x = aegis.json.list {} })"), json!(r#"{"x":[]}"#));
    assert_eq!(&*bed.fault("aegis.json.decode('{')").code, "json.syntax");
    assert_eq!(bed.value("return aegis.json.null == aegis.null"), json!(true));
}

#[test]
fn times_and_durations() {
    let bed = Bed::default();
    for (code, expected) in [
        ("aegis.time.add('2027-01-01T00:00:00Z', '1h')", json!("2027-01-01T01:00:00Z")),
        ("aegis.time.add('2027-01-01T00:00:00Z', -60)", json!("2026-12-31T23:59:00Z")),
        ("aegis.time.diff('2027-01-01T00:00:10Z', '2027-01-01T00:00:00Z')", json!(10)),
        ("aegis.time.unix('1970-01-01T00:01:00Z')", json!(60)),
        ("aegis.time.parse('2027-01-01T01:00:00+01:00')", json!("2027-01-01T00:00:00Z")),
        ("aegis.time.format('2027-01-01T00:00:00Z', { zone = 'Europe/Berlin', pattern = '%H:%M' })", json!("01:00")),
        ("aegis.time.parts('2027-02-03T04:05:06Z').weekday", json!(3)),
        ("aegis.duration.seconds('1h30m')", json!(5400)),
        ("aegis.duration.format(5400)", json!("1h 30m")),
        ("aegis.base64.decode(aegis.base64.encode('\\255\\254', { url = true })) == '\\255\\254'", json!(true)),
        ("#aegis.uuid.v4()", json!(36)),
        ("aegis.uuid.v7() ~= aegis.uuid.v7()", json!(true)),
        ("aegis.hash.sha256('abc')", json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
        ("aegis.hash.blake3('')", json!("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")),
    ] {
        assert_eq!(bed.value(&format!("return {code}")), expected, "{code}");
    }
}

#[test]
fn past_runs_are_read_without_what_they_carried() {
    let bed = Bed { grants: Grants { runs: vec!["*".into()], ..Grants::default() }, ..Bed::default() };
    let body = "local run = aegis.jobs.runs({ states = { 'failed' }, since = 0, limit = 5 })[1]
                return { run.job, run.state, run.trigger, run.error.code, run.params == nil, run.result == nil }";
    assert_eq!(bed.value(body), json!(["hello", "failed", "schedule", "http.timeout", true, true]));
    assert_eq!(bed.value("return #aegis.jobs.runs({ states = { 'succeeded' } })"), json!(0));
    // Its own are its own business; those of others are not.
    let poor = Bed::default();
    assert_eq!(poor.value("return #aegis.jobs.runs({ job = 'tester' })"), json!(1));
    assert!(poor.audit.records.lock().expect("not poisoned").is_empty());
    for (wanted, line) in [("", "runs = { \"*\" }"), ("{ job = 'other' }", "runs = { \"other\" }")] {
        let fault = poor.fault(&format!("aegis.jobs.runs({wanted})"));
        assert_eq!((&*fault.code, &fault.details["needed"]), ("permission.denied", &json!(line)));
    }
    for wrong in ["{ states = { 'faild' } }", "{ job = 'no job' }", "{ state = 'failed' }"] {
        let fault = bed.fault(&format!("aegis.jobs.runs({wrong})"));
        assert!(fault.code.starts_with("args."), "{wrong}: {fault}");
    }
}

#[test]
fn pictures_are_compared() {
    let bed = Bed::default();
    let dot = "local dot = aegis.base64.decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')";
    let body = format!(
        "{dot}\n local same = aegis.image.compare(dot, dot, {{ tolerance = 3, diff = true }})
                return {{ same.percent, same.different, same.pixels, same.area == nil, #same.diff > 50 }}"
    );
    assert_eq!(bed.value(&body), json!([0, 0, 1, true, true]));
    assert_eq!(&*bed.fault("aegis.image.compare('a', 'b')").code, "image.not_png");
    assert_eq!(
        &*bed.fault(&format!("{dot}\n aegis.image.compare(dot, dot, {{ tolerance = 256 }})")).code,
        "args.value"
    );
}

#[test]
fn what_is_to_be_started_once_bears_the_name_of_its_job() {
    let grants = crate::model::Grants { jobs: vec!["hello".into()], ..Default::default() };
    let bed = Bed { grants, ..Bed::default() };
    bed.value("return aegis.jobs.trigger('hello', { idempotency_key = 'monday' })");
    assert_eq!(*bed.jobs.once.lock().expect("not poisoned"), ["job:tester/monday"]);
    for key in ["''", "string.rep('x', 255)"] {
        let fault = bed.fault(&format!("aegis.jobs.trigger('hello', {{ idempotency_key = {key} }})"));
        assert_eq!(&*fault.code, "args.value", "{fault}");
    }
}

#[test]
fn other_jobs_are_triggered_with_a_grant() {
    let grants = crate::model::Grants { jobs: vec!["hel*".into()], ..Default::default() };
    let bed = Bed { grants, dry_run: true, ..Bed::default() };
    let body = "local run = aegis.jobs.wait(aegis.jobs.trigger('hello', { params = { a = 1 } }))
                return { run.state, run.result.ok, aegis.jobs.list()[1].name }";
    assert_eq!(bed.value(body), json!(["succeeded", true, "hello"]));
    let triggered = bed.jobs.triggered.lock().expect("not poisoned");
    let (job, params, by, dry_run) = &triggered[0];
    assert_eq!((job.as_str(), params, *dry_run), ("hello", &json!({ "a": 1 }), true));
    assert!(by.actor.to_string().starts_with("job:tester/"), "{by:?}");
    assert_eq!(&*bed.fault("aegis.jobs.trigger('other')").code, "permission.denied");
    let stranger = Bed::default();
    let fault = stranger.fault(&format!("return aegis.jobs.wait('{}')", crate::base::RunId::generate()));
    assert_eq!(&*fault.code, "permission.denied", "another job's run is not everybody's");
}

#[test]
fn lines_and_progress_reach_the_sink() {
    let bed = Bed::default();
    bed.value(
        "ctx:log('warn', 'careful', { disk = 91 }) aegis.log.debug({ a = 1 }) aegis.log.info('\\255')
         ctx:progress(1, 3, 'first') aegis.log.info(('x'):rep(100000))",
    );
    let lines = bed.log.lines.lock().expect("not poisoned");
    assert_eq!(lines[0], (crate::model::LogLevel::Warn, "careful".into(), json!({ "disk": 91 })));
    assert_eq!((lines[1].1.as_str(), lines[2].1.as_str()), (r#"{"a":1}"#, "\u{fffd}"));
    assert!(lines[3].1.len() < 17_000 && lines[3].1.contains("bytes cut"), "{}", lines[3].1.len());
    assert_eq!(bed.log.progress.lock().expect("not poisoned")[0].total, Some(3.0));
}

#[test]
fn wrong_arguments_are_named() {
    let bed = Bed::default();
    let messages = [
        ("aegis.kv.get()", "aegis.kv.get: argument \"key\" is missing"),
        ("aegis.kv.get(5)", "aegis.kv.get: argument \"key\" must be a string of UTF-8 text, got 5"),
        (
            "aegis.kv.get('a', { scpoe = 'job' })",
            "aegis.kv.get: argument \"options\" has no option \"scpoe\"; did you mean \"scope\"?",
        ),
        (
            "aegis.kv.get('a', { scope = true })",
            "aegis.kv.get: option \"scope\" must be a string of UTF-8 text, got true",
        ),
        ("aegis.kv:get('a')", "aegis.kv.get: argument \"key\" must be a string of UTF-8 text, got a table"),
        ("aegis.kv.get('a', {}, 1)", "aegis.kv.get: too many arguments"),
        (
            "aegis.sleep('soon')",
            "aegis.sleep: argument \"duration\" must be a duration such as \"250ms\", \"30s\", \"5m\" or a number of seconds, got \"soon\"",
        ),
        (
            "ctx:log('loud', 'x')",
            "ctx:log: argument \"level\" must be one of \"debug\", \"info\", \"warn\", \"error\", got \"loud\"",
        ),
        ("ctx.log('info', 'x')", "call it with a colon: ctx:log(…)"),
        ("ctx:map({}, 5)", "ctx:map: the second argument must be a function, got a number"),
        ("aegis.json.encode(print)", "aegis.json.encode: argument \"value\" cannot be stored: a function has no JSON"),
        (
            "aegis.json.encode({ a = { b = 0/0 } })",
            "aegis.json.encode: argument \"value\" is not a finite number (at .a.b)",
        ),
        (
            "local t = {} t.t = t aegis.json.encode(t)",
            "aegis.json.encode: argument \"value\" is nested deeper than 64 (does it contain itself?) (at .t.t.t.t.t.t.t.t)",
        ),
        ("aegis.docer.list()", "there is no aegis.docer"),
    ];
    for (code, message) in messages {
        let fault = bed.fault(code);
        assert!(fault.message.starts_with(message), "{code}\n is: {}\nnot: {message}", fault.message);
        assert!(fault.at.is_some_and(|at| at.line == 2), "{code}");
    }
}

#[test]
fn events_are_sent_with_a_grant() {
    let grants = crate::model::Grants { events: vec!["paid-*".into()], ..Default::default() };
    let bed = Bed { grants, ..Bed::default() };
    let run = crate::base::RunId::generate();
    bed.value(&format!(
        "aegis.events.send('paid-1', {{ key = 'k', run = '{run}', payload = {{ amount = 5 }} }})
         aegis.events.send('paid-2', {{ dry_run = true }})"
    ));
    let signals = bed.jobs.signals.lock().expect("not poisoned");
    assert_eq!(signals.len(), 1, "a dry run sends nothing");
    let signal = &signals[0];
    assert_eq!((signal.name.as_str(), signal.key.as_deref(), signal.run), ("paid-1", Some("k"), Some(run)));
    assert!(signal.payload == json!({ "amount": 5 }) && signal.actor.to_string().starts_with("job:tester/"));
    drop(signals);
    assert_eq!(&*bed.fault("aegis.events.send('other')").code, "permission.denied");
    assert_eq!(&*bed.fault("aegis.events.send('paid-1', { payload = ('x'):rep(70000) })").code, "args.size");
}

#[test]
fn artifacts_are_kept() {
    let bed = Bed::default();
    bed.value("ctx:artifact('a.txt', 'text') ctx:artifact('b', '\\255') ctx:artifact('c', '{}', { media_type = 'text/html' })");
    let kept = bed.artifacts.0.lock().expect("not poisoned");
    let types: Vec<_> =
        kept.iter().map(|(name, kind, content)| (name.as_str(), kind.as_str(), content.len())).collect();
    let expected =
        [("a.txt", "text/plain; charset=utf-8", 4), ("b", "application/octet-stream", 1), ("c", "text/html", 2)];
    assert_eq!(types, expected);
    assert_eq!(&*bed.fault("ctx:artifact('', 'x')").code, "args.value");
    assert_eq!(&*bed.fault("ctx:artifact('big', ('x'):rep(8388609))").code, "args.size");
}
