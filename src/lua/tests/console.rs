//! A console session.

use serde_json::json;

use super::support::{Bed, on_lane};
use crate::lua::{Console, EvalOutcome};

fn with_console<T>(bed: &Bed, use_it: impl AsyncFnOnce(&mut Console) -> T) -> T {
    on_lane(async {
        let mut console = bed.engine.console(bed.scope()).expect("a console");
        use_it(&mut console).await
    })
}

async fn one(console: &mut Console, bed: &Bed, code: &str) -> (String, serde_json::Value) {
    match console.eval(bed.scope(), code).await {
        EvalOutcome::Values(values) => values.into_iter().next().unwrap_or_default(),
        other => panic!("{code}: {other:?}"),
    }
}

#[test]
fn locals_live_between_lines() {
    let bed = Bed::default();
    with_console(&bed, async |console| {
        one(console, &bed, "local x, y = 20, 22").await;
        one(console, &bed, "local function add(a, b) return a + b end").await;
        assert_eq!(one(console, &bed, "add(x, y)").await, ("42".into(), json!(42)));
        one(console, &bed, "local t: { number } = { 1, 2 }; t.name = 'x'").await;
        assert_eq!(one(console, &bed, "t").await.0, "{ 1, 2, name = \"x\" }");
        assert_eq!(
            console.eval(bed.scope(), "x, nil, y").await,
            EvalOutcome::Values(vec![("20".into(), json!(20)), ("nil".into(), json!(null)), ("22".into(), json!(22)),])
        );
        assert_eq!(console.eval(bed.scope(), "  ").await, EvalOutcome::Values(vec![]));
    });
}

#[test]
fn a_beginning_is_told_from_a_mistake() {
    let bed = Bed::default();
    with_console(&bed, async |console| {
        for beginning in [
            "for i = 1, 3 do",
            "function f(",
            "x = ",
            "print(",
            "local t = {",
            "if x then\n y()",
            "[[ text",
            "1 +",
            "--[[ a",
        ] {
            assert_eq!(console.eval(bed.scope(), beginning).await, EvalOutcome::Incomplete, "{beginning}");
        }
        for mistake in ["x y", ")", "for for", "local 1", "'text", "goto x", "1 + + )"] {
            let EvalOutcome::Failed(fault) = console.eval(bed.scope(), mistake).await else {
                panic!("{mistake} passed")
            };
            assert_eq!(&*fault.code, "script.syntax", "{mistake}: {fault:?}");
        }
    });
}

#[test]
fn lines_wait_log_and_fail_like_runs() {
    let bed = Bed::default();
    with_console(&bed, async |console| {
        one(console, &bed, "aegis.kv.set('n', 7) print('kept')").await;
        assert_eq!(one(console, &bed, "aegis.kv.get('n')").await.1, json!(7));
        assert_eq!(one(console, &bed, "ctx.job").await.1, json!("tester"));
        let EvalOutcome::Failed(fault) = console.eval(bed.scope(), "local a = 1\nerror('no')").await else {
            panic!("passed")
        };
        let at = fault.at.expect("a position");
        assert_eq!((fault.message.as_str(), at.line, at.text.as_deref()), ("no", 2, Some("error('no')")));
    });
    assert_eq!(bed.log.texts(), ["kept"]);
}

#[test]
fn a_line_that_is_stopped_leaves_the_session_usable() {
    let bed = Bed::default();
    with_console(&bed, async |console| {
        one(console, &bed, "local kept = 5").await;
        let mut scope = bed.scope();
        scope.timeout = std::time::Duration::from_millis(40);
        let EvalOutcome::Failed(fault) = console.eval(scope, "while true do pcall(error) end").await else {
            panic!("not stopped")
        };
        assert_eq!(&*fault.code, "run.timeout");
        let scope = bed.scope();
        scope.cancel.cancel();
        assert!(matches!(console.eval(scope, "aegis.sleep('5s')").await, EvalOutcome::Failed(_)));
        bed_is_fresh(console, &bed).await;
    });
}

/// The bed's own token was cancelled with the scope's, which shares it; a new one stands for the next line.
async fn bed_is_fresh(console: &mut Console, bed: &Bed) {
    let mut scope = bed.scope();
    scope.cancel = tokio_util::sync::CancellationToken::new();
    let EvalOutcome::Values(values) = console.eval(scope, "kept").await else { panic!("the session is lost") };
    assert_eq!(values[0].1, json!(5));
}

#[test]
fn names_are_completed() {
    let bed = Bed::default();
    with_console(&bed, async |console| {
        one(console, &bed, "local deployments = { first = 1, final = 2 }").await;
        assert_eq!(console.complete("aegis.kv.se"), ["aegis.kv.set"]);
        assert_eq!(console.complete("print(aegis.kv.g"), ["print(aegis.kv.get"]);
        assert_eq!(console.complete("deployments.fi"), ["deployments.final", "deployments.first"]);
        assert_eq!(console.complete("depl"), ["deployments"]);
        assert!(console.complete("string.fo").contains(&"string.format".to_owned()));
        assert!(console.complete("coro").contains(&"coroutine".to_owned()), "{:?}", console.complete("coro"));
        assert!(console.complete("nothing.at.all").is_empty());
    });
}
