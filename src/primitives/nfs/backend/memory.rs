//! A file system in memory, written for the nfsserve crate's trait: for tests of what rests on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use nfsserve::nfs::{fattr3, fileid3, filename3, ftype3, nfspath3, nfsstat3, nfsstring, sattr3, set_mode3, set_size3};
use nfsserve::vfs::{DirEntry, NFSFileSystem, ReadDirResult, VFSCapabilities};

const ROOT: fileid3 = 1;

enum Content {
    File(Vec<u8>),
    Directory { parent: fileid3, entries: BTreeMap<Vec<u8>, fileid3> },
    Link(Vec<u8>),
}

struct Inode {
    mode: u32,
    content: Content,
}

pub struct Memory {
    inodes: Mutex<BTreeMap<fileid3, Inode>>,
}

type Inodes<'a> = MutexGuard<'a, BTreeMap<fileid3, Inode>>;

impl Default for Memory {
    fn default() -> Self {
        let content = Content::Directory { parent: ROOT, entries: BTreeMap::new() };
        Self { inodes: Mutex::new(BTreeMap::from([(ROOT, Inode { mode: 0o755, content })])) }
    }
}

impl Memory {
    fn inodes(&self) -> Inodes<'_> {
        self.inodes.lock().expect("not poisoned")
    }

    fn add(&self, directory: fileid3, name: &[u8], mode: u32, content: Content) -> Result<fileid3, nfsstat3> {
        let mut inodes = self.inodes();
        let id = inodes.keys().last().map_or(ROOT, |last| last + 1);
        entries(&mut inodes, directory)?.insert(name.to_vec(), id);
        inodes.insert(id, Inode { mode, content });
        Ok(id)
    }
}

fn entries<'a>(inodes: &'a mut Inodes<'_>, id: fileid3) -> Result<&'a mut BTreeMap<Vec<u8>, fileid3>, nfsstat3> {
    match inodes.get_mut(&id).map(|inode| &mut inode.content) {
        Some(Content::Directory { entries, .. }) => Ok(entries),
        Some(_) => Err(nfsstat3::NFS3ERR_NOTDIR),
        None => Err(nfsstat3::NFS3ERR_STALE),
    }
}

fn mode(attributes: &sattr3) -> u32 {
    match attributes.mode {
        set_mode3::mode(mode) => mode,
        set_mode3::Void => 0o644,
    }
}

#[async_trait]
impl NFSFileSystem for Memory {
    fn capabilities(&self) -> VFSCapabilities {
        VFSCapabilities::ReadWrite
    }

    fn root_dir(&self) -> fileid3 {
        ROOT
    }

    async fn lookup(&self, directory: fileid3, name: &filename3) -> Result<fileid3, nfsstat3> {
        let mut inodes = self.inodes();
        if name.as_ref() == b".."
            && let Some(Content::Directory { parent, .. }) = inodes.get(&directory).map(|inode| &inode.content)
        {
            return Ok(*parent);
        }
        entries(&mut inodes, directory)?.get(name.as_ref()).copied().ok_or(nfsstat3::NFS3ERR_NOENT)
    }

    async fn getattr(&self, id: fileid3) -> Result<fattr3, nfsstat3> {
        let inodes = self.inodes();
        let inode = inodes.get(&id).ok_or(nfsstat3::NFS3ERR_STALE)?;
        let (ftype, size) = match &inode.content {
            Content::File(data) => (ftype3::NF3REG, data.len()),
            Content::Directory { entries, .. } => (ftype3::NF3DIR, entries.len()),
            Content::Link(target) => (ftype3::NF3LNK, target.len()),
        };
        Ok(fattr3 { ftype, mode: inode.mode, nlink: 1, size: size as u64, fileid: id, ..fattr3::default() })
    }

    async fn setattr(&self, id: fileid3, wanted: sattr3) -> Result<fattr3, nfsstat3> {
        if let Some(inode) = self.inodes().get_mut(&id) {
            if let set_mode3::mode(mode) = wanted.mode {
                inode.mode = mode;
            }
            if let (set_size3::size(size), Content::File(data)) = (wanted.size, &mut inode.content) {
                data.resize(size as usize, 0);
            }
        }
        self.getattr(id).await
    }

    async fn read(&self, id: fileid3, offset: u64, count: u32) -> Result<(Vec<u8>, bool), nfsstat3> {
        match self.inodes().get(&id).map(|inode| &inode.content) {
            Some(Content::File(data)) => {
                let start = data.len().min(offset as usize);
                let end = data.len().min(start + count as usize);
                Ok((data[start..end].to_vec(), end == data.len()))
            }
            _ => Err(nfsstat3::NFS3ERR_STALE),
        }
    }

    async fn write(&self, id: fileid3, offset: u64, written: &[u8]) -> Result<fattr3, nfsstat3> {
        if let Some(Content::File(data)) = self.inodes().get_mut(&id).map(|inode| &mut inode.content) {
            let end = offset as usize + written.len();
            data.resize(data.len().max(end), 0);
            data[offset as usize..end].copy_from_slice(written);
        }
        self.getattr(id).await
    }

    async fn create(&self, dir: fileid3, name: &filename3, attr: sattr3) -> Result<(fileid3, fattr3), nfsstat3> {
        let id = self.add(dir, name, mode(&attr), Content::File(Vec::new()))?;
        Ok((id, self.getattr(id).await?))
    }

    async fn create_exclusive(&self, dir: fileid3, name: &filename3) -> Result<fileid3, nfsstat3> {
        self.add(dir, name, 0o644, Content::File(Vec::new()))
    }

    async fn mkdir(&self, dir: fileid3, name: &filename3) -> Result<(fileid3, fattr3), nfsstat3> {
        let id = self.add(dir, name, 0o755, Content::Directory { parent: dir, entries: BTreeMap::new() })?;
        Ok((id, self.getattr(id).await?))
    }

    async fn remove(&self, dir: fileid3, name: &filename3) -> Result<(), nfsstat3> {
        let mut inodes = self.inodes();
        let id = entries(&mut inodes, dir)?.remove(name.as_ref()).ok_or(nfsstat3::NFS3ERR_NOENT)?;
        inodes.remove(&id);
        Ok(())
    }

    async fn rename(
        &self,
        from_dir: fileid3,
        from: &filename3,
        to_dir: fileid3,
        to: &filename3,
    ) -> Result<(), nfsstat3> {
        let mut inodes = self.inodes();
        let id = entries(&mut inodes, from_dir)?.remove(from.as_ref()).ok_or(nfsstat3::NFS3ERR_NOENT)?;
        let replaced = entries(&mut inodes, to_dir)?.insert(to.to_vec(), id);
        replaced.map(|replaced| inodes.remove(&replaced));
        Ok(())
    }

    async fn readdir(&self, dir: fileid3, after: fileid3, max: usize) -> Result<ReadDirResult, nfsstat3> {
        let mut found: Vec<_> = {
            let mut inodes = self.inodes();
            entries(&mut inodes, dir)?.iter().map(|(name, id)| (*id, name.clone())).collect()
        };
        found.sort();
        found.retain(|(id, _)| *id > after);
        let end = found.len() <= max;
        let mut listing = Vec::new();
        for (fileid, name) in found.into_iter().take(max) {
            listing.push(DirEntry { fileid, name: nfsstring(name), attr: self.getattr(fileid).await? });
        }
        Ok(ReadDirResult { entries: listing, end })
    }

    async fn symlink(
        &self,
        dir: fileid3,
        name: &filename3,
        target: &nfspath3,
        attr: &sattr3,
    ) -> Result<(fileid3, fattr3), nfsstat3> {
        let id = self.add(dir, name, mode(attr), Content::Link(target.to_vec()))?;
        Ok((id, self.getattr(id).await?))
    }

    async fn readlink(&self, id: fileid3) -> Result<nfspath3, nfsstat3> {
        match self.inodes().get(&id).map(|inode| &inode.content) {
            Some(Content::Link(target)) => Ok(nfsstring(target.clone())),
            _ => Err(nfsstat3::NFS3ERR_INVAL),
        }
    }
}
