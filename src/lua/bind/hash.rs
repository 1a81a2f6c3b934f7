//! `aegis.hash`.

use sha2::Digest;

use super::json::bounded;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::Fault;

const DATA: Field = Field::required("data", Type::Bytes, "The bytes, at most 16 MiB");

pub const MODULE: Module = Module {
    name: "hash",
    doc: "Fingerprints of bytes, as hex.",
    functions: &[
        Function {
            name: "blake3",
            doc: "BLAKE3, 64 hex digits. The quicker one.",
            params: &[DATA],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(blake3),
            ..Function::DEFAULT
        },
        Function {
            name: "sha256",
            doc: "SHA-256, 64 hex digits.",
            params: &[DATA],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(sha256),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn blake3(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let data = args.bytes("data").unwrap_or_default();
    bounded(context, data.len())?;
    Ok(Datum::Text(blake3::hash(data).to_hex().to_string()))
}

fn sha256(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let data = args.bytes("data").unwrap_or_default();
    bounded(context, data.len())?;
    Ok(Datum::Text(sha2::Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()))
}
