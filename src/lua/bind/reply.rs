//! Results on their way back into Lua: values, and faults as error objects.

use mlua::{Lua, LuaSerdeExt, Table, Value};

use super::args::Datum;
use super::call::Answer;
use crate::base::Fault;
use crate::lua::json::{from_json, integer};
use crate::lua::trace;
use crate::lua::vm::Host;

pub fn answer(lua: &Lua, host: &Host, outcome: Result<Datum, Fault>) -> mlua::Result<Answer> {
    match outcome {
        Ok(datum) => Ok((true, into_lua(lua, host, datum)?)),
        Err(mut fault) => {
            if fault.trace.is_empty() {
                fault.trace = trace::here(lua);
            }
            Ok((false, Value::Table(error_object(lua, host, fault)?)))
        }
    }
}

pub fn into_lua(lua: &Lua, host: &Host, datum: Datum) -> mlua::Result<Value> {
    Ok(match datum {
        Datum::Null => Value::Nil,
        Datum::Bool(value) => Value::Boolean(value),
        Datum::Number(value) => Value::Number(value),
        Datum::Integer(value) => integer(lua, value)?,
        Datum::Text(value) => Value::String(lua.create_string(value)?),
        Datum::Bytes(value) => Value::String(lua.create_string(value)?),
        Datum::Duration(value) => Value::Number(value.as_secs_f64()),
        Datum::Time(value) => Value::String(lua.create_string(value.to_string())?),
        Datum::List(values) => {
            let table = lua.create_table_with_capacity(values.len(), 0)?;
            let empty = values.is_empty();
            for (index, value) in values.into_iter().enumerate() {
                let item = match into_lua(lua, host, value)? {
                    Value::Nil => lua.null(),
                    item => item,
                };
                table.raw_set(index + 1, item)?;
            }
            if empty {
                table.set_metatable(Some(host.list_meta(lua)?))?;
            }
            Value::Table(table)
        }
        Datum::Map(values) => {
            let table = lua.create_table_with_capacity(0, values.len())?;
            for (key, value) in values {
                table.raw_set(lua.create_string(key)?, into_lua(lua, host, value)?)?;
            }
            Value::Table(table)
        }
        Datum::Rows { columns, rows } => Value::Table(rows_table(lua, host, &columns, rows)?),
        Datum::Pairs(pairs) => {
            let table = lua.create_table_with_capacity(0, pairs.len())?;
            for (key, value) in pairs {
                table.raw_set(lua.create_string(key)?, into_lua(lua, host, value)?)?;
            }
            Value::Table(table)
        }
        Datum::Secret(handle) => Value::UserData(lua.create_userdata(handle)?),
        Datum::Json(value) => from_json(lua, &value, Some(&host.list_meta(lua)?))?,
    })
}

/// Names of columns are made into strings of Lua once, not with every row.
fn rows_table(lua: &Lua, host: &Host, columns: &[String], rows: Vec<Vec<Datum>>) -> mlua::Result<Table> {
    let names = columns.iter().map(|name| lua.create_string(name)).collect::<mlua::Result<Vec<_>>>()?;
    let table = lua.create_table_with_capacity(rows.len(), 0)?;
    if rows.is_empty() {
        table.set_metatable(Some(host.list_meta(lua)?))?;
    }
    for (index, row) in rows.into_iter().enumerate() {
        let fields = lua.create_table_with_capacity(0, names.len())?;
        for (name, value) in names.iter().zip(row) {
            let value = match into_lua(lua, host, value)? {
                Value::Nil => lua.null(),
                value => value,
            };
            fields.raw_set(name, value)?;
        }
        table.raw_set(index + 1, fields)?;
    }
    Ok(table)
}

/// `{code, message, hint, retryable, details, trace}`; `tostring` gives the message with its hint.
pub fn error_object(lua: &Lua, host: &Host, fault: Fault) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 6)?;
    table.raw_set("code", fault.code.as_ref())?;
    table.raw_set("message", fault.message)?;
    table.raw_set("hint", fault.hint)?;
    table.raw_set("retryable", fault.retryable)?;
    if !fault.details.is_null() {
        table.raw_set("details", from_json(lua, &fault.details, Some(&host.list_meta(lua)?))?)?;
    }
    table.raw_set("trace", fault.trace)?;
    table.set_metatable(Some(host.error_meta(lua)?))?;
    Ok(table)
}
