//! The fields of `ctx`: what a run knows of itself.

use mlua::{Lua, Table, Value};

use super::host::Host;
use crate::lua::bind::reply::into_lua;
use crate::lua::bind::{Datum, ctx};
use crate::lua::json::from_json;

/// One entry for each constant of the `ctx` module; what has no value is nil.
pub fn fields(lua: &Lua, host: &Host) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let Some(scope) = host.scope() else { return Ok(table) };
    let list_meta = host.list_meta(lua)?;
    for constant in ctx::MODULE.constants {
        let value = match constant.name {
            "run_id" => into_lua(lua, host, Datum::Text(scope.run.to_string()))?,
            "job" => into_lua(lua, host, Datum::Text(scope.job.to_string()))?,
            "attempt" => Value::Number(f64::from(scope.attempt)),
            "dry_run" => Value::Boolean(scope.dry_run),
            "deadline" => {
                let deadline = scope.durable.as_ref().map_or_else(|| host.deadline(), |durable| durable.deadline);
                into_lua(lua, host, Datum::Time(deadline))?
            }
            "params" => match from_json(lua, &scope.params, Some(&list_meta))? {
                params @ Value::Table(_) => params,
                _ => Value::Table(lua.create_table()?),
            },
            "trigger" => {
                let trigger = Datum::record([
                    ("kind", scope.trigger.kind.as_str().into()),
                    ("actor", scope.trigger.actor.to_string().into()),
                    ("scheduled_for", scope.trigger.scheduled_for.map_or(Datum::Null, Datum::Time)),
                    (
                        "payload",
                        match &scope.trigger.payload {
                            serde_json::Value::Null => Datum::Null,
                            payload => Datum::Json(payload.clone()),
                        },
                    ),
                ]);
                into_lua(lua, host, trigger)?
            }
            _ => Value::Nil,
        };
        table.raw_set(constant.name, value)?;
    }
    Ok(table)
}
