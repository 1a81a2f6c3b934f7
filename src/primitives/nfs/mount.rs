//! MOUNT version 3 (RFC 1813 appendix I): from a path to the handle of a volume's root.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::export::{Export, Exports, Grant};
use super::v3::answer::Answer;
use super::v3::handle::HandleKey;
use super::wire::auth::{AUTH_NONE, AUTH_UNIX};
use super::wire::xdr::{Decoder, Malformed};
use crate::base::limits;

pub const PROGRAM: u32 = 100_005;
pub const VERSION: u32 = 3;

const MNT3_OK: u32 = 0;
const MNT3ERR_ACCES: u32 = 13;
const MNT3ERR_NAMETOOLONG: u32 = 63;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    Null,
    Mnt,
    Dump,
    Umnt,
    Umntall,
    Export,
}

impl Procedure {
    /// In the order of their numbers.
    const ALL: [Self; 6] = [Self::Null, Self::Mnt, Self::Dump, Self::Umnt, Self::Umntall, Self::Export];

    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "mount.null",
            Self::Mnt => "mount.mnt",
            Self::Dump => "mount.dump",
            Self::Umnt => "mount.umnt",
            Self::Umntall => "mount.umntall",
            Self::Export => "mount.export",
        }
    }
}

/// Who said that it mounted what. Clients need not say when they stop: a hint for people, nothing rests on it.
#[derive(Debug, Default)]
pub struct Mounts {
    latest: Mutex<VecDeque<(IpAddr, String)>>,
}

impl Mounts {
    fn latest(&self) -> MutexGuard<'_, VecDeque<(IpAddr, String)>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, peer: IpAddr, path: &str) {
        let mut latest = self.latest();
        latest.retain(|(at, mounted)| *at != peer || mounted != path);
        if latest.len() >= limits::NFS_MOUNTS_MAX {
            latest.pop_front();
        }
        latest.push_back((peer, path.to_owned()));
    }

    fn remove(&self, peer: IpAddr, path: Option<&[u8]>) {
        self.latest().retain(|(at, mounted)| *at != peer || path.is_some_and(|path| path != mounted.as_bytes()));
    }

    pub fn of(&self, peer: IpAddr) -> Vec<String> {
        self.latest().iter().filter(|(at, _)| *at == peer).map(|(_, path)| path.clone()).collect()
    }
}

/// What a call to MOUNT has at hand.
pub struct Context<'a> {
    pub exports: &'a Exports,
    pub key: &'a HandleKey,
    pub mounts: &'a Mounts,
    pub peer: IpAddr,
    /// What the call was about, for the audit.
    pub path: Option<String>,
}

pub fn execute(
    procedure: Procedure,
    context: &mut Context<'_>,
    arguments: &[u8],
    answer: &mut Answer,
) -> Result<(), Malformed> {
    let mut arguments = Decoder::new(arguments);
    match procedure {
        Procedure::Null => {}
        Procedure::Mnt => {
            // Linux takes longer paths: those get an answer, too.
            let path = arguments.opaque(4 * limits::NFS_EXPORT_PATH_BYTES_MAX)?;
            arguments.end()?;
            mount(context, path, answer);
        }
        Procedure::Umnt => {
            let path = arguments.opaque(limits::NFS_EXPORT_PATH_BYTES_MAX)?;
            context.mounts.remove(context.peer, Some(path));
        }
        Procedure::Umntall => context.mounts.remove(context.peer, None),
        Procedure::Dump => dump(context, answer),
        Procedure::Export => export(context, answer),
    }
    arguments.end()
}

fn mount(context: &mut Context<'_>, path: &[u8], answer: &mut Answer) {
    context.path = Some(String::from_utf8_lossy(path).into_owned());
    let outcome = if path.len() > limits::NFS_EXPORT_PATH_BYTES_MAX {
        Err(MNT3ERR_NAMETOOLONG)
    } else {
        // One answer for what is not there and what is not theirs: nobody learns names by asking.
        context.exports.by_path(path).filter(|export| visible(export, context.peer)).ok_or(MNT3ERR_ACCES)
    };
    answer.status = outcome.as_ref().err().copied().unwrap_or(MNT3_OK);
    answer.out.u32(answer.status);
    if let Ok(export) = outcome {
        context.mounts.add(context.peer, &export.path);
        answer.out.opaque(&context.key.seal(export.tag, export.backend.root()));
        let flavors = [AUTH_UNIX, AUTH_NONE];
        answer.out.u32(flavors.len() as u32);
        flavors.iter().for_each(|flavor| answer.out.u32(*flavor));
    }
}

/// The client's own mounts: those of others are not its business.
fn dump(context: &Context<'_>, answer: &mut Answer) {
    let host = context.peer.to_string();
    for path in context.mounts.of(context.peer) {
        answer.out.bool(true);
        answer.out.opaque(host.as_bytes());
        answer.out.opaque(path.as_bytes());
    }
    answer.out.bool(false);
}

/// The exports that the client may mount, as far as an answer takes them.
fn export(context: &Context<'_>, answer: &mut Answer) {
    for export in context.exports.all().iter().filter(|export| visible(export, context.peer)) {
        if answer.out.written() + export.path.len() > limits::NFS_REPLY_HEAD_BYTES_MAX - 64 {
            break;
        }
        answer.out.bool(true);
        answer.out.opaque(export.path.as_bytes());
        // No groups: whoever reads this is one that may.
        answer.out.bool(false);
    }
    answer.out.bool(false);
}

fn visible(export: &Export, peer: IpAddr) -> bool {
    export.grant(peer) != Grant::Nothing
}
