//! ACCESS (RFC 1813 section 3.3.4): what the mode, the export and the client's address together allow.

use nfsserve::nfs::{fattr3, ftype3};

use super::answer::Answer;
use super::object::{Context, Intent, Object, decode_handle};
use super::permission::{EXECUTE, READ, WRITE};
use crate::primitives::nfs::backend::is_type;
use crate::primitives::nfs::export::Grant;
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

const ACCESS_READ: u32 = 0x01;
const ACCESS_LOOKUP: u32 = 0x02;
const ACCESS_MODIFY: u32 = 0x04;
const ACCESS_EXTEND: u32 = 0x08;
const ACCESS_DELETE: u32 = 0x10;
const ACCESS_EXECUTE: u32 = 0x20;

pub fn access(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let wanted = arguments.u32()?;
    arguments.end()?;
    let peer = context.peer;
    let outcome = context.open(handle, Intent::Read).and_then(|object| {
        let attributes = object.attributes()?;
        Ok((allowed(&object, &attributes, object.export.grant(peer)), attributes))
    });
    match outcome {
        Ok((allowed, attributes)) => {
            answer.ok();
            answer.attributes(Some(&attributes));
            answer.out.u32(allowed & wanted);
        }
        Err(status) => {
            answer.status(status);
            answer.attributes(None);
        }
    }
    Ok(())
}

fn allowed(object: &Object, attributes: &fattr3, grant: Grant) -> u32 {
    let granted = object.caller.granted(attributes);
    let directory = is_type(attributes, ftype3::NF3DIR);
    let mut allowed = 0;
    if granted & READ != 0 {
        allowed |= ACCESS_READ;
    }
    if granted & WRITE != 0 && grant == Grant::Write {
        allowed |= ACCESS_MODIFY | ACCESS_EXTEND;
        if directory && granted & EXECUTE != 0 {
            allowed |= ACCESS_DELETE;
        }
    }
    if granted & EXECUTE != 0 {
        allowed |= if directory { ACCESS_LOOKUP } else { ACCESS_EXECUTE };
    }
    allowed
}
