//! Real engines and servers; what they set off is written down instead of being run.

use std::sync::PoisonError;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;
use crate::base::RunId;
use crate::model::grants::{Access, DockerGrant};
use crate::model::job::TriggerSpec;
use crate::model::{Event, Grants, JobSpec, NewEvent};
use crate::primitives::docker::testing::{Lab, docker as command, options};
use crate::primitives::docker::{Options as DockerOptions, testing};
use crate::primitives::sql::testing as databases;
use crate::primitives::{Options, Primitives};
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::store::StoreError;

/// Writes down what it is asked.
#[derive(Default)]
struct Recorder {
    asked: Mutex<Vec<SubmitRequest>>,
    reports: Mutex<Vec<NewEvent>>,
    /// Of the event log: what was there, and what comes.
    past: Mutex<Vec<Event>>,
    coming: Mutex<Option<UnboundedReceiver<Event>>>,
    /// The next so many submissions find no store.
    outages: Mutex<u32>,
}

impl EventDesk for Recorder {
    fn submit(&self, request: SubmitRequest) -> BoxFuture<'_, Result<Submission, SubmitError>> {
        async move {
            let mut outages = self.outages.lock().expect("no panic");
            if *outages > 0 {
                *outages -= 1;
                return Err(SubmitError::Store(StoreError::DiskFull));
            }
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let existing = asked.iter().any(|earlier| {
                earlier.idempotency_key.is_some()
                    && (&earlier.job, &earlier.idempotency_key) == (&request.job, &request.idempotency_key)
            });
            if !existing {
                asked.push(request);
            }
            Ok(Submission::Accepted { run: RunId::generate(), existing })
        }
        .boxed()
    }

    fn report(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.reports.lock().expect("no panic").extend(events);
            Ok(())
        }
        .boxed()
    }

    fn events(&self, _: Option<i64>) -> BoxStream<'static, Result<Event, StoreError>> {
        let coming = self.coming.lock().expect("no panic").take();
        coming.map_or_else(
            || futures_util::stream::pending().boxed(),
            |coming| UnboundedReceiverStream::new(coming).map(Ok).boxed(),
        )
    }

    fn past_events(&self, _: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        async { Ok(self.past.lock().expect("no panic").clone()) }.boxed()
    }

    fn versions(&self) -> BoxFuture<'_, Result<BTreeMap<JobName, Timestamp>, StoreError>> {
        async { Ok(BTreeMap::new()) }.boxed()
    }
}

struct Bench {
    desk: Arc<Recorder>,
    outside: Outside,
}

impl Bench {
    fn new(docker: Docker, sql: Sql) -> Self {
        Self::over(&Primitives { docker, sql, ..Primitives::unconnected() })
    }

    fn over(primitives: &Primitives) -> Self {
        let desk = Arc::new(Recorder::default());
        let outside = Outside::new(Registry::default(), desk.clone(), primitives, Clock::system());
        Self { desk, outside }
    }

    /// Puts a job into the registry that has been there for ever.
    fn job(&self, name: &str, on: Vec<(&str, Value)>, permissions: Grants) {
        let mut spec = JobSpec::named(name.parse().expect("a name"));
        let trigger = |(kind, options): (&str, Value)| TriggerSpec { kind: kind.to_owned(), options };
        spec.on = on.into_iter().map(trigger).collect();
        spec.permissions = permissions;
        let job = Job::with(spec, "");
        self.outside.registry.update(|snapshot| drop(snapshot.jobs.insert(job.spec.name.clone(), job.clone())));
    }

    /// What was asked for so far: the job and the payload.
    fn asked(&self) -> Vec<(String, Value)> {
        let asked = self.desk.asked.lock().expect("no panic");
        asked.iter().map(|request| (request.job.to_string(), request.trigger.payload.clone())).collect()
    }

    fn reports(&self, kind: &str) -> Vec<NewEvent> {
        let reports = self.desk.reports.lock().expect("no panic");
        reports.iter().filter(|event| event.kind == kind).cloned().collect()
    }

    /// Listens while `work` goes on.
    async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let work = tokio::time::timeout(Duration::from_secs(60), work);
        tokio::select! {
            () = self.outside.listen() => unreachable!("it never returns"),
            done = work => done.expect("in time"),
        }
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        while !what(self) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn reads_docker() -> Grants {
    Grants { docker: Some(DockerGrant::Everything(Access::Read)), ..Grants::default() }
}

fn on_die(lab: &Lab) -> Value {
    json!({"event": ["die"], "type": "container", "container": [format!("{}-*", lab.mark)]})
}

fn no_sql() -> Sql {
    Primitives::unconnected().sql
}

#[tokio::test]
async fn events_of_the_engine_start_runs_of_the_jobs_that_want_them() {
    let lab = Lab::open();
    let bench = Bench::new(lab.docker.clone(), no_sql());
    // Twice wanted by one job: run once.
    bench.job("mourner", vec![("docker", on_die(&lab)), ("docker", on_die(&lab))], reads_docker());
    let elsewhere = json!({"event": ["die"], "type": "container", "label": ["aegis.test=another"]});
    bench.job("stranger", vec![("docker", elsewhere)], reads_docker());
    bench.job("nobody", vec![("docker", on_die(&lab))], Grants::default());
    let name = lab.create("one", json!({"command": ["sh", "-c", "exit 5"]})).await;
    bench
        .during(async {
            lab.docker.start(&lab.permit, &name, options(json!({}))).await.expect("started");
            bench.until(|bench| !bench.asked().is_empty()).await;
            // A job that comes while events are followed hears of later ones, and of earlier ones not.
            bench.job("late", vec![("docker", on_die(&lab))], reads_docker());
            lab.run("two", json!({"command": ["sh", "-c", "exit 6"]})).await;
            bench.until(|bench| bench.asked().len() >= 3).await;
        })
        .await;
    let asked: Vec<(String, Value)> =
        bench.asked().into_iter().map(|(job, payload)| (job, payload["exit_code"].clone())).collect();
    assert!(
        asked.contains(&("mourner".into(), json!(5))) && asked.contains(&("mourner".into(), json!(6))),
        "{asked:?}"
    );
    assert!(asked.contains(&("late".into(), json!(6))), "{asked:?}");
    assert!(asked.iter().all(|(job, _)| job == "mourner" || job == "late"), "{asked:?}");
    assert_eq!(asked.iter().filter(|(job, _)| job == "mourner").count(), 2);
    let keys = bench.desk.asked.lock().expect("no panic");
    assert!(keys.iter().all(|request| request.idempotency_key.as_ref().is_some_and(|key| key.starts_with("docker:"))));
}

#[tokio::test]
async fn what_happened_while_nobody_listened_is_caught_up_on_once() {
    let lab = Lab::open();
    let bench = Bench::new(lab.docker.clone(), no_sql());
    bench.job("mourner", vec![("docker", on_die(&lab))], reads_docker());
    let name = lab.run("gone", json!({"command": ["true"]})).await;
    command(&["wait", &name]);
    for _ in 0..2 {
        // A daemon that starts, and one that takes over: both look back.
        bench.during(bench.until(|bench| !bench.asked().is_empty())).await;
        bench.during(tokio::time::sleep(Duration::from_millis(300))).await;
    }
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn a_store_that_is_away_costs_no_event() {
    let lab = Lab::open();
    let bench = Bench::new(lab.docker.clone(), no_sql());
    bench.job("mourner", vec![("docker", on_die(&lab))], reads_docker());
    *bench.desk.outages.lock().expect("no panic") = 2;
    lab.run("gone", json!({"command": ["true"]})).await;
    bench.during(bench.until(|bench| !bench.asked().is_empty())).await;
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn an_engine_that_goes_and_comes_neither_loses_nor_doubles() {
    let lab = Lab::open();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let host = format!("unix://{}", socket.display());
    let docker = Docker::new(DockerOptions { host, clock: Clock::system() });
    let bench = Bench::new(docker, no_sql());
    bench.job("mourner", vec![("docker", on_die(&lab))], reads_docker());
    bench
        .during(async {
            bench.until(|bench| bench.outside.health.check().is_err()).await;
            let problem = bench.outside.health.check().expect_err("no engine");
            assert!(problem.contains("events of Docker") && problem.contains("docker.sock"), "{problem}");
            let first = testing::relay(&socket);
            lab.run("one", json!({"command": ["true"]})).await;
            bench.until(|bench| bench.asked().len() == 1).await;
            assert_eq!(bench.outside.health.check(), Ok(()));
            first.cut().await;
            lab.run("two", json!({"command": ["true"]})).await;
            bench.until(|bench| bench.outside.health.check().is_err()).await;
            let _second = testing::relay(&socket);
            bench.until(|bench| bench.asked().len() == 2).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        })
        .await;
    let names: Vec<Value> = bench.asked().into_iter().map(|(_, payload)| payload["name"].clone()).collect();
    assert_eq!(names, [json!(lab.name("one")), json!(lab.name("two"))]);
}

async fn postgres() -> (String, Sql) {
    let (url, _) = databases::postgres().await;
    let options = Options {
        docker_host: "unix:///nonexistent/docker.sock".into(),
        sql: databases::main_source(&url),
        ..Options::default()
    };
    (url, Primitives::new(options).expect("services").sql)
}

fn channel() -> Value {
    json!({"source": "main", "channel": "new jobs"})
}

fn reads_sql() -> Grants {
    Grants { sql: [("main".to_owned(), Access::Read)].into(), ..Grants::default() }
}

#[tokio::test]
async fn what_postgresql_is_told_starts_runs_and_a_gap_is_said() {
    let (url, sql) = postgres().await;
    let bench = Bench::new(Primitives::unconnected().docker, sql);
    bench.job("worker", vec![("sql", channel())], reads_sql());
    bench.job("nobody", vec![("sql", channel())], Grants::default());
    let say = async |text: &str| databases::execute(&url, &format!("SELECT pg_notify('new jobs', '{text}')")).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> pg_backend_pid()";
    bench
        .during(async {
            while bench.asked().is_empty() {
                say("first").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            databases::execute(&url, cut).await;
            bench.until(|bench| !bench.reports("trigger.gap").is_empty()).await;
            say("after").await;
            bench.until(|bench| bench.asked().iter().any(|(_, payload)| payload["payload"] == "after")).await;
        })
        .await;
    assert!(bench.asked().iter().all(|(job, payload)| job == "worker" && payload["channel"] == "new jobs"));
    let gap = bench.reports("trigger.gap").remove(0);
    assert_eq!((gap.job.map(|job| job.to_string()), &gap.data["source"]), (Some("worker".into()), &json!("main")));
    assert!(gap.data["from"].as_str() <= gap.data["until"].as_str());
    assert_eq!(bench.outside.health.check(), Ok(()));
}

#[tokio::test]
async fn a_source_that_cannot_be_listened_to_says_so_in_health() {
    let bench = Bench::new(Primitives::unconnected().docker, no_sql());
    bench.job("worker", vec![("sql", channel())], reads_sql());
    bench.during(bench.until(|bench| bench.outside.health.check().is_err())).await;
    let problem = bench.outside.health.check().expect_err("no such source");
    assert!(problem.contains("the channel \"new jobs\" of \"main\""), "{problem}");
}

#[tokio::test]
async fn a_flood_of_events_is_bounded_and_told() {
    let bench = Bench::new(Primitives::unconnected().docker, no_sql());
    bench.job("worker", Vec::new(), Grants::default());
    let heard = || submit::Heard {
        job: "worker".parse().expect("a name"),
        kind: crate::model::TriggerKind::Sql,
        payload: json!({}),
        key: None,
    };
    for _ in 0..300 {
        bench.outside.submit(heard()).await;
    }
    let most = crate::base::limits::TRIGGER_BURST_MAX as usize;
    assert!((most..most + 10).contains(&bench.asked().len()), "{}", bench.asked().len());
    assert_eq!(bench.reports("trigger.dropped").len(), 1);
}

#[tokio::test]
async fn ends_of_runs_and_alerts_start_runs_once() {
    let bench = Bench::new(Primitives::unconnected().docker, no_sql());
    let on = json!({"name": ["backup-*"], "state": ["failed"]});
    let looks = |at: &str| Grants { runs: vec![at.to_owned()], ..Grants::default() };
    bench.job("nobody", vec![("job", on.clone())], Grants::default());
    bench.job("mender", vec![("job", on.clone()), ("job", on)], looks("backup-*"));
    bench.job("backup-mender", vec![("job", json!({"name": ["*"], "state": ["failed"]}))], looks("*"));
    bench.job("pager", vec![("alert", json!({"rule": ["disk_*"], "state": ["firing"]}))], Grants::default());
    let now = Clock::system().now();
    let event = |seq: i64, kind: &str, job: Option<&str>, data: Value| {
        let body = NewEvent::new(now, kind).data(data);
        let body = match job {
            Some(job) => body.job(&job.parse().expect("a name")),
            None => body,
        };
        Event { seq, body }
    };
    let alert = |name: &str| json!({"name": name, "severity": "critical"});
    *bench.desk.past.lock().expect("no panic") =
        vec![event(4, "run.failed", Some("backup-db"), json!({"error": {"code": "x"}}))];
    let (to, coming) = unbounded_channel();
    *bench.desk.coming.lock().expect("no panic") = Some(coming);
    for event in [
        event(4, "run.failed", Some("backup-db"), json!({})),
        event(5, "run.succeeded", Some("backup-db"), json!({})),
        event(6, "run.failed", Some("backup-mender"), json!({})),
        event(7, "alert.firing", None, alert("cpu_high")),
        event(8, "alert.resolved", None, alert("disk_full")),
        event(9, "alert.firing", None, alert("disk_full")),
    ] {
        to.send(event).expect("it listens");
    }
    bench.during(bench.until(|bench| bench.asked().iter().any(|(job, _)| job == "pager"))).await;
    let told: Vec<(String, Value)> =
        bench.asked().into_iter().map(|(job, payload)| (job, payload["job"].clone())).collect();
    let expected = [
        ("backup-mender", json!("backup-db")),
        ("mender", json!("backup-db")),
        ("mender", json!("backup-mender")),
        ("pager", Value::Null),
    ];
    let expected: Vec<(String, Value)> = expected.into_iter().map(|(job, of)| (job.to_owned(), of)).collect();
    assert_eq!(told, expected, "nobody hears of its own end, and nothing is told twice");
    let first = bench.asked().remove(0).1;
    assert_eq!((&first["state"], &first["error"]["code"]), (&json!("failed"), &json!("x")));
}

fn inbox() -> (tempfile::TempDir, Primitives) {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = [("inbox".to_owned(), folder.path().to_owned())].into();
    let options = Options { docker_host: "unix:///nonexistent/docker.sock".into(), roots, ..Options::default() };
    (folder, Primitives::new(options).expect("services"))
}

fn reads_inbox() -> Grants {
    Grants { fs: [("inbox".to_owned(), Access::Read)].into(), ..Grants::default() }
}

fn on_csv(folder: &str) -> Vec<(&'static str, Value)> {
    vec![("file", json!({"path": format!("inbox:{folder}*.csv"), "settle_ms": 100}))]
}

#[tokio::test]
async fn files_that_appear_or_change_start_runs_once() {
    let (folder, primitives) = inbox();
    let bench = Bench::over(&primitives);
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    put("before.csv", "1");
    let old = std::fs::File::create(folder.path().join("old.csv")).expect("a file");
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("its time");
    bench.job("reader", [on_csv(""), on_csv("")].concat(), reads_inbox());
    bench.job("nobody", on_csv(""), Grants::default());
    let names = |bench: &Bench| -> Vec<String> {
        bench
            .asked()
            .iter()
            .map(|(job, payload)| format!("{job} {}", payload["name"].as_str().unwrap_or("?")))
            .collect()
    };
    bench
        .during(async {
            bench.until(|bench| !bench.asked().is_empty()).await;
            put("note.txt", "2");
            std::fs::create_dir(folder.path().join("folder.csv")).expect("a folder");
            put("later.csv", "3");
            bench.until(|bench| bench.asked().len() == 2).await;
            put("later.csv", "more");
            bench.until(|bench| bench.asked().len() == 3).await;
        })
        .await;
    // A daemon that starts anew has seen all of it.
    bench.during(tokio::time::sleep(Duration::from_millis(500))).await;
    assert_eq!(names(&bench), ["reader before.csv", "reader later.csv", "reader later.csv"]);
    let payload = bench.asked().remove(2).1;
    assert_eq!((&payload["path"], &payload["bytes"]), (&json!("inbox:later.csv"), &json!(4)));
    assert_eq!(bench.outside.health.check(), Ok(()));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said_and_waited_for() {
    let (folder, primitives) = inbox();
    let bench = Bench::over(&primitives);
    bench.job("reader", on_csv("in/"), reads_inbox());
    bench
        .during(async {
            bench.until(|bench| bench.outside.health.check().is_err()).await;
            let problem = bench.outside.health.check().expect_err("no folder");
            assert!(problem.contains("the files \"inbox:in/*.csv\""), "{problem}");
            std::fs::create_dir(folder.path().join("in")).expect("a folder");
            std::fs::write(folder.path().join("in/a.csv"), "1").expect("written");
            bench.until(|bench| !bench.asked().is_empty()).await;
        })
        .await;
    assert_eq!(bench.outside.health.check(), Ok(()));
}

/// A policy that came after the file was loaded, or says less than the manifest asks for.
#[tokio::test]
async fn what_the_policy_takes_away_is_not_heard_of() {
    let (folder, primitives) = inbox();
    let bench = Bench::over(&primitives);
    std::fs::write(folder.path().join("a.csv"), "1").expect("written");
    bench.job("free", on_csv(""), reads_inbox());
    bench.job("capped", [on_csv(""), vec![("sql", channel())]].concat(), Grants::all());
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "rules:\n  - scripts: capped.lua\n    allow: { host: read }\n").expect("written");
    let policy = crate::jobs::Policy::load(&policy).expect("a policy");
    bench.outside.registry.update(|snapshot| snapshot.policy = Arc::new(policy));
    bench
        .during(async {
            bench.until(|bench| !bench.asked().is_empty()).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        })
        .await;
    assert!(bench.asked().iter().all(|(job, _)| job == "free"), "{:?}", bench.asked());
    // Nor is there anything wrong with what nobody may listen to.
    assert_eq!(bench.outside.health.check(), Ok(()));
    let event = |name: &str| crate::primitives::docker::EngineEvent {
        at: Clock::system().now(),
        kind: "container".into(),
        action: "die".into(),
        id: "x".into(),
        name: name.into(),
        detail: None,
        exit_code: None,
        attributes: BTreeMap::new(),
    };
    let jobs = &bench.outside.registry.snapshot().jobs;
    let capped = jobs.values().find(|job| job.spec.name.as_str() == "capped").expect("a job");
    assert!(!bench.outside.may_hear(capped, &event("web")));
}
