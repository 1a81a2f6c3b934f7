//! `aegis.hex`.

use super::json::bounded;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Type};
use crate::base::Fault;

pub const MODULE: Module = Module {
    name: "hex",
    doc: "Bytes as hexadecimal digits.",
    functions: &[
        Function {
            name: "encode",
            doc: "Bytes as hex, in lower case.",
            params: &[Field::required("data", Type::Bytes, "The bytes, at most 16 MiB")],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(encode),
            ..Function::DEFAULT
        },
        Function {
            name: "decode",
            doc: "Hex of either case as bytes.",
            params: &[Field::required("text", Type::String, "The digits, at most 16 MiB")],
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
    Ok(Datum::Text(show(data)))
}

fn decode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let text = args.need("text")?;
    bounded(context, text.len())?;
    read(text)
        .map(Datum::Bytes)
        .ok_or_else(|| Fault::new("hex.syntax", format!("{}: not an even number of hex digits", context.name)))
}

pub fn show(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

pub fn read(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
