//! File handles (RFC 1813 section 2.3.3): which volume, which file, and a proof that this gateway said so.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nfsserve::nfs::nfsstat3;

use crate::primitives::nfs::backend::FileId;

/// The first byte; another layout gets another number.
const LAYOUT: u8 = 1;
const VOLUME_BYTES: usize = 16;
const MAC_BYTES: usize = 16;
const MAC_AT: usize = 4 + VOLUME_BYTES + 16;
/// Below the 64 that the protocol allows.
pub const HANDLE_BYTES: usize = MAC_AT + MAC_BYTES;

/// Stands for a volume in its handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VolumeTag([u8; VOLUME_BYTES]);

impl VolumeTag {
    /// Made from the export's path, so that it is the same after a restart.
    pub fn of(path: &str) -> Self {
        let digest = blake3::hash(path.as_bytes());
        let mut tag = [0; VOLUME_BYTES];
        tag.copy_from_slice(&digest.as_bytes()[..VOLUME_BYTES]);
        Self(tag)
    }

    /// What clients see as the file system's number.
    pub fn number(&self) -> u64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(number)
    }
}

/// Signs handles. Kept in a file, so that handles outlive the daemon: clients hold them for as long as they mount.
#[derive(Clone)]
pub struct HandleKey([u8; 32]);

impl std::fmt::Debug for HandleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandleKey")
    }
}

impl HandleKey {
    #[cfg(test)]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Reads the key, or makes one that only the daemon's user can read.
    pub fn load_or_create(path: &Path) -> std::io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => bytes.try_into().map(Self).map_err(|_| {
                std::io::Error::new(std::io::ErrorKind::InvalidData, "the handle key's file does not have 32 bytes")
            }),
            Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(failure) => Err(failure),
        }
    }

    fn create(path: &Path) -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|failure| std::io::Error::other(failure.to_string()))?;
        let written = path.with_extension("new");
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&written)?;
        file.write_all(&key)?;
        file.sync_all()?;
        // Never over a key that somebody else has made meanwhile.
        match std::fs::hard_link(&written, path) {
            Ok(()) => std::fs::remove_file(&written)?,
            Err(_) => {
                std::fs::remove_file(&written)?;
                return Self::load_or_create(path);
            }
        }
        Ok(Self(key))
    }

    pub fn seal(&self, volume: VolumeTag, id: FileId) -> [u8; HANDLE_BYTES] {
        let mut handle = [0; HANDLE_BYTES];
        handle[0] = LAYOUT;
        handle[4..20].copy_from_slice(&volume.0);
        handle[20..28].copy_from_slice(&id.number.to_be_bytes());
        handle[28..36].copy_from_slice(&id.generation.to_be_bytes());
        let mac = self.mac(&handle[..MAC_AT]);
        handle[MAC_AT..].copy_from_slice(&mac);
        handle
    }

    /// `BADHANDLE` for whatever this key did not seal.
    pub fn open(&self, handle: &[u8]) -> Result<(VolumeTag, FileId), nfsstat3> {
        let handle: &[u8; HANDLE_BYTES] = handle.try_into().map_err(|_| nfsstat3::NFS3ERR_BADHANDLE)?;
        let (said, mac) = handle.split_at(MAC_AT);
        if said[0] != LAYOUT || !same(&self.mac(said), mac) {
            return Err(nfsstat3::NFS3ERR_BADHANDLE);
        }
        let mut volume = [0; VOLUME_BYTES];
        volume.copy_from_slice(&said[4..20]);
        let word = |at: usize| said[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        Ok((VolumeTag(volume), FileId { number: word(20), generation: word(28) }))
    }

    fn mac(&self, said: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&blake3::keyed_hash(&self.0, said).as_bytes()[..MAC_BYTES]);
        mac
    }
}

/// Compares in a time that does not depend on where the two differ.
fn same(left: &[u8; MAC_BYTES], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |seen, (left, right)| seen | (left ^ right)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: FileId = FileId { number: 0x1234_5678_9abc_def0, generation: 77 };

    #[test]
    fn a_handle_opens_with_the_key_that_sealed_it() {
        let key = HandleKey::new([7; 32]);
        let volume = VolumeTag::of("/acme/data");
        let handle = key.seal(volume, ID);
        assert!(handle.len() <= 64);
        let (tag, id) = key.open(&handle).expect("genuine");
        assert_eq!((tag, id), (volume, ID));
        assert!(HandleKey::new([8; 32]).open(&handle).is_err());
    }

    #[test]
    fn one_changed_bit_one_byte_less_or_more_makes_it_worthless() {
        let key = HandleKey::new([7; 32]);
        let handle = key.seal(VolumeTag::of("/acme/data"), ID);
        for bit in 0..handle.len() * 8 {
            let mut forged = handle;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(key.open(&forged), Err(nfsstat3::NFS3ERR_BADHANDLE)), "bit {bit}");
        }
        for length in 0..handle.len() {
            assert!(key.open(&handle[..length]).is_err(), "{length} bytes");
        }
        assert!(key.open(&[&handle[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_key_is_made_once_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nfs.key");
        let first = HandleKey::load_or_create(&path).expect("made");
        let second = HandleKey::load_or_create(&path).expect("read");
        assert_eq!(first.0, second.0);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1);
        std::fs::write(&path, b"short").expect("written");
        assert!(HandleKey::load_or_create(&path).is_err());
    }
}
