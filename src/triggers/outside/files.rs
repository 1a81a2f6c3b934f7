//! Files that appear or change in folders that jobs watch.
//!
//! The system's word that something happened only says when to look; what is there is read through the jail. A file
//! counts once it has stayed as it is for a while. Name, size and moment make the key under which it starts a run, so
//! that a daemon that was away, or looks twice, starts none for what it had seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tracing::{info, warn};

use super::submit::Heard;
use super::{Beginnings, Outside, declared, task_for_each};
use crate::base::clock::{earlier, later, since};
use crate::base::{Timestamp, limits};
use crate::jobs::{Job, Touched, Watch};
use crate::model::TriggerKind;
use crate::model::grants::Access;
use crate::model::triggers::FileTrigger;
use crate::primitives::fs::{Entry, FsError, FsPath, Kind, Listing};
use crate::primitives::permit;

const FOLDERS: &str = "folders of files";

/// A file as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified_at: Timestamp,
    /// Since when it is like this, as far as looks tell.
    since: Timestamp,
    /// When it came to be like this, which was before the first look if it was there then.
    at: Timestamp,
    told: bool,
}

/// What is in the folder, and what of it is still being written.
#[derive(Debug)]
struct View {
    settle: Duration,
    /// What is older than this at the first look is not looked at any more.
    from: Timestamp,
    is_first: bool,
    stamps: BTreeMap<String, Stamp>,
}

impl View {
    fn new(settle: Duration, from: Timestamp) -> Self {
        Self { settle, from, is_first: true, stamps: BTreeMap::new() }
    }

    /// Takes what is there now; gives what is whole since the last look, with the moment it came.
    fn look(&mut self, entries: Vec<Entry>, now: Timestamp) -> Vec<(Entry, Timestamp)> {
        let mut earlier = std::mem::take(&mut self.stamps);
        let mut whole = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.kind == Kind::File) {
            let known = earlier.remove(&entry.path);
            let same = known.filter(|known| (known.bytes, known.modified_at) == (entry.bytes, entry.modified_at));
            let mut stamp = same.unwrap_or_else(|| Stamp {
                bytes: entry.bytes,
                modified_at: entry.modified_at,
                since: now,
                at: if self.is_first { entry.modified_at } else { now },
                told: self.is_first && entry.modified_at < self.from,
            });
            if !stamp.told && since(now, stamp.since) >= self.settle {
                stamp.told = true;
                whole.push((entry.clone(), stamp.at));
            }
            self.stamps.insert(entry.path, stamp);
        }
        self.is_first = false;
        whole
    }

    /// When something may have become whole.
    fn next(&self) -> Option<Timestamp> {
        let open = self.stamps.values().filter(|stamp| !stamp.told);
        open.map(|stamp| later(stamp.since, self.settle)).min()
    }
}

impl Outside {
    /// Never returns: one task a folder.
    pub(super) async fn watch_files(&self, versions: Beginnings) {
        let follow = |trigger: FileTrigger| {
            let (outside, versions) = (self.clone(), versions.clone());
            async move { outside.follow_files(&trigger, &versions).await }
        };
        let forget = |trigger: &FileTrigger| {
            self.health.well(&shown(trigger));
        };
        task_for_each(&self.registry, || self.folders(), follow, forget).await;
    }

    /// What jobs watch, as many as are watched at most.
    fn folders(&self) -> BTreeSet<FileTrigger> {
        let all: Vec<(Arc<Job>, FileTrigger)> = declared(&self.registry, FileTrigger::KIND);
        let may = all.into_iter().filter(|(job, trigger)| self.may_watch(job, trigger));
        let most = limits::TRIGGER_FOLDERS_MAX;
        let too_many = |wanted| format!("jobs watch {wanted} folders, and {most} are watched at most");
        self.at_most(most, FOLDERS, may.map(|(_, trigger)| trigger).collect(), too_many)
    }

    async fn follow_files(&self, trigger: &FileTrigger, versions: &Beginnings) {
        let what = shown(trigger);
        let touched = Arc::new(Touched::default());
        let mut watch = None;
        let mut view = View::new(trigger.settle, earlier(self.clock.now(), limits::TRIGGER_LOOK_BACK));
        loop {
            // Before the look: what happens during it wakes again.
            touched.take();
            let is_told = self.ensure(trigger, &mut watch, &touched).await;
            match self.listed(trigger).await {
                Ok(entries) => {
                    if self.health.well(&what) {
                        info!("{what} can be looked at again");
                    }
                    for (entry, at) in view.look(entries, self.clock.now()) {
                        self.tell_file(trigger, &entry, at, versions).await;
                    }
                }
                Err(problem) => {
                    if self.health.wrong(&what, problem.to_string()) {
                        warn!(%problem, "{what} cannot be looked at; it is tried again");
                    }
                }
            }
            let pause = if is_told { limits::TRIGGER_FILE_LOOKS_TOLD } else { limits::TRIGGER_FILE_LOOKS_UNTOLD };
            let settles = view.next().map_or(pause, |at| since(at, self.clock.now()));
            // A file that is written to all the time must not be looked at all the time.
            self.clock.sleep(limits::TRIGGER_FILE_LOOKS_MIN).await;
            tokio::select! {
                () = touched.wait() => {}
                () = self.clock.sleep(settles.min(pause)) => {}
            }
        }
    }

    /// Whether the system tells of changes in the folder.
    async fn ensure(&self, trigger: &FileTrigger, watch: &mut Option<Watch>, touched: &Arc<Touched>) -> bool {
        let Ok(place) = self.folder(trigger).and_then(|(permit, folder, _)| self.files.place(&permit, &folder)) else {
            return false;
        };
        let mut kept = watch.take().unwrap_or_else(|| Watch::flat(place, touched.clone()));
        let ensured = tokio::task::spawn_blocking(move || (kept.ensure(), kept)).await;
        ensured.is_ok_and(|(is_told, kept)| {
            *watch = Some(kept);
            is_told
        })
    }

    /// The folder, the names in it, and a permit of one of the jobs that watch it.
    fn folder(&self, trigger: &FileTrigger) -> Result<(permit::FsPermit, FsPath, String), FsError> {
        let path: FsPath = trigger.path.parse()?;
        let Some((folder, name)) = path.above() else { return Err(FsError::no_name(&path)) };
        let jobs = self.watchers(trigger);
        let asked = jobs.iter().map(|job| permit::fs(&self.grants(job), path.root(), Access::Read));
        let nobody = || permit::fs(&crate::model::Grants::default(), path.root(), Access::Read);
        let permit = asked.reduce(Result::or).unwrap_or_else(nobody)?;
        Ok((permit, folder, name.to_owned()))
    }

    async fn listed(&self, trigger: &FileTrigger) -> Result<Vec<Entry>, FsError> {
        let (permit, folder, name) = self.folder(trigger)?;
        let listing = Listing { glob: Some(name), recursive: false, limit: limits::TRIGGER_FILES_MAX };
        self.files.list(&permit, folder, listing).await
    }

    async fn tell_file(&self, trigger: &FileTrigger, entry: &Entry, at: Timestamp, versions: &Beginnings) {
        let seen = format!("{}:{}:{}", entry.path, entry.modified_at.as_nanosecond(), entry.bytes);
        let key = format!("file:{}", blake3::hash(seen.as_bytes()).to_hex());
        let payload = json!({
            "path": entry.path, "name": entry.name, "bytes": entry.bytes, "modified_at": entry.modified_at,
        });
        for job in self.watchers(trigger) {
            let begin = versions.get(&job.spec.name).copied().unwrap_or(job.loaded_at);
            if at >= begin {
                let (job, payload, key) = (job.spec.name.clone(), payload.clone(), Some(key.clone()));
                self.submit(Heard { job, kind: TriggerKind::File, payload, key }).await;
            }
        }
    }

    /// Jobs that watch these files now and may.
    fn watchers(&self, trigger: &FileTrigger) -> Vec<Arc<Job>> {
        let all: Vec<(Arc<Job>, FileTrigger)> = declared(&self.registry, FileTrigger::KIND);
        let mut seen = BTreeSet::new();
        let own = all.into_iter().filter(|(job, wanted)| {
            wanted == trigger && self.may_watch(job, trigger) && seen.insert(job.spec.name.clone())
        });
        own.map(|(job, _)| job).collect()
    }

    fn may_watch(&self, job: &Job, trigger: &FileTrigger) -> bool {
        let root = trigger.path.split(':').next().unwrap_or_default();
        permit::fs(&self.grants(job), root, Access::Read).is_ok()
    }
}

fn shown(trigger: &FileTrigger) -> String {
    format!("the files {:?}", trigger.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn file(name: &str, bytes: u64, modified: i64) -> Entry {
        let path = format!("inbox:{name}");
        Entry { name: name.into(), path, kind: Kind::File, bytes, modified_at: at(modified), mode: 0o644 }
    }

    fn names(whole: &[(Entry, Timestamp)]) -> Vec<(&str, i64)> {
        whole.iter().map(|(entry, at)| (entry.name.as_str(), at.as_second())).collect()
    }

    #[test]
    fn a_file_counts_once_it_has_stayed_as_it_is() {
        let mut view = View::new(Duration::from_secs(2), at(50));
        // What was there before: the old is nobody's business, the young may have come while nobody looked.
        let there = || vec![file("old", 1, 10), file("young", 1, 60)];
        assert_eq!(names(&view.look(there(), at(100))), []);
        assert_eq!(view.next(), Some(at(102)));
        let with = |bytes, modified| [there(), vec![file("new", bytes, modified)]].concat();
        assert_eq!(names(&view.look(with(1, 101), at(102))), [("young", 60)]);
        // It grows.
        assert_eq!(names(&view.look(with(2, 103), at(103))), []);
        assert_eq!(names(&view.look(with(2, 103), at(104))), []);
        assert_eq!(view.next(), Some(at(105)));
        assert_eq!(names(&view.look(with(2, 103), at(105))), [("new", 103)]);
        assert_eq!((names(&view.look(with(2, 103), at(200))), view.next()), (vec![], None));
        // It changes once more; a file that was moved here counts although it is old; folders never do.
        let mut then = [with(2, 300), vec![file("moved", 9, 5)]].concat();
        then.push(Entry { kind: Kind::Folder, ..file("folder", 0, 300) });
        view.look(then.clone(), at(300));
        assert_eq!(names(&view.look(then, at(302))), [("new", 300), ("moved", 300)]);
        // What went away and comes back is new.
        view.look(Vec::new(), at(400));
        view.look(vec![file("old", 1, 10)], at(401));
        assert_eq!(names(&view.look(vec![file("old", 1, 10)], at(403))), [("old", 401)]);
    }
}
