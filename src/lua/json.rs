//! Lua values as JSON and back, bounded in size and depth, so that no value can be a bomb.

use std::collections::HashMap;
use std::ffi::c_void;

use mlua::{Lua, LuaSerdeExt, Table, Value as LuaValue};
use serde_json::{Map, Value};

use super::bind::Handle;
use super::bind::args::number;
use crate::base::limits;

/// How much may be converted, and what to do with what JSON has no word for.
#[derive(Debug)]
pub struct Budget {
    bytes_left: usize,
    depth: usize,
    /// How deep it has been inside the table that is converted now.
    deepest: usize,
    /// The tables that were met. Going through one takes as long as it ever was large, however little is left in it:
    /// one that is met again and again is copied from what it became.
    met: HashMap<*const c_void, Met>,
    /// Functions become `{"$function": true}` and other strangers their names, instead of a problem.
    lenient: bool,
    /// Secrets become their texts, instead of a problem; and whether one did.
    opens: bool,
    opened: bool,
}

#[derive(Debug, Default)]
struct Met {
    times: u32,
    became: Option<Became>,
}

#[derive(Debug)]
struct Became {
    value: Value,
    bytes: usize,
    height: usize,
}

impl Budget {
    pub fn of_bytes(bytes_max: usize) -> Self {
        let met = HashMap::new();
        Self { bytes_left: bytes_max, depth: 0, deepest: 0, met, lenient: false, opens: false, opened: false }
    }

    /// Whether secrets become their texts from now on. What tables became before does not count.
    pub fn open_secrets(&mut self, opens: bool) {
        if opens != self.opens {
            self.met.clear();
        }
        (self.opens, self.opened) = (opens, self.opened && opens);
    }

    /// Whether a secret became its text.
    pub fn has_opened(&self) -> bool {
        self.opened
    }

    /// For the next of several values that have their tables in common.
    pub fn refill(&mut self, bytes_max: usize) {
        (self.bytes_left, self.depth, self.deepest) = (bytes_max, 0, 0);
    }

    pub fn bytes_left(&self) -> usize {
        self.bytes_left
    }

    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }
}

/// Why a value is not JSON: a phrase that follows the value's name, `cannot …`, with the path inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJson {
    pub message: String,
    path: Vec<String>,
}

impl NotJson {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), path: Vec::new() }
    }

    fn inside(mut self, key: String) -> Self {
        if self.path.len() < 8 {
            self.path.push(key);
        }
        self
    }

    fn finish(mut self) -> Self {
        if !self.path.is_empty() {
            self.path.reverse();
            self.message = format!("{} (at .{})", self.message, self.path.join("."));
        }
        self
    }
}

/// An empty table is an object unless it came from a JSON list or was marked by `aegis.json.list`.
pub fn to_json(value: &LuaValue, mut budget: Budget) -> Result<Value, NotJson> {
    to_json_within(value, &mut budget)
}

/// The same with a budget that goes on to be used.
pub fn to_json_within(value: &LuaValue, budget: &mut Budget) -> Result<Value, NotJson> {
    convert(value, budget).map_err(NotJson::finish)
}

/// What a value costs of the budget besides its text: about what it takes in memory.
const SCALAR_BYTES: usize = 4;
const TABLE_BYTES: usize = 64;

fn convert(value: &LuaValue, budget: &mut Budget) -> Result<Value, NotJson> {
    spend(budget, SCALAR_BYTES)?;
    match value {
        LuaValue::Nil => Ok(Value::Null),
        LuaValue::LightUserData(pointer) if pointer.0.is_null() => Ok(Value::Null),
        LuaValue::Boolean(value) => Ok(Value::Bool(*value)),
        LuaValue::Integer(value) => Ok(Value::from(*value)),
        LuaValue::Number(value) if value.is_finite() || budget.lenient => Ok(number(*value)),
        LuaValue::Number(_) => Err(NotJson::new("is not a finite number")),
        LuaValue::String(text) => {
            spend(budget, text.as_bytes().len())?;
            match text.to_str() {
                Ok(text) => Ok(Value::String(text.to_owned())),
                Err(_) if budget.lenient => Ok(Value::String(text.to_string_lossy())),
                Err(_) => Err(NotJson::new("is not UTF-8 text; encode it with aegis.base64.encode")),
            }
        }
        LuaValue::Table(table) => {
            spend(budget, TABLE_BYTES)?;
            convert_once(table, budget)
        }
        LuaValue::UserData(_) if let Some(handle) = Handle::of(value) => {
            if budget.opens {
                spend(budget, handle.text().len())?;
                budget.opened = true;
                return Ok(Value::String(handle.text().to_owned()));
            }
            match budget.lenient {
                true => Ok(Value::String(handle.to_string())),
                false => Err(NotJson::new(format!("cannot be stored: {handle} is for calls that take a secret"))),
            }
        }
        LuaValue::Function(_) if budget.lenient => Ok(serde_json::json!({ "$function": true })),
        other if budget.lenient => Ok(Value::String(format!("<{}>", other.type_name()))),
        other => Err(NotJson::new(format!("cannot be stored: a {} has no JSON", other.type_name()))),
    }
}

fn spend(budget: &mut Budget, bytes: usize) -> Result<(), NotJson> {
    match budget.bytes_left.checked_sub(bytes) {
        Some(left) => {
            budget.bytes_left = left;
            Ok(())
        }
        None => Err(NotJson::new("is too large")),
    }
}

/// Converts a table, or copies what it became when it was met before.
fn convert_once(table: &Table, budget: &mut Budget) -> Result<Value, NotJson> {
    let met = budget.met.entry(table.to_pointer()).or_default();
    met.times += 1;
    let is_first = met.times == 1;
    if let Some(Became { value, bytes, height }) = &met.became {
        let (value, bytes, height) = (value.clone(), *bytes, *height);
        check_depth(budget.depth + height)?;
        budget.deepest = budget.deepest.max(budget.depth + height);
        spend(budget, bytes)?;
        return Ok(value);
    }
    check_depth(budget.depth + 1)?;
    let (bytes, outer) = (budget.bytes_left, budget.deepest);
    budget.depth += 1;
    budget.deepest = budget.depth;
    let converted = convert_table(table, budget);
    budget.depth -= 1;
    let (bytes, height) = (bytes - budget.bytes_left, budget.deepest - budget.depth);
    budget.deepest = budget.deepest.max(outer);
    // Most tables are met once: those are not worth a copy.
    if let (false, Ok(value), Some(met)) = (is_first, &converted, budget.met.get_mut(&table.to_pointer())) {
        met.became = Some(Became { value: value.clone(), bytes, height });
    }
    converted
}

fn check_depth(depth: usize) -> Result<(), NotJson> {
    if depth <= limits::VALUE_DEPTH_MAX {
        return Ok(());
    }
    Err(NotJson::new(format!("is nested deeper than {} (does it contain itself?)", limits::VALUE_DEPTH_MAX)))
}

fn convert_table(table: &Table, budget: &mut Budget) -> Result<Value, NotJson> {
    let length = table.raw_len();
    // Before anything is looked at: a list that cannot fit costs nothing.
    if length.saturating_mul(SCALAR_BYTES) > budget.bytes_left {
        return Err(NotJson::new("is too large"));
    }
    if length > 0 && is_sequence(table, length) {
        let mut list = Vec::new();
        for index in 1..=length {
            let item = table.raw_get::<LuaValue>(index).map_err(|problem| NotJson::new(problem.to_string()))?;
            list.push(convert(&item, budget).map_err(|problem| problem.inside(index.to_string()))?);
        }
        return Ok(Value::Array(list));
    }
    let mut object = Map::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, item) = pair.map_err(|problem| NotJson::new(problem.to_string()))?;
        let key = match &key {
            LuaValue::String(text) => text.to_string_lossy(),
            LuaValue::Integer(value) => value.to_string(),
            LuaValue::Number(value) => value.to_string(),
            LuaValue::Boolean(value) => value.to_string(),
            _ if budget.lenient => key.type_name().to_owned(),
            _ => return Err(NotJson::new(format!("has a {} as a key", key.type_name()))),
        };
        spend(budget, key.len())?;
        let value = convert(&item, budget).map_err(|problem| problem.inside(key.clone()))?;
        object.insert(key, value);
    }
    if object.is_empty() && is_marked_list(table) {
        return Ok(Value::Array(Vec::new()));
    }
    Ok(Value::Object(object))
}

/// About what JSON text takes as values, from what it is made of: known before any of it is in memory. A short text can
/// hold very many values.
pub fn decoded_bytes(text: &[u8]) -> usize {
    const VALUE_BYTES: usize = size_of::<Value>();
    let (mut values, mut in_text, mut escaped) = (1_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b':' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values.saturating_mul(VALUE_BYTES).saturating_add(text.len())
}

/// Whether the keys are exactly 1 to `length`. Stops at the first that is not.
fn is_sequence(table: &Table, length: usize) -> bool {
    let mut count = 0;
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let whole = match pair {
            Ok((LuaValue::Integer(key), _)) => key >= 1 && key as usize <= length,
            Ok((LuaValue::Number(key), _)) => key.fract() == 0.0 && key >= 1.0 && key <= length as f64,
            _ => false,
        };
        if !whole {
            return false;
        }
        count += 1;
    }
    count == length
}

/// The key in a list's metatable by which an empty one is known.
pub const LIST_MARK: &str = "__jsonlist";

fn is_marked_list(table: &Table) -> bool {
    table.metatable().is_some_and(|meta| meta.raw_get::<bool>(LIST_MARK).unwrap_or(false))
}

/// JSON as Lua. Whole numbers beyond 2^53 become strings, null becomes `aegis.null` (or is left out of objects when
/// `sparse`).
pub fn from_json(lua: &Lua, value: &Value, list_meta: Option<&Table>) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => lua.null(),
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(value) => match (value.as_i64(), value.as_u64()) {
            (Some(whole), _) => return integer(lua, whole),
            (None, Some(whole)) => LuaValue::String(lua.create_string(whole.to_string())?),
            _ => LuaValue::Number(value.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => LuaValue::String(lua.create_string(text)?),
        Value::Array(values) => {
            let table = lua.create_table_with_capacity(values.len(), 0)?;
            for (index, item) in values.iter().enumerate() {
                table.raw_set(index + 1, from_json(lua, item, list_meta)?)?;
            }
            if let (true, Some(meta)) = (values.is_empty(), list_meta) {
                table.set_metatable(Some(meta.clone()))?;
            }
            LuaValue::Table(table)
        }
        Value::Object(values) => {
            let table = lua.create_table_with_capacity(0, values.len())?;
            for (key, item) in values {
                table.raw_set(lua.create_string(key)?, from_json(lua, item, list_meta)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

/// A whole number, as a string where a double would round it.
pub fn integer(lua: &Lua, value: i64) -> mlua::Result<LuaValue> {
    const EXACT: i64 = 1 << 53;
    if (-EXACT..=EXACT).contains(&value) {
        Ok(LuaValue::Number(value as f64))
    } else {
        Ok(LuaValue::String(lua.create_string(value.to_string())?))
    }
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

    fn converted(code: &str) -> Result<Value, NotJson> {
        let lua = Lua::new();
        let made: LuaValue = lua.load(code).eval().expect("a value");
        to_json(&made, Budget::of_bytes(limits::RUN_RESULT_BYTES_MAX))
    }

    #[test]
    fn tables_that_are_met_again_become_the_same_and_cost_the_same() {
        let shared = converted("local t = { 1, { x = 2 } } return { t, t, t, { t } }").expect("plain values");
        let one = serde_json::json!([1, { "x": 2 }]);
        assert_eq!(shared, serde_json::json!([one, one, one, [one]]));
        let large = "local t = { string.rep('x', 300000) } return { t, t, t, t }";
        assert!(converted(large).is_err_and(|problem| problem.message.starts_with("is too large")));
        let deep =
            "local t = {} for _ = 1, 30 do t = { t, t, t } end local u = t for _ = 1, 40 do u = { u } end return u";
        assert!(converted(deep).is_err());
        let endless = converted("local t = {} t[1] = t return t").expect_err("endless");
        assert!(endless.message.contains("nested deeper"), "{endless:?}");
    }

    #[test]
    fn a_table_met_again_keeps_its_height() {
        let code = "local t = { 1 } for _ = 1, 39 do t = { t } end
             local u = t for _ = 1, 30 do u = { u } end return { t, t, t, u }";
        assert!(converted(code).is_err_and(|problem| problem.message.contains("nested deeper")));
    }

    #[test]
    fn short_texts_can_hold_many_values() {
        let value = size_of::<Value>();
        assert_eq!(decoded_bytes(b"[0,0]"), 3 * value + 5);
        assert_eq!(decoded_bytes(br#"{"a,[":"\",:"}"#), 3 * value + 14);
    }
}
