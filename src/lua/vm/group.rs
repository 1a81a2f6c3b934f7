//! Tasks that run together and end together: what is under `ctx:all` and `ctx:map`.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mlua::{Function, Lua, LuaSerdeExt, MultiValue, Table, Value};

use super::around::{Around, Within};
use super::host::Host;
use crate::lua::bind::call::Answer;
use crate::lua::durable::{Branch, Place};

/// `group(task, {{body, argument…}, …}, limit)`: results in order, or the first failure, whose siblings are dropped.
pub fn grouper(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|lua, (task, tasks, limit): (Function, Table, usize)| run(lua, task, tasks, limit))
}

async fn run(lua: Lua, task: Function, tasks: Table, limit: usize) -> mlua::Result<Answer> {
    let host = Host::of(&lua)?;
    let cancel = host.cancellation().child_token();
    // However this ends, calls of tasks that are still waiting are cancelled.
    let _cancelled_at_end = cancel.clone().drop_guard();
    let fork = match host.place() {
        Place::Strand(strand) => match strand.fork() {
            Some(fork) => Some(fork),
            None => return std::future::pending().await,
        },
        Place::Free | Place::Inside => None,
    };
    let bodies = tasks.sequence_values::<Table>().collect::<mlua::Result<Vec<_>>>()?;
    let results = lua.create_table_with_capacity(bodies.len(), 0)?;
    let mut waiting = bodies.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < limit.max(1)
            && let Some((index, body)) = waiting.next()
        {
            let args = body.sequence_values::<Value>().collect::<mlua::Result<MultiValue>>()?;
            let branch = fork.as_ref().map(|fork| fork.branch(index));
            let place = branch.as_ref().map_or_else(|| host.place(), Branch::place);
            let around = Around { cancel: cancel.clone(), place };
            let member = Within::new(host.clone(), around, task.call_async::<(bool, Value)>(args));
            running.push(async move {
                let result = member.await;
                drop(branch);
                (index, result)
            });
        }
        match running.next().await {
            None => return Ok((true, Value::Table(results))),
            Some((_, Err(problem))) => return Err(problem),
            Some((_, Ok((false, problem)))) => return Ok((false, problem)),
            Some((index, Ok((true, value)))) => {
                let value = if value.is_nil() { lua.null() } else { value };
                results.raw_set(index + 1, value)?;
            }
        }
    }
}
