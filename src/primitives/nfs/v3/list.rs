//! READDIR and READDIRPLUS (RFC 1813 sections 3.3.16 and 3.3.17).
//!
//! Cookies belong to names and stay with them, over changes of the directory and restarts of the daemon. So there is
//! nothing for the verifier to verify: it is zero, and any is taken.

use nfsserve::nfs::{fattr3, nfsstat3};

use super::answer::Answer;
use super::object::{Context, Intent, Object, decode_handle, need_directory};
use super::permission::READ;
use crate::base::limits;
use crate::primitives::nfs::backend::{Entry, Listing};
use crate::primitives::nfs::wire::xdr::{Decoder, Malformed};

const COOKIE_SELF: u64 = 1;
const COOKIE_PARENT: u64 = 2;
const VERIFIER: [u8; 8] = [0; 8];
/// An entry less its name: whether it follows, number, length of the name, cookie.
const ENTRY_BYTES: usize = 4 + 8 + 4 + 8;
/// Its attributes and its handle in READDIRPLUS.
const ENTRY_PLUS_BYTES: usize = 4 + 84 + 4 + 4 + 52;
/// Status, attributes, verifier, and what ends the list.
const FRAME_BYTES: usize = 4 + 88 + 8 + 8;

pub fn readdir(context: &mut Context<'_>, arguments: &mut Decoder<'_>, answer: &mut Answer) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let (cookie, _verifier) = (arguments.u64()?, arguments.fixed::<8>()?);
    let count = arguments.u32()?;
    arguments.end()?;
    list(context, answer, handle, &Wanted { cookie, names: u32::MAX, bytes: count, plus: false });
    Ok(())
}

pub fn readdirplus(
    context: &mut Context<'_>,
    arguments: &mut Decoder<'_>,
    answer: &mut Answer,
) -> Result<(), Malformed> {
    let handle = decode_handle(arguments)?;
    let (cookie, _verifier) = (arguments.u64()?, arguments.fixed::<8>()?);
    let (names, bytes) = (arguments.u32()?, arguments.u32()?);
    arguments.end()?;
    list(context, answer, handle, &Wanted { cookie, names, bytes, plus: true });
    Ok(())
}

struct Wanted {
    /// The last entry that the client has.
    cookie: u64,
    /// Of names, numbers and cookies.
    names: u32,
    /// Of the whole result.
    bytes: u32,
    plus: bool,
}

impl Wanted {
    fn bytes(&self) -> usize {
        self.bytes.min(limits::NFS_LISTING_BYTES_MAX) as usize
    }
}

fn list(context: &mut Context<'_>, answer: &mut Answer, handle: &[u8], wanted: &Wanted) {
    let mut attributes = None;
    let found = context.open(handle, Intent::Read).and_then(|directory| {
        let above = directory.attributes()?;
        attributes = Some(above);
        need_directory(&above)?;
        directory.caller.need(&above, READ)?;
        let listing = entries(&directory, wanted)?;
        Ok((directory, listing))
    });
    let start = answer.out.written();
    let outcome = found.and_then(|(directory, listing)| {
        answer.ok();
        answer.attributes(attributes.as_ref());
        answer.out.fixed(&VERIFIER);
        put_all(context, answer, &directory, &listing, wanted)
    });
    if let Err(status) = outcome {
        answer.out.truncate(start);
        answer.status(status);
        answer.attributes(attributes.as_ref());
    }
}

/// What follows the cookie, `.` and `..` first.
fn entries(directory: &Object, wanted: &Wanted) -> Result<Listing, nfsstat3> {
    let backend = &directory.export.backend;
    // The shortest names there are.
    let entries_max = wanted.bytes() / (ENTRY_BYTES + 4 + if wanted.plus { ENTRY_PLUS_BYTES } else { 0 }) + 1;
    let mut listing = backend.list(directory.id, wanted.cookie.max(COOKIE_PARENT), entries_max)?;
    let mut first = Vec::new();
    if wanted.cookie < COOKIE_SELF {
        first.push(Entry { cookie: COOKIE_SELF, name: b".".to_vec(), id: directory.id });
    }
    if wanted.cookie < COOKIE_PARENT {
        first.push(Entry { cookie: COOKIE_PARENT, name: b"..".to_vec(), id: backend.parent(directory.id)? });
    }
    listing.entries.splice(0..0, first);
    Ok(listing)
}

fn put_all(
    context: &Context<'_>,
    answer: &mut Answer,
    directory: &Object,
    listing: &Listing,
    wanted: &Wanted,
) -> Result<(), nfsstat3> {
    let (mut bytes, mut names, mut put_any, mut end) = (FRAME_BYTES, 0, false, listing.end);
    for entry in &listing.entries {
        let attributes = if wanted.plus { seen(directory, entry) } else { None };
        let short = ENTRY_BYTES + entry.name.len().next_multiple_of(4);
        let plus = if wanted.plus { ENTRY_PLUS_BYTES } else { 0 };
        if bytes + short + plus > wanted.bytes() || (put_any && names + short > wanted.names as usize) {
            end = false;
            break;
        }
        (bytes, names, put_any) = (bytes + short + plus, names + short, true);
        put(context, answer, directory, entry, wanted.plus.then_some(attributes));
    }
    if !put_any && !listing.entries.is_empty() {
        return Err(nfsstat3::NFS3ERR_TOOSMALL);
    }
    answer.out.bool(false);
    answer.out.bool(end);
    Ok(())
}

/// What READDIRPLUS tells of an entry beside its name; nothing of one that is gone by now.
fn seen(directory: &Object, entry: &Entry) -> Option<fattr3> {
    directory.beside(entry.id).attributes().ok()
}

fn put(context: &Context<'_>, answer: &mut Answer, directory: &Object, entry: &Entry, plus: Option<Option<fattr3>>) {
    answer.out.bool(true);
    answer.out.u64(entry.id.number);
    answer.out.opaque(&entry.name);
    answer.out.u64(entry.cookie);
    match plus {
        None => {}
        Some(Some(attributes)) => {
            answer.attributes(Some(&attributes));
            answer.handle(&context.seal(directory, entry.id));
        }
        Some(None) => {
            answer.attributes(None);
            answer.out.bool(false);
        }
    }
}
