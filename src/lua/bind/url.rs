//! `aegis.url` (the WHATWG standard, as browsers have it).

use std::collections::BTreeMap;

use super::json::within_bytes;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::{Fault, limits};

const SCALAR: Type = Type::OneOf(&[Type::String, Type::Number, Type::Boolean]);
const PARTS: Record = Record {
    name: "UrlParts",
    doc: "An address, taken apart.",
    fields: &[
        Field::required("href", Type::String, "All of it, as it is written properly"),
        Field::required("scheme", Type::String, "Such as `https`"),
        Field::optional("host", Type::String, "Name or address, in lower case"),
        Field::optional("port", Type::Integer, "The scheme's own where none is written"),
        Field::required("path", Type::String, "With its percent signs"),
        Field::required("query", Type::Map(&Type::String), "Decoded; of a name that is there twice the last"),
        Field::optional("fragment", Type::String, "Behind the `#`"),
        Field::optional("user", Type::String, "Before the host; the password is not shown"),
    ],
};

const TEXT: Field = Field::required("text", Type::String, "The text, at most 16 KiB");
const CODEC: Function = Function { params: &[TEXT], returns: Type::String, phase: Phase::Any, ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "url",
    doc: "Addresses of the web.",
    functions: &[
        Function {
            name: "parse",
            doc: "Takes an address apart.",
            params: &[
                Field::required("url", Type::String, "The address, at most 16 KiB"),
                Field::optional("base", Type::String, "What a relative address is relative to"),
            ],
            returns: Type::Record(&PARTS),
            phase: Phase::Any,
            call: Call::Sync(parse),
            ..Function::DEFAULT
        },
        Function {
            name: "encode",
            doc: "A text as one part of a path or a query: all but letters, digits and `-_.~` with percent signs.",
            call: Call::Sync(encode),
            ..CODEC
        },
        Function { name: "decode", doc: "The text that percent signs stand for.", call: Call::Sync(decode), ..CODEC },
        Function {
            name: "query",
            doc: "A table as a query, sorted by name: `a=1&b=x+y`.",
            params: &[Field::required("values", Type::Map(&SCALAR), "Names and values")],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(query),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn parse(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let (text, base) = (args.need("url")?, args.text("base"));
    within_bytes(context, text.len().max(base.map_or(0, str::len)), limits::HTTP_URL_BYTES_MAX)?;
    let wrong = |what: &str, problem| {
        Fault::new("url.syntax", format!("{}: the {what} cannot be read: {problem}", context.name))
    };
    let url = match base {
        Some(base) => {
            let base = url::Url::parse(base).map_err(|problem| wrong("base", problem))?;
            base.join(text).map_err(|problem| wrong("address", problem))?
        }
        None => url::Url::parse(text).map_err(|problem| wrong("address", problem))?,
    };
    let query: BTreeMap<String, Datum> =
        url.query_pairs().map(|(name, value)| (name.into_owned(), Datum::Text(value.into_owned()))).collect();
    Ok(Datum::record([
        ("href", url.as_str().into()),
        ("scheme", url.scheme().into()),
        ("host", url.host_str().into()),
        ("port", url.port_or_known_default().map(i64::from).into()),
        ("path", url.path().into()),
        ("query", Datum::Map(query)),
        ("fragment", url.fragment().into()),
        ("user", Some(url.username()).filter(|user| !user.is_empty()).into()),
    ]))
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

fn encode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let text = args.need("text")?;
    within_bytes(context, text.len(), limits::HTTP_URL_BYTES_MAX)?;
    let byte = |byte: u8| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Ok(Datum::Text(text.bytes().map(byte).collect()))
}

fn decode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let text = args.need("text")?;
    within_bytes(context, text.len(), limits::HTTP_URL_BYTES_MAX)?;
    let wrong = |problem: &str| Fault::new("url.syntax", format!("{}: {problem}", context.name));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded =
            digits.and_then(super::hex::read).ok_or_else(|| wrong("a percent sign without two hex digits"))?;
        bytes.extend(decoded);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map(Datum::Text).map_err(|_| wrong("what the percent signs stand for is not UTF-8 text"))
}

fn query(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in args.map("values").into_iter().flatten() {
        let value = match value.clone().into_json() {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        written.append_pair(name, &value);
    }
    let text = written.finish();
    within_bytes(context, text.len(), limits::HTTP_URL_BYTES_MAX)?;
    Ok(Datum::Text(text))
}
