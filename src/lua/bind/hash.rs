//! `aegis.hash`.

use sha2::Digest;

use super::hex::show;
use super::json::bounded;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::Fault;

const DATA: Field = Field::required("data", Type::Bytes, "The bytes, at most 16 MiB");
const HASH: Function = Function { params: &[DATA], returns: Type::String, phase: Phase::Any, ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "hash",
    doc: "Fingerprints of bytes, as hex.",
    functions: &[
        Function { name: "blake3", doc: "BLAKE3, 64 hex digits. The quicker one.", call: Call::Sync(blake3), ..HASH },
        Function { name: "sha256", doc: "SHA-256, 64 hex digits.", call: Call::Sync(digest::<sha2::Sha256>), ..HASH },
        Function { name: "sha512", doc: "SHA-512, 128 hex digits.", call: Call::Sync(digest::<sha2::Sha512>), ..HASH },
        Function {
            name: "sha1",
            doc: "SHA-1, 40 hex digits. For what others have fixed; it is broken as a proof.",
            call: Call::Sync(digest::<sha1::Sha1>),
            ..HASH
        },
        Function {
            name: "md5",
            doc: "MD5, 32 hex digits. For what others have fixed; it is broken as a proof.",
            call: Call::Sync(digest::<md5::Md5>),
            ..HASH
        },
    ],
    ..Module::DEFAULT
};

fn blake3(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let data = args.bytes("data").unwrap_or_default();
    bounded(context, data.len())?;
    Ok(Datum::Text(blake3::hash(data).to_hex().to_string()))
}

fn digest<D: Digest>(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let data = args.bytes("data").unwrap_or_default();
    bounded(context, data.len())?;
    Ok(Datum::Text(show(&D::digest(data))))
}
