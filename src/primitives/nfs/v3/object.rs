//! From a handle to a file that the caller may reach.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};

use nfsserve::nfs::{fattr3, ftype3, nfsstat3};

use super::answer::Around;
use super::handle::{HANDLE_BYTES, HandleKey};
use super::permission::Caller;
use crate::base::limits;
use crate::primitives::nfs::backend::{FileId, is_type};
use crate::primitives::nfs::export::{Export, Exports, Grant};
use crate::primitives::nfs::wire::auth::Credential;
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

/// What a call wants of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Read,
    Change,
}

/// Whether anything else may happen between a check and its change, and between the attributes before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    Yes,
    /// For changes of one file that may take long, such as freeing what it held.
    No,
}

/// Whether a call may wait for a disk.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    at_once: bool,
    would_wait: Rc<Cell<bool>>,
}

impl Patience {
    /// Of a call that must not wait.
    pub fn none() -> Self {
        Self { at_once: true, ..Self::default() }
    }

    pub fn is_none(&self) -> bool {
        self.at_once
    }

    /// What follows may wait. Ends a call that must not, before it has done anything; it is executed anew where it may.
    pub fn may_wait(&self) -> Result<(), nfsstat3> {
        self.would_wait.set(self.at_once);
        if self.at_once { Err(nfsstat3::NFS3ERR_JUKEBOX) } else { Ok(()) }
    }

    /// Whether the call ended for that reason.
    pub fn is_over(&self) -> bool {
        self.would_wait.get()
    }
}

/// What one call has at hand.
pub struct Context<'a> {
    pub exports: &'a Exports,
    pub key: &'a HandleKey,
    pub peer: IpAddr,
    pub credential: &'a Credential,
    /// The export that the call turned out to be about.
    pub export: Option<Arc<Export>>,
    pub patience: Patience,
    /// The file's number and the name that the call gave, for the audit.
    pub file: Option<u64>,
    pub name: Option<Vec<u8>>,
}

impl Context<'_> {
    /// Opens a handle. `BADHANDLE` when it is not ours, `STALE` when its volume is exported no more, `ACCES` when the
    /// client's address has no part in it, `ROFS` when it may only read.
    pub fn open(&mut self, handle: &[u8], intent: Intent) -> Result<Object, nfsstat3> {
        let (tag, id) = self.key.open(handle)?;
        let export = self.exports.by_tag(tag).ok_or(nfsstat3::NFS3ERR_STALE)?;
        self.file.get_or_insert(id.number);
        self.export.get_or_insert_with(|| export.clone());
        match (export.grant(self.peer), intent) {
            (Grant::Nothing, _) => return Err(nfsstat3::NFS3ERR_ACCES),
            (Grant::Read, Intent::Change) => return Err(nfsstat3::NFS3ERR_ROFS),
            (Grant::Read, Intent::Read) | (Grant::Write, _) => {}
        }
        if !export.backend.is_quick(intent == Intent::Change) {
            self.patience.may_wait()?;
        }
        let caller = export.squash.caller(self.credential);
        Ok(Object { export, id, caller, patience: self.patience.clone() })
    }

    pub fn seal(&self, object: &Object, id: FileId) -> [u8; HANDLE_BYTES] {
        self.key.seal(object.export.tag, id)
    }

    /// Remembers the name that the call is about.
    pub fn note_name(&mut self, name: &[u8]) {
        self.name.get_or_insert_with(|| name.to_vec());
    }

    /// Does something to one file, with its attributes before and after.
    pub fn changing<T>(
        &mut self,
        handle: &[u8],
        alone: Alone,
        change: impl FnOnce(&Object, &fattr3) -> Result<T, nfsstat3>,
    ) -> (Around, Result<T, nfsstat3>) {
        let mut around = Around::default();
        let object = match self.open(handle, Intent::Change) {
            Ok(object) => object,
            Err(status) => return (around, Err(status)),
        };
        let _lock =
            (alone == Alone::Yes).then(|| object.export.changing.lock().unwrap_or_else(PoisonError::into_inner));
        let before = match object.attributes() {
            Ok(before) => before,
            Err(status) => return (around, Err(status)),
        };
        let outcome = change(&object, &before);
        around.before = Some(before);
        around.after = object.attributes().ok();
        (around, outcome)
    }

    /// As [`Self::changing`], alone, for what only directories have.
    pub fn changing_directory<T>(
        &mut self,
        handle: &[u8],
        change: impl FnOnce(&Object, &fattr3) -> Result<T, nfsstat3>,
    ) -> (Around, Result<T, nfsstat3>) {
        self.changing(handle, Alone::Yes, |object, before| {
            need_directory(before)?;
            change(object, before)
        })
    }
}

/// A file of an export and who asks for it.
pub struct Object {
    pub export: Arc<Export>,
    pub id: FileId,
    pub caller: Caller,
    pub patience: Patience,
}

impl Object {
    /// As the export's clients see them.
    pub fn attributes(&self) -> Result<fattr3, nfsstat3> {
        self.export.backend.attributes(self.id).map(|attributes| self.present(attributes))
    }

    pub fn present(&self, attributes: fattr3) -> fattr3 {
        fattr3 { fsid: self.export.tag.number(), ..self.export.squash.present(attributes) }
    }

    pub fn beside(&self, id: FileId) -> Self {
        Self { export: self.export.clone(), id, caller: self.caller.clone(), patience: self.patience.clone() }
    }

    pub fn lookup(&self, name: &[u8]) -> Result<(FileId, fattr3), nfsstat3> {
        if !self.patience.is_none() {
            return self.export.backend.lookup(self.id, name);
        }
        match self.export.backend.lookup_at_once(self.id, name) {
            Some(found) => found,
            None => self.patience.may_wait().and(Err(nfsstat3::NFS3ERR_JUKEBOX)),
        }
    }

    /// For `bytes` of the file from `offset` on, of which there are no more than its attributes say: see
    /// [`Patience::may_wait`].
    pub fn need_at_hand(&self, file: &fattr3, offset: u64, bytes: u64) -> Result<(), nfsstat3> {
        let bytes = bytes.min(file.size.saturating_sub(offset));
        let is_there = !self.patience.is_none() || bytes == 0;
        if is_there || self.export.backend.has_at_hand(self.id, offset, bytes) {
            return Ok(());
        }
        self.patience.may_wait()
    }
}

pub fn need_directory(attributes: &fattr3) -> Result<(), nfsstat3> {
    if is_type(attributes, ftype3::NF3DIR) { Ok(()) } else { Err(nfsstat3::NFS3ERR_NOTDIR) }
}

/// `nfs_fh3`: what is longer than the protocol allows is malformed.
pub fn decode_handle<'a>(arguments: &mut Decoder<'a>) -> Result<&'a [u8], Malformed> {
    arguments.opaque(64)
}

/// `diropargs3`. Names that are too long are still read, so that the answer can say so.
pub fn decode_entry<'a>(arguments: &mut Decoder<'a>) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    Ok((decode_handle(arguments)?, arguments.opaque(limits::NFS_LINK_TARGET_BYTES_MAX + 1)?))
}
