//! Keeps the registry in step with the scripts folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::bundling::{self, Bundling};
use super::compile::{self, Inspect, Version};
use super::files::{FileState, Files, Notes};
use super::gate::Gate;
use super::publish::{Changes, Publisher};
use super::registry::{Registry, Snapshot, Waiting};
use super::scan::{Scan, scan};
use super::site::Site;
use super::watch::{Touched, Watch};
use crate::base::{Clock, Fault, JobName, limits};
use crate::lua::{Bundle, Engine};
use crate::model::{Actor, NewAudit, NewEvent};
use crate::store::{RightsRow, Store};

#[derive(Debug, Clone)]
pub struct Options {
    /// The scripts folder. It may be missing, and come and go.
    pub dir: PathBuf,
    pub engine: Engine,
    pub store: Store,
    pub registry: Registry,
    pub clock: Clock,
    pub site: Site,
    /// What the operator says of scripts.
    pub gate: Gate,
}

/// Asks the loader to look now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    requests: mpsc::Sender<oneshot::Sender<()>>,
    passes: watch::Receiver<u64>,
    registry: Registry,
    store: Store,
    clock: Clock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the loader has stopped")]
pub struct Stopped;

impl From<Stopped> for Fault {
    fn from(stopped: Stopped) -> Self {
        Self::new("loader.stopped", stopped.to_string()).retryable()
    }
}

impl Handle {
    /// Looks at every file now, and gives what is live after it.
    pub async fn reload(&self) -> Result<Arc<Snapshot>, Stopped> {
        let (done, answer) = oneshot::channel();
        self.requests.send(done).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)?;
        Ok(self.registry.snapshot())
    }

    /// Approves the rights of `job` that wait, as they are while their hash is `rights`, and lets them have effect.
    ///
    /// # Errors
    /// Nothing waits, or something else than what was looked at; the database does not take it.
    pub async fn approve(&self, job: &JobName, rights: &str, by: &Actor) -> Result<Arc<Waiting>, Fault> {
        let Some(waiting) = self.registry.snapshot().waiting.get(job).cloned() else {
            return Err(Fault::new("rights.not_waiting", format!("no rights of the job {job} wait for an approval")));
        };
        if waiting.hash != rights {
            return Err(Fault::new(
                "rights.changed",
                format!("the rights that the job {job} asks for have changed since"),
            )
            .hint("look at what waits now, and approve that"));
        }
        let now = self.clock.now();
        let row = RightsRow {
            job: job.clone(),
            rights: waiting.rights.clone(),
            hash: waiting.hash.clone(),
            approved_by: by.0.clone(),
            approved_at: now,
        };
        let data = json!({ "version": waiting.version, "rights": waiting.added, "hash": waiting.hash });
        let record = NewAudit::new(now, by.0.clone(), "rights.approve", job.as_str()).job(job).data(data.clone());
        let event = NewEvent::new(now, "job.approved").job(job).data(data);
        self.store.approve_rights(row, record, event).await?;
        // What is approved is on disk; a loader that stops now finds it there at the next start.
        let _: Result<_, Stopped> = self.reload().await;
        Ok(waiting)
    }

    /// Resolves once the folder was looked at for the first time: the registry is filled.
    pub async fn ready(&self) -> Result<(), Stopped> {
        self.passes.clone().wait_for(|passes| *passes > 0).await.map(drop).map_err(|_| Stopped)
    }

    /// Resolves once the registry's generation is at least `generation`.
    pub async fn wait_for(&self, generation: u64) -> Result<Arc<Snapshot>, Stopped> {
        self.registry.changes().wait_for(|current| *current >= generation).await.map_err(|_| Stopped)?;
        Ok(self.registry.snapshot())
    }
}

/// The task that looks at the folder: at start, when something in it changes, when asked to, and now and then.
#[derive(Debug)]
pub struct Loader {
    root: PathBuf,
    engine: Arc<dyn Inspect>,
    site: Site,
    clock: Clock,
    publisher: Publisher,
    files: Files,
    gate: Gate,
    touched: Arc<Touched>,
    /// Away while a blocking look is under way.
    watch: Option<Watch>,
    is_watching: bool,
    requests: mpsc::Receiver<oneshot::Sender<()>>,
    passes: watch::Sender<u64>,
}

impl Loader {
    pub fn new(options: Options) -> (Self, Handle) {
        let engine: Arc<dyn Inspect> = Arc::new(options.engine.clone());
        let (gate, live) = (options.gate, (options.registry, options.store));
        let (loader, handle) = Self::with_engine(options.dir, engine, options.site, options.clock, live);
        (Self { gate, ..loader }, handle)
    }

    fn with_engine(
        dir: PathBuf,
        engine: Arc<dyn Inspect>,
        site: Site,
        clock: Clock,
        (registry, store): (Registry, Store),
    ) -> (Self, Handle) {
        let root = std::path::absolute(&dir).unwrap_or(dir);
        let touched = Arc::new(Touched::default());
        let (sender, requests) = mpsc::channel(limits::RELOAD_REQUESTS_MAX);
        let (passes, seen) = watch::channel(0);
        let (registry_of, store_of, clock_of) = (registry.clone(), store.clone(), clock.clone());
        let handle = Handle { requests: sender, passes: seen, registry: registry_of, store: store_of, clock: clock_of };
        let loader = Self {
            watch: Some(Watch::new(root.clone(), touched.clone())),
            root,
            engine,
            site,
            clock,
            publisher: Publisher { registry, store },
            files: Files::default(),
            gate: Gate::default(),
            touched,
            is_watching: false,
            requests,
            passes,
        };
        (loader, handle)
    }

    /// Runs until `stop`. Whatever is wrong with files, folder or database is a diagnostic, never an end.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Stopped> {
        let mut asked = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = self.pass() => {}
            }
            self.passes.send_modify(|passes| *passes += 1);
            for done in asked.drain(..) {
                let _: Result<(), ()> = oneshot::Sender::send(done, ());
            }
            let pause = if self.is_watching { limits::RESCAN_WATCHED } else { limits::RESCAN_UNWATCHED };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.touched.wait() => self.settle(&stop).await,
                () = self.clock.sleep(pause) => {}
                request = self.requests.recv() => match request {
                    Some(done) => asked.push(done),
                    // No handle is left; the folder is watched all the same.
                    None => self.clock.sleep(pause).await,
                },
            }
            while let Ok(done) = self.requests.try_recv() {
                asked.push(done);
            }
        }
    }

    /// Waits until nothing more happens for a moment, so that a file is read when its writer is done.
    async fn settle(&self, stop: &CancellationToken) {
        let patience = self.clock.sleep(limits::RELOAD_DEBOUNCE_MAX);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = &mut patience => return,
                () = self.clock.sleep(limits::RELOAD_DEBOUNCE) => return,
                () = self.touched.wait() => {}
            }
        }
    }

    /// One look at the folder, and all that follows from it.
    async fn pass(&mut self) -> Changes {
        let touched = self.touched.take();
        let live = self.publisher.registry.snapshot();
        let scan = match self.look().await {
            Ok(scan) => scan,
            Err(fault) => return self.unreadable(fault, &live).await,
        };
        let outdated = self.files.outdated(&scan, &touched, &self.root);
        self.load(outdated, &scan).await;
        self.gate.look().await;
        let now = self.clock.now();
        let mut desired = self.files.desired(&scan, &live, now);
        let waiting = self.gate.admit(&self.publisher.store, &live, &mut desired, now).await;
        self.publisher.bound((self.gate.file(), self.gate.policy.clone()), waiting, now).await;
        self.publisher.publish(desired, now).await
    }

    async fn look(&mut self) -> Result<Scan, Fault> {
        let root = self.root.clone();
        let mut watch = self.watch.take().unwrap_or_else(|| Watch::new(root.clone(), self.touched.clone()));
        let looked = tokio::task::spawn_blocking(move || {
            let is_watching = watch.ensure();
            (watch, is_watching, scan(&root))
        });
        match looked.await {
            Ok((watch, is_watching, scanned)) => {
                self.watch = Some(watch);
                self.is_watching = is_watching;
                scanned
            }
            Err(failure) => Err(Fault::new("scripts.unreadable", format!("cannot look at the folder: {failure}"))),
        }
    }

    /// The folder cannot be read: what was live stays.
    async fn unreadable(&mut self, fault: Fault, live: &Snapshot) -> Changes {
        let now = self.clock.now();
        let mut desired = self.files.desired(&Scan::default(), live, now);
        let mut note = Notes { earlier: &live.diagnostics, now, made: desired.diagnostics };
        note.error(&self.root.display().to_string(), fault, !live.jobs.is_empty());
        desired.diagnostics = note.made;
        self.publisher.publish(desired, now).await
    }

    /// Loads files side by side, a bounded number at a time.
    async fn load(&mut self, outdated: Vec<String>, scan: &Scan) {
        let side_by_side = std::thread::available_parallelism().map_or(2, usize::from).min(limits::LANES_MAX);
        let mut waiting = outdated.into_iter();
        let mut loading = JoinSet::new();
        loop {
            while loading.len() < side_by_side
                && let Some(file) = waiting.next()
            {
                let good = self.files.known.get(&file).and_then(|state| state.good.clone());
                let (root, engine, site) = (self.root.clone(), self.engine.clone(), self.site.clone());
                let source = Source { root, engine, site };
                loading.spawn(load_one(source, self.publisher.store.clone(), file, good));
            }
            match loading.join_next().await {
                Some(Ok(loaded)) => self.remember(loaded, scan),
                Some(Err(failure)) => error!(%failure, "loading a file ended abnormally"),
                None => return,
            }
        }
    }

    fn remember(&mut self, loaded: Loaded, scan: &Scan) {
        let now = self.clock.now();
        let stamps = loaded.looked_for.into_iter().map(|path| (scan.files.get(&path).copied(), path));
        let looked_for: BTreeMap<_, _> = stamps.map(|(stamp, path)| (path, stamp)).collect();
        let unsettled = looked_for.values().flatten().any(|stamp| stamp.is_fresh(now));
        let state = self.files.known.entry(loaded.file);
        let state = state.or_insert_with(|| FileState {
            looked_for: BTreeMap::new(),
            unsettled: false,
            good: None,
            faults: Vec::new(),
        });
        (state.looked_for, state.unsettled) = (looked_for, unsettled);
        match loaded.result {
            Ok(version) => (state.good, state.faults) = (Some(version), Vec::new()),
            Err(faults) => {
                state.faults = faults;
                state.good = state.good.take().or(loaded.before_restart);
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Source {
    root: PathBuf,
    engine: Arc<dyn Inspect>,
    site: Site,
}

#[derive(Debug)]
struct Loaded {
    file: String,
    looked_for: BTreeSet<String>,
    result: Result<Version, Vec<Fault>>,
    /// What goes on in the place of a first result that is none.
    before_restart: Option<Version>,
}

/// Reads one file and what it requires; runs it only if this very content is not known yet.
async fn load_one(source: Source, store: Store, file: String, good: Option<Version>) -> Loaded {
    let root: PathBuf = source.root;
    let first_look = good.is_none();
    let Bundling { looked_for, result } = blocking({
        let file = file.clone();
        move || bundling::bundle(Path::new(&root), &file)
    })
    .await
    .unwrap_or_else(|fault| Bundling { looked_for: BTreeSet::from([file.clone()]), result: Err(fault) });
    let site = source.site;
    let result = match result {
        Ok(bundle) => version_of((source.engine, &site), &store, bundle, good).await,
        Err(fault) => Err(vec![fault]),
    };
    let before_restart = if result.is_err() && first_look { stored_version(&store, &file).await } else { None };
    let before_restart = before_restart.filter(|version| site.suits(&version.spec));
    Loaded { file, looked_for, result, before_restart }
}

/// The version that the file's job had when a daemon last ran, for a file that was broken since. Only for jobs that are
/// called like their file: the others have said their name in the file that cannot be understood.
async fn stored_version(store: &Store, file: &str) -> Option<Version> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    let name: JobName = stem.parse().ok()?;
    let row = store.jobs().await.ok()?.into_iter().find(|row| row.name == name)?;
    let stored = store.version(row.version).await.ok()??;
    let is_same_file = stored.files.first().is_some_and(|(path, _)| path == file);
    is_same_file.then(|| Version { spec: Arc::new(stored.spec), bundle: Arc::new(Bundle::new(stored.files)) })
}

async fn version_of(
    (engine, site): (Arc<dyn Inspect>, &Site),
    store: &Store,
    bundle: Bundle,
    good: Option<Version>,
) -> Result<Version, Vec<Fault>> {
    if let Some(good) = good.filter(|good| good.bundle.hash == bundle.hash) {
        return Ok(good);
    }
    // A row that cannot be read is no reason not to load the file, and what the file names may be gone.
    if let Ok(Some(known)) = store.version(bundle.hash).await
        && site.suits(&known.spec)
    {
        return Ok(Version { spec: Arc::new(known.spec), bundle: Arc::new(bundle) });
    }
    let site = site.clone();
    blocking(move || compile::inspect(&*engine, bundle, &site)).await.unwrap_or_else(|fault| Err(vec![fault]))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let failed = |failure| Fault::new("job.load_failed", format!("loading ended abnormally: {failure}"));
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod gate_tests;
#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
