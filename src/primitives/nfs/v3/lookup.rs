//! LOOKUP and READLINK (RFC 1813 sections 3.3.3 and 3.3.5).

use nfsserve::nfs::{fattr3, ftype3, nfsstat3};

use super::answer::Answer;
use super::names;
use super::object::{Context, Intent, Object, decode_entry, decode_handle, need_directory};
use super::permission::EXECUTE;
use crate::primitives::nfs::backend::{FileId, is_type};
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

pub fn lookup(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let (handle, name) = decode_entry(arguments)?;
    arguments.end()?;
    context.note_name(name);
    let directory = match context.open(handle, Intent::Read) {
        Ok(directory) => directory,
        Err(status) => {
            answer.status(status);
            answer.attributes(None);
            return Ok(());
        }
    };
    let above = directory.attributes();
    match above.and_then(|above| find(&directory, &above, name)) {
        Ok((id, attributes)) => {
            answer.ok();
            answer.out.opaque(&context.seal(&directory, id));
            answer.attributes(Some(&attributes));
        }
        Err(status) => answer.status(status),
    }
    answer.attributes(above.ok().as_ref());
    Ok(())
}

/// An entry of a directory, if the caller may search it.
pub fn find(directory: &Object, above: &fattr3, name: &[u8]) -> Result<(FileId, fattr3), nfsstat3> {
    need_directory(above)?;
    names::check_lookup(name)?;
    directory.caller.need(above, EXECUTE)?;
    let backend = &directory.export.backend;
    let (id, attributes) = match name {
        b"." => (directory.id, backend.attributes(directory.id)?),
        b".." => {
            let id = backend.parent(directory.id)?;
            (id, backend.attributes(id)?)
        }
        _ => directory.lookup(name)?,
    };
    Ok((id, directory.present(attributes)))
}

pub fn readlink(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    arguments.end()?;
    let link = context.open(handle, Intent::Read);
    let attributes = link.as_ref().ok().and_then(|link| link.attributes().ok());
    let target = link.and_then(|link| {
        if attributes.is_some_and(|attributes| !is_type(&attributes, ftype3::NF3LNK)) {
            return Err(nfsstat3::NFS3ERR_INVAL);
        }
        link.export.backend.read_link(link.id)
    });
    answer.status(target.as_ref().err().copied().unwrap_or(nfsstat3::NFS3_OK));
    answer.attributes(attributes.as_ref());
    if let Ok(target) = target {
        answer.out.opaque(&target);
    }
    Ok(())
}
