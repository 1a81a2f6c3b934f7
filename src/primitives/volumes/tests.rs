//! Volumes from making to their end, over real folders.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::clock::{FakeClock, later};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::nfs::WriteOptions;
use crate::primitives::permit::{self, VolumesPermit};

struct Bed {
    volumes: Volumes,
    hand: FakeClock,
    stop: CancellationToken,
    running: JoinSet<()>,
    _folder: Option<TempDir>,
}

const PLAIN: WriteOptions = WriteOptions { mode: 0o644, overwrite: true, parents: true };
const DAY: Duration = Duration::from_secs(86_400);

impl Bed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bed = Self::over(folder.path()).await;
        bed._folder = Some(folder);
        bed
    }

    async fn over(root: &Path) -> Self {
        let (clock, hand) = Clock::fake("2026-11-22T12:00:00Z".parse().expect("a time"));
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let options = Options { listen, root: root.to_owned(), ..Options::default() };
        let volumes = Volumes::new(options, clock);
        let gateway = volumes.open().await.expect("opened").expect("configured");
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        let stopping = stop.clone();
        running.spawn(async move { gateway.run(stopping).await.expect("stopped well") });
        Self { volumes, hand, stop, running, _folder: None }
    }

    /// As a crash would, but for what the gateway has in hand.
    async fn stop(mut self) -> Option<TempDir> {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
        self._folder.take()
    }

    async fn make(&self, name: &str) -> VolumeName {
        let name = named(name);
        self.volumes.create(&all(), &name, NewVolume::default()).await.expect("made");
        name
    }

    async fn write(&self, name: &VolumeName, path: &str, data: &[u8]) -> Result<(), Fault> {
        self.volumes.write(&all(), name, (path.to_owned(), data.to_vec()), PLAIN).await
    }

    async fn read(&self, name: &VolumeName, path: &str) -> Result<Vec<u8>, Fault> {
        self.volumes.read(&all(), name, path.to_owned(), 1 << 20).await
    }
}

fn named(name: &str) -> VolumeName {
    name.parse().expect("a name")
}

fn all() -> VolumesPermit {
    permit::volumes(&Grants::all())
}

fn code<T>(outcome: Result<T, Fault>) -> String {
    outcome.err().map_or_else(|| "no fault".to_owned(), |fault| fault.code.to_string())
}

#[tokio::test]
async fn a_volume_is_made_filled_and_found_again_after_a_restart() {
    let bed = Bed::new().await;
    let name = bed.make("agents/run-1").await;
    assert_eq!(code(bed.volumes.create(&all(), &name, NewVolume::default()).await), "volumes.conflict");
    bed.write(&name, "deep/er/file.txt", b"text").await.expect("written");
    assert_eq!(bed.read(&name, "/deep/er/file.txt").await.expect("there"), b"text");
    bed.volumes.check().await.expect("the gateway answers");
    let volume = bed.volumes.get(&all(), &name).expect("there");
    assert_eq!((volume.used_bytes, volume.used_inodes), (4096, 3));
    assert_eq!(volume.mount.device, ":/agents/run-1");
    let port = volume.mount.options.split(',').find_map(|option| option.strip_prefix("port=")).expect("a port");
    assert!(volume.mount.options.contains(&format!("mountport={port},nfsvers=3")), "{}", volume.mount.options);
    let (statistics, count, bytes) = bed.volumes.statistics().expect("served");
    assert_eq!((statistics.panics, count, bytes), (0, 1, 4096));
    let folder = bed.stop().await.expect("a folder");
    let again = Bed::over(folder.path()).await;
    assert_eq!(again.read(&name, "deep/er/file.txt").await.expect("still there"), b"text");
    let listed = again.volumes.files(&all(), &name, "deep".into()).await.expect("listed");
    assert_eq!(
        listed.iter().map(|entry| (entry.path.as_str(), entry.kind)).collect::<Vec<_>>(),
        [("deep/er", "directory")]
    );
    again.stop().await;
}

#[tokio::test]
async fn one_daemon_serves_a_folder() {
    let bed = Bed::new().await;
    let root = bed._folder.as_ref().expect("a folder").path().to_owned();
    let options = Options { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), root, ..Options::default() };
    let second = Volumes::new(options, Clock::system());
    assert_eq!(code(second.open().await.map(drop)), "volumes.locked");
    assert_eq!(code(second.list(&all())), "volumes.unavailable");
    assert!(Volumes::new(Options::default(), Clock::system()).open().await.expect("off").is_none());
    bed.stop().await;
}

#[tokio::test]
async fn a_snapshot_comes_back_whatever_was_done_since() {
    let bed = Bed::new().await;
    let name = bed.make("a/b").await;
    bed.write(&name, "kept", b"before").await.expect("written");
    let made = bed.volumes.snapshot(&all(), &name, "one").await.expect("made");
    assert_eq!((made.name.as_str(), made.entries), ("one", 1));
    assert_eq!(code(bed.volumes.snapshot(&all(), &name, "one").await), "volumes.conflict");
    bed.write(&name, "kept", b"after").await.expect("written");
    bed.write(&name, "more", b"after").await.expect("written");
    let copy = named("a/copy");
    let from = |snapshot: Option<&str>| CloneFrom { name: name.clone(), snapshot: snapshot.map(str::to_owned) };
    let clone = bed.volumes.clone_volume(&all(), &from(Some("one")), &copy, NewVolume::default()).await;
    assert!(clone.expect("cloned").snapshots.is_empty());
    assert_eq!(bed.read(&copy, "kept").await.expect("there"), b"before");
    assert_eq!(code(bed.read(&copy, "more").await), "volumes.file.not_found");
    let now = named("a/now");
    bed.volumes.clone_volume(&all(), &from(None), &now, NewVolume::default()).await.expect("cloned");
    assert_eq!(bed.read(&now, "kept").await.expect("there"), b"after");
    let back = bed.volumes.restore(&all(), &name, "one").await.expect("restored");
    assert_eq!(back.used_inodes, 1);
    assert_eq!(bed.read(&name, "kept").await.expect("there"), b"before");
    // It can be restored as often as one likes, and is not the volume itself.
    bed.write(&name, "kept", b"third").await.expect("written");
    bed.volumes.restore(&all(), &name, "one").await.expect("restored again");
    assert_eq!(bed.read(&name, "kept").await.expect("there"), b"before");
    bed.volumes.remove_snapshot(&all(), &name, "one").await.expect("removed");
    for outcome in [
        bed.volumes.restore(&all(), &name, "one").await.map(drop),
        bed.volumes.remove_snapshot(&all(), &name, "../data").await,
    ] {
        assert_eq!(code(outcome), "volumes.snapshot.not_found");
    }
    bed.stop().await;
}

#[tokio::test]
async fn a_deleted_volume_comes_back_until_its_grace_is_over() {
    let bed = Bed::new().await;
    let name = bed.make("a/b").await;
    bed.write(&name, "file", b"text").await.expect("written");
    let deleted = bed.volumes.delete(&all(), &name, false).await.expect("deleted");
    assert_eq!(code(bed.read(&name, "file").await), "volumes.not_found");
    assert_eq!(deleted.purge_at, later(deleted.deleted_at, 7 * DAY));
    // The name is free meanwhile, and then taken.
    bed.make("a/b").await;
    assert_eq!(code(bed.volumes.recover(&all(), &deleted.id).await), "volumes.conflict");
    bed.volumes.delete(&all(), &name, true).await.expect("gone at once");
    assert_eq!(bed.volumes.deleted(&all()).expect("listed"), std::slice::from_ref(&deleted));
    bed.volumes.recover(&all(), &deleted.id).await.expect("back");
    assert_eq!(bed.read(&name, "file").await.expect("there"), b"text");
    let again = bed.volumes.delete(&all(), &name, false).await.expect("deleted");
    bed.hand.advance(7 * DAY);
    bed.volumes.sweep().await;
    assert!(bed.volumes.deleted(&all()).expect("listed").is_empty());
    assert_eq!(code(bed.volumes.recover(&all(), &again.id).await), "volumes.not_found");
    let folder = bed.stop().await.expect("a folder");
    for empty in ["deleted", "staging", "volumes"] {
        assert_eq!(fs::read_dir(folder.path().join(empty)).expect("there").count(), 0, "{empty}");
    }
}

#[tokio::test]
async fn what_expires_is_deleted_by_itself() {
    let bed = Bed::new().await;
    let name = named("a/short");
    let wanted = NewVolume { expires_in: Some(DAY), ..NewVolume::default() };
    bed.volumes.create(&all(), &name, wanted).await.expect("made");
    let stays = bed.make("a/stays").await;
    bed.hand.advance(DAY - Duration::from_secs(1));
    bed.volumes.sweep().await;
    bed.volumes.get(&all(), &name).expect("still there");
    let never = Changes { expires_in: Some(None), ..Changes::default() };
    assert_eq!(bed.volumes.change(&all(), &name, never).await.expect("changed").expires_at, None);
    let soon = Changes { expires_in: Some(Some(Duration::from_secs(1))), ..Changes::default() };
    bed.volumes.change(&all(), &name, soon).await.expect("changed");
    bed.hand.advance(Duration::from_secs(1));
    bed.volumes.sweep().await;
    assert_eq!(code(bed.volumes.get(&all(), &name)), "volumes.not_found");
    let deleted = bed.volumes.deleted(&all()).expect("listed");
    // It comes back without the end that it has had.
    let back = bed.volumes.recover(&all(), &deleted[0].id).await.expect("back");
    assert_eq!(back.expires_at, None);
    bed.volumes.get(&all(), &stays).expect("there");
    bed.stop().await;
}

#[tokio::test]
async fn a_quota_holds_for_the_daemon_too() {
    let bed = Bed::new().await;
    let name = named("a/b");
    let wanted = NewVolume { quota_bytes: Some(1 << 20), quota_inodes: Some(2), ..NewVolume::default() };
    bed.volumes.create(&all(), &name, wanted).await.expect("made");
    bed.write(&name, "first", &vec![1; 600 << 10]).await.expect("room");
    assert_eq!(code(bed.write(&name, "second", &vec![1; 600 << 10]).await), "volumes.quota");
    let listed = bed.volumes.files(&all(), &name, String::new()).await.expect("listed");
    assert_eq!(listed.len(), 1, "{listed:?}");
    let more = Changes { quota_bytes: Some(4 << 20), quota_inodes: Some(10), ..Changes::default() };
    bed.volumes.change(&all(), &name, more).await.expect("resized");
    bed.write(&name, "second", &vec![1; 600 << 10]).await.expect("room");
    bed.stop().await;
}

#[tokio::test]
async fn what_a_crash_leaves_is_put_right() {
    let bed = Bed::new().await;
    let name = bed.make("a/b").await;
    bed.write(&name, "file", b"old").await.expect("written");
    let folder = bed.stop().await.expect("a folder");
    let volume = folder.path().join("volumes/a/b");
    // In the middle of a restore, of a snapshot and of making a volume.
    fs::rename(volume.join("data"), volume.join("outgoing")).expect("moved");
    fs::create_dir(volume.join("incoming")).expect("made");
    fs::write(volume.join("incoming/file"), b"new").expect("written");
    fs::create_dir(volume.join("snapshots/half")).expect("made");
    fs::create_dir_all(folder.path().join("staging/half/data")).expect("made");
    // Nothing that Aegis made.
    fs::create_dir_all(folder.path().join("volumes/a/stranger")).expect("made");
    let again = Bed::over(folder.path()).await;
    assert_eq!(again.read(&name, "file").await.expect("there"), b"new");
    assert_eq!(again.volumes.list(&all()).expect("listed").len(), 1);
    again.stop().await;
    for gone in ["outgoing", "incoming", "snapshots/half"] {
        assert!(!volume.join(gone).exists(), "{gone}");
    }
    assert!(!folder.path().join("staging/half").exists() && folder.path().join("volumes/a/stranger").exists());
    assert_eq!(fs::metadata(folder.path().join("key")).expect("a key").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_permit_reaches_what_its_patterns_name() {
    let bed = Bed::new().await;
    let (own, other) = (bed.make("agents/one").await, bed.make("agents/two").await);
    let permit = |levels: &[(&str, Access)]| {
        let volumes = levels.iter().map(|(name, access)| ((*name).to_owned(), *access)).collect();
        permit::volumes(&Grants { volumes, ..Grants::default() })
    };
    let reader = permit(&[("agents/one", Access::Read)]);
    let names = |permit: &VolumesPermit| {
        let listed = bed.volumes.list(permit).expect("listed");
        listed.into_iter().map(|volume| volume.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&reader), ["agents/one"]);
    assert!(names(&permit(&[])).is_empty());
    let (v, data) = (&bed.volumes, ("x".to_owned(), Vec::new()));
    let writer = permit(&[("agents/*", Access::Write)]);
    let from = CloneFrom { name: other.clone(), snapshot: None };
    let admin = permit(&[("agents/one", Access::Admin), ("mine/*", Access::Admin)]);
    for (what, outcome) in [
        ("get", v.get(&reader, &other).map(drop)),
        ("write", v.write(&reader, &own, data, PLAIN).await),
        ("snapshot", v.snapshot(&reader, &own, "s").await.map(drop)),
        ("create", v.create(&writer, &named("agents/three"), NewVolume::default()).await.map(drop)),
        ("change", v.change(&writer, &own, Changes::default()).await.map(drop)),
        ("restore", v.restore(&writer, &own, "s").await.map(drop)),
        ("delete", v.delete(&writer, &own, false).await.map(drop)),
        ("clone", v.clone_volume(&admin, &from, &named("mine/x"), NewVolume::default()).await.map(drop)),
        ("create", v.create(&admin, &named("agents/three"), NewVolume::default()).await.map(drop)),
    ] {
        let fault = outcome.expect_err(what);
        assert_eq!(fault.code, "permission.denied", "{what}: {fault}");
        assert!(fault.hint.expect("a remedy").contains("volumes = { ["), "{what}");
    }
    bed.stop().await;
}

#[tokio::test]
async fn wrong_uses_say_what_to_do() {
    let bed = Bed::new().await;
    let name = bed.make("a/b").await;
    bed.write(&name, "folder/file", b"text").await.expect("written");
    let root = bed.volumes.get(&all(), &name).expect("there").folder;
    std::os::unix::fs::symlink("/etc", root.join("link")).expect("linked");
    let fixed = named("a/fixed");
    let read_only = NewVolume { read_only: true, ..NewVolume::default() };
    bed.volumes.create(&all(), &fixed, read_only).await.expect("made");
    let v = &bed.volumes;
    let missing = named("a/missing");
    let tiny = NewVolume { quota_bytes: Some(1), ..NewVolume::default() };
    let endless = NewVolume { expires_in: Some(Duration::MAX), ..NewVolume::default() };
    let write = |path: &str, overwrite| {
        v.write_owned(name.clone(), path.to_owned(), WriteOptions { overwrite, parents: false, mode: 0o644 })
    };
    for (wanted, outcome) in [
        ("volumes.not_found", v.get(&all(), &missing).map(drop)),
        ("volumes.not_found", v.delete(&all(), &missing, false).await.map(drop)),
        ("volumes.not_found", v.recover(&all(), "01J").await.map(drop)),
        ("volumes.value.invalid", v.create(&all(), &missing, tiny).await.map(drop)),
        ("volumes.value.invalid", v.create(&all(), &missing, endless).await.map(drop)),
        ("volumes.name.invalid", v.snapshot(&all(), &name, "../x").await.map(drop)),
        ("volumes.path.invalid", bed.read(&name, "../file").await.map(drop)),
        ("volumes.path.invalid", bed.read(&name, "folder//file").await.map(drop)),
        ("volumes.path.invalid", bed.write(&name, "", b"").await),
        ("volumes.wrong_kind", bed.read(&name, "link/passwd").await.map(drop)),
        ("volumes.wrong_kind", bed.read(&name, "link").await.map(drop)),
        ("volumes.wrong_kind", bed.read(&name, "folder").await.map(drop)),
        ("volumes.wrong_kind", bed.write(&name, "link/file", b"").await),
        ("volumes.wrong_kind", bed.write(&name, "folder", b"").await),
        ("volumes.file.not_found", write("absent/file", true).await),
        ("volumes.file.conflict", write("folder/file", false).await),
        ("volumes.not_empty", v.remove(&all(), &name, "folder".into()).await),
        ("volumes.file.not_found", v.remove(&all(), &name, "absent".into()).await),
        ("volumes.too_large", v.read(&all(), &name, "folder/file".into(), 3).await.map(drop)),
        ("volumes.read_only", bed.write(&fixed, "file", b"").await),
    ] {
        let fault = outcome.expect_err(wanted);
        assert_eq!(fault.code, wanted, "{fault}");
        assert!(fault.hint.is_some(), "{fault}");
    }
    assert_eq!(bed.volumes.stat(&all(), &name, "link".into()).await.expect("there").expect("a link").kind, "symlink");
    v.remove(&all(), &name, "link".into()).await.expect("the link alone");
    assert_eq!(bed.read(&name, "folder/file").await.expect("untouched"), b"text");
    bed.stop().await;
}

impl Volumes {
    async fn write_owned(&self, name: VolumeName, path: String, options: WriteOptions) -> Result<(), Fault> {
        self.write(&all(), &name, (path, b"new".to_vec()), options).await
    }
}
