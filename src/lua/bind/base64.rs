//! `aegis.base64` (RFC 4648).

use base64::Engine;
use base64::engine::DecodePaddingMode::Indifferent;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::json::bounded;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::Fault;

const ENCODE: Record = Record {
    name: "Base64Encode",
    doc: "Which alphabet.",
    fields: &[Field::optional("url", Type::Boolean, "The alphabet for addresses, without padding")],
};

pub const MODULE: Module = Module {
    name: "base64",
    doc: "Bytes as text.",
    functions: &[
        Function {
            name: "encode",
            doc: "Bytes as Base64.",
            params: &[
                Field::required("data", Type::Bytes, "The bytes, at most 16 MiB"),
                Field::optional("options", Type::Record(&ENCODE), "Which alphabet"),
            ],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(encode),
            ..Function::DEFAULT
        },
        Function {
            name: "decode",
            doc: "Base64 of either alphabet, with or without padding, as bytes.",
            params: &[Field::required("text", Type::String, "The text, at most 16 MiB")],
            returns: Type::Bytes,
            phase: Phase::Any,
            call: Call::Sync(decode),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn encode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let data = args.bytes("data").unwrap_or_default();
    bounded(context, data.len())?;
    let url = args.record("options").flag("url");
    Ok(Datum::Text(if url { BASE64_URL_SAFE_NO_PAD.encode(data) } else { BASE64_STANDARD.encode(data) }))
}

fn decode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let text = args.need("text")?.trim();
    bounded(context, text.len())?;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent);
    let alphabet = if text.contains(['-', '_']) { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
    GeneralPurpose::new(alphabet, config)
        .decode(text)
        .map(Datum::Bytes)
        .map_err(|problem| Fault::new("base64.syntax", format!("{}: not Base64: {problem}", context.name)))
}
