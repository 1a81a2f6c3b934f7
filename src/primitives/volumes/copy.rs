//! Copies of whole trees: blocks are shared where the file system can, and copied without their holes otherwise.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::base::limits;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// On disk, as far as blocks are not shared with the original.
    pub bytes: u64,
    pub entries: u64,
    /// Every file that has data shares its blocks.
    pub shared: bool,
}

/// Makes `to`, which is not there yet, a copy of the directory `from`: types, modes, times, owners where this process
/// may set them, links among its own files. Stops at the first thing that cannot be copied.
pub fn tree(from: &Path, to: &Path) -> io::Result<Copied> {
    fs::create_dir(to)?;
    let source = rustix::fs::open(from, DIRECTORY, Mode::empty())?;
    let target = rustix::fs::open(to, DIRECTORY, Mode::empty())?;
    let mut copy = Copy {
        root: target.try_clone()?,
        linked: HashMap::new(),
        gives_away: rustix::process::geteuid().is_root(),
        done: Copied { bytes: 0, entries: 0, shared: true },
    };
    copy.directory(&source, &target, &mut Vec::new())?;
    rustix::fs::syncfs(&target)?;
    Ok(copy.done)
}

/// Removes a tree, also what its owner may not look into.
pub fn erase(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(failure) if failure.kind() == io::ErrorKind::PermissionDenied => {
            open_up(folder)?;
            fs::remove_dir_all(folder)
        }
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

struct Copy {
    root: OwnedFd,
    /// Of files with several names: where the first copy of each is, by its number.
    linked: HashMap<u64, Vec<u8>>,
    gives_away: bool,
    done: Copied,
}

impl Copy {
    fn directory(&mut self, source: &OwnedFd, target: &OwnedFd, place: &mut Vec<u8>) -> io::Result<()> {
        let names: Vec<CString> = Dir::read_from(source)?
            .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
            .filter(|name| !matches!(name.as_ref().map(|name| name.to_bytes()), Ok(b"." | b"..")))
            .collect::<Result<_, Errno>>()?;
        let depth = place.len();
        for name in &names {
            if depth > 0 {
                place.push(b'/');
            }
            place.extend_from_slice(name.to_bytes());
            self.entry(source, target, name, place)?;
            place.truncate(depth);
            self.done.entries += 1;
        }
        self.dress(target, None, &rustix::fs::fstat(source)?)
    }

    fn entry(&mut self, source: &OwnedFd, target: &OwnedFd, name: &CStr, place: &mut Vec<u8>) -> io::Result<()> {
        let stat = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory && stat.st_nlink > 1 {
            let first = self.linked.get(&stat.st_ino);
            if first
                .is_some_and(|first| rustix::fs::linkat(&self.root, &first[..], target, name, AtFlags::empty()).is_ok())
            {
                return Ok(());
            }
            self.linked.insert(stat.st_ino, place.clone());
        }
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(target, name, Mode::RWXU)?;
                let inner = rustix::fs::openat(target, name, DIRECTORY, Mode::empty())?;
                let outer = readable(source, name, DIRECTORY, &stat)?;
                let outcome = self.directory(&outer, &inner, place);
                put_back(&outer, &stat);
                outcome?;
                // The mode that was there before it was opened up.
                return self.dress(&inner, None, &stat);
            }
            FileType::RegularFile => {
                let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(target, name, create, Mode::RUSR | Mode::WUSR)?;
                let original = readable(source, name, FILE, &stat)?;
                let outcome = self.content(&original, &made, &stat);
                put_back(&original, &stat);
                outcome?;
                return self.dress(&made, None, &stat);
            }
            FileType::Symlink => {
                let pointed = rustix::fs::readlinkat(source, name, Vec::new())?;
                rustix::fs::symlinkat(pointed, target, name)?;
            }
            FileType::Fifo | FileType::Socket => rustix::fs::mknodat(target, name, kind, Mode::RWXU, 0)?,
            // No volume has any: nobody can make one through the gateway.
            _ => return Err(io::Error::other("there is a device in the volume")),
        }
        self.dress(target, Some(name), &stat)
    }

    fn content(&mut self, from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> io::Result<()> {
        if stat.st_size == 0 || rustix::fs::ioctl_ficlone(to, from).is_ok() {
            return Ok(());
        }
        self.done.shared = false;
        let size = stat.st_size.unsigned_abs();
        rustix::fs::ftruncate(to, size)?;
        let mut buffer = vec![0; limits::VOLUME_COPY_BYTES];
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
                Ok(start) => start,
                // Nothing but a hole follows.
                Err(Errno::NXIO) => break,
                Err(errno) => return Err(errno.into()),
            };
            at = start;
            let end = rustix::fs::seek(from, SeekFrom::Hole(start))?;
            while at < end {
                let wanted = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
                let read = rustix::io::pread(from, &mut buffer[..wanted], at)?;
                if read == 0 {
                    return Ok(());
                }
                let mut written = 0;
                while written < read {
                    written += rustix::io::pwrite(to, &buffer[written..read], at + written as u64)?;
                }
                at += read as u64;
                self.done.bytes += read as u64;
            }
        }
        Ok(())
    }

    /// Gives a copy its owner, its mode and its times: the name in a directory, or what is open.
    fn dress(&self, at: &OwnedFd, name: Option<&CStr>, stat: &Stat) -> io::Result<()> {
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if self.gives_away {
            let (uid, gid) = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
            match name {
                Some(name) => rustix::fs::chownat(at, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?,
                None => rustix::fs::fchown(at, uid, gid)?,
            }
        }
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        match name {
            Some(_) if is_link => {}
            Some(name) => rustix::fs::chmodat(at, name, mode, AtFlags::empty())?,
            None => rustix::fs::fchmod(at, mode)?,
        }
        let time = |seconds, nanoseconds: u64| Timespec {
            tv_sec: seconds,
            tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
        };
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        match name {
            Some(name) => rustix::fs::utimensat(at, name, &times, AtFlags::SYMLINK_NOFOLLOW)?,
            None => rustix::fs::futimens(at, &times)?,
        }
        Ok(())
    }
}

/// Opens what its owner may have closed to himself; [`put_back`] undoes what that took.
fn readable(above: &OwnedFd, name: &CStr, flags: OFlags, stat: &Stat) -> io::Result<OwnedFd> {
    match rustix::fs::openat(above, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {}
        outcome => return Ok(outcome?),
    }
    let place = rustix::fs::openat(above, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let open = Mode::from_raw_mode(stat.st_mode & 0o7777) | Mode::RWXU;
    rustix::fs::chmodat(CWD, format!("/proc/self/fd/{}", place.as_fd().as_raw_fd()), open, AtFlags::empty())?;
    Ok(rustix::fs::openat(above, name, flags, Mode::empty())?)
}

fn put_back(opened: &OwnedFd, stat: &Stat) {
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    if rustix::fs::fstat(opened).is_ok_and(|now| now.st_mode != stat.st_mode) {
        let _ = rustix::fs::fchmod(opened, mode);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_copy_is_as_its_original() {
        let folder = tempfile::tempdir().expect("a folder");
        let from = folder.path().join("from");
        fs::create_dir_all(from.join("deep/er")).expect("made");
        fs::write(from.join("deep/er/file"), b"text").expect("written");
        fs::hard_link(from.join("deep/er/file"), from.join("second")).expect("linked");
        symlink("../outside", from.join("link")).expect("linked");
        let sparse = fs::File::create(from.join("sparse")).expect("made");
        sparse.write_all_at(b"end", 64 << 20).expect("written");
        fs::set_permissions(from.join("second"), fs::Permissions::from_mode(0o640)).expect("set");
        fs::set_permissions(from.join("deep"), fs::Permissions::from_mode(0o500)).expect("set");
        let copied = tree(&from, &folder.path().join("to")).expect("copied");
        let to = folder.path().join("to");
        assert_eq!(copied.entries, 6);
        assert_eq!(fs::read(to.join("second")).expect("there"), b"text");
        let about = |path: &str| fs::symlink_metadata(to.join(path)).expect("there");
        assert_eq!(about("second").ino(), about("deep/er/file").ino());
        assert_eq!(about("second").mode() & 0o7777, 0o640);
        assert_eq!(about("deep").mode() & 0o7777, 0o500);
        assert_eq!(fs::read_link(to.join("link")).expect("a link"), Path::new("../outside"));
        assert_eq!(about("sparse").len(), (64 << 20) + 3);
        assert!(about("sparse").blocks() * 512 < 1 << 20, "the hole was written");
        let original = fs::metadata(from.join("second")).expect("there");
        assert_eq!(about("second").modified().ok(), original.modified().ok());
        erase(&to).expect("erased");
        assert!(!to.exists());
        erase(&to).expect("nothing is left to do");
    }

    #[test]
    fn what_is_there_is_not_copied_over() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(tree(folder.path(), folder.path()).is_err());
        assert!(tree(&folder.path().join("missing"), &folder.path().join("to")).is_err());
    }
}
