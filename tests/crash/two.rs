//! Two daemons share one PostgreSQL: one of them dies, stands still past its lease, or is cut off from the database,
//! and the other goes on with its runs.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::books::Books;
use crate::dice::{self, Dice};
use crate::effects::Effects;
use crate::jobs::TICKING;
use crate::load::Load;
use crate::postgres::Postgres;
use crate::proxy::Wire;
use crate::record::Record;
use crate::report;
use crate::support::TestApp;
use crate::trial::{CALLERS, builder, drain, jobs_are_live, micros_now, told};

/// A lease has to be over by then, and its holder's runs with somebody else.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(90);
const SETTLE_TIME_MICROS: i64 = 5_000_000;

struct Pair {
    daemons: [TestApp; 2],
    wires: [Wire; 2],
    effects: Effects,
    books: Books,
    load: Load,
    record: Record,
    dice: Dice,
    life: u32,
    began: Instant,
    _postgres: Postgres,
}

/// A daemon is known to the others by its host's name: each gets one of its own.
fn name(number: usize) -> String {
    format!("aegis-crash-{number}")
}

async fn daemon(number: usize, effects: &Effects, wire: &Wire, token: Option<&str>) -> TestApp {
    let rename = format!("hostname {} && exec \"$@\"", name(number));
    let builder = builder(effects).config("/store/url", json!(Postgres::url_by(wire.port)));
    let builder = builder.wrapped(&["unshare", "--uts", "sh", "-c", &rename, "sh"]);
    match token {
        Some(token) => builder.start_known(token).await,
        None => builder.start().await,
    }
}

impl Pair {
    async fn start(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let postgres = Postgres::start().await;
        let effects = Effects::start(dice.for_number(u64::MAX - 1)).await;
        let wires = [Wire::to(postgres.port).await, Wire::to(postgres.port).await];
        let first = daemon(0, &effects, &wires[0], None).await;
        let second = daemon(1, &effects, &wires[1], Some(&first.token)).await;
        let mut record = Record { ticking: TICKING.to_vec(), is_shared: true, ..Record::default() };
        jobs_are_live(&first.api).await;
        record.watched.0 = jobs_are_live(&second.api).await;
        let load = Load::start(&[first.api.clone(), second.api.clone()], CALLERS, &dice);
        Self {
            daemons: [first, second],
            wires,
            effects,
            books: Books::Postgres(postgres.url()),
            load,
            record,
            dice,
            life: 1,
            began: Instant::now(),
            _postgres: postgres,
        }
    }

    /// Lets them work, and then picks the one to which something happens.
    async fn victim(&mut self) -> usize {
        let pause = self.dice.millis(500, 2_500);
        tokio::time::sleep(pause).await;
        let victim = self.dice.below(2) as usize;
        self.record.journals.insert(self.life, self.books.journal().await);
        self.life += 1;
        self.effects.set_life(self.life);
        victim
    }

    /// Waits until no live run is the daemon's any more.
    async fn is_relieved(&self, victim: usize) {
        let began = Instant::now();
        while self.books.alive_on(&name(victim)).await > 0 {
            assert!(began.elapsed() < TAKEOVER_TIMEOUT, "{} keeps its runs for {TAKEOVER_TIMEOUT:?}", name(victim));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn note(&mut self, what: &'static str) {
        self.record.moments.push((micros_now(), what));
    }

    async fn kill(&mut self) {
        let victim = self.victim().await;
        self.note("one killed");
        self.daemons[victim].kill().await;
        self.is_relieved(victim).await;
        self.note("relieved");
        self.daemons[victim].restart().await;
        self.note("ready again");
    }

    async fn freeze(&mut self) {
        let victim = self.victim().await;
        self.note("one stands still");
        self.daemons[victim].signal(Signal::STOP);
        self.is_relieved(victim).await;
        self.note("relieved, goes on");
        self.record.thaws.push(micros_now());
        self.daemons[victim].signal(Signal::CONT);
    }

    async fn cut(&mut self) {
        let victim = self.victim().await;
        self.note("one cut off");
        self.wires[victim].cut();
        self.is_relieved(victim).await;
        self.note("relieved, mended");
        self.wires[victim].mend();
    }

    /// For less than a lease: nobody takes anything over, and nothing is lost either.
    async fn cut_shortly(&mut self) {
        let victim = self.victim().await;
        self.note("one cut off shortly");
        self.wires[victim].cut();
        let pause = self.dice.millis(100, 1_500);
        tokio::time::sleep(pause).await;
        self.note("mended");
        self.wires[victim].mend();
    }

    async fn finish(mut self) -> (Record, Duration) {
        self.record.acknowledged = self.load.stop().await;
        drain(&self.daemons[0].api, &self.books).await;
        self.record.told = told(&self.daemons[1].api).await;
        self.record.watched.1 = micros_now() - SETTLE_TIME_MICROS;
        for (number, daemon) in self.daemons.iter_mut().enumerate() {
            daemon.stop().await;
            // Who led, and who had a lease: what a hole in the ledger is explained by.
            let told = ["led by", "lease", "took over", "session", "mark"];
            let log = daemon.log();
            let lines = log.lines().filter(|line| told.iter().any(|word| line.contains(word)));
            lines.for_each(|line| println!("{}: {line}", name(number)));
        }
        self.record.runs = self.books.runs().await;
        self.record.occurrences = self.books.occurrences().await;
        self.record.effects = self.effects.all();
        (self.record, self.began.elapsed())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_of_two_daemons_leaves_is_finished_once_by_the_other() {
    let (seed, rounds) = (dice::seed(), dice::kills(8));
    println!("two daemons: AEGIS_CRASH_SEED={seed}");
    let mut pair = Pair::start(seed).await;
    for _ in 0..rounds {
        pair.kill().await;
        pair.cut_shortly().await;
        pair.freeze().await;
        pair.cut().await;
    }
    let (record, took) = pair.finish().await;
    let disturbances = u32::try_from(record.journals.len()).expect("few");
    let found = report::report("two daemons", seed, disturbances, &record, took);
    report::expect_nothing(seed, &found);
}
