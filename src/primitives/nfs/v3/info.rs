//! FSSTAT, FSINFO and PATHCONF (RFC 1813 sections 3.3.18 to 3.3.20).

use nfsserve::nfs::{
    FSF_CANSETTIME, FSF_HOMOGENEOUS, FSF_LINK, FSF_SYMLINK, fattr3, fsinfo3, nfsstat3, nfstime3, post_op_attr,
};

use super::answer::Answer;
use super::object::{Context, Intent, Object, decode_handle};
use crate::base::limits;
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

/// The largest offset that Linux has.
const FILE_BYTES_MAX: u64 = i64::MAX as u64;
/// Links that a file may have on the least of the common file systems.
const LINKS_MAX: u32 = 65_000;

pub fn fsstat(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let Some((object, attributes)) = open(context, arguments, answer)? else { return Ok(()) };
    match object.export.backend.space() {
        Ok(space) => {
            answer.ok();
            answer.attributes(Some(&attributes));
            answer.out.u64(space.total_bytes);
            answer.out.u64(space.free_bytes);
            answer.out.u64(space.free_bytes);
            answer.out.u64(space.total_files);
            answer.out.u64(space.free_files);
            answer.out.u64(space.free_files);
            // How long all this will stay true: nobody knows.
            answer.out.u32(0);
        }
        Err(status) => {
            answer.status(status);
            answer.attributes(Some(&attributes));
        }
    }
    Ok(())
}

pub fn fsinfo(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let Some((_, attributes)) = open(context, arguments, answer)? else { return Ok(()) };
    answer.ok();
    answer.out.value(&fsinfo3 {
        obj_attributes: post_op_attr::attributes(attributes),
        rtmax: limits::NFS_TRANSFER_BYTES_MAX,
        rtpref: limits::NFS_TRANSFER_BYTES_MAX,
        rtmult: 4096,
        wtmax: limits::NFS_TRANSFER_BYTES_MAX,
        wtpref: limits::NFS_TRANSFER_BYTES_MAX,
        wtmult: 4096,
        dtpref: limits::NFS_LISTING_BYTES_MAX,
        maxfilesize: FILE_BYTES_MAX,
        time_delta: nfstime3 { seconds: 0, nseconds: 1 },
        properties: FSF_LINK | FSF_SYMLINK | FSF_HOMOGENEOUS | FSF_CANSETTIME,
    });
    Ok(())
}

pub fn pathconf(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let Some((_, attributes)) = open(context, arguments, answer)? else { return Ok(()) };
    answer.ok();
    answer.attributes(Some(&attributes));
    answer.out.u32(LINKS_MAX);
    answer.out.u32(limits::NFS_NAME_BYTES_MAX as u32);
    // Names that are too long are refused, not cut.
    answer.out.bool(true);
    // Only root gives files away.
    answer.out.bool(true);
    // Case matters and is kept.
    answer.out.bool(false);
    answer.out.bool(true);
    Ok(())
}

/// The file that all three are asked about. When it cannot be had, the answer says so and there is nothing to do.
fn open(
    context: &mut Context<'_>,
    arguments: &mut Decoder<'_>,
    answer: &mut Answer,
) -> Result<Option<(Object, fattr3)>, Malformed> {
    let handle = decode_handle(arguments)?;
    arguments.end()?;
    let opened: Result<_, nfsstat3> = context.open(handle, Intent::Read).and_then(|object| {
        let attributes = object.attributes()?;
        Ok((object, attributes))
    });
    Ok(opened
        .map_err(|status| {
            answer.status(status);
            answer.attributes(None);
        })
        .ok())
}
