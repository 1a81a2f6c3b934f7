//! Arguments against their declaration: what does not fit is named with its function, its place and what was expected.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;

use mlua::{MultiValue, Table, Value};

use super::args::{Args, Datum};
use super::secrets::Handle;
use super::spec::{Field, Function, Record, Type};
use crate::base::quantity::{parse_duration, parse_size, show_size};
use crate::base::suggest::did_you_mean;
use crate::base::{Fault, Timestamp, limits};
use crate::lua::json::{Budget, to_json_within};
use crate::lua::show::clip_bytes;

/// Largest whole number that a double holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a value takes besides its text.
const DATUM_BYTES: usize = 64;
/// What a value takes for each byte that the bounds of JSON count.
const JSON_BYTES: usize = 8;
/// Going through a table takes as long as it ever was large: one that is met more often than this costs more.
const TABLE_TIMES_MAX: u32 = 8;
const TABLE_AGAIN_BYTES: usize = 1 << 20;

/// What was found of the arguments of one call.
pub struct Checked {
    pub args: Args,
    /// About how many they take.
    pub bytes: usize,
    /// Secrets are among them.
    pub sealed: bool,
}

/// Checks the values of one call, which take `bytes_max` at most. `name` is as the script writes it,
/// `aegis.docker.list`.
pub fn arguments(name: &str, function: &Function, values: MultiValue, bytes_max: usize) -> Result<Checked, Fault> {
    let check = Check::new(name, bytes_max);
    let mut args = Args::default();
    let mut given = values.into_iter();
    for field in function.params {
        match given.next() {
            None | Some(Value::Nil) if field.required => return Err(check.missing(&quoted(field))),
            None | Some(Value::Nil) => {}
            Some(value) => {
                let datum = check.value(&value, &field.kind, &|| quoted(field), 0)?;
                args.0.insert(field.name.to_owned(), datum);
            }
        }
    }
    if given.any(|value| !value.is_nil()) {
        let hint = format!("it takes {}; functions of a module are called with a dot", signature(function));
        return Err(Fault::new("args.count", format!("{name}: too many arguments")).hint(hint));
    }
    Ok(Checked { args, bytes: bytes_max.saturating_sub(check.left.get()), sealed: check.sealed.get() })
}

/// `(key, value, options?)`.
pub fn signature(function: &Function) -> String {
    let names = function.params.iter().map(|field| if field.required { field.name.into() } else { optional(field) });
    format!("({})", names.collect::<Vec<String>>().join(", "))
}

fn optional(field: &Field) -> String {
    format!("{}?", field.name)
}

fn quoted(field: &Field) -> String {
    format!("argument \"{}\"", field.name)
}

/// One call's arguments. They are copied out of the VM, whose own limit does not count them; a script may name one long
/// string very often, so what counts is what all of them take together.
struct Check<'a> {
    name: &'a str,
    left: Cell<usize>,
    /// An argument found no room: no other kind of value would help.
    is_full: Cell<bool>,
    sealed: Cell<bool>,
    met: RefCell<HashMap<*const c_void, u32>>,
    json: RefCell<Budget>,
}

/// Says where a value stands; called only when something is wrong with it.
type Place<'a> = &'a dyn Fn() -> String;

impl<'a> Check<'a> {
    fn new(name: &'a str, bytes_max: usize) -> Self {
        Self {
            name,
            left: Cell::new(bytes_max),
            is_full: Cell::new(false),
            sealed: Cell::new(false),
            met: RefCell::default(),
            json: RefCell::new(Budget::of_bytes(0)),
        }
    }

    fn spend(&self, bytes: usize) -> Result<(), Fault> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.is_full.set(true);
                let message = format!("{}: the arguments are too large together", self.name);
                let limit = show_size(limits::CALL_ARGUMENTS_BYTES_MAX as u64);
                let hint = format!("the calls of a run that are under way hold at most {limit}; pass less at once");
                Err(Fault::new("args.size", message).hint(hint))
            }
        }
    }

    /// Before a table is gone through.
    fn meet(&self, table: &Table) -> Result<(), Fault> {
        let mut met = self.met.borrow_mut();
        let times = met.entry(table.to_pointer()).or_default();
        *times += 1;
        self.spend(if *times > TABLE_TIMES_MAX { TABLE_AGAIN_BYTES } else { 0 })
    }

    fn json(&self, value: &Value, opens: bool, place: Place<'_>) -> Result<Datum, Fault> {
        let mut budget = self.json.borrow_mut();
        let room = limits::RUN_RESULT_BYTES_MAX.min(self.left.get() / JSON_BYTES);
        budget.refill(room);
        budget.open_secrets(opens);
        let converted = to_json_within(value, &mut budget)
            .map(Datum::Json)
            .map_err(|problem| Fault::new("args.json", format!("{}: {} {}", self.name, place(), problem.message)));
        self.sealed.set(self.sealed.get() || budget.has_opened());
        // What has no room here might have had it as the only argument.
        let is_full = converted.is_err() && room < limits::RUN_RESULT_BYTES_MAX;
        self.spend(if is_full { usize::MAX } else { (room - budget.bytes_left()) * JSON_BYTES })?;
        converted
    }

    fn missing(&self, place: &str) -> Fault {
        Fault::new("args.missing", format!("{}: {place} is missing", self.name))
    }

    fn wrong(&self, place: Place<'_>, expected: &str, value: &Value) -> Fault {
        Fault::new("args.type", format!("{}: {} must be {expected}, got {}", self.name, place(), show(value)))
    }

    fn value(&self, value: &Value, kind: &Type, place: Place<'_>, depth: usize) -> Result<Datum, Fault> {
        if depth > limits::VALUE_DEPTH_MAX {
            return Err(Fault::new("args.depth", format!("{}: {} is nested too deeply", self.name, place())));
        }
        self.spend(DATUM_BYTES)?;
        match kind {
            Type::List(of) => self.list(value, of, place, depth),
            Type::Map(of) => self.map(value, of, place, depth),
            Type::Record(record) => self.record(value, record, place, depth),
            Type::OneOf(kinds) => self.one_of(value, kind, kinds, place, depth),
            Type::Optional(of) => self.value(value, of, place, depth),
            Type::Json => self.json(value, false, place),
            Type::SealedJson => self.json(value, true, place),
            Type::Held => match Handle::of(value) {
                Some(handle) => Ok(Datum::Secret(handle)),
                None => Err(self.wrong(place, &expected(kind), value)),
            },
            Type::Secret => {
                let handle = Handle::of(value).ok_or_else(|| self.wrong(place, &expected(kind), value))?;
                self.spend(handle.text().len())?;
                self.sealed.set(true);
                Ok(Datum::Text(handle.text().to_owned()))
            }
            _ => {
                self.spend(length(value))?;
                scalar(value, kind).ok_or_else(|| self.wrong(place, &expected(kind), value))
            }
        }
    }

    fn one_of(
        &self,
        value: &Value,
        all: &Type,
        kinds: &[Type],
        place: Place<'_>,
        depth: usize,
    ) -> Result<Datum, Fault> {
        // The only table among the kinds knows best what is wrong with a table.
        let mut tables = kinds.iter().filter(|kind| matches!(kind, Type::Record(_) | Type::List(_) | Type::Map(_)));
        if let (Some(table), None) = (tables.next(), tables.next())
            && value.is_table()
            && !kinds.iter().any(|kind| matches!(kind, Type::Json | Type::SealedJson))
        {
            return self.value(value, table, place, depth + 1);
        }
        let left = self.left.get();
        for kind in kinds {
            match self.value(value, kind, place, depth + 1) {
                Ok(datum) => return Ok(datum),
                Err(fault) if self.is_full.get() => return Err(fault),
                // What did not fit is gone again.
                Err(_) => self.left.set(left),
            }
        }
        Err(self.wrong(place, &expected(all), value))
    }

    fn list(&self, value: &Value, of: &Type, place: Place<'_>, depth: usize) -> Result<Datum, Fault> {
        let Value::Table(table) = value else { return Err(self.wrong(place, "a list", value)) };
        self.meet(table)?;
        let mut values = Vec::new();
        for (index, item) in table.sequence_values::<Value>().enumerate() {
            if index >= limits::LIST_ITEMS_MAX {
                return Err(self.too_long(place));
            }
            let item = item.map_err(|_| self.wrong(place, "a list", value))?;
            let at = || format!("{}[{}]", place(), index + 1);
            values.push(self.value(&item, of, &at, depth + 1)?);
        }
        if values.is_empty() && table.pairs::<Value, Value>().next().is_some() {
            return Err(self.wrong(place, "a list", value));
        }
        Ok(Datum::List(values))
    }

    fn map(&self, value: &Value, of: &Type, place: Place<'_>, depth: usize) -> Result<Datum, Fault> {
        let Value::Table(table) = value else { return Err(self.wrong(place, "a table", value)) };
        self.meet(table)?;
        let mut values = std::collections::BTreeMap::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, item) = pair.map_err(|_| self.wrong(place, "a table", value))?;
            self.spend(length(&key))?;
            let key = match &key {
                Value::String(text) => text.to_string_lossy(),
                Value::Integer(_) | Value::Number(_) => key.to_string().unwrap_or_default(),
                _ => return Err(self.wrong(place, "a table with string keys", value)),
            };
            if values.len() >= limits::LIST_ITEMS_MAX {
                return Err(self.too_long(place));
            }
            let at = || format!("{}.{key}", place());
            let datum = self.value(&item, of, &at, depth + 1)?;
            values.insert(key, datum);
        }
        Ok(Datum::Map(values))
    }

    fn record(&self, value: &Value, record: &Record, place: Place<'_>, depth: usize) -> Result<Datum, Fault> {
        let Value::Table(table) = value else { return Err(self.wrong(place, "a table of options", value)) };
        self.meet(table)?;
        self.known_keys(table, record, place)?;
        let mut values = std::collections::BTreeMap::new();
        for field in record.fields {
            let at = || format!("option \"{}\"", field.name);
            match table.raw_get::<Value>(field.name) {
                Ok(Value::Nil) | Err(_) if field.required => return Err(self.missing(&at())),
                Ok(Value::Nil) | Err(_) => {}
                Ok(item) => {
                    values.insert(field.name.to_owned(), self.value(&item, &field.kind, &at, depth + 1)?);
                }
            }
        }
        Ok(Datum::Map(values))
    }

    fn known_keys(&self, table: &Table, record: &Record, place: Place<'_>) -> Result<(), Fault> {
        let names = || record.fields.iter().map(|field| field.name);
        for pair in table.pairs::<Value, Value>() {
            let Ok((key, _)) = pair else { continue };
            let key = match &key {
                Value::String(text) if names().any(|name| *name.as_bytes() == *text.as_bytes()) => continue,
                Value::String(text) => clip_bytes(&text.as_bytes(), limits::PARAM_NAME_BYTES_MAX),
                other => show(other),
            };
            if !names().any(|name| name == key) {
                let near = did_you_mean(&key, names());
                let message = format!("{}: {} has no option \"{}\"{near}", self.name, place(), clip(&key));
                let hint = format!("options: {}", names().collect::<Vec<_>>().join(", "));
                return Err(Fault::new("args.unknown", message).hint(hint));
            }
        }
        Ok(())
    }

    fn too_long(&self, place: Place<'_>) -> Fault {
        let message = format!("{}: {} has more than {} entries", self.name, place(), limits::LIST_ITEMS_MAX);
        Fault::new("args.size", message)
    }
}

fn scalar(value: &Value, kind: &Type) -> Option<Datum> {
    Some(match (kind, value) {
        (Type::Function | Type::Callback(_), Value::Function(_)) => Datum::Null,
        (Type::Boolean, Value::Boolean(value)) => Datum::Bool(*value),
        (Type::Number, Value::Number(value)) => Datum::Number(*value),
        (Type::Number, Value::Integer(value)) => Datum::Number(*value as f64),
        (Type::Integer, _) => Datum::Integer(integer(value)?),
        (Type::String, Value::String(text)) => Datum::Text(text.to_str().ok()?.to_owned()),
        (Type::Bytes, Value::String(text)) => Datum::Bytes(text.as_bytes().to_vec()),
        (Type::Bytes, Value::Buffer(buffer)) => Datum::Bytes(buffer.to_vec()),
        (Type::Choice(choices), Value::String(text)) => {
            let text = text.to_str().ok()?;
            Datum::Text(choices.iter().find(|choice| **choice == &*text)?.to_string())
        }
        (Type::Duration, Value::String(text)) => Datum::Duration(parse_duration(&text.to_str().ok()?).ok()?),
        (Type::Duration, _) => Datum::Duration(std::time::Duration::try_from_secs_f64(float(value)?).ok()?),
        (Type::Size, Value::String(text)) => {
            Datum::Integer(i64::try_from(parse_size(&text.to_str().ok()?).ok()?).ok()?)
        }
        (Type::Size, _) => Datum::Integer(integer(value).filter(|bytes| *bytes >= 0)?),
        (Type::Time, Value::String(text)) => Datum::Time(text.to_str().ok()?.trim().parse().ok()?),
        (Type::Time, _) => Datum::Time(moment(float(value)?)?),
        _ => return None,
    })
}

/// Bytes of text that are copied.
fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_bytes().len(),
        Value::Buffer(buffer) => buffer.len(),
        _ => 0,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(value) => Some(*value as f64),
        Value::Number(value) if value.is_finite() => Some(*value),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(value) => Some(*value),
        Value::Number(value) if value.fract() == 0.0 && value.abs() <= EXACT => Some(*value as i64),
        // Integers beyond 2^53 arrive in scripts as strings, and go back as such.
        Value::String(text) if text.as_bytes().len() > 15 => text.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// A moment from seconds since the epoch, to the microsecond.
fn moment(seconds: f64) -> Option<Timestamp> {
    let micros = seconds * 1e6;
    if micros.abs() < EXACT * 1e3 { Timestamp::from_microsecond(micros as i64).ok() } else { None }
}

/// What a type asks for, in words.
pub fn expected(kind: &Type) -> String {
    match kind {
        Type::Nothing => "nothing".to_owned(),
        Type::Json => "a value that JSON can hold".to_owned(),
        Type::SealedJson => "a value that JSON can hold, with secrets in it".to_owned(),
        Type::Secret | Type::Held => "a secret".to_owned(),
        Type::Any => "a value".to_owned(),
        Type::Boolean => "true or false".to_owned(),
        Type::Number => "a number".to_owned(),
        Type::Integer => "a whole number".to_owned(),
        Type::String => "a string of UTF-8 text".to_owned(),
        Type::Bytes => "a string or a buffer".to_owned(),
        Type::Duration => "a duration such as \"250ms\", \"30s\", \"5m\" or a number of seconds".to_owned(),
        Type::Size => "a size such as \"64MiB\" or a number of bytes".to_owned(),
        Type::Time => "a time such as \"2027-01-01T00:00:00Z\" or seconds since the epoch".to_owned(),
        Type::Choice(choices) => {
            let quoted = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>();
            if quoted.len() == 1 { quoted.concat() } else { format!("one of {}", quoted.join(", ")) }
        }
        Type::List(_) => "a list".to_owned(),
        Type::Map(_) => "a table".to_owned(),
        Type::Record(_) => "a table of options".to_owned(),
        Type::OneOf(kinds) => kinds.iter().map(expected).collect::<Vec<_>>().join(" or "),
        Type::Function | Type::Callback(_) => "a function".to_owned(),
        Type::Optional(of) => expected(of),
    }
}

/// A value in an error message: short, and never a whole secret.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", clip(&clip_bytes(&text.as_bytes(), limits::PARAM_NAME_BYTES_MAX))),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Nil => "nil".to_owned(),
        other => Handle::of(other).map_or_else(|| format!("a {}", other.type_name()), |handle| handle.to_string()),
    }
}

fn clip(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    let mut clipped: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}
