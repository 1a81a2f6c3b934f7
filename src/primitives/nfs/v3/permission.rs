//! Who may do what to a file: the rules of POSIX, applied to the caller that the export's squash made.

use nfsserve::nfs::{fattr3, ftype3, nfsstat3};

use crate::primitives::nfs::backend::{Changes, NewTime, is_type};

pub const SET_UID: u32 = 0o4000;
pub const SET_GID: u32 = 0o2000;
const STICKY: u32 = 0o1000;

pub const READ: u32 = 4;
pub const WRITE: u32 = 2;
pub const EXECUTE: u32 = 1;

/// Who calls, after the squash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
    pub gids: Vec<u32>,
}

impl Caller {
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    pub fn is_member(&self, gid: u32) -> bool {
        self.gid == gid || self.gids.contains(&gid)
    }

    fn owns(&self, file: &fattr3) -> bool {
        self.is_root() || self.uid == file.uid
    }

    /// Which of [`READ`], [`WRITE`] and [`EXECUTE`] the mode grants.
    pub fn granted(&self, file: &fattr3) -> u32 {
        if self.is_root() {
            let executable = is_type(file, ftype3::NF3DIR) || file.mode & 0o111 != 0;
            return READ | WRITE | if executable { EXECUTE } else { 0 };
        }
        let shift = match () {
            () if self.uid == file.uid => 6,
            () if self.is_member(file.gid) => 3,
            () => 0,
        };
        file.mode >> shift & 7
    }

    /// `ACCES` unless all of `wanted` is granted.
    pub fn need(&self, file: &fattr3, wanted: u32) -> Result<(), nfsstat3> {
        if self.granted(file) & wanted == wanted { Ok(()) } else { Err(nfsstat3::NFS3ERR_ACCES) }
    }

    /// For READ and WRITE (RFC 1813 section 4.4): the client checked the mode when the file was opened, and the owner
    /// may have changed it since. Whoever may execute may read, because the client has to fetch what it runs.
    pub fn need_data(&self, file: &fattr3, wanted: u32) -> Result<(), nfsstat3> {
        let executes = wanted == READ && self.granted(file) & EXECUTE != 0;
        if self.uid == file.uid || executes { Ok(()) } else { self.need(file, wanted) }
    }

    /// In a sticky directory, what is removed or renamed must be one's own.
    pub fn need_unstuck(&self, directory: &fattr3, file: &fattr3) -> Result<(), nfsstat3> {
        if directory.mode & STICKY == 0 || self.owns(file) || self.owns(directory) {
            Ok(())
        } else {
            Err(nfsstat3::NFS3ERR_PERM)
        }
    }

    /// Whether these changes are the caller's to make; gives them as they are to be made.
    pub fn allowed(&self, file: &fattr3, wanted: Changes) -> Result<Changes, nfsstat3> {
        let mut changes = wanted;
        if let Some(mode) = &mut changes.mode {
            self.need_owner(file)?;
            *mode &= 0o7777;
            if !self.is_root() && !is_type(file, ftype3::NF3DIR) && !self.is_member(file.gid) {
                *mode &= !SET_GID;
            }
        }
        if changes.uid.is_some_and(|uid| uid != file.uid) && !self.is_root() {
            return Err(nfsstat3::NFS3ERR_PERM);
        }
        if let Some(gid) = changes.gid.filter(|gid| *gid != file.gid)
            && !(self.is_root() || self.uid == file.uid && self.is_member(gid))
        {
            return Err(nfsstat3::NFS3ERR_PERM);
        }
        if (changes.uid.is_some() || changes.gid.is_some()) && !self.owns(file) {
            return Err(nfsstat3::NFS3ERR_PERM);
        }
        if changes.size.is_some() {
            self.need_data(file, WRITE)?;
        }
        for time in [changes.accessed, changes.modified].into_iter().flatten() {
            match time {
                NewTime::At(_) => self.need_owner(file)?,
                NewTime::Now if self.owns(file) => {}
                NewTime::Now => self.need(file, WRITE)?,
            }
        }
        Ok(changes)
    }

    fn need_owner(&self, file: &fattr3) -> Result<(), nfsstat3> {
        if self.owns(file) { Ok(()) } else { Err(nfsstat3::NFS3ERR_PERM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gid: u32, gids: &[u32]) -> Caller {
        Caller { uid, gid, gids: gids.to_vec() }
    }

    fn file(mode: u32) -> fattr3 {
        fattr3 { mode, uid: 1000, gid: 100, ..fattr3::default() }
    }

    #[test]
    fn the_mode_is_read_for_owner_group_or_others_and_only_one_of_them() {
        let file = file(0o047);
        assert_eq!(caller(1000, 100, &[]).granted(&file), 0);
        assert_eq!(caller(1, 100, &[]).granted(&file), READ);
        assert_eq!(caller(1, 1, &[7, 100]).granted(&file), READ);
        assert_eq!(caller(1, 1, &[]).granted(&file), READ | WRITE | EXECUTE);
        assert_eq!(caller(0, 0, &[]).granted(&fattr3 { mode: 0, ..file }), READ | WRITE);
    }

    #[test]
    fn an_owner_writes_what_was_open_before_the_mode_changed() {
        let file = file(0o444);
        assert!(caller(1000, 100, &[]).need_data(&file, WRITE).is_ok());
        assert!(caller(1, 100, &[]).need_data(&file, WRITE).is_err());
        assert!(caller(1, 1, &[]).need_data(&self::file(0o711), READ).is_ok());
    }

    #[test]
    fn sticky_directories_protect_others_files() {
        let directory = fattr3 { mode: 0o1777, uid: 0, ..file(0) };
        assert!(caller(1, 1, &[]).need_unstuck(&directory, &file(0o666)).is_err());
        assert!(caller(1000, 1, &[]).need_unstuck(&directory, &file(0o666)).is_ok());
    }

    #[test]
    fn owners_give_files_to_their_groups_and_to_nobody() {
        let (owner, stranger) = (caller(1000, 100, &[27]), caller(1, 1, &[]));
        let group = |gid| Changes { gid: Some(gid), ..Changes::default() };
        assert!(owner.allowed(&file(0), group(27)).is_ok());
        assert!(owner.allowed(&file(0), group(28)).is_err());
        assert!(stranger.allowed(&file(0), group(100)).is_err());
        assert!(owner.allowed(&file(0), Changes { uid: Some(0), ..Changes::default() }).is_err());
    }

    #[test]
    fn a_set_group_bit_needs_membership() {
        let changes = Changes { mode: Some(0o2755), ..Changes::default() };
        let outside = caller(1000, 1, &[]).allowed(&file(0), changes).expect("owner");
        assert_eq!(outside.mode, Some(0o755));
        let inside = caller(1000, 100, &[]).allowed(&file(0), changes).expect("owner");
        assert_eq!(inside.mode, Some(0o2755));
    }
}
