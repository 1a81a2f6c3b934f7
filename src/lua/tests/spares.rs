//! VMs that have had a run before: the next one sees nothing of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::support::{Bed, job, on_lane};
use crate::base::Clock;
use crate::base::clock::later;
use crate::base::limits::VM_SPARES_MAX;
use crate::lua::vm::Vm;
use crate::lua::{Bundle, Durable, MemoryJournal, Outcome, RunScope, Seat};

/// Leaves what it can, everywhere it can reach. What it finds there it tells, when it is the later run.
const SEARCH: &str = include_str!("hostile/leftovers.lua");

fn files(source: &str) -> Arc<Bundle> {
    let library = |name: &str, text: &str| (format!("lib/{name}.lua"), text.to_owned());
    Arc::new(Bundle::new(vec![
        ("tester.lua".to_owned(), source.to_owned()),
        library("counter", "return { count = 0 }"),
        library("stuck", "coroutine.yield() return {}"),
    ]))
}

fn scope(bed: &Bed, is_first: bool) -> RunScope {
    RunScope { params: json!({ "first": is_first }), memory_bytes: 8 << 20, ..bed.scope() }
}

fn durable(bed: &Bed, is_first: bool) -> RunScope {
    let journal = Arc::new(MemoryJournal::default());
    let durable = Durable {
        journal: journal.shared(),
        port: journal,
        deadline: later(Clock::system().now(), bed.timeout),
        timeout: bed.timeout,
        hold: bed.timeout,
        abort: bed.cancel.clone(),
    };
    RunScope { durable: Some(durable), ..scope(bed, is_first) }
}

/// What two runs of one file come to on one lane, and how many VMs wait after each.
fn twice(source: &str, scope: impl Fn(&Bed, bool) -> RunScope) -> [(Outcome, usize); 2] {
    let bed = Bed::default();
    on_lane(async {
        let (seat, bundle) = (bed.engine.seat(), files(source));
        let first = seat.execute(bundle.clone(), scope(&bed, true)).await;
        let kept = seat.spares();
        let second = seat.execute(bundle, scope(&bed, false)).await;
        [(first, kept), (second, seat.spares())]
    })
}

fn returned(outcome: &Outcome) -> &Value {
    match outcome {
        Outcome::Returned(value) => value,
        other => panic!("it did not return: {other:?}"),
    }
}

#[test]
fn the_next_run_finds_nothing_of_the_last() {
    for scope in [scope, durable] {
        let [(first, kept), (second, _)] = twice(SEARCH, scope);
        assert_eq!((returned(&first), kept), (&json!("left"), 1), "it was used again");
        assert_eq!(returned(&second), &json!([]));
    }
}

#[test]
fn the_search_is_able_to_find_something() {
    let both = SEARCH.replace("if ctx.params.first then", "leave() if false then");
    let bed = Bed::default();
    let found = on_lane(bed.engine.execute(files(&both), scope(&bed, true)));
    let found = returned(&found).as_array().expect("a list").clone();
    for place in ["a global", "a library's name", "a required file's state", "require in the middle", "the dice"] {
        assert!(found.contains(&json!(place)), "{place:?} is not in {found:?}");
    }
}

#[test]
fn a_run_that_went_wrong_takes_its_vm_along() {
    for body in [
        "error('no')",
        "while true do end",
        "local list = {} while true do table.insert(list, string.rep('x', 1e5) .. #list) end",
        "return print",
    ] {
        let short = |bed: &Bed, is_first| {
            let cpu = std::time::Duration::from_millis(50);
            RunScope { cpu, ..scope(bed, is_first) }
        };
        let [(first, kept), _] = twice(&job(body), short);
        assert!(!matches!(first, Outcome::Returned(_)), "{body}");
        assert_eq!(kept, 0, "{body}");
    }
}

#[test]
fn what_is_left_behind_is_not_the_next_runs() {
    let body = "hog = {} for i = 1, 30 do hog[i] = string.rep('x', 1e5) .. i end return #hog";
    let [(first, _), (second, _)] = twice(&job(body), scope);
    assert_eq!((returned(&first), returned(&second)), (&json!(30), &json!(30)), "both have all of their memory");
}

#[test]
fn a_vm_in_which_somebody_still_waits_is_not_used_again() {
    let bed = Bed::default();
    on_lane(async {
        let vm = Vm::new(bed.engine.core(), 8 << 20).expect("a VM");
        let waits = vm.host().clone();
        assert!(vm.renewed().is_none(), "somebody has its host");
        drop(waits);
        let vm = Vm::new(bed.engine.core(), 8 << 20).expect("a VM");
        assert!(vm.renewed().is_some());
    });
}

#[test]
fn whoever_watched_the_last_run_stops_nothing_any_more() {
    use crate::lua::interrupt::Armed;
    let bed = Bed::default();
    on_lane(async {
        let vm = Vm::new(bed.engine.core(), 8 << 20).expect("a VM");
        let late = vm.connection().switch();
        let vm = vm.renewed().expect("it can be used again");
        let loops = vm.lua().load("local n = 0 for i = 1, 1e5 do n = n + 1 end return n").into_function();
        let loops = loops.expect("it compiles");
        vm.connection().switch().set(Armed::Stop);
        loops.call::<f64>(()).expect_err("a switch of its own stops it");
        vm.connection().disarm();
        late.set(Armed::Stop);
        assert_eq!(loops.call::<f64>(()).expect("nobody stops it"), 1e5);
    });
}

#[test]
fn only_runs_of_the_same_kind_share_a_vm_and_a_lane_keeps_few() {
    let bed = Bed::default();
    on_lane(async {
        let seat: Seat = bed.engine.seat();
        let bundle = files(&job("return 1"));
        seat.execute(bundle.clone(), scope(&bed, true)).await;
        let other = RunScope { memory_bytes: 9 << 20, ..scope(&bed, true) };
        seat.execute(bundle.clone(), other).await;
        seat.execute(bundle.clone(), durable(&bed, true)).await;
        let granted = crate::model::Grants { host: Some(crate::model::grants::Access::Read), ..bed.grants.clone() };
        seat.execute(bundle.clone(), RunScope { grants: Arc::new(granted), ..scope(&bed, true) }).await;
        let named = RunScope { job: "other".parse().expect("a name"), ..scope(&bed, true) };
        seat.execute(bundle.clone(), named).await;
        assert_eq!(seat.spares(), 5, "none was used for another");
        seat.execute(bundle, scope(&bed, true)).await;
        assert_eq!(seat.spares(), 5, "this one was");
        for number in 0..VM_SPARES_MAX {
            seat.execute(files(&job(&format!("return {number}"))), scope(&bed, true)).await;
        }
        assert_eq!(seat.spares(), VM_SPARES_MAX);
        seat.clear();
        assert!(!seat.has_spares());
    });
}
