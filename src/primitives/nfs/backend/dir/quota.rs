//! What a volume holds and may hold.
//!
//! Bytes are those that files take on disk, so that a sparse file costs what is in it. Each file remembers what it was
//! charged; after a change the charge is set to what the disk says. Before a write, the most that it can take is
//! reserved, so that writers at the same time cannot pass the limit together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nfsserve::nfs::nfsstat3;

/// What disks are given out in.
pub const BLOCK_BYTES: u64 = 4096;

/// `None` is no limit but the host's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// On disk, of regular files.
    pub bytes: Option<u64>,
    /// Files of every kind, directories among them, less the root.
    pub inodes: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub bytes: u64,
    pub inodes: u64,
}

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    usage: Usage,
    reserved_bytes: u64,
}

#[derive(Debug)]
pub struct Quota {
    state: Mutex<State>,
}

impl Quota {
    pub fn new(limits: Limits) -> Self {
        Self { state: Mutex::new(State { limits, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn limits(&self) -> Limits {
        self.state().limits
    }

    pub fn set_limits(&self, limits: Limits) {
        self.state().limits = limits;
    }

    pub fn usage(&self) -> Usage {
        self.state().usage
    }

    /// Room for as much of a write as there is room for: `bytes` at `offset`, of which the file needs none when
    /// `covered` says that it has it all on disk already. Gives how much may be written.
    pub fn reserve(
        &self,
        offset: u64,
        bytes: usize,
        covered: impl FnOnce() -> bool,
    ) -> Result<(usize, Reservation<'_>), nfsstat3> {
        let end = offset.saturating_add(bytes as u64);
        let wanted = end.next_multiple_of(BLOCK_BYTES) - offset / BLOCK_BYTES * BLOCK_BYTES;
        let mut state = self.state();
        let Some(limit) = state.limits.bytes else {
            return Ok((bytes, Reservation { quota: self, bytes: 0 }));
        };
        let free = limit.saturating_sub(state.usage.bytes).saturating_sub(state.reserved_bytes);
        if wanted <= free {
            state.reserved_bytes += wanted;
            return Ok((bytes, Reservation { quota: self, bytes: wanted }));
        }
        drop(state);
        if covered() {
            return Ok((bytes, Reservation { quota: self, bytes: 0 }));
        }
        let mut state = self.state();
        let free = limit.saturating_sub(state.usage.bytes).saturating_sub(state.reserved_bytes);
        let blocks = (free / BLOCK_BYTES * BLOCK_BYTES).min(wanted);
        let fitting = (blocks.saturating_sub(offset % BLOCK_BYTES) as usize).min(bytes);
        if fitting == 0 {
            return Err(nfsstat3::NFS3ERR_DQUOT);
        }
        state.reserved_bytes += blocks;
        Ok((fitting, Reservation { quota: self, bytes: blocks }))
    }

    /// Charges a file for what `measure` says it takes now, in place of what it was charged. Nobody else measures
    /// meanwhile, so that the last charge is the last measure.
    pub fn settle<T>(
        &self,
        charged: &AtomicU64,
        measure: impl FnOnce() -> Result<(u64, T), nfsstat3>,
    ) -> Result<T, nfsstat3> {
        let mut state = self.state();
        let (now, rest) = measure()?;
        let before = charged.swap(now, Ordering::Relaxed);
        state.usage.bytes = state.usage.bytes.saturating_sub(before).saturating_add(now);
        Ok(rest)
    }

    /// Counts a file that is there, whatever the limit.
    pub fn count(&self, bytes: u64) {
        let mut state = self.state();
        state.usage.inodes += 1;
        state.usage.bytes += bytes;
    }

    /// Counts a file that is about to be made.
    pub fn add_inode(&self) -> Result<(), nfsstat3> {
        let mut state = self.state();
        if state.limits.inodes.is_some_and(|limit| state.usage.inodes >= limit) {
            return Err(nfsstat3::NFS3ERR_DQUOT);
        }
        state.usage.inodes += 1;
        Ok(())
    }

    /// A file is gone, or was not made after all.
    pub fn forget(&self, bytes: u64) {
        let mut state = self.state();
        state.usage.inodes = state.usage.inodes.saturating_sub(1);
        state.usage.bytes = state.usage.bytes.saturating_sub(bytes);
    }
}

/// Room that a write may use until this is dropped; what it used is settled before.
#[derive(Debug)]
pub struct Reservation<'a> {
    quota: &'a Quota,
    bytes: u64,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let mut state = self.quota.state();
            state.reserved_bytes = state.reserved_bytes.saturating_sub(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(bytes: u64) -> Quota {
        Quota::new(Limits { bytes: Some(bytes), inodes: Some(1) })
    }

    #[test]
    fn writers_at_once_share_what_is_left() {
        let quota = quota(8 * BLOCK_BYTES);
        let (first, _held) = quota.reserve(0, 5 * 4096, || false).expect("room");
        let (second, _also) = quota.reserve(100, 5 * 4096, || false).expect("some room");
        assert_eq!((first, second), (5 * 4096, 3 * 4096 - 100));
        assert!(matches!(quota.reserve(0, 1, || false), Err(nfsstat3::NFS3ERR_DQUOT)));
        assert!(quota.reserve(0, 1, || true).is_ok());
    }

    #[test]
    fn what_was_reserved_and_not_used_comes_back() {
        let quota = quota(BLOCK_BYTES);
        drop(quota.reserve(0, 4096, || false).expect("room"));
        let charged = AtomicU64::new(0);
        quota.settle(&charged, || Ok((4096, ()))).expect("measured");
        assert!(quota.reserve(4096, 1, || false).is_err());
        quota.settle(&charged, || Ok((0, ()))).expect("measured");
        assert!(quota.reserve(4096, 1, || false).is_ok());
    }

    #[test]
    fn files_are_counted() {
        let quota = quota(0);
        quota.add_inode().expect("the first");
        assert!(matches!(quota.add_inode(), Err(nfsstat3::NFS3ERR_DQUOT)));
        quota.forget(0);
        assert!(quota.add_inode().is_ok());
    }
}
