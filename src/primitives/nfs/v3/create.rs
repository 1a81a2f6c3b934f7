//! CREATE, MKDIR, SYMLINK and MKNOD (RFC 1813 sections 3.3.8 to 3.3.11).

use nfsserve::nfs::{fattr3, nfsstat3, nfstime3, specdata3};

use super::answer::{Answer, Around};
use super::attributes::{apply, decode_changes, need_regular};
use super::names;
use super::object::{Context, Object, decode_entry};
use super::permission::{EXECUTE, SET_GID, WRITE};
use crate::base::limits;
use crate::primitives::nfs::backend::{Changes, FileId, NewFile, NewTime, Ownership};
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

/// `createhow3`.
enum How {
    Unchecked(Changes),
    Guarded(Changes),
    Exclusive([u8; 8]),
}

type Made = (FileId, fattr3);

pub fn create(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let (handle, name) = decode_entry(arguments)?;
    let how = match arguments.u32()? {
        0 => How::Unchecked(decode_changes(arguments)?),
        1 => How::Guarded(decode_changes(arguments)?),
        2 => How::Exclusive(arguments.fixed()?),
        _ => return Err(Malformed::Value),
    };
    arguments.end()?;
    in_directory(context, handle, name, answer, |directory, above| match how {
        How::Unchecked(changes) => match make(directory, above, name, NewFile::Regular, changes) {
            Err(nfsstat3::NFS3ERR_EXIST) => reuse(directory, above, name, changes),
            outcome => outcome,
        },
        How::Guarded(changes) => make(directory, above, name, NewFile::Regular, changes),
        How::Exclusive(verifier) => exclusive(directory, above, name, verifier),
    });
    Ok(())
}

/// An UNCHECKED create of what exists gives the file, with its size set when that was asked for.
fn reuse(directory: &Object, above: &fattr3, name: &[u8], wanted: Changes) -> Result<Made, nfsstat3> {
    let (id, before) = super::lookup::find(directory, above, name)?;
    need_regular(&before).map_err(|_| nfsstat3::NFS3ERR_EXIST)?;
    let file = directory.beside(id);
    if wanted.size.is_some() {
        // What is cut off has to be freed.
        directory.patience.may_wait()?;
        file.caller.need(&before, WRITE)?;
        apply(&file, &before, Changes { size: wanted.size, ..Changes::default() })?;
    }
    Ok((id, file.attributes()?))
}

/// The verifier is kept where it survives a restart, in the file's times; the client sets them afterwards. A call that
/// finds the file with its own verifier is the retransmission of the one that made it.
fn exclusive(directory: &Object, above: &fattr3, name: &[u8], verifier: [u8; 8]) -> Result<Made, nfsstat3> {
    let word = |at: usize| verifier[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) & 0x7fff_ffff;
    let (accessed, modified) = (word(0), word(4));
    let at = |seconds| Some(NewTime::At(nfstime3 { seconds, nseconds: 0 }));
    let times = Changes { accessed: at(accessed), modified: at(modified), ..Changes::default() };
    match make(directory, above, name, NewFile::Regular, Changes { mode: Some(0), ..times }) {
        Err(nfsstat3::NFS3ERR_EXIST) => {
            let (id, found) = super::lookup::find(directory, above, name)?;
            let same = found.atime.seconds == accessed && found.mtime.seconds == modified && found.size == 0;
            if same { Ok((id, found)) } else { Err(nfsstat3::NFS3ERR_EXIST) }
        }
        outcome => outcome,
    }
}

pub fn mkdir(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let (handle, name) = decode_entry(arguments)?;
    let changes = decode_changes(arguments)?;
    arguments.end()?;
    in_directory(context, handle, name, answer, |directory, above| {
        make(directory, above, name, NewFile::Directory, changes)
    });
    Ok(())
}

pub fn symlink(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let (handle, name) = decode_entry(arguments)?;
    let changes = decode_changes(arguments)?;
    let target = arguments.opaque(2 * limits::NFS_LINK_TARGET_BYTES_MAX)?;
    arguments.end()?;
    in_directory(context, handle, name, answer, |directory, above| {
        names::check_target(target)?;
        make(directory, above, name, NewFile::Symlink { target }, Changes { mode: None, size: None, ..changes })
    });
    Ok(())
}

/// Devices are refused for everybody: a volume has no use for them, and its host has.
pub fn mknod(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let (handle, name) = decode_entry(arguments)?;
    let kind = arguments.u32()?;
    let (what, changes) = match kind {
        3 | 4 => {
            let changes = decode_changes(arguments)?;
            let _device: specdata3 = arguments.value()?;
            (Err(nfsstat3::NFS3ERR_PERM), changes)
        }
        6 => (Ok(NewFile::Socket), decode_changes(arguments)?),
        7 => (Ok(NewFile::Fifo), decode_changes(arguments)?),
        1 | 2 | 5 => (Err(nfsstat3::NFS3ERR_BADTYPE), Changes::default()),
        _ => return Err(Malformed::Value),
    };
    arguments.end()?;
    in_directory(context, handle, name, answer, |directory, above| make(directory, above, name, what?, changes));
    Ok(())
}

/// Makes something new and gives it what else was asked for.
fn make(directory: &Object, above: &fattr3, name: &[u8], what: NewFile<'_>, wanted: Changes) -> Result<Made, nfsstat3> {
    let caller = &directory.caller;
    caller.need(above, WRITE | EXECUTE)?;
    let inherits = above.mode & SET_GID != 0;
    let mut mode = wanted.mode.unwrap_or(if what == NewFile::Directory { 0o755 } else { 0o644 });
    if inherits && what == NewFile::Directory {
        mode |= SET_GID;
    }
    let gid = if inherits { above.gid } else { caller.gid };
    if !caller.is_root() && !caller.is_member(gid) && what != NewFile::Directory {
        mode &= !SET_GID;
    }
    let ownership = Ownership { mode: directory.export.squash.mode(mode), uid: caller.uid, gid };
    let (id, attributes) = directory.export.backend.create(directory.id, name, what, ownership)?;
    let made = directory.beside(id);
    let attributes = made.present(attributes);
    let rest = Changes {
        mode: None,
        uid: wanted.uid.filter(|uid| *uid != attributes.uid),
        gid: wanted.gid.filter(|gid| *gid != attributes.gid && !inherits),
        size: wanted.size.filter(|size| *size != 0 && what == NewFile::Regular),
        ..wanted
    };
    if rest.is_empty() {
        return Ok((id, attributes));
    }
    // The file is there; an owner that cannot be given does not undo that.
    match apply(&made, &attributes, rest) {
        Err(status) if !matches!(status, nfsstat3::NFS3ERR_PERM) => Err(status),
        _ => Ok((id, made.attributes()?)),
    }
}

/// The common frame: the directory's lock, the name's check, and the answer, which is the same for all four.
fn in_directory(
    context: &mut Context<'_>,
    handle: &[u8],
    name: &[u8],
    answer: &mut Answer,
    make: impl FnOnce(&Object, &fattr3) -> Result<Made, nfsstat3>,
) {
    context.note_name(name);
    let (around, outcome): (Around, _) = context.changing_directory(handle, |directory, above| {
        names::check(name)?;
        let (id, attributes) = make(directory, above)?;
        Ok((directory.beside(id), attributes))
    });
    match outcome {
        Ok((made, attributes)) => {
            answer.ok();
            answer.handle(&context.seal(&made, made.id));
            answer.attributes(Some(&attributes));
        }
        Err(status) => answer.status(status),
    }
    answer.around(&around);
}
