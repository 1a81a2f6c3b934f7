//! Everything behind the web part, small and real, but for the schedule's forecast.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::base::{Clock, JobName, RunId, Timestamp};
use crate::events::Tail;
use crate::jobs::{self, Gate, Job, Loader, Registry, Site};
use crate::lua::{Bundle, Engine, EngineOptions};
use crate::model::params::ParamSpec;
use crate::model::schedule::{CatchUp, Rule, ScheduleSpec};
use crate::model::{Identity, JobSpec, Role, TriggerKind};
use crate::primitives::stack::{Source, Sources};
use crate::primitives::{self, Primitives};
use crate::runner::{self, Dispatcher};
use crate::store::{self, Store};
use crate::web::{Forecast, Metrics, Options, Parts, Upcoming, Web, auth};

pub const GREET: &str = "return aegis.job { run = function(ctx)\n  print('hello ' .. tostring(ctx.params.name))\n  return { name = ctx.params.name }\nend }\n";
pub const FAIL: &str = "return aegis.job { run = function()\n  error('no luck')\nend }\n";
/// Goes on until it is cancelled.
pub const WAIT: &str = "return aegis.job { run = function(ctx)\n  print('begun')\n  ctx:sleep('1h')\nend }\n";

/// Due every five minutes of the epoch.
#[derive(Debug)]
struct EveryFiveMinutes;

impl Forecast for EveryFiveMinutes {
    fn due(&self, job: Option<&JobName>, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Upcoming> {
        let greet: JobName = "greet".parse().expect("a name");
        if job.is_some_and(|job| *job != greet) {
            return Vec::new();
        }
        let first = from.as_second() / 300 + 1;
        let times = (first..).map(|slot| Timestamp::from_second(slot * 300).expect("a time")).take_while(|at| *at < to);
        let due = |at| Upcoming { job: greet.clone(), scheduled_for: at, fire_at: at, dst_shifted: false, held: None };
        times.take(limit).map(due).collect()
    }

    fn next(&self, job: &JobName, from: Timestamp, count: usize) -> Vec<Upcoming> {
        self.due(Some(job), from, Timestamp::MAX, count)
    }
}

/// A web part with the jobs `greet`, `fail` and `wait`, and nobody signed in.
pub struct App {
    pub web: Web,
    pub store: Store,
    pub clock: Clock,
    public: Router,
    // Dropped with the test: everything that runs.
    _tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A failure with the envelope, this code, and these words in it.
    #[track_caller]
    pub fn expect_error(self, status: StatusCode, code: &str, words: &[&str]) {
        let answer = self.expect(status);
        let body = answer.json();
        assert_eq!(body["error"]["code"], code, "{body}");
        assert!(body["error"]["message"].is_string() && body["error"].get("hint").is_some(), "{body}");
        for word in words {
            assert!(answer.text.contains(word), "{word:?} is not in {body}");
        }
    }
}

pub fn job(name: &str, source: &str, change: impl FnOnce(&mut JobSpec)) -> (JobName, Arc<Job>) {
    let name: JobName = name.parse().expect("a name");
    let mut spec = JobSpec::named(name.clone());
    change(&mut spec);
    let file = format!("{name}.lua");
    let job = Job {
        spec: Arc::new(spec),
        bundle: Arc::new(Bundle::new(vec![(file.clone(), source.to_owned())])),
        file,
        loaded_at: Timestamp::now(),
        enabled_override: None,
        held: false,
    };
    (name, Arc::new(job))
}

fn registry() -> Registry {
    let param = |value: Value| serde_json::from_value::<ParamSpec>(value).expect("a declaration");
    let registry = Registry::default();
    registry.update(|snapshot| {
        snapshot.jobs.extend([
            job("greet", GREET, |spec| {
                spec.description = "Greets <somebody>".into();
                spec.ui.button = Some("Greet now".into());
                spec.schedules = vec![ScheduleSpec {
                    rule: Rule::Every { interval: Duration::from_secs(300) },
                    jitter: Duration::ZERO,
                    catch_up: CatchUp::None,
                    window: None,
                    skip: Vec::new(),
                }];
                let name = json!({ "type": "string", "default": "you", "max": 20, "pattern": "[a-z]+" });
                spec.params = [
                    ("count".to_owned(), param(json!({ "type": "integer", "min": 1, "default": 1 }))),
                    ("name".to_owned(), param(name)),
                ]
                .into();
            }),
            job("fail", FAIL, |_| ()),
            job("wait", WAIT, |spec| spec.ui.confirm = Some("Really wait?".into())),
        ]);
    });
    registry
}

/// Without Docker; with a secret, a stack and volumes.
fn primitives_in(folder: &Path, clock: &Clock) -> Primitives {
    let env_file = folder.join("secrets.env");
    std::fs::write(&env_file, "HOOK_KEY=key-of-the-hook\n").expect("written");
    std::fs::set_permissions(&env_file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let config = primitives::secrets::SecretsConfig { env_file: Some(env_file), ..Default::default() };
    let options = primitives::Options {
        secrets: primitives::secrets::Options { config, credentials_directory: None },
        docker_host: format!("unix://{}", folder.join("no-docker.sock").display()),
        clock: clock.clone(),
        stacks: stacks(folder),
        volumes: primitives::volumes::Options {
            listen: Some(([127, 0, 0, 1], 0).into()),
            root: folder.join("volumes"),
            ..primitives::volumes::Options::default()
        },
        ..primitives::Options::default()
    };
    Primitives::new(options).expect("options that can be used")
}

impl App {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::system();
        let url = format!("sqlite://{}", folder.path().join("aegis.db").display());
        let options = store::Options { url, node: "test".into() };
        let (store, writer) = Store::open(options, clock.clone()).await.expect("a store");
        let mut tasks = JoinSet::new();
        let stop = CancellationToken::new();
        tasks.spawn({
            let stop = stop.clone();
            async move { writer.run(stop).await.expect("the writer goes on") }
        });
        let primitives = primitives_in(folder.path(), &clock);
        let (docker, secrets) = (primitives.docker.clone(), primitives.secrets.clone());
        let (stacks, volumes) = (primitives.stacks.clone(), primitives.volumes.clone());
        let egress = primitives.egress.clone();
        let io = tokio::runtime::Handle::current();
        let engine = Engine::new(EngineOptions { io, clock: clock.clone(), primitives });
        let registry = registry();
        // It is not run: there is no folder, and the jobs are those of the registry.
        let (_, loader) = Loader::new(jobs::Options {
            dir: folder.path().join("scripts"),
            engine: engine.clone(),
            store: store.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
            site: Site::default(),
            gate: Gate::default(),
        });
        let options = runner::Options {
            labels: Vec::new(),
            lanes: 1,
            running_max: 8,
            grace: Duration::from_secs(1),
            shares: false,
            hurry: CancellationToken::new(),
        };
        let (dispatcher, runner) =
            Dispatcher::new(&options, store.clone(), registry.clone(), clock.clone(), &engine).expect("a lane");
        tasks.spawn(async move { dispatcher.run(stop).await.expect("the dispatcher goes on") });
        let parts = Parts {
            store: store.clone(),
            tail: Tail::new(store.clone()),
            runner,
            jobs: registry,
            loader,
            docker,
            notify: crate::primitives::Primitives::unconnected().notify,
            secrets,
            stacks,
            volumes,
            egress,
            forecast: Arc::new(EveryFiveMinutes),
            probes: Vec::new(),
            metrics: Metrics::default(),
            clock: clock.clone(),
        };
        let web = Web::new(Options { listen: ([127, 0, 0, 1], 8080).into(), allowed_hosts: Vec::new() }, parts);
        Self { public: web.public_router(), web, store, clock, _tasks: tasks, _folder: folder }
    }

    /// A token of that role and name.
    pub async fn token(&self, role: Role, jobs: &[&str]) -> String {
        let new = auth::NewToken {
            name: format!("{role}-{}", jobs.len()),
            role,
            jobs: jobs.iter().map(ToString::to_string).collect(),
            expires_at: None,
        };
        auth::create_token(&self.store, &self.clock, new).await.expect("a token").0
    }

    /// Through all the checks, as a client of the listener.
    pub async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, "127.0.0.1:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(self.public.clone(), request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    /// Stores the live versions, as the loader would have.
    pub async fn store_versions(&self) {
        for job in self.web.parts.jobs.snapshot().jobs.values() {
            let version = store::ScriptVersion {
                hash: job.bundle.hash,
                job: job.spec.name.clone(),
                spec: (*job.spec).clone(),
                files: job.bundle.files.to_vec(),
                created_at: job.loaded_at,
            };
            self.store.put_version(version, Vec::new()).await.expect("the store answers");
        }
    }

    pub async fn send(&self, router: Router, request: Request<Body>) -> Answer {
        let response = router.oneshot(request).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.expect("a body");
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// As a caller whose identity is known, the way the admin socket does it.
    pub async fn as_role(&self, role: Role, method: Method, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(Identity::new("uid:1000(alice)", role, TriggerKind::Cli));
        self.send(self.web.router(), request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.as_role(Role::Viewer, Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.as_role(Role::Operator, Method::POST, path, body).await
    }

    /// Starts a run of `job` and waits for its end.
    pub async fn run_to_end(&self, job: &str, params: Value) -> Value {
        let id = self.start(job, params).await;
        let id: RunId = id.parse().expect("an id");
        self.web.parts.runner.wait(id).await.expect("the store answers").expect("the run is there");
        self.get(&format!("/api/v1/runs/{id}")).await.expect(StatusCode::OK).json()
    }

    pub async fn start(&self, job: &str, params: Value) -> String {
        let answer = self.post(&format!("/api/v1/jobs/{job}/runs"), json!({ "params": params })).await;
        answer.expect(StatusCode::ACCEPTED).json()["run_id"].as_str().expect("an id").to_owned()
    }
}

/// A stack that loads and one that does not.
fn stacks(folder: &Path) -> Sources {
    let files = [
        ("shop", "services: { web: { image: web, environment: { TOKEN: s3cret } } }"),
        ("broken", "services: { web: { image: [] } }"),
    ];
    let source = |(name, text): (&str, &str)| {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("compose.yaml"), text).expect("written");
        (name.to_owned(), Source { folder, ..Source::default() })
    };
    files.map(source).into()
}
