//! The folder of volumes while it is served: what is in it, and putting right what a crash left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use rustix::fs::FlockOperation;
use tracing::{info, warn};

use super::manifest::{Manifest, Squash, sync_folder};
use super::name::VolumeName;
use super::{AuditMode, Options, blocking, copy, error};
use crate::base::Fault;
use crate::primitives::nfs::audit::{Audit, AuditEvent};
use crate::primitives::nfs::{self, ClientRule, Directory, DirectoryOptions, ExportOptions, Gateway, Handle, Limits};

/// A volume that is served.
pub struct Live {
    manifest: Mutex<Manifest>,
    backend: Mutex<Arc<Directory>>,
    /// Held by whoever copies, exchanges or moves what the volume has.
    pub busy: Arc<tokio::sync::Mutex<()>>,
}

impl Live {
    fn new(manifest: Manifest, backend: Arc<Directory>) -> Arc<Self> {
        Arc::new(Self { manifest: Mutex::new(manifest), backend: Mutex::new(backend), busy: Arc::default() })
    }

    pub fn manifest(&self) -> Manifest {
        lock(&self.manifest).clone()
    }

    pub fn backend(&self) -> Arc<Directory> {
        lock(&self.backend).clone()
    }

    pub fn exchange(&self, backend: Arc<Directory>) {
        *lock(&self.backend) = backend;
    }

    /// Changes what is written down, on disk first.
    pub fn note(&self, folder: &Path, change: impl FnOnce(&mut Manifest)) -> Result<(), Fault> {
        let mut manifest = lock(&self.manifest);
        let mut next = manifest.clone();
        change(&mut next);
        next.save(folder).map_err(|failure| error::io("the volume's file cannot be written", folder, &failure))?;
        *manifest = next;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Opened {
    pub root: PathBuf,
    pub gateway: Handle,
    clients: Vec<IpNet>,
    sync_names: bool,
    volumes: Mutex<BTreeMap<VolumeName, Arc<Live>>>,
    /// By id.
    pub deleted: Mutex<BTreeMap<String, Manifest>>,
    /// Locked for as long as this is there.
    _lock: File,
}

impl Opened {
    pub async fn open(options: &Options, listen: SocketAddr) -> Result<(Self, Gateway), Fault> {
        let root = options.root.clone();
        let (root, held) = blocking(move || take(&root)).await?;
        let mut gateway = nfs::Options::new(listen, root.join("key"));
        gateway.audit = match options.audit {
            AuditMode::None => None,
            mode => Some(Arc::new(Logged { everything: mode == AuditMode::All })),
        };
        let gateway = Gateway::bind(gateway).await?;
        let opened = Self {
            root,
            gateway: gateway.handle(),
            clients: options.clients.clone(),
            sync_names: options.sync_names,
            volumes: Mutex::default(),
            deleted: Mutex::default(),
            _lock: held,
        };
        let opened = blocking(move || {
            opened.find()?;
            Ok(opened)
        })
        .await?;
        info!(volumes = opened.all().len(), address = %opened.gateway.address(), "volumes are open");
        Ok((opened, gateway))
    }

    pub fn volumes_folder(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub fn folder(&self, name: &VolumeName) -> PathBuf {
        self.volumes_folder().join(name.tenant()).join(name.volume())
    }

    pub fn deleted_folder(&self, id: &str) -> PathBuf {
        self.root.join("deleted").join(id)
    }

    /// A place for what is being made.
    pub fn staging(&self, id: &str) -> PathBuf {
        self.root.join("staging").join(id)
    }

    pub fn live(&self, name: &VolumeName) -> Result<Arc<Live>, Fault> {
        lock(&self.volumes).get(name).cloned().ok_or_else(|| error::not_found(name))
    }

    /// By name.
    pub fn all(&self) -> Vec<(VolumeName, Arc<Live>)> {
        lock(&self.volumes).iter().map(|(name, live)| (name.clone(), live.clone())).collect()
    }

    pub fn deleted(&self) -> MutexGuard<'_, BTreeMap<String, Manifest>> {
        lock(&self.deleted)
    }

    pub fn open_data(&self, manifest: &Manifest, folder: &Path) -> Result<Arc<Directory>, Fault> {
        let limits = Limits { bytes: Some(manifest.quota_bytes), inodes: Some(manifest.quota_inodes) };
        let options = DirectoryOptions { path: folder.join("data"), limits, sync_names: self.sync_names };
        Ok(Arc::new(Directory::open(options)?))
    }

    pub fn export(&self, manifest: &Manifest, backend: Arc<Directory>) -> Result<(), Fault> {
        let clients = if manifest.clients.is_empty() { &self.clients } else { &manifest.clients };
        let options = ExportOptions {
            tenant: manifest.tenant.clone(),
            volume: manifest.volume.clone(),
            squash: match manifest.squash {
                Squash::All => nfs::Squash::All { uid: manifest.uid, gid: manifest.gid },
                Squash::Root => nfs::Squash::Root,
                Squash::None => nfs::Squash::None,
            },
            read_only: manifest.read_only,
            clients: clients.iter().map(|net| ClientRule { addresses: *net, read_only: false }).collect(),
        };
        Ok(self.gateway.add_export(options, backend)?)
    }

    /// Clients that have it mounted find nothing there any more.
    pub fn withdraw(&self, name: &VolumeName) -> Result<(), Fault> {
        Ok(self.gateway.remove_export(&format!("/{name}"))?)
    }

    /// Moves what was made in `from` to its place and serves it.
    pub fn install(&self, from: &Path, name: &VolumeName, manifest: Manifest) -> Result<(), Fault> {
        let backend = self.open_data(&manifest, from)?;
        // Nobody else may take the name from here on.
        let mut volumes = lock(&self.volumes);
        let to = self.folder(name);
        if volumes.contains_key(name) || to.exists() {
            return Err(error::exists(name));
        }
        let tenant = self.volumes_folder().join(name.tenant());
        let moved = make_folder(&tenant).and_then(|()| fs::rename(from, &to)).and_then(|()| sync_folder(&tenant));
        moved.map_err(|failure| error::io("the volume cannot be put in its place", &to, &failure))?;
        if let Err(fault) = self.export(&manifest, backend.clone()) {
            let _ = fs::rename(&to, from);
            return Err(fault);
        }
        volumes.insert(name.clone(), Live::new(manifest, backend));
        Ok(())
    }

    /// Takes a volume out of its place; it is not served any more.
    pub fn remove(&self, name: &VolumeName, to: &Path) -> Result<(), Fault> {
        let mut volumes = lock(&self.volumes);
        let from = self.folder(name);
        let moved = fs::rename(&from, to).and_then(|()| sync_folder(to.parent().unwrap_or(to)));
        moved.map_err(|failure| error::io("the volume cannot be moved away", &from, &failure))?;
        volumes.remove(name);
        // Gone already where an earlier attempt stopped halfway.
        let _ = self.withdraw(name);
        let _ = fs::remove_dir(self.volumes_folder().join(name.tenant()));
        Ok(())
    }

    /// Everything that the folder holds. What cannot be understood is left alone and said.
    fn find(&self) -> Result<(), Fault> {
        let staging = self.root.join("staging");
        copy::erase(&staging)
            .map_err(|failure| error::io("what was left over cannot be removed", &staging, &failure))?;
        for folder in ["volumes", "deleted", "staging"] {
            let path = self.root.join(folder);
            make_folder(&path).map_err(|failure| error::io("the folder cannot be made", &path, &failure))?;
        }
        for tenant in folders(&self.volumes_folder())? {
            for folder in folders(&tenant)? {
                if let Err(problem) = self.adopt(&folder) {
                    warn!(folder = %folder.display(), %problem, "a volume is not served");
                }
            }
        }
        for folder in folders(&self.root.join("deleted"))? {
            match Manifest::load(&folder) {
                Ok(manifest) => drop(self.deleted().insert(manifest.id.clone(), manifest)),
                Err(failure) => warn!(folder = %folder.display(), %failure, "a deleted volume cannot be understood"),
            }
        }
        Ok(())
    }

    fn adopt(&self, folder: &Path) -> Result<(), Fault> {
        let unreadable = |failure: io::Error| error::io("the volume cannot be read", folder, &failure);
        let manifest = Manifest::load(folder).map_err(unreadable)?;
        let name = manifest.name().filter(|name| self.folder(name) == folder);
        let name = name.ok_or_else(|| unreadable(io::Error::other("its file names another volume")))?;
        if manifest.deleted.is_some() {
            let to = self.deleted_folder(&manifest.id);
            return fs::rename(folder, to).map_err(unreadable);
        }
        mend(folder, &manifest).map_err(unreadable)?;
        let backend = self.open_data(&manifest, folder)?;
        self.export(&manifest, backend.clone())?;
        lock(&self.volumes).insert(name, Live::new(manifest, backend));
        Ok(())
    }
}

/// Ends or undoes a restore that was broken off, and removes what no snapshot's entry names.
fn mend(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let (data, incoming, outgoing) = (folder.join("data"), folder.join("incoming"), folder.join("outgoing"));
    // Data is moved away only when all of what comes is there.
    if !data.exists() && incoming.exists() {
        fs::rename(&incoming, &data)?;
    }
    copy::erase(&incoming)?;
    if data.exists() {
        copy::erase(&outgoing)?;
    }
    let snapshots = folder.join("snapshots");
    make_folder(&snapshots)?;
    for entry in fs::read_dir(&snapshots)? {
        let entry = entry?;
        if !manifest.snapshots.iter().any(|snapshot| entry.file_name() == snapshot.name.as_str()) {
            copy::erase(&entry.path())?;
        }
    }
    Ok(())
}

/// The folder itself, made where it is missing, and the lock on it.
fn take(root: &Path) -> Result<(PathBuf, File), Fault> {
    let unusable = |failure: io::Error| error::io("the folder of volumes (nfs.root) cannot be used", root, &failure);
    make_folder(root).map_err(unusable)?;
    let root = root.canonicalize().map_err(unusable)?;
    let held = File::options().create(true).truncate(false).write(true).open(root.join("lock")).map_err(unusable)?;
    if rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).is_err() {
        let message = format!("another daemon serves the volumes in {}", root.display());
        return Err(Fault::new("volumes.locked", message).hint("stop that one, or give this one another nfs.root"));
    }
    Ok((root, held))
}

/// For the daemon's user alone.
pub fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn folders(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    let unreadable = |failure: io::Error| error::io("the folder cannot be read", path, &failure);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Calls of clients, in the daemon's log.
struct Logged {
    everything: bool,
}

impl Audit for Logged {
    fn record(&self, event: AuditEvent) {
        if !self.everything && !event.changes {
            return;
        }
        info!(
            target: "aegis::nfs::audit",
            peer = %event.peer,
            claimed_uid = event.claimed_uid,
            export = event.export.as_deref().unwrap_or_default(),
            operation = event.operation,
            file = event.file,
            name = event.name.as_deref().map(String::from_utf8_lossy).as_deref().unwrap_or_default(),
            status = event.status,
            took_us = u64::try_from(event.took.as_micros()).unwrap_or(u64::MAX),
            "call"
        );
    }
}
