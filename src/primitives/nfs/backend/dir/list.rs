//! Listings.

use nfsserve::nfs::nfsstat3;

use super::Directory;
use crate::primitives::nfs::backend::{FileId, Listing};

/// Below are the start, `.` and `..`: there a listing begins.
const COOKIE_FIRST: u64 = 3;

impl Directory {
    pub(super) fn list_entries(&self, directory: FileId, cookie: u64, entries_max: usize) -> Result<Listing, nfsstat3> {
        if cookie < COOKIE_FIRST {
            self.refresh(directory)?;
        }
        let (entries, more) = self.read_tree().list(directory, cookie, entries_max)?;
        Ok(Listing { entries, end: !more })
    }
}
