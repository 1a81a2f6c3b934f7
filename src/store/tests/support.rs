//! A store with its writer running, on either database, and short ways to make what goes into it.

use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::postgres;
use crate::base::{Clock, FakeClock, JobName, RunId, Timestamp};
use crate::model::{
    Actor, Entry, EntryKind, EntryState, LogLevel, LogLine, NewEvent, Run, RunState, Signal, Trigger, TriggerKind,
};
use crate::store::{JournalWrite, NewRun, Options, StartRun, Store, Transition};

#[derive(Debug, Clone, Copy)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database of the test's own. `stop` and `start` are what a restart of the daemon does.
pub struct Db {
    pub store: Store,
    pub url: String,
    pub hand: FakeClock,
    pub clock: Clock,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

/// Makes a test for each database of every function that is named.
macro_rules! on_both {
    ($($name:ident,)*) => {$(
        mod $name {
            use $crate::store::tests::support::{Backend, Db};

            async fn on(backend: Backend) {
                let mut db = Db::new(backend).await;
                super::$name(&mut db).await;
                db.finish().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                on(Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                on(Backend::Postgres).await;
            }
        }
    )*};
}
pub(crate) use on_both;

impl Db {
    pub async fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match backend {
            Backend::Sqlite => format!("sqlite://{}", folder.path().join("state/aegis.db").display()),
            Backend::Postgres => postgres::create_database().await,
        };
        let (clock, hand) = Clock::fake(at(1_000_000));
        let (store, stop, tasks) = open(&url, "test", false, clock.clone()).await;
        Self { store, url, hand, clock, stop, tasks, _folder: folder }
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// Runs a statement on a connection of its own, behind the store's back.
    pub async fn execute(&self, statement: &str) {
        self.try_execute(statement).await.expect("executes");
    }

    /// The same, with what the database says against it.
    pub async fn try_execute(&self, statement: &str) -> Result<(), String> {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        let outcome = if self.is_sqlite() {
            let mut conn = SqliteConnection::connect(&self.url).await.expect("opens");
            statement.execute(&mut conn).await.map(drop)
        } else {
            let mut conn = PgConnection::connect(&self.url).await.expect("opens");
            statement.execute(&mut conn).await.map(drop)
        };
        outcome.map_err(|error| error.to_string())
    }

    /// Lets the writer finish its queue and end.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("the writer does not panic");
        }
    }

    /// Ends the writer at once, as a crash would, and opens the database again.
    pub async fn crash_and_reopen(&mut self) {
        self.tasks.shutdown().await;
        self.reopen().await;
    }

    pub async fn reopen(&mut self) {
        let (store, stop, tasks) = open(&self.url, "test", false, self.clock.clone()).await;
        (self.store, self.stop, self.tasks) = (store, stop, tasks);
    }

    pub async fn finish(mut self) {
        self.stop().await;
        if !self.is_sqlite() {
            postgres::drop_database(&self.url).await;
        }
    }
}

/// A store of the daemon called `node`, with its writer running, and its listener if it has company.
pub async fn open(url: &str, node: &str, listens: bool, clock: Clock) -> (Store, CancellationToken, JoinSet<()>) {
    let options = Options { url: url.to_owned(), node: node.to_owned() };
    let (store, writer) = Store::open(options, clock).await.expect("the database opens");
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let (listener, stopped) = (writer.listener(), stop.clone());
    if listens {
        tasks.spawn(async move { listener.run(stopped).await.expect("the listener ends well") });
    }
    let stopped = stop.clone();
    tasks.spawn(async move { writer.run(stopped).await.expect("the writer ends well") });
    (store, stop, tasks)
}

/// So many seconds after the epoch.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

pub fn job(name: &str) -> JobName {
    name.parse().expect("a job name")
}

pub fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// A queued run.
pub fn run(name: &str, queued: i64) -> Run {
    let trigger = Trigger::new(TriggerKind::Api, "token:test");
    Run { params: json!({"n": 1}), ..Run::new(RunId::generate(), job(name), trigger, at(queued)) }
}

/// A run that is accepted as running on its first attempt.
pub fn running(name: &str, queued: i64) -> Run {
    Run { state: RunState::Running, attempt: 1, fence: 1, started_at: Some(at(queued)), ..run(name, queued) }
}

pub fn new_run(run: &Run) -> NewRun {
    let events = vec![event("run.queued").run(run.id).job(&run.job)];
    NewRun { run: run.clone(), occurrence: None, events, alone: false }
}

pub fn event(kind: &str) -> NewEvent {
    NewEvent::new(at(1_000_000), kind)
}

/// The start of an attempt of a run that is known at `fence`.
pub fn start(run: &Run, fence: i64, attempt: u32) -> StartRun {
    StartRun {
        run: run.id,
        fence,
        attempt,
        at: at(1_000_001),
        began: at(1_000_001),
        deadline_at: None,
        alone: false,
        key: None,
        events: vec![event("run.started").run(run.id)],
    }
}

/// A change from `from` on the run's own attempt and fence.
pub fn change(run: &Run, from: RunState, to: RunState) -> Transition {
    let events = vec![event(&format!("run.{to}")).run(run.id)];
    Transition { events, ..Transition::new(run, from, to, at(1_000_010)) }
}

/// A step that is done.
pub fn step(key: &str, name: &str) -> Entry {
    Entry {
        key: key.parse().expect("a key"),
        kind: EntryKind::Step,
        name: name.into(),
        state: EntryState::Done,
        result: Some(json!({"of": name})),
        error: None,
        show: None,
        match_key: None,
        actor: None,
        undo: false,
        tries: 1,
        attempt: 1,
        started_at: at(1_000_002),
        finished_at: Some(at(1_000_003)),
        wake_at: None,
        answered: false,
    }
}

/// Something that is waited for.
pub fn waiting(key: &str, kind: EntryKind, name: &str) -> Entry {
    Entry { kind, state: EntryState::Waiting, result: None, tries: 0, finished_at: None, ..step(key, name) }
}

/// Entries of a run as its holder writes them.
pub fn entries(run: &Run, entries: Vec<Entry>) -> JournalWrite {
    JournalWrite { run: run.id, fence: run.fence, entries }
}

/// An event for whoever waits for it.
pub fn signal(name: &str, second: i64) -> Signal {
    let actor = Actor::new("token:sender");
    Signal { name: name.into(), key: None, run: None, payload: json!({"n": second}), actor, at: at(second) }
}

pub fn line(run: RunId, seq: u64) -> LogLine {
    LogLine {
        run,
        seq,
        at: at(1_000_000),
        attempt: 1,
        level: LogLevel::Info,
        text: format!("line {seq}"),
        fields: serde_json::Value::Null,
    }
}
