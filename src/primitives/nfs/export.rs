//! What is exported, to whom, and how (RFC 1813 section 5).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ipnet::IpNet;

use super::backend::Backend;
use super::error::Error;
use super::squash::Squash;
use super::v3::handle::VolumeTag;
use crate::base::limits;

/// Which clients a rule is about and what they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientRule {
    pub addresses: IpNet,
    pub read_only: bool,
}

/// How a volume is exported.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Letters, digits, `-`, `_` and `.`; not `.` or `..`.
    pub tenant: String,
    /// As the tenant.
    pub volume: String,
    pub squash: Squash,
    /// For everybody, whatever the rules say.
    pub read_only: bool,
    /// The first rule that holds a client's address counts; a client that none holds gets nothing.
    pub clients: Vec<ClientRule>,
}

/// A volume and the terms on which clients reach it.
pub struct Export {
    pub path: String,
    pub tag: VolumeTag,
    pub squash: Squash,
    read_only: bool,
    clients: Vec<ClientRule>,
    pub backend: Arc<dyn Backend>,
    /// Held while a directory changes, so that what is checked is what is changed, and the attributes before and after
    /// have nothing else between them.
    pub changing: Mutex<()>,
}

/// What a client may do with an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    Nothing,
    Read,
    Write,
}

impl Export {
    pub fn new(options: ExportOptions, backend: Arc<dyn Backend>) -> Result<Self, Error> {
        for part in [&options.tenant, &options.volume] {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if part.is_empty() || *part == "." || *part == ".." || !part.bytes().all(allowed) {
                return Err(Error::ExportName { name: part.clone() });
            }
        }
        let path = format!("/{}/{}", options.tenant, options.volume);
        if path.len() > limits::NFS_EXPORT_PATH_BYTES_MAX {
            return Err(Error::ExportName { name: path });
        }
        Ok(Self {
            tag: VolumeTag::of(&path),
            path,
            squash: options.squash,
            read_only: options.read_only,
            clients: options.clients,
            backend,
            changing: Mutex::new(()),
        })
    }

    pub fn grant(&self, peer: IpAddr) -> Grant {
        let peer = peer.to_canonical();
        match self.clients.iter().find(|rule| rule.addresses.contains(&peer)) {
            None => Grant::Nothing,
            Some(rule) if rule.read_only || self.read_only => Grant::Read,
            Some(_) => Grant::Write,
        }
    }
}

/// The exports as they are now; they come and go while clients are there.
#[derive(Default)]
pub struct Exports {
    by_tag: RwLock<HashMap<VolumeTag, Arc<Export>>>,
}

impl Exports {
    pub fn add(&self, export: Export) -> Result<(), Error> {
        let mut exports = self.by_tag.write().unwrap_or_else(PoisonError::into_inner);
        if exports.contains_key(&export.tag) {
            return Err(Error::ExportExists { path: export.path });
        }
        if exports.len() >= limits::NFS_EXPORTS_MAX {
            return Err(Error::TooManyExports);
        }
        exports.insert(export.tag, Arc::new(export));
        Ok(())
    }

    /// Handles of the volume are stale from here on; calls that have begun end as they would.
    pub fn remove(&self, path: &str) -> Result<(), Error> {
        let mut exports = self.by_tag.write().unwrap_or_else(PoisonError::into_inner);
        match exports.remove(&VolumeTag::of(path)) {
            Some(_) => Ok(()),
            None => Err(Error::NoExport { path: path.to_owned() }),
        }
    }

    pub fn by_tag(&self, tag: VolumeTag) -> Option<Arc<Export>> {
        self.by_tag.read().unwrap_or_else(PoisonError::into_inner).get(&tag).cloned()
    }

    pub fn by_path(&self, path: &[u8]) -> Option<Arc<Export>> {
        let path = std::str::from_utf8(path).ok()?;
        let path = path.strip_suffix('/').unwrap_or(path);
        self.by_tag(VolumeTag::of(path)).filter(|export| export.path == path)
    }

    /// Sorted by path.
    pub fn all(&self) -> Vec<Arc<Export>> {
        let mut all: Vec<_> = self.by_tag.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by(|left, right| left.path.cmp(&right.path));
        all
    }
}
