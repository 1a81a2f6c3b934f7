//! Notices that something in a folder changed: that of the scripts, or one whose files set jobs off. It says where to
//! look first, never what is true: the scan decides that.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::{debug, warn};

use crate::base::limits;

/// Paths in which something happened since they were last taken. Shared between notify's thread and the loader.
#[derive(Debug, Default)]
pub struct Touched {
    paths: Mutex<BTreeSet<PathBuf>>,
    woken: Notify,
}

impl Touched {
    /// Waits until something was touched since the last [`Touched::take`].
    pub async fn wait(&self) {
        self.woken.notified().await;
    }

    pub fn take(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, touched: impl IntoIterator<Item = PathBuf>) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        // What does not fit is found by its stamp.
        let room = limits::RELOAD_TOUCHED_PATHS_MAX.saturating_sub(paths.len());
        paths.extend(touched.into_iter().take(room));
        drop(paths);
        self.woken.notify_one();
    }
}

/// Watches one folder, and the folder above it for the moment when the watched one is replaced.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    /// Whether the folders in it are watched as well.
    mode: RecursiveMode,
    touched: Arc<Touched>,
    watching: Option<Watching>,
    /// The last failure was told.
    told: bool,
}

#[derive(Debug)]
struct Watching {
    /// Dropping it ends the watch.
    _watcher: RecommendedWatcher,
    identity: (u64, u64),
}

impl Watch {
    /// `root` must be absolute.
    pub fn new(root: PathBuf, touched: Arc<Touched>) -> Self {
        Self { root, mode: RecursiveMode::Recursive, touched, watching: None, told: false }
    }

    /// The same for what is in the folder itself.
    pub fn flat(root: PathBuf, touched: Arc<Touched>) -> Self {
        Self { mode: RecursiveMode::NonRecursive, ..Self::new(root, touched) }
    }

    /// Begins to watch, or begins anew if the folder is another one than before. Blocking. False while there is no
    /// watch, so that the caller looks more often by itself.
    pub fn ensure(&mut self) -> bool {
        let identity = std::fs::metadata(&self.root).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        if self.watching.as_ref().map(|watching| watching.identity) == identity && identity.is_some() {
            return true;
        }
        self.watching = None;
        let Some(identity) = identity else { return false };
        match self.begin() {
            Ok(watcher) => {
                self.watching = Some(Watching { _watcher: watcher, identity });
                self.told = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    let folder = self.root.display();
                    warn!(%folder, %error, "cannot watch the folder; it is looked at regularly instead");
                }
                false
            }
        }
    }

    fn begin(&self) -> notify::Result<RecommendedWatcher> {
        let (root, touched) = (self.root.clone(), self.touched.clone());
        let mut watcher = notify::recommended_watcher(move |event| on_event(&root, &touched, event))?;
        watcher.watch(&self.root, self.mode)?;
        if let Some(parent) = self.root.parent()
            && let Err(error) = watcher.watch(parent, RecursiveMode::NonRecursive)
        {
            debug!(folder = %parent.display(), %error, "cannot watch the folder above a watched one");
        }
        Ok(watcher)
    }
}

fn on_event(root: &Path, touched: &Touched, event: notify::Result<Event>) {
    match event {
        // Our own reading makes such events, too.
        Ok(Event { kind: EventKind::Access(kind), .. }) if kind != AccessKind::Close(AccessMode::Write) => {}
        Ok(event) if event.need_rescan() => touched.add([root.to_owned()]),
        Ok(event) => {
            let inside: Vec<_> = event.paths.into_iter().filter(|path| path.starts_with(root)).collect();
            if !inside.is_empty() {
                touched.add(inside);
            }
        }
        Err(error) => {
            debug!(%error, "the watch of a folder had an error");
            touched.add([root.to_owned()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Does `change`, and waits until something was seen.
    async fn seen(watch: &mut Watch, change: impl FnOnce()) -> BTreeSet<PathBuf> {
        assert!(watch.ensure());
        let touched = watch.touched.clone();
        while tokio::time::timeout(Duration::from_millis(20), touched.wait()).await.is_ok() {}
        touched.take();
        change();
        let woken = tokio::time::timeout(Duration::from_secs(5), touched.wait()).await;
        assert!(woken.is_ok(), "nothing was seen");
        touched.take()
    }

    #[tokio::test]
    async fn writes_renames_and_replaced_folders_are_seen_and_reads_are_not() {
        let above = tempfile::tempdir().expect("a folder");
        let (root, other) = (above.path().join("scripts"), above.path().join("other"));
        for folder in [&root, &other] {
            std::fs::create_dir(folder).expect("a folder");
        }
        let mut watch = Watch::new(root.clone(), Arc::default());
        let file = root.join("a.lua");
        assert!(seen(&mut watch, || std::fs::write(&file, "x").expect("written")).await.contains(&file));
        seen(&mut watch, || std::fs::rename(&file, root.join("b.lua")).expect("renamed")).await;

        let reading = tokio::time::timeout(
            Duration::from_secs(1),
            seen(&mut watch, || {
                std::fs::read(root.join("b.lua")).expect("read");
            }),
        );
        assert!(reading.await.is_err(), "reading a file woke the watch");

        let replace = || {
            std::fs::rename(&root, above.path().join("old")).expect("renamed");
            std::fs::rename(&other, &root).expect("renamed");
        };
        seen(&mut watch, replace).await;
        assert!(
            seen(&mut watch, || std::fs::write(root.join("c.lua"), "x").expect("written"))
                .await
                .contains(&root.join("c.lua"))
        );
    }

    #[test]
    fn a_missing_folder_is_not_watched() {
        let above = tempfile::tempdir().expect("a folder");
        let root = above.path().join("scripts");
        let mut watch = Watch::new(root.clone(), Arc::default());
        assert!(!watch.ensure());
        std::fs::create_dir(&root).expect("a folder");
        assert!(watch.ensure());
    }
}
