//! The policy and the approvals, on a real folder and real databases. A file is its job's table as JSON.

#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use std::fs;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::lua::Inspected;
use crate::model::audit::Chain;
use crate::primitives::permit;
use crate::store::AuditFilter;
use crate::store::tests::support::{Backend, Db, open};

#[derive(Debug)]
struct Reader;

impl Inspect for Reader {
    fn inspect(&self, bundle: &Bundle) -> Result<Inspected, Fault> {
        let table = serde_json::from_str(&bundle.files[0].1);
        let mut table: Value = table.map_err(|error| Fault::new("script.syntax", error.to_string()))?;
        table["run"] = json!({ "$function": true });
        Ok(Inspected { table, lines: BTreeMap::new() })
    }
}

/// A folder with scripts and a policy.
struct Site {
    folder: tempfile::TempDir,
}

/// A daemon's loader that runs over it.
struct Daemon {
    handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Stopped>>,
}

impl Site {
    fn new(policy: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::create_dir(site.folder.path().join("scripts")).expect("a folder");
        site.write("policy.yaml", policy);
        site
    }

    fn write(&self, path: &str, text: &str) {
        let aside = self.folder.path().join("aside");
        fs::write(&aside, text).expect("written");
        fs::rename(aside, self.folder.path().join(path)).expect("moved");
    }

    fn job(&self, name: &str, description: &str, programs: &[&str]) {
        let table = json!({ "description": description, "permissions": { "process": programs } });
        self.write(&format!("scripts/{name}.lua"), &table.to_string());
    }

    async fn start(&self, store: &Store) -> Daemon {
        let (dir, registry) = (self.folder.path().join("scripts"), Registry::default());
        let gate = Gate::open(&self.folder.path().join("policy.yaml")).expect("a sound policy");
        let books = (registry, store.clone());
        let engine = Arc::new(Reader);
        let (loader, handle) = Loader::with_engine(dir, engine, crate::jobs::Site::default(), Clock::system(), books);
        let stop = CancellationToken::new();
        let task = tokio::spawn(Loader { gate, ..loader }.run(stop.clone()));
        handle.ready().await.expect("runs");
        Daemon { handle, stop, task }
    }
}

impl Daemon {
    async fn look(&self) -> Arc<Snapshot> {
        self.handle.reload().await.expect("runs")
    }

    /// `description`, then the programs that a run of the job may start of those that are named.
    async fn state(&self, job: &str) -> (String, Vec<&'static str>) {
        let snapshot = self.look().await;
        let job = &snapshot.jobs[&name(job)];
        let grants = snapshot.grants(job);
        let may = |program: &&str| permit::process(&grants, program).is_ok();
        (job.spec.description.clone(), ["git", "rsync", "tar"].into_iter().filter(may).collect())
    }

    async fn waiting(&self, job: &str) -> Option<(Vec<String>, bool)> {
        let snapshot = self.look().await;
        let waiting = snapshot.waiting.get(&name(job))?;
        Some((waiting.added.iter().map(ToString::to_string).collect(), waiting.held))
    }

    async fn approve(&self, job: &str) -> Result<Arc<Waiting>, Fault> {
        let hash = self.look().await.waiting.get(&name(job)).map_or_else(String::new, |waiting| waiting.hash.clone());
        self.handle.approve(&name(job), &hash, &Actor::new("token:ops")).await
    }

    async fn codes(&self) -> Vec<String> {
        let snapshot = self.look().await;
        snapshot.diagnostics.iter().map(|note| note.fault.code.to_string()).collect()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("no error");
    }
}

fn name(text: &str) -> JobName {
    text.parse().expect("a name")
}

const ADDITIONS: &str = "rules:\n  - scripts: \"**\"\n    approve: additions\n";

crate::store::tests::support::on_both! {
    added_rights_wait_and_the_earlier_version_goes_on,
    what_always_waits_is_withheld_from_a_new_job,
}

async fn added_rights_wait_and_the_earlier_version_goes_on(db: &mut Db) {
    let site = Site::new(ADDITIONS);
    site.job("sync", "one", &["git"]);
    let daemon = site.start(&db.store).await;
    assert_eq!(daemon.state("sync").await, ("one".into(), vec!["git"]), "a new job has what it asks for");
    site.job("sync", "two", &["git", "rsync"]);
    assert_eq!(daemon.state("sync").await, ("one".into(), vec!["git"]));
    assert_eq!(daemon.waiting("sync").await, Some((vec!["process rsync".into()], false)));
    assert_eq!(daemon.codes().await, ["rights.waiting"]);
    site.job("sync", "three", &["rsync"]);
    let snapshot = daemon.look().await;
    let waiting = &snapshot.waiting[&name("sync")];
    assert_eq!(waiting.removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["process git"]);
    let stale = daemon.handle.approve(&name("sync"), "of another moment", &Actor::new("token:ops")).await;
    assert_eq!(stale.expect_err("not what was looked at").code, "rights.changed");
    daemon.end().await;

    // A restart forgets nothing: the stored version goes on, the new one waits.
    let daemon = site.start(&db.store).await;
    assert_eq!(daemon.state("sync").await, ("one".into(), vec!["git"]));
    daemon.approve("sync").await.expect("approved");
    assert_eq!(daemon.state("sync").await, ("three".into(), vec!["rsync"]));
    assert_eq!(daemon.waiting("sync").await, None);
    assert_eq!(daemon.approve("sync").await.expect_err("nothing waits").code, "rights.not_waiting");
    site.job("sync", "an edit without rights", &["rsync"]);
    assert_eq!(daemon.state("sync").await, ("an edit without rights".into(), vec!["rsync"]));
    site.job("sync", "fewer", &[]);
    assert_eq!(daemon.state("sync").await.0, "fewer");
    site.job("sync", "what was approved before", &["rsync"]);
    assert_eq!(daemon.state("sync").await.0, "what was approved before");
    daemon.end().await;
    let daemon = site.start(&db.store).await;
    assert_eq!(daemon.waiting("sync").await, None, "an approval outlives a restart");
    daemon.end().await;

    let records = db.store.audit(&AuditFilter::default(), 0, 100).await.expect("readable");
    let approved = records.iter().find(|record| record.action == "rights.approve").expect("recorded");
    assert_eq!((approved.actor.as_str(), approved.object.as_str()), ("token:ops", "sync"));
    assert!(records.iter().any(|record| record.action == "rights.wait"));
    assert!(records.iter().any(|record| record.action == "job.load"));
    let mut chain = Chain::new(None, None).expect("no anchor");
    records.iter().try_for_each(|record| chain.push(record)).expect("one chain");
}

async fn what_always_waits_is_withheld_from_a_new_job(db: &mut Db) {
    let site = Site::new("rules:\n  - scripts: \"**\"\n    approve: { default: never, process: always }\n");
    site.job("sync", "one", &["git"]);
    let daemon = site.start(&db.store).await;
    assert_eq!(daemon.state("sync").await, ("one".into(), vec![]));
    assert_eq!(daemon.waiting("sync").await, Some((vec!["process git".into()], true)));
    let snapshot = daemon.look().await;
    let job = &snapshot.jobs[&name("sync")];
    assert!(job.held && !job.is_enabled(), "its schedules are held");
    let denied = permit::process(&snapshot.grants(job), "git").map(|_| ()).expect_err("nobody has approved it");
    let fault = Fault::from(denied);
    assert_eq!(fault.hint.as_deref(), Some("a person approves it: aegis job approve sync"));
    daemon.approve("sync").await.expect("approved");
    assert_eq!(daemon.state("sync").await, ("one".into(), vec!["git"]));
    assert!(daemon.look().await.jobs[&name("sync")].is_enabled());
    daemon.end().await;
}

#[tokio::test]
async fn a_policy_bounds_at_once_and_a_mistake_in_it_keeps_the_last_good_one() {
    let mut db = Db::new(Backend::Sqlite).await;
    let site = Site::new("rules: []\n");
    site.job("sync", "one", &["git", "rsync"]);
    let daemon = site.start(&db.store).await;
    assert_eq!(daemon.state("sync").await.1, ["git", "rsync"]);
    site.write("policy.yaml", "rules:\n  - scripts: sync.lua\n    allow:\n      process: [git]\n");
    assert_eq!(daemon.state("sync").await.1, ["git"]);
    assert_eq!(daemon.codes().await, ["policy.capped"]);
    let snapshot = daemon.look().await;
    let grants = snapshot.grants(&snapshot.jobs[&name("sync")]);
    let fault = Fault::from(permit::process(&grants, "rsync").map(|_| ()).expect_err("capped"));
    let policy = format!("{}:4", site.folder.path().join("policy.yaml").display());
    assert_eq!(fault.details["policy"], policy);
    assert!(fault.hint.as_deref().is_some_and(|hint| hint.starts_with(&policy)), "{fault:?}");
    site.write("policy.yaml", "rules:\n  - scripts: sync.lua\n    alow: {}\n");
    assert_eq!(daemon.state("sync").await.1, ["git"]);
    assert_eq!(daemon.codes().await, ["policy.invalid", "policy.capped"]);
    fs::remove_file(site.folder.path().join("policy.yaml")).expect("removed");
    assert_eq!(daemon.state("sync").await.1, ["git"]);
    assert_eq!(daemon.codes().await, ["policy.gone", "policy.capped"]);
    site.write("policy.yaml", "rules: []\n");
    assert_eq!(daemon.state("sync").await.1, ["git", "rsync"]);
    daemon.end().await;
    let records = db.store.audit(&AuditFilter::default(), 0, 100).await.expect("readable");
    assert_eq!(records.iter().filter(|record| record.action == "policy.change").count(), 2);
    db.stop().await;
    db.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_agree_on_what_was_approved() {
    let mut db = Db::new(Backend::Postgres).await;
    let (other, stop, mut tasks) = open(&db.url, "other", true, db.clock.clone()).await;
    let site = Site::new(ADDITIONS);
    site.job("sync", "one", &["git"]);
    let (here, there) = (site.start(&db.store).await, site.start(&other).await);
    site.job("sync", "two", &["git", "rsync"]);
    for daemon in [&here, &there] {
        assert_eq!(daemon.state("sync").await.0, "one");
        assert!(daemon.waiting("sync").await.is_some());
    }
    here.approve("sync").await.expect("approved");
    for daemon in [&here, &there] {
        assert_eq!(daemon.state("sync").await, ("two".into(), vec!["git", "rsync"]));
        assert_eq!(daemon.waiting("sync").await, None);
    }
    here.end().await;
    there.end().await;
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("the writer does not panic");
    }
    db.stop().await;
    db.finish().await;
}
