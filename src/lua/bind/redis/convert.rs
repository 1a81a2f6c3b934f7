//! Words of a command and values of a reply.

use crate::lua::bind::Datum;
use crate::primitives::redis::Reply;

/// A text or number as the server takes it.
pub fn scalar(datum: &Datum) -> Vec<u8> {
    match datum {
        Datum::Bytes(bytes) => bytes.clone(),
        Datum::Text(text) => text.clone().into_bytes(),
        Datum::Integer(number) => number.to_string().into_bytes(),
        Datum::Number(number) if !number.is_finite() => number.to_string().into_bytes(),
        Datum::Number(number) => crate::lua::bind::args::number(*number).to_string().into_bytes(),
        _ => Vec::new(),
    }
}

pub fn words(list: &[Datum]) -> Vec<Vec<u8>> {
    list.iter().map(scalar).collect()
}

pub fn datum(reply: Reply) -> Datum {
    match reply {
        Reply::Nil => Datum::Null,
        Reply::Bool(flag) => Datum::Bool(flag),
        Reply::Integer(number) => Datum::Integer(number),
        Reply::Double(number) => Datum::Number(number),
        Reply::Bytes(bytes) => Datum::Bytes(bytes),
        Reply::Text(text) => Datum::Text(text),
        Reply::List(items) => Datum::List(items.into_iter().map(datum).collect()),
        Reply::Map(pairs) => {
            Datum::Pairs(pairs.into_iter().map(|(key, value)| (key_bytes(key), datum(value))).collect())
        }
    }
}

/// A key that is no text, which no command of the server's own gives, is shown as one.
fn key_bytes(key: Reply) -> Vec<u8> {
    match key {
        Reply::Bytes(bytes) => bytes,
        Reply::Text(text) => text.into_bytes(),
        Reply::Integer(number) => number.to_string().into_bytes(),
        Reply::Double(number) => number.to_string().into_bytes(),
        Reply::Bool(flag) => flag.to_string().into_bytes(),
        Reply::Nil | Reply::List(_) | Reply::Map(_) => b"?".to_vec(),
    }
}
