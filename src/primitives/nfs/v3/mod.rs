//! NFS version 3 (RFC 1813): one file for each family of procedures, in the order of its section 3.3.

mod access;
pub mod answer;
mod attributes;
mod create;
mod data;
pub mod handle;
mod info;
mod list;
mod lookup;
pub mod names;
pub mod object;
pub mod permission;
pub mod procedure;
mod remove;

use answer::Answer;
use object::Context;
use procedure::Procedure;

use super::wire::xdr::{Decoder, Malformed};

pub const PROGRAM: u32 = 100_003;
pub const VERSION: u32 = 3;

/// Executes a call. [`Malformed`] when its arguments are not what the procedure takes; every other failure is in the
/// answer.
pub fn execute(
    procedure: Procedure,
    context: &mut Context<'_>,
    arguments: &[u8],
    answer: &mut Answer,
) -> Result<(), Malformed> {
    let mut arguments = Decoder::new(arguments);
    let run = match procedure {
        Procedure::Null => return arguments.end(),
        Procedure::Getattr => attributes::getattr,
        Procedure::Setattr => attributes::setattr,
        Procedure::Lookup => lookup::lookup,
        Procedure::Access => access::access,
        Procedure::Readlink => lookup::readlink,
        Procedure::Read => data::read,
        Procedure::Write => data::write,
        Procedure::Create => create::create,
        Procedure::Mkdir => create::mkdir,
        Procedure::Symlink => create::symlink,
        Procedure::Mknod => create::mknod,
        Procedure::Remove => remove::remove,
        Procedure::Rmdir => remove::rmdir,
        Procedure::Rename => remove::rename,
        Procedure::Link => remove::link,
        Procedure::Readdir => list::readdir,
        Procedure::Readdirplus => list::readdirplus,
        Procedure::Fsstat => info::fsstat,
        Procedure::Fsinfo => info::fsinfo,
        Procedure::Pathconf => info::pathconf,
        Procedure::Commit => data::commit,
    };
    run(context, &mut arguments, answer)
}
