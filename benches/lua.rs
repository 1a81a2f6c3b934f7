//! What the Lua runtime costs: `cargo bench --bench lua`. Medians and ratios, about fifteen seconds.

#![allow(clippy::panic, clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints, and fails loudly")]

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aegis::base::{Clock, Fault, RunId, Timestamp};
use aegis::lua::{
    ArtifactPort, AuditPort, Bundle, Engine, EngineOptions, JobsPort, KvPort, LogSink, Outcome, RunScope, WatchPort,
};
use aegis::model::alerts::{Acknowledgement, Alert, Silence};
use aegis::model::checks::Check;
use aegis::model::metrics::Sample;
use aegis::model::run::Progress;
use aegis::model::{Grants, LogLevel, NewAudit, Run, Signal, Trigger, TriggerKind};
use aegis::primitives::permit::{EventPermit, JobPermit, KvPermit, RunsPermit, StackPermit};
use aegis::primitives::{Options, Primitives};
use aegis::store::{KvEntry, KvOutcome, KvWrite, MetricQuery, Report, RunFilter, SeriesPoints, SeriesRow};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

/// How long each measurement goes on.
const MEASURE: Duration = Duration::from_millis(1_200);

fn main() {
    let io = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let primitives = Primitives::new(Options::default()).expect("the primitives");
    let engine = Engine::new(EngineOptions { io: io.handle().clone(), clock: Clock::system(), primitives });
    let lane = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let on_lane = |future| LocalSet::new().block_on(&lane, future);

    vms(&engine);
    loading();
    on_lane(Box::pin(calls(&engine)) as std::pin::Pin<Box<dyn Future<Output = ()>>>);
    on_lane(Box::pin(runs(&engine)));
    on_lane(Box::pin(computing(&engine)));
}

fn vms(engine: &Engine) {
    println!("\na VM, made and dropped");
    let bare = median(|| {
        black_box(mlua::Lua::new());
    });
    let whole = median(|| {
        black_box(engine.console(scope()).expect("a console"));
    });
    row("bare", bare, None);
    row("with the whole API", whole, Some(bare));
}

fn loading() {
    println!("\n114 lines");
    let source = "local function step(a, b)\n  if a > b then return a - b end\n  return { a, b, 'text' }\nend\n"
        .repeat(28)
        + "return 1\n";
    let code = mlua::chunk::Compiler::new().compile(&source).expect("it compiles");
    let lua = mlua::Lua::new();
    let from_source = median(|| {
        let chunk = lua.load(&source).set_mode(mlua::chunk::ChunkMode::Text);
        black_box(chunk.into_function().expect("it loads"));
    });
    let from_code = median(|| {
        let chunk = lua.load(code.as_slice()).set_mode(mlua::chunk::ChunkMode::Binary);
        black_box(chunk.into_function().expect("it loads"));
    });
    row("from source", from_source, None);
    row("from cached bytecode", from_code, Some(from_source));
}

/// Calls through the choke point, timed inside a run.
async fn calls(engine: &Engine) {
    println!("\na call");
    let timed = |call: &str, count: u32| {
        format!(
            "return aegis.job {{ run = function() local t = os.clock() for i = 1, {count} do {call} end
             return (os.clock() - t) / {count} * 1e9 end }}"
        )
    };
    let baseline = run(engine, &timed("math.abs(i)", 1_000_000)).await;
    for (name, call, count) in [
        ("aegis.duration.seconds, answered at once", "aegis.duration.seconds(i)", 100_000),
        ("aegis.kv.get, which waits once", "aegis.kv.get('x')", 10_000),
    ] {
        let nanos = run(engine, &timed(call, count)).await;
        row(name, Duration::from_nanos(nanos.as_f64().unwrap_or(0.0) as u64), None);
    }
    println!("  {:<46} {:>9.0} ns", "math.abs, for comparison", baseline.as_f64().unwrap_or(0.0));
}

async fn runs(engine: &Engine) {
    println!("\na run that does nothing, on one lane");
    let bundle = bundle("return aegis.job { run = function(ctx) return 1 end }");
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < MEASURE * 2 {
        let begin = Instant::now();
        let outcome = engine.execute(bundle.clone(), scope()).await;
        assert!(matches!(outcome, Outcome::Returned(_)), "{outcome:?}");
        times.push(begin.elapsed());
    }
    let per_second = times.len() as f64 / began.elapsed().as_secs_f64();
    times.sort_unstable();
    row("one", times[times.len() / 2], None);
    println!("  {:<46} {per_second:>9.0} /s", "one after another");
}

async fn computing(engine: &Engine) {
    println!("\nfib(30)");
    const FIB: &str = "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end";
    let lua = mlua::Lua::new();
    let plain: mlua::Function =
        lua.load(format!("{FIB} return function() return fib(30) end")).eval().expect("a chunk");
    let base = best(|| {
        black_box(plain.call::<f64>(()).expect("a number"));
    });
    lua.set_interrupt(|_| Ok(mlua::VmState::Continue));
    let permanent = best(|| {
        black_box(plain.call::<f64>(()).expect("a number"));
    });
    let bundle = bundle(&format!("{FIB} return aegis.job {{ run = function() return fib(30) end }}"));
    let mut armed = Duration::MAX;
    let began = Instant::now();
    while began.elapsed() < MEASURE {
        let begin = Instant::now();
        black_box(engine.execute(bundle.clone(), scope()).await);
        armed = armed.min(begin.elapsed());
    }
    row("alone", base, None);
    row("as a run, its interrupt armed when needed", armed, Some(base));
    row("with an interrupt for good", permanent, Some(base));
}

async fn run(engine: &Engine, source: &str) -> Value {
    match engine.execute(bundle(source), scope()).await {
        Outcome::Returned(value) => value,
        other => panic!("the run ended with {other:?}"),
    }
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times = measure(&mut work);
    times.sort_unstable();
    times[times.len() / 2]
}

fn best(mut work: impl FnMut()) -> Duration {
    measure(&mut work).into_iter().min().unwrap_or_default()
}

fn measure(work: &mut dyn FnMut()) -> Vec<Duration> {
    work();
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < MEASURE {
        let begin = Instant::now();
        work();
        times.push(begin.elapsed());
    }
    times
}

fn row(name: &str, time: Duration, against: Option<Duration>) {
    let ratio = against.map_or_else(String::new, |against| {
        format!("  {:.2}x", time.as_secs_f64() / against.as_secs_f64().max(f64::MIN_POSITIVE))
    });
    println!("  {name:<46} {:>9.2} us{ratio}", time.as_secs_f64() * 1e6);
}

fn bundle(source: &str) -> Arc<Bundle> {
    Arc::new(Bundle::new(vec![("bench.lua".to_owned(), source.to_owned())]))
}

fn scope() -> RunScope {
    RunScope {
        run: RunId::generate(),
        job: "bench".parse().expect("a name"),
        attempt: 1,
        params: json!({}),
        trigger: Trigger::new(TriggerKind::Cli, "bench"),
        grants: Arc::new(Grants::default()),
        dry_run: false,
        timeout: Duration::from_secs(60),
        cpu: Duration::from_secs(60),
        memory_bytes: 64 << 20,
        cancel: CancellationToken::new(),
        log: Arc::new(Nothing),
        jobs: Arc::new(Nothing),
        kv: Arc::new(Nothing),
        watch: Arc::new(Nothing),
        artifacts: Arc::new(Nothing),
        audit: Arc::new(Nothing),
        durable: None,
    }
}

/// A world in which nothing is and nothing happens.
#[derive(Debug)]
struct Nothing;

impl LogSink for Nothing {
    fn line(&self, _: LogLevel, _: String, _: Value) {}
    fn progress(&self, _: Progress) {}
}

fn absent<T: Send>() -> BoxFuture<'static, Result<T, Fault>> {
    Box::pin(async { Err(Fault::new("bench.absent", "there is no such thing in a benchmark")) })
}

impl JobsPort for Nothing {
    fn list(&self) -> BoxFuture<'_, Result<Value, Fault>> {
        absent()
    }

    fn runs(&self, _: RunsPermit, _: RunFilter) -> BoxFuture<'_, Result<Vec<Run>, Fault>> {
        absent()
    }

    fn trigger(
        &self,
        _: JobPermit,
        _: Value,
        _: Trigger,
        _: Option<String>,
        _: bool,
    ) -> BoxFuture<'_, Result<RunId, Fault>> {
        absent()
    }

    fn wait(&self, _: RunId) -> BoxFuture<'_, Result<Run, Fault>> {
        absent()
    }

    fn rollout(&self, _: StackPermit, _: RunId) -> BoxFuture<'_, Result<Option<RunId>, Fault>> {
        absent()
    }

    fn signal(&self, _: EventPermit, _: Signal) -> BoxFuture<'_, Result<(), Fault>> {
        absent()
    }
}

impl AuditPort for Nothing {
    fn has_room(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn record(&self, _: NewAudit) {}
}

impl ArtifactPort for Nothing {
    fn keep(&self, _: RunId, _: String, _: String, _: bytes::Bytes) -> BoxFuture<'_, Result<(), Fault>> {
        absent()
    }
}

impl KvPort for Nothing {
    fn get(&self, _: KvPermit, _: String) -> BoxFuture<'_, Result<Option<KvEntry>, Fault>> {
        Box::pin(async { Ok(None) })
    }

    fn list(&self, _: KvPermit, _: String, _: usize) -> BoxFuture<'_, Result<Vec<(String, KvEntry)>, Fault>> {
        absent()
    }

    fn write(&self, _: KvPermit, _: KvWrite) -> BoxFuture<'_, Result<KvOutcome, Fault>> {
        absent()
    }
}

impl WatchPort for Nothing {
    fn record(&self, _: Vec<Sample>) -> BoxFuture<'_, Result<(), Fault>> {
        absent()
    }

    fn query(&self, _: MetricQuery) -> BoxFuture<'_, Result<Vec<SeriesPoints>, Fault>> {
        absent()
    }

    fn series(&self, _: Option<String>) -> BoxFuture<'_, Result<Vec<SeriesRow>, Fault>> {
        absent()
    }

    fn alerts(&self, _: Option<Timestamp>) -> BoxFuture<'_, Result<Vec<Alert>, Fault>> {
        absent()
    }

    fn report(&self, _: Report) -> BoxFuture<'_, Result<bool, Fault>> {
        absent()
    }

    fn acknowledge(&self, _: String, _: Acknowledgement) -> BoxFuture<'_, Result<bool, Fault>> {
        absent()
    }

    fn silence(&self, _: Silence) -> BoxFuture<'_, Result<(), Fault>> {
        absent()
    }

    fn checks(&self) -> BoxFuture<'_, Result<Vec<Check>, Fault>> {
        absent()
    }
}
