//! GETATTR and SETATTR (RFC 1813 sections 3.3.1 and 3.3.2), and `sattr3` wherever it comes.

use nfsserve::nfs::{fattr3, ftype3, nfsstat3, sattr3, set_atime, set_gid3, set_mode3, set_mtime, set_size3, set_uid3};

use super::answer::Answer;
use super::object::{Alone, Context, Intent, Object, decode_handle};
use crate::primitives::nfs::backend::{Changes, NewTime, is_type};
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

pub fn getattr(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    arguments.end()?;
    match context.open(handle, Intent::Read).and_then(|object| object.attributes()) {
        Ok(attributes) => {
            answer.ok();
            answer.out.value(&attributes);
        }
        Err(status) => answer.status(status),
    }
    Ok(())
}

pub fn setattr(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let wanted = decode_changes(arguments)?;
    let guard = if arguments.bool()? { Some((arguments.u32()?, arguments.u32()?)) } else { None };
    arguments.end()?;
    let alone = if guard.is_some() { Alone::Yes } else { Alone::No };
    let (around, outcome) = context.changing(handle, alone, |object, before| {
        if guard.is_some_and(|guard| guard != (before.ctime.seconds, before.ctime.nseconds)) {
            return Err(nfsstat3::NFS3ERR_NOT_SYNC);
        }
        if wanted.size.is_some() {
            need_regular(before)?;
        }
        apply(object, before, wanted)
    });
    answer.status(outcome.err().unwrap_or(nfsstat3::NFS3_OK));
    answer.around(&around);
    Ok(())
}

/// Makes the changes that the caller may make, or none.
pub fn apply(object: &Object, before: &fattr3, wanted: Changes) -> Result<(), nfsstat3> {
    let mut changes = object.caller.allowed(before, wanted)?;
    changes.mode = changes.mode.map(|mode| object.export.squash.mode(mode));
    // An owner that stays is not an owner that is set: the one on the host may be another.
    changes.uid = changes.uid.filter(|uid| *uid != before.uid);
    changes.gid = changes.gid.filter(|gid| *gid != before.gid);
    let touched = wanted.uid.is_some() || wanted.gid.is_some();
    if touched && changes.mode.is_none() && before.mode & 0o6000 != 0 && !object.caller.is_root() {
        // Naming an owner, even the same, takes these bits away, as chown(2) does.
        changes.mode = Some(before.mode & 0o7777 & !0o6000).filter(|_| !is_type(before, ftype3::NF3DIR));
    }
    if changes.is_empty() { Ok(()) } else { object.export.backend.set_attributes(object.id, &changes) }
}

/// For what only regular files have: data and a size that can be set.
pub fn need_regular(attributes: &fattr3) -> Result<(), nfsstat3> {
    match attributes.ftype {
        ftype3::NF3REG => Ok(()),
        ftype3::NF3DIR => Err(nfsstat3::NFS3ERR_ISDIR),
        _ => Err(nfsstat3::NFS3ERR_INVAL),
    }
}

/// `sattr3`.
pub fn decode_changes(arguments: &mut Decoder<'_>) -> Result<Changes, Malformed> {
    let wanted: sattr3 = arguments.value()?;
    Ok(Changes {
        mode: match wanted.mode {
            set_mode3::Void => None,
            set_mode3::mode(mode) => Some(mode),
        },
        uid: match wanted.uid {
            set_uid3::Void => None,
            set_uid3::uid(uid) => Some(uid),
        },
        gid: match wanted.gid {
            set_gid3::Void => None,
            set_gid3::gid(gid) => Some(gid),
        },
        size: match wanted.size {
            set_size3::Void => None,
            set_size3::size(size) => Some(size),
        },
        accessed: match wanted.atime {
            set_atime::DONT_CHANGE => None,
            set_atime::SET_TO_SERVER_TIME => Some(NewTime::Now),
            set_atime::SET_TO_CLIENT_TIME(time) => Some(NewTime::At(time)),
        },
        modified: match wanted.mtime {
            set_mtime::DONT_CHANGE => None,
            set_mtime::SET_TO_SERVER_TIME => Some(NewTime::Now),
            set_mtime::SET_TO_CLIENT_TIME(time) => Some(NewTime::At(time)),
        },
    })
}
