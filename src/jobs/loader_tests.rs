//! The loader on a real folder and a real database. In the place of the runtime stands a reader of JSON: a file is its
//! job's table, and `!` begins one that cannot be understood.

#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::jobs::Severity;
use crate::lua::Inspected;
use crate::store;

#[derive(Debug, Default)]
struct Reader {
    inspected: AtomicUsize,
}

impl Inspect for Reader {
    fn inspect(&self, bundle: &Bundle) -> Result<Inspected, Fault> {
        self.inspected.fetch_add(1, Ordering::Relaxed);
        if let Some((file, _)) = bundle.files.iter().find(|(_, source)| source.starts_with('!')) {
            return Err(Fault::new("script.syntax", format!("{file} cannot be understood")));
        }
        let own = bundle.files[0].1.lines().filter(|line| !line.contains("require")).collect::<String>();
        let mut table: Value =
            serde_json::from_str(&own).map_err(|error| Fault::new("script.syntax", error.to_string()))?;
        table["run"] = json!({ "$function": true });
        Ok(Inspected { table, lines: BTreeMap::new() })
    }
}

struct Bed {
    folder: tempfile::TempDir,
    store: Store,
    writer: JoinHandle<Result<(), store::StoreError>>,
    stop: CancellationToken,
}

/// A loader that runs.
struct Live {
    handle: Handle,
    reader: Arc<Reader>,
    registry: Registry,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Stopped>>,
}

impl Bed {
    async fn new() -> Self {
        let options = store::Options { url: "sqlite::memory:".into(), node: "test".into() };
        let (store, writer) = Store::open(options, Clock::system()).await.expect("a database");
        let stop = CancellationToken::new();
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("scripts/lib")).expect("a folder");
        Self { folder, store, writer: tokio::spawn(writer.run(stop.clone())), stop }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("scripts").join(path)
    }

    /// In one step, so that nobody sees half of it.
    fn write(&self, path: &str, text: &str) {
        let aside = self.folder.path().join("aside");
        fs::write(&aside, text).expect("written");
        fs::rename(aside, self.path(path)).expect("moved");
    }

    async fn start(&self) -> Live {
        self.start_at(Site::default()).await
    }

    async fn start_at(&self, site: Site) -> Live {
        let reader = Arc::new(Reader::default());
        let registry = Registry::default();
        let dir = self.folder.path().join("scripts");
        let books = (registry.clone(), self.store.clone());
        let (loader, handle) = Loader::with_engine(dir, reader.clone(), site, Clock::system(), books);
        let stop = CancellationToken::new();
        let task = tokio::spawn(loader.run(stop.clone()));
        handle.ready().await.expect("runs");
        Live { handle, reader, registry, stop, task }
    }

    async fn events(&self) -> Vec<String> {
        let events = self.store.events(0, 1_000).await.expect("events");
        events.into_iter().map(|event| event.body.kind).collect()
    }

    async fn end(self) {
        self.stop.cancel();
        self.writer.await.expect("no panic").expect("no error");
    }
}

impl Live {
    /// `name=description` of each job after a look.
    async fn jobs(&self) -> Vec<String> {
        let snapshot = self.handle.reload().await.expect("runs");
        snapshot.jobs.iter().map(|(name, job)| format!("{name}={}", job.spec.description)).collect()
    }

    fn diagnostics(&self) -> Vec<(String, String, bool)> {
        let snapshot = self.registry.snapshot();
        let shown =
            |note: &crate::jobs::Diagnostic| (note.file.clone(), note.fault.code.to_string(), note.last_good_kept);
        snapshot.diagnostics.iter().map(shown).collect()
    }

    fn inspected(&self) -> usize {
        self.reader.inspected.swap(0, Ordering::Relaxed)
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("no error");
    }
}

fn says(text: &str) -> String {
    json!({ "description": text }).to_string()
}

fn kept(file: &str, code: &str) -> (String, String, bool) {
    (file.to_owned(), code.to_owned(), true)
}

#[tokio::test]
async fn a_bad_edit_keeps_the_last_good_version_and_a_deletion_does_not() {
    let bed = Bed::new().await;
    bed.write("a.lua", &says("one"));
    bed.write("b.lua", &says("other"));
    let live = bed.start().await;
    assert_eq!(live.jobs().await, ["a=one", "b=other"]);
    bed.write("a.lua", "! nonsense");
    assert_eq!(live.jobs().await, ["a=one", "b=other"]);
    assert_eq!(live.diagnostics(), [kept("a.lua", "script.syntax")]);
    let since = live.registry.snapshot().diagnostics[0].since;
    live.jobs().await;
    assert_eq!(live.registry.snapshot().diagnostics[0].since, since);
    bed.write("a.lua", r#"{ "shedule": {} }"#);
    assert_eq!(live.jobs().await, ["a=one", "b=other"]);
    assert_eq!(live.diagnostics(), [kept("a.lua", "job.field_unknown")]);
    bed.write("a.lua", &says("two"));
    assert_eq!(live.jobs().await, ["a=two", "b=other"]);
    assert!(live.diagnostics().is_empty());
    fs::remove_file(bed.path("a.lua")).expect("removed");
    assert_eq!(live.jobs().await, ["b=other"]);
    let told = ["job.loaded", "job.loaded", "job.rejected", "job.rejected", "job.loaded", "job.removed"];
    assert_eq!(bed.events().await, told);
    live.end().await;
    bed.end().await;
}

#[tokio::test]
async fn nothing_changes_while_nothing_changes() {
    let bed = Bed::new().await;
    bed.write("a.lua", &says("one"));
    let live = bed.start().await;
    let generation = live.handle.reload().await.expect("runs").generation;
    live.inspected();
    let again = live.handle.reload().await.expect("runs");
    assert_eq!((again.generation, live.inspected()), (generation, 0));
    // The same text written anew is the same version.
    bed.write("a.lua", &says("one"));
    assert_eq!(live.handle.reload().await.expect("runs").generation, generation);
    assert_eq!(live.inspected(), 0);
    live.end().await;
    bed.end().await;
}

#[tokio::test]
async fn required_files_reload_the_jobs_that_need_them_and_no_others() {
    let bed = Bed::new().await;
    bed.write("a.lua", &format!("require('@lib/shared')\n{}", says("a")));
    bed.write("b.lua", &says("b"));
    let live = bed.start().await;
    let version = |live: &Live| live.registry.snapshot().jobs[&"a".parse().expect("a name")].bundle.hash;
    let first = version(&live);
    live.inspected();
    bed.write("lib/shared.lua", "return 1");
    live.jobs().await;
    assert_ne!(version(&live), first, "a required file that appears matters");
    assert_eq!(live.inspected(), 1);
    bed.write("lib/unused.lua", "return 2");
    live.jobs().await;
    assert_eq!(live.inspected(), 0);
    // Last, because what is broken and was written just now is read again with each look.
    bed.write("lib/shared.lua", "! broken");
    live.jobs().await;
    assert_eq!(live.diagnostics(), [kept("a.lua", "script.syntax")]);
    live.end().await;
    bed.end().await;
}

#[tokio::test]
async fn of_two_files_that_claim_a_name_the_holder_keeps_it() {
    let bed = Bed::new().await;
    let named = |text: &str| json!({ "name": "same", "description": text }).to_string();
    bed.write("m.lua", &named("holder"));
    let live = bed.start().await;
    bed.write("a.lua", &named("newcomer"));
    assert_eq!(live.jobs().await, ["same=holder"]);
    let notes = live.registry.snapshot().diagnostics.clone();
    let files: Vec<_> = notes.iter().map(|note| (note.file.as_str(), note.severity)).collect();
    assert_eq!(files, [("a.lua", Severity::Error), ("m.lua", Severity::Warning)]);
    assert!(notes[0].fault.message.contains("m.lua") && notes[1].fault.message.contains("a.lua"));
    fs::remove_file(bed.path("m.lua")).expect("removed");
    assert_eq!(live.jobs().await, ["same=newcomer"]);
    assert!(live.diagnostics().is_empty());
    live.end().await;
    bed.end().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_keeps_its_jobs_and_recovers() {
    let bed = Bed::new().await;
    bed.write("a.lua", &says("one"));
    let live = bed.start().await;
    let (folder, away) = (bed.folder.path().join("scripts"), bed.folder.path().join("away"));
    fs::rename(&folder, &away).expect("renamed");
    assert_eq!(live.jobs().await, ["a=one"]);
    let notes = live.diagnostics();
    assert_eq!((notes.len(), notes[0].1.as_str(), notes[0].2), (1, "scripts.unreadable", true));
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("b.lua"), says("new")).expect("written");
    assert_eq!(live.jobs().await, ["b=new"]);
    assert!(live.diagnostics().is_empty());
    live.end().await;
    bed.end().await;
}

#[tokio::test]
async fn a_restart_knows_what_was_loaded_enabled_and_good() {
    let bed = Bed::new().await;
    bed.write("a.lua", &says("one"));
    bed.write("b.lua", &says("two"));
    bed.start().await.end().await;
    let name = "a".parse().expect("a name");
    bed.store.set_enabled(&name, Some(false), Vec::new()).await.expect("stored");
    bed.write("b.lua", "! broken while nobody looked");
    let live = bed.start().await;
    assert_eq!(live.jobs().await, ["a=one", "b=two"]);
    assert_eq!(live.diagnostics(), [kept("b.lua", "script.syntax")]);
    assert_eq!(live.registry.job(&name).map(|job| job.is_enabled()), Some(false));
    assert_eq!(bed.events().await, ["job.loaded", "job.loaded", "job.rejected"]);
    // The broken one was tried, the other one was known by its content.
    assert!(live.inspected() <= 2);
    live.end().await;
    bed.end().await;
}

#[tokio::test]
async fn changes_are_seen_without_being_asked_for() {
    let bed = Bed::new().await;
    for number in 0..1_000 {
        bed.write(&format!("job{number:04}.lua"), &says("filler"));
    }
    let live = bed.start().await;
    assert_eq!(live.registry.snapshot().jobs.len(), 1_000);
    // A temporary file that is renamed over the old one, as editors do it.
    for round in 0..5 {
        let mut changes = live.registry.changes();
        changes.mark_unchanged();
        let began = std::time::Instant::now();
        bed.write(".job0500.lua.swp", &says(&format!("round {round}")));
        fs::rename(bed.path(".job0500.lua.swp"), bed.path("job0500.lua")).expect("renamed");
        let seen = tokio::time::timeout(Duration::from_secs(10), changes.changed()).await;
        assert!(seen.is_ok(), "round {round} was not seen");
        println!("a save among 1,000 scripts was live after {:?}", began.elapsed());
        let job = live.registry.job(&"job0500".parse().expect("a name")).expect("live");
        assert_eq!(job.spec.description, format!("round {round}"));
    }
    live.end().await;
    bed.end().await;
}

#[tokio::test]
async fn a_version_that_cannot_be_stored_is_not_live() {
    let bed = Bed::new().await;
    bed.write("a.lua", &says("one"));
    let live = bed.start().await;
    bed.stop.cancel();
    bed.writer.await.expect("no panic").expect("no error");
    fs::write(bed.folder.path().join("scripts/a.lua"), says("two")).expect("written");
    assert_eq!(live.jobs().await, ["a=one"]);
    assert_eq!(live.diagnostics(), [kept("a.lua", "job.unsaved")]);
    live.end().await;
}

#[tokio::test]
async fn a_calendar_that_is_gone_after_a_restart_takes_its_jobs_out() {
    let day = "12-25".parse::<crate::model::calendar::Day>().expect("a day");
    let calendar = crate::model::Calendar::new("UTC", [day], []).expect("a calendar");
    let calendars = std::sync::Arc::new([("holidays".to_owned(), calendar)].into_iter().collect());
    let bed = Bed::new().await;
    bed.write("a.lua", &json!({ "schedule": { "every": "5m", "skip": ["holidays"] } }).to_string());
    let live = bed.start_at(Site { calendars }).await;
    assert_eq!(live.jobs().await, ["a="]);
    live.end().await;
    let live = bed.start().await;
    assert_eq!(live.jobs().await, Vec::<String>::new());
    assert_eq!(live.diagnostics(), [("a.lua".to_owned(), "job.field_invalid".to_owned(), false)]);
    live.end().await;
    bed.end().await;
}
