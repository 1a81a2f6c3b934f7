//! From PostgreSQL's binary format to cells.

use std::net::{Ipv4Addr, Ipv6Addr};

use sqlx::postgres::{PgTypeInfo, PgTypeKind, PgValueFormat, PgValueRef};
use sqlx::{TypeInfo, ValueRef};

use super::super::cell::Cell;
use super::{arrays, moments, numeric};

pub fn cell(value: &PgValueRef<'_>) -> Result<Cell, String> {
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let bytes = value.as_bytes().map_err(|problem| format!("cannot be read: {problem}"))?;
    if value.format() == PgValueFormat::Text {
        return text(bytes);
    }
    of_type(&value.type_info(), bytes)
}

fn of_type(info: &PgTypeInfo, bytes: &[u8]) -> Result<Cell, String> {
    match info.kind() {
        PgTypeKind::Array(element) => return arrays::read(bytes, &|bytes| of_type(element, bytes)),
        PgTypeKind::Domain(base) => return of_type(base, bytes),
        PgTypeKind::Enum(_) => return text(bytes),
        _ => {}
    }
    let name = info.name();
    simple(name, bytes).unwrap_or_else(|| {
        let name = name.to_lowercase();
        Err(format!("is of the type {name}, which scripts have no value for: select it as text, with ::text"))
    })
}

/// None for a type that is not known; an error for a value that is not of its type.
fn simple(name: &str, bytes: &[u8]) -> Option<Result<Cell, String>> {
    let found = match name {
        "BOOL" => fixed(bytes).map(|[byte]: [u8; 1]| Cell::Bool(byte != 0)),
        "INT2" => fixed(bytes).map(|bytes| Cell::Integer(i16::from_be_bytes(bytes).into())),
        "INT4" => fixed(bytes).map(|bytes| Cell::Integer(i32::from_be_bytes(bytes).into())),
        "INT8" => fixed(bytes).map(|bytes| Cell::Integer(i64::from_be_bytes(bytes))),
        "OID" | "regclass" | "regtype" | "regproc" | "xid" | "cid" => {
            fixed(bytes).map(|bytes| Cell::Integer(u32::from_be_bytes(bytes).into()))
        }
        // The shortest text that means the number: as a double it would grow digits.
        "FLOAT4" => fixed(bytes).and_then(|bytes| f32::from_be_bytes(bytes).to_string().parse().ok()).map(Cell::Number),
        "FLOAT8" => fixed(bytes).map(|bytes| Cell::Number(f64::from_be_bytes(bytes))),
        "NUMERIC" => numeric::to_text(bytes).map(Cell::Text),
        "TEXT" | "VARCHAR" | "CHAR" | "\"CHAR\"" | "NAME" | "UNKNOWN" | "citext" | "xml" => return Some(text(bytes)),
        "UUID" => uuid::Uuid::from_slice(bytes).ok().map(|uuid| Cell::Text(uuid.to_string())),
        "JSON" => serde_json::from_slice(bytes).ok().map(Cell::Json),
        // A version goes before it.
        "JSONB" => bytes.get(1..).and_then(|bytes| serde_json::from_slice(bytes).ok()).map(Cell::Json),
        "JSONPATH" => return Some(text(bytes.get(1..).unwrap_or_default())),
        "BYTEA" => Some(Cell::Bytes(bytes.to_vec())),
        "DATE" => fixed(bytes).and_then(|bytes| moments::date(i32::from_be_bytes(bytes))).map(Cell::Text),
        "TIME" => fixed(bytes).and_then(|bytes| moments::time(i64::from_be_bytes(bytes))).map(Cell::Text),
        "TIMETZ" => split(bytes)
            .and_then(|(micros, zone): ([u8; 8], [u8; 4])| {
                moments::timetz(i64::from_be_bytes(micros), i32::from_be_bytes(zone))
            })
            .map(Cell::Text),
        "TIMESTAMP" => fixed(bytes).and_then(|bytes| moments::timestamp(i64::from_be_bytes(bytes))).map(Cell::Text),
        "TIMESTAMPTZ" => fixed(bytes).and_then(|bytes| moments::timestamptz(i64::from_be_bytes(bytes))).map(Cell::Text),
        "INTERVAL" => split(bytes)
            .and_then(|(micros, rest): ([u8; 8], [u8; 8])| {
                let (days, months) = split::<4, 4>(&rest)?;
                moments::interval(i32::from_be_bytes(months), i32::from_be_bytes(days), i64::from_be_bytes(micros))
            })
            .map(Cell::Text),
        "INET" => address(bytes, false).map(Cell::Text),
        "CIDR" => address(bytes, true).map(Cell::Text),
        "VOID" => Some(Cell::Null),
        _ => return None,
    };
    Some(found.ok_or_else(|| "holds a value that scripts have no form for: select it as text, with ::text".to_owned()))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn split<const A: usize, const B: usize>(bytes: &[u8]) -> Option<([u8; A], [u8; B])> {
    let (first, second) = bytes.split_at_checked(A)?;
    Some((fixed(first)?, fixed(second)?))
}

/// Text that is not UTF-8 (a database with another encoding would have been converted) stays bytes.
fn text(bytes: &[u8]) -> Result<Cell, String> {
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => Cell::Text(text.to_owned()),
        Err(_) => Cell::Bytes(bytes.to_vec()),
    })
}

/// Family, prefix, whether it is a network, length, address.
fn address(bytes: &[u8], is_network: bool) -> Option<String> {
    let (&[_family, prefix, _is_cidr, _length], address) = bytes.split_first_chunk::<4>()?;
    let (text, full) = match address.len() {
        4 => (Ipv4Addr::from(fixed::<4>(address)?).to_string(), 32),
        16 => (Ipv6Addr::from(fixed::<16>(address)?).to_string(), 128),
        _ => return None,
    };
    Some(if is_network || prefix < full { format!("{text}/{prefix}") } else { text })
}
