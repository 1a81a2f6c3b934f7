//! REMOVE, RMDIR, RENAME and LINK (RFC 1813 sections 3.3.12 to 3.3.15).

use nfsserve::nfs::{fattr3, ftype3, nfsstat3};

use super::answer::{Answer, Around};
use super::lookup::find;
use super::names;
use super::object::{Context, Intent, Object, decode_entry, decode_handle, need_directory};
use super::permission::{EXECUTE, WRITE};
use crate::primitives::nfs::backend::is_type;
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

pub fn remove(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    unlink(context, arguments, answer, |directory, file, name| {
        if is_type(file, ftype3::NF3DIR) {
            return Err(nfsstat3::NFS3ERR_ISDIR);
        }
        directory.export.backend.remove(directory.id, name)
    })
}

pub fn rmdir(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    unlink(context, arguments, answer, |directory, file, name| {
        need_directory(file)?;
        directory.export.backend.remove_directory(directory.id, name)
    })
}

fn unlink(
    context: &mut Context<'_>,
    arguments: &mut Decoder<'_>,
    answer: &mut Answer,
    unlink: impl FnOnce(&Object, &fattr3, &[u8]) -> Result<(), nfsstat3>,
) -> Result<(), Malformed> {
    let (handle, name) = decode_entry(arguments)?;
    arguments.end()?;
    context.note_name(name);
    let (around, outcome) = context.changing_directory(handle, |directory, above| {
        names::check(name)?;
        directory.caller.need(above, WRITE | EXECUTE)?;
        let (_, file) = find(directory, above, name)?;
        directory.caller.need_unstuck(above, &file)?;
        unlink(directory, &file, name)
    });
    answer.status(outcome.err().unwrap_or(nfsstat3::NFS3_OK));
    answer.around(&around);
    Ok(())
}

pub fn rename(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let (from_handle, from_name) = decode_entry(arguments)?;
    let (to_handle, to_name) = decode_entry(arguments)?;
    arguments.end()?;
    context.note_name(from_name);
    let mut to_around = Around::default();
    let to = context.open(to_handle, Intent::Change);
    let (from_around, outcome) = context.changing_directory(from_handle, |from, from_above| {
        let to = to?;
        // One lock for each export: two are never held.
        if to.export.tag != from.export.tag {
            return Err(nfsstat3::NFS3ERR_XDEV);
        }
        let to_above = to.attributes()?;
        to_around.before = Some(to_above);
        let outcome = move_entry((from, from_above, from_name), (&to, &to_above, to_name));
        to_around.after = to.attributes().ok();
        outcome
    });
    answer.status(outcome.err().unwrap_or(nfsstat3::NFS3_OK));
    answer.around(&from_around);
    answer.around(&to_around);
    Ok(())
}

type Place<'a> = (&'a Object, &'a fattr3, &'a [u8]);

fn move_entry((from, from_above, from_name): Place<'_>, (to, to_above, to_name): Place<'_>) -> Result<(), nfsstat3> {
    need_directory(to_above)?;
    names::check(from_name)?;
    names::check(to_name)?;
    for (directory, above) in [(from, from_above), (to, to_above)] {
        directory.caller.need(above, WRITE | EXECUTE)?;
    }
    let (id, file) = find(from, from_above, from_name)?;
    from.caller.need_unstuck(from_above, &file)?;
    let directory = is_type(&file, ftype3::NF3DIR);
    if directory && from.id != to.id {
        // Its `..` changes.
        from.caller.need(&file, WRITE)?;
    }
    match find(to, to_above, to_name) {
        // Two names of one file: nothing happens (RFC 1813 section 3.3.14).
        Ok((there, _)) if there == id => return Ok(()),
        Ok((_, there)) => {
            to.caller.need_unstuck(to_above, &there)?;
            match (directory, is_type(&there, ftype3::NF3DIR)) {
                (true, false) => return Err(nfsstat3::NFS3ERR_NOTDIR),
                (false, true) => return Err(nfsstat3::NFS3ERR_ISDIR),
                _ => {}
            }
        }
        Err(nfsstat3::NFS3ERR_NOENT) => {}
        Err(status) => return Err(status),
    }
    from.export.backend.rename(from.id, from_name, to.id, to_name)
}

pub fn link(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let (directory_handle, name) = decode_entry(arguments)?;
    arguments.end()?;
    context.note_name(name);
    let file = context.open(handle, Intent::Change);
    let mut attributes = file.as_ref().ok().and_then(|file| file.attributes().ok());
    let (around, outcome) = context.changing_directory(directory_handle, |directory, above| {
        let file = file?;
        if file.export.tag != directory.export.tag {
            return Err(nfsstat3::NFS3ERR_XDEV);
        }
        names::check(name)?;
        directory.caller.need(above, WRITE | EXECUTE)?;
        if is_type(&file.attributes()?, ftype3::NF3DIR) {
            return Err(nfsstat3::NFS3ERR_PERM);
        }
        let outcome = directory.export.backend.link(file.id, directory.id, name);
        attributes = file.attributes().ok();
        outcome
    });
    answer.status(outcome.err().unwrap_or(nfsstat3::NFS3_OK));
    answer.attributes(attributes.as_ref());
    answer.around(&around);
    Ok(())
}
