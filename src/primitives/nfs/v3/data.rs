//! READ, WRITE and COMMIT (RFC 1813 sections 3.3.6, 3.3.7 and 3.3.21).

use nfsserve::nfs::nfsstat3;

use super::answer::{Answer, Around};
use super::attributes::need_regular;
use super::object::{Context, Intent, decode_handle};
use super::permission::{READ, SET_GID, SET_UID, WRITE};
use crate::base::limits;
use crate::primitives::nfs::backend::{Changes, Read, Stability, Written};
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

pub fn read(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let (offset, count) = (arguments.u64()?, arguments.u32()?);
    arguments.end()?;
    let mut attributes = None;
    let outcome = context.open(handle, Intent::Read).and_then(|file| {
        let before = file.attributes()?;
        attributes = Some(before);
        need_regular(&before)?;
        file.caller.need_data(&before, READ)?;
        let count = count.min(limits::NFS_TRANSFER_BYTES_MAX);
        file.need_at_hand(&before, offset, count.into())?;
        let read = file.export.backend.read(file.id, offset, count)?;
        attributes = Some(file.present(read.attributes));
        Ok(read)
    });
    answer.status(outcome.as_ref().err().copied().unwrap_or(nfsstat3::NFS3_OK));
    answer.attributes(attributes.as_ref());
    if let Ok(Read { data, end, .. }) = outcome {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        answer.out.u32(length);
        answer.out.bool(end);
        answer.out.u32(length);
        answer.data = data;
    }
    Ok(())
}

pub fn write(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let (offset, count) = (arguments.u64()?, arguments.u32()?);
    let stability = match arguments.u32()? {
        0 => Stability::Unstable,
        1 => Stability::Data,
        2 => Stability::File,
        _ => return Err(Malformed::Value),
    };
    let data = arguments.opaque(limits::NFS_TRANSFER_BYTES_MAX as usize)?;
    arguments.end()?;
    let data = data.get(..count as usize).ok_or(Malformed::Short)?;
    let mut around = Around::default();
    let outcome = context.open(handle, Intent::Change).and_then(|file| {
        let before = file.attributes()?;
        around.after = Some(before);
        need_regular(&before)?;
        file.caller.need_data(&before, WRITE)?;
        if stability != Stability::Unstable || data.len() > limits::NFS_QUICK_WRITE_BYTES_MAX {
            file.patience.may_wait()?;
        }
        // Pages that are written in part are read before.
        file.need_at_hand(&before, offset, data.len() as u64)?;
        let mut written = file.export.backend.write(file.id, offset, data, stability)?;
        if before.mode & (SET_UID | SET_GID) != 0 && !file.caller.is_root() {
            // Whoever can change a program must not be able to run it as its owner.
            let mode = Some(before.mode & 0o7777 & !(SET_UID | SET_GID));
            file.export.backend.set_attributes(file.id, &Changes { mode, ..Changes::default() })?;
            written.after = file.export.backend.attributes(file.id)?;
        }
        around = Around { before: Some(written.before), after: Some(file.present(written.after)) };
        Ok((written, file.export.backend.write_verifier()))
    });
    answer.status(outcome.as_ref().err().copied().unwrap_or(nfsstat3::NFS3_OK));
    answer.around(&around);
    if let Ok((Written { bytes, stability, .. }, verifier)) = outcome {
        answer.out.u32(bytes);
        answer.out.u32(stability as u32);
        answer.out.fixed(&verifier);
    }
    Ok(())
}

/// The whole file is brought to disk, whatever part was asked for.
pub fn commit(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let (_offset, _count) = (arguments.u64()?, arguments.u32()?);
    arguments.end()?;
    let mut around = Around::default();
    let outcome = context.open(handle, Intent::Change).and_then(|file| {
        let before = file.attributes()?;
        around.before = Some(before);
        need_regular(&before)?;
        file.caller.need_data(&before, WRITE)?;
        let outcome = file.export.backend.commit(file.id);
        around.after = file.attributes().ok();
        outcome?;
        Ok(file.export.backend.write_verifier())
    });
    answer.status(outcome.as_ref().err().copied().unwrap_or(nfsstat3::NFS3_OK));
    answer.around(&around);
    if let Ok(verifier) = outcome {
        answer.out.fixed(&verifier);
    }
    Ok(())
}
