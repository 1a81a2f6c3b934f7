//! The interrupt at its worst: armed all the time, so that a slice ends at every safepoint there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Bed, bundle, job, on_lane};
use crate::lua::attempt::result;
use crate::lua::interrupt::Armed;
use crate::lua::vm::library::main_chunk;
use crate::lua::vm::{Budget, Ended, Vm};

/// Runs the body while another thread arms slices without pause.
fn sliced(bed: &Bed, body: &str) -> Result<Value, String> {
    let bundle = bundle(&job(body));
    let scope = Arc::new(bed.scope());
    let vm = Vm::new(bed.engine.core(), 64 << 20).expect("a VM");
    vm.host().set_bundle(bundle.clone());
    vm.host().enter(scope.clone());
    let chunk = main_chunk(vm.lua(), &bundle).expect("compiles").expect("loads");
    let budget = Budget { wall: Duration::from_secs(10), cpu: Duration::from_secs(10), cancel: scope.cancel.clone() };
    let done = AtomicBool::new(false);
    let switch = vm.connection().switch();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                switch.set(Armed::Slice);
                std::hint::spin_loop();
            }
        });
        let entry = vm.entry("execute").expect("an entry");
        let ended = on_lane(vm.drive(entry, (chunk, "run"), &budget));
        done.store(true, Ordering::SeqCst);
        match ended.expect("it was driven") {
            Ended::Returned(value) => result(&value).map_err(|fault| fault.to_string()),
            other => Err(format!("{other:?}")),
        }
    })
}

#[test]
fn slices_may_end_anywhere() {
    let bed = Bed::default();
    for (body, expected) in [
        ("local n = 0 for i = 1, 2000 do n += i end return n", json!(2_001_000)),
        ("local t = {} for i = 1, 200 do t[i] = (i * 7) % 31 end table.sort(t) return { t[1], t[200] }", json!([0, 30])),
        ("return #(('x'):rep(200):gsub('x', function() return 'yy' end))", json!(400)),
        ("for i = 1, 5 do aegis.sleep('1ms') end return 'slept'", json!("slept")),
        ("return select('#', table.unpack({ 1, nil, 3, nil }, 1, 4))", json!(4)),
        (
            "local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, i * 2, nil) end end) end
             local n = 0
             for a, b in gen(50) do n += a + b end
             return n",
            json!(3825),
        ),
        (
            "local function deep(n) if n == 0 then aegis.sleep('1ms') return 'bottom' end
               return coroutine.wrap(deep)(n - 1) end
             return deep(3)",
            json!("bottom"),
        ),
        (
            "local n = 0
             for i = 1, 10 do
               local r = ctx:all { function() aegis.sleep('1ms') return i end,
                                   function() for _ = 1, 100 do end return coroutine.wrap(function()
                                     aegis.sleep(0) return 1 end)() end }
               n += r[1] + r[2]
             end
             return n",
            json!(65),
        ),
        (
            "local ok, err = pcall(function()
               ctx:all { function() aegis.sleep('10s') end, function() aegis.sleep('2ms') error { code = 'x.y' } end }
             end)
             return { ok, err.code }",
            json!([false, "x.y"]),
        ),
        ("local ok, err = pcall(aegis.kv.get) return { ok, err.code, #err.trace }", json!([false, "args.missing", 1])),
    ] {
        assert_eq!(sliced(&bed, body), Ok(expected), "{body}");
    }
}

#[test]
fn a_switch_outlives_its_vm_harmlessly() {
    let bed = Bed::default();
    let vm = Vm::new(bed.engine.core(), 64 << 20).expect("a VM");
    let switch = vm.connection().switch();
    drop(vm);
    switch.set(Armed::Stop);
}
