//! From cells to PostgreSQL's binary format, by the type that a parameter has in its statement.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind};
use sqlx::{Encode, Postgres, Type, TypeInfo};

use super::super::cell::Cell;
use super::{arrays, moments, numeric};

/// A value as PostgreSQL wants it; None is null.
#[derive(Debug, Clone)]
pub struct Parameter {
    bytes: Option<Vec<u8>>,
    info: PgTypeInfo,
}

impl Parameter {
    /// The problem is a phrase that says what was wanted instead.
    pub fn new(info: &PgTypeInfo, cell: &Cell) -> Result<Self, String> {
        let bytes = match cell {
            // A json parameter has its own null, which is another one than the database's: that one is meant.
            Cell::Null => None,
            cell => Some(bytes(info, cell)?),
        };
        Ok(Self { bytes, info: info.clone() })
    }
}

impl Type<Postgres> for Parameter {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("text")
    }
}

impl Encode<'_, Postgres> for Parameter {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.bytes {
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.info.clone())
    }
}

fn bytes(info: &PgTypeInfo, cell: &Cell) -> Result<Vec<u8>, String> {
    match info.kind() {
        PgTypeKind::Array(element) => return array(info, element, cell),
        PgTypeKind::Domain(base) => return bytes(base, cell),
        PgTypeKind::Enum(values) => {
            let found = text(cell).filter(|text| values.iter().any(|value| value == text));
            let wanted = || format!("{} takes one of {}", info.name(), values.join(", "));
            return found.map(String::into_bytes).ok_or_else(wanted);
        }
        _ => {}
    }
    let name = info.name();
    match simple(name, cell) {
        Some(Some(bytes)) => Ok(bytes),
        Some(None) => Err(format!("{} is wanted", wanted(name))),
        None => {
            let name = name.to_lowercase();
            Err(format!("{name} cannot be bound: write $N::text::{name} in the statement and give text"))
        }
    }
}

fn array(info: &PgTypeInfo, element: &PgTypeInfo, cell: &Cell) -> Result<Vec<u8>, String> {
    let Cell::List(list) = nested(cell) else {
        return Err(format!("a list is wanted for {}", info.name().to_lowercase()));
    };
    let oid = element.oid().ok_or("the type of the elements is not known")?.0;
    arrays::write(&list, oid, &|cell| bytes(element, cell))
}

/// JSON lists as lists of cells.
fn nested(cell: &Cell) -> Cell {
    match cell {
        Cell::Json(serde_json::Value::Array(values)) => {
            Cell::List(values.iter().map(|value| nested(&Cell::of_json(value))).collect())
        }
        Cell::Json(serde_json::Value::Object(values)) if values.is_empty() => Cell::List(Vec::new()),
        other => other.clone(),
    }
}

/// None for a type that is not known, `Some(None)` for a value that does not fit.
fn simple(name: &str, cell: &Cell) -> Option<Option<Vec<u8>>> {
    let parsed =
        |read: fn(&str) -> Option<i64>| text(cell).and_then(|text| read(&text)).map(|n| n.to_be_bytes().to_vec());
    Some(match name {
        "BOOL" => match cell {
            Cell::Bool(value) => Some(vec![u8::from(*value)]),
            _ => None,
        },
        "INT2" => whole(cell).and_then(|n| i16::try_from(n).ok()).map(|n| n.to_be_bytes().to_vec()),
        "INT4" => whole(cell).and_then(|n| i32::try_from(n).ok()).map(|n| n.to_be_bytes().to_vec()),
        "INT8" => whole(cell).map(|n| n.to_be_bytes().to_vec()),
        "OID" => whole(cell).and_then(|n| u32::try_from(n).ok()).map(|n| n.to_be_bytes().to_vec()),
        "FLOAT4" => float(cell).map(|n| (n as f32).to_be_bytes().to_vec()),
        "FLOAT8" => float(cell).map(|n| n.to_be_bytes().to_vec()),
        "NUMERIC" => text(cell).and_then(|text| numeric::from_text(&text)),
        "TEXT" | "VARCHAR" | "CHAR" | "\"CHAR\"" | "NAME" | "UNKNOWN" | "citext" | "xml" => {
            text(cell).map(String::into_bytes)
        }
        "UUID" => text(cell).and_then(|text| uuid::Uuid::try_parse(&text).ok()).map(|uuid| uuid.as_bytes().to_vec()),
        "JSON" => json(cell),
        "JSONB" => json(cell).map(|json| [vec![1], json].concat()),
        "BYTEA" => match cell {
            Cell::Bytes(bytes) => Some(bytes.clone()),
            Cell::Text(text) => Some(text.clone().into_bytes()),
            _ => None,
        },
        "DATE" => text(cell).and_then(|text| moments::read_date(&text)).map(|days| days.to_be_bytes().to_vec()),
        "TIME" => parsed(moments::read_time),
        "TIMESTAMP" => parsed(moments::read_timestamp),
        "TIMESTAMPTZ" => parsed(moments::read_timestamptz),
        _ => return None,
    })
}

fn wanted(name: &str) -> String {
    match name {
        "BOOL" => "a boolean".into(),
        "INT2" | "INT4" | "INT8" | "OID" => format!("a whole number within {}", name.to_lowercase()),
        "FLOAT4" | "FLOAT8" => "a number".into(),
        "NUMERIC" => "a decimal number, as text such as \"12.50\" or a number,".into(),
        "UUID" => "text such as \"67e55044-10b1-426f-9247-bb680e5fe0c8\"".into(),
        "JSON" | "JSONB" => "a value that JSON can hold".into(),
        "BYTEA" => "a string or a buffer".into(),
        "DATE" => "text such as \"2027-01-31\"".into(),
        "TIME" => "text such as \"13:45:00\"".into(),
        "TIMESTAMP" => "text such as \"2027-01-31T13:45:00\"".into(),
        "TIMESTAMPTZ" => "text such as \"2027-01-31T13:45:00Z\"".into(),
        _ => "text".into(),
    }
}

fn whole(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Integer(number) => Some(*number),
        Cell::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Integer(number) => Some(*number as f64),
        Cell::Number(number) => Some(*number),
        Cell::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// Numbers are text as well: nobody should have to convert an id for a text column by hand.
fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn json(cell: &Cell) -> Option<Vec<u8>> {
    let value = match cell {
        Cell::Json(value) => value.clone(),
        Cell::Text(text) => text.clone().into(),
        Cell::Integer(number) => (*number).into(),
        Cell::Number(number) => (*number).into(),
        Cell::Bool(value) => (*value).into(),
        _ => return None,
    };
    serde_json::to_vec(&value).ok()
}
