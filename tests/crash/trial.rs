//! One trial: a daemon under load, killed again and again, and its books at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::books::Books;
use crate::dice::Dice;
use crate::effects::Effects;
use crate::jobs::{self, KINDS, TICKING};
use crate::load::Load;
use crate::postgres::Postgres;
use crate::record::Record;
use crate::support::api::{Api, items};
use crate::support::app::Builder;
use crate::support::{TestApp, eventually};

pub const CALLERS: u64 = 6;
/// What is left after the last restart has this long to end, on a machine that is busy with other tests.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(150);
/// A due time is settled within this, or it is missing.
const SETTLE_TIME_MICROS: i64 = 3_000_000;

pub struct Trial {
    pub app: TestApp,
    pub effects: Effects,
    pub books: Books,
    pub load: Load,
    pub record: Record,
    dice: Dice,
    life: u32,
    began: Instant,
    _postgres: Option<Postgres>,
}

/// A daemon with the harness's jobs and more room than the load fills.
pub fn builder(effects: &Effects) -> Builder {
    let mut builder = TestApp::builder().config("/runner/max_running", json!(256));
    for (path, source) in jobs::scripts(&effects.url()) {
        builder = builder.script(&path, source);
    }
    builder
}

impl Trial {
    /// On SQLite, or on the PostgreSQL that is given.
    pub async fn start(seed: u64, postgres: Option<Postgres>) -> Self {
        Self::start_by(seed, postgres, &[]).await
    }

    /// On SQLite, on a disk that `wrapper` mounts for the daemon alone: other processes reach it by [`TestApp::inside`].
    pub async fn start_on_small_disk(seed: u64, wrapper: &[String]) -> Self {
        let mut trial = Self::start_by(seed, None, wrapper).await;
        trial.books = Books::Sqlite(trial.app.inside("data/aegis.db"));
        trial
    }

    async fn start_by(seed: u64, postgres: Option<Postgres>, wrapper: &[String]) -> Self {
        let dice = Dice::new(seed);
        let effects = Effects::start(dice.for_number(u64::MAX - 1)).await;
        let mut builder = builder(&effects);
        if !wrapper.is_empty() {
            let words: Vec<&str> = wrapper.iter().map(String::as_str).chain(["sh"]).collect();
            builder = builder.wrapped(&words);
        }
        let books = match &postgres {
            Some(postgres) => {
                builder = builder.config("/store/url", json!(postgres.url()));
                Books::Postgres(postgres.url())
            }
            None => Books::Sqlite(builder.dir().join("data/aegis.db")),
        };
        let app = builder.start().await;
        let mut record = Record { ticking: TICKING.to_vec(), ..Record::default() };
        record.watched.0 = jobs_are_live(&app.api).await;
        let load = Load::start(std::slice::from_ref(&app.api), CALLERS, &dice);
        Self { app, effects, books, load, record, dice, life: 1, began: Instant::now(), _postgres: postgres }
    }

    /// Lets it work for a while.
    pub async fn work(&mut self) {
        let pause = self.dice.millis(50, 1_500);
        tokio::time::sleep(pause).await;
    }

    /// Lets it work for a while, kills it, and reads what it left.
    pub async fn kill(&mut self) {
        self.work().await;
        self.bury().await;
    }

    async fn bury(&mut self) {
        self.note("killed");
        self.app.kill().await;
        self.record.journals.insert(self.life, self.books.journal().await);
        self.life += 1;
        self.effects.begin_life(self.life).await;
    }

    /// Starts it again. Now and then it does not get to the end of its start; returns whether it did.
    pub async fn restart(&mut self) -> bool {
        self.note("started");
        if self.dice.below(4) > 0 {
            self.app.restart().await;
            self.note("ready");
            return true;
        }
        self.app.spawn();
        let pause = self.dice.millis(0, 600);
        tokio::time::sleep(pause).await;
        self.bury().await;
        false
    }

    pub fn note(&mut self, what: &'static str) {
        self.record.moments.push((micros_now(), what));
    }

    /// Kills it so often; it runs afterwards.
    pub async fn endure(&mut self, kills: u32) {
        while self.life <= kills {
            self.kill().await;
            while !self.restart().await {}
        }
    }

    /// Lets everything come to its end and stops the daemon.
    pub async fn settle(&mut self) {
        self.rest().await;
        self.app.stop().await;
    }

    /// Lets everything come to its end.
    pub async fn rest(&mut self) {
        self.record.acknowledged = self.load.stop().await;
        self.note("drained");
        drain(&self.app.api, &self.books).await;
        self.note("stopped");
        self.record.told = told(&self.app.api).await;
        self.record.watched.1 = micros_now() - SETTLE_TIME_MICROS;
    }

    /// Reads the books when the daemon has nothing left to do, or is stopped.
    pub async fn read(mut self) -> (Record, Duration) {
        self.record.runs = self.books.runs().await;
        self.record.occurrences = self.books.occurrences().await;
        self.record.effects = self.effects.all();
        (self.record, self.began.elapsed())
    }
}

pub fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_micros()).expect("in range")
}

/// Waits for all jobs and tells since when they are live, in microseconds.
pub async fn jobs_are_live(api: &Api) -> i64 {
    for job in KINDS.iter().map(|kind| kind.name).chain(TICKING) {
        api.job_appears(job).await;
    }
    micros_now()
}

/// Holds the schedules and waits until no run is alive, or for as long as that may take: then it shows what is left, and
/// the checks say that it is.
pub async fn drain(api: &Api, books: &Books) {
    for job in TICKING {
        // Right after an outage the daemon may find its connections broken only now.
        eventually("the schedule is held", || async {
            let answer = api.post(&format!("/api/v1/jobs/{job}/disable"), json!({})).await;
            answer.status.is_success().then_some(())
        })
        .await;
    }
    let began = Instant::now();
    loop {
        let alive = eventually("the runs that are alive are told", || async {
            let alive = api.get("/api/v1/runs?state=queued,running,parked&limit=20").await;
            alive.status.is_success().then(|| items(&alive.body, "runs"))
        })
        .await;
        if alive.is_empty() {
            return;
        }
        if began.elapsed() > DRAIN_TIMEOUT {
            for run in &alive {
                let id = run["id"].as_str().unwrap_or_default();
                println!("does not end: {run}\n  its journal: {:?}", books.journal_of(id).await);
                println!("  its log: {:?}", api.log_texts(id).await);
            }
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every run's state, as the API tells it.
pub async fn told(api: &Api) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let mut next = String::new();
    loop {
        let page = api.get(&format!("/api/v1/runs?limit=1000{next}")).await.expect(reqwest::StatusCode::OK);
        for run in items(&page.body, "runs") {
            let word = |key: &str| run[key].as_str().expect("text").to_owned();
            told.insert(word("id"), word("state"));
        }
        match page.body["next"].as_str() {
            Some(cursor) => next = format!("&before={cursor}"),
            None => return told,
        }
    }
}
