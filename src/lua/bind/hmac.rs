//! `aegis.hmac` (RFC 2104).

use hmac::{Hmac, KeyInit, Mac};

use super::hex::{read, show};
use super::json::bounded;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::Fault;

const KEY: Field = Field::required("key", Type::OneOf(&[Type::Bytes, Type::Secret]), "The key");
const DATA: Field = Field::required("data", Type::Bytes, "The bytes, at most 16 MiB");
const ALGORITHMS: &[&str] = &["sha256", "sha512", "sha1"];
const SIGN: Function = Function { params: &[KEY, DATA], returns: Type::String, phase: Phase::Any, ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "hmac",
    doc: "Signatures of bytes with a shared key, as hex.",
    functions: &[
        Function { name: "sha256", doc: "HMAC-SHA-256.", call: Call::Sync(|c, a| sign(c, a, "sha256")), ..SIGN },
        Function { name: "sha512", doc: "HMAC-SHA-512.", call: Call::Sync(|c, a| sign(c, a, "sha512")), ..SIGN },
        Function {
            name: "sha1",
            doc: "HMAC-SHA-1, for what others have fixed.",
            call: Call::Sync(|c, a| sign(c, a, "sha1")),
            ..SIGN
        },
        Function {
            name: "verify",
            doc: "Whether a signature is right, in a time that tells nothing about it.",
            params: &[
                Field::required("algorithm", Type::Choice(ALGORITHMS), "Which"),
                KEY,
                DATA,
                Field::required("signature", Type::String, "As hex, of either case"),
            ],
            returns: Type::Boolean,
            phase: Phase::Any,
            call: Call::Sync(verify),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

/// The signature, and whether `given` is the same.
fn mac<M: Mac + KeyInit + Clone>(key: &[u8], data: &[u8], given: &[u8]) -> (Vec<u8>, bool) {
    // A key of any length is a key.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return (Vec::new(), false) };
    mac.update(data);
    let is_same = mac.clone().verify_slice(given).is_ok();
    (mac.finalize().into_bytes().to_vec(), is_same)
}

fn by_name(algorithm: &str, key: &[u8], data: &[u8], given: &[u8]) -> (Vec<u8>, bool) {
    match algorithm {
        "sha512" => mac::<Hmac<sha2::Sha512>>(key, data, given),
        "sha1" => mac::<Hmac<sha1::Sha1>>(key, data, given),
        _ => mac::<Hmac<sha2::Sha256>>(key, data, given),
    }
}

fn sign(context: &CallContext, args: &Args, algorithm: &str) -> Result<Datum, Fault> {
    let (key, data) = (args.bytes("key").unwrap_or_default(), args.bytes("data").unwrap_or_default());
    bounded(context, key.len().max(data.len()))?;
    Ok(Datum::Text(show(&by_name(algorithm, key, data, &[]).0)))
}

fn verify(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let (key, data) = (args.bytes("key").unwrap_or_default(), args.bytes("data").unwrap_or_default());
    bounded(context, key.len().max(data.len()))?;
    let Some(given) = read(args.need("signature")?.trim()) else { return Ok(Datum::Bool(false)) };
    Ok(Datum::Bool(by_name(args.need("algorithm")?, key, data, &given).1))
}
