//! Tasks that run together and end together: what is under `ctx:all` and `ctx:map`.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mlua::{Function, Lua, LuaSerdeExt, MultiValue, Table, Value};
use tokio_util::sync::CancellationToken;

use super::host::Host;
use crate::lua::bind::call::Answer;
use crate::lua::interrupt::Rewake;

/// `group(task, {{body, argument…}, …}, limit)`: results in order, or the first failure, whose siblings are dropped.
pub fn grouper(lua: &Lua) -> mlua::Result<Function> {
    lua.create_async_function(|lua, (task, tasks, limit): (Function, Table, usize)| run(lua, task, tasks, limit))
}

async fn run(lua: Lua, task: Function, tasks: Table, limit: usize) -> mlua::Result<Answer> {
    let host = Host::of(&lua)?;
    let cancel = host.cancellation().child_token();
    // However this ends, calls of tasks that are still waiting are cancelled.
    let _cancelled_at_end = cancel.clone().drop_guard();
    let bodies = tasks.sequence_values::<Table>().collect::<mlua::Result<Vec<_>>>()?;
    let results = lua.create_table_with_capacity(bodies.len(), 0)?;
    let mut waiting = bodies.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < limit.max(1)
            && let Some((index, body)) = waiting.next()
        {
            let args = body.sequence_values::<Value>().collect::<mlua::Result<MultiValue>>()?;
            let future = task.call_async::<(bool, Value)>(args);
            let rewake = host.switch().map(Rewake::new);
            running.push(Member {
                index,
                future: Box::pin(future),
                host: host.clone(),
                cancel: cancel.clone(),
                rewake,
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

/// One task. While it is polled, its group's token is the one that its calls listen to.
struct Member<F> {
    index: usize,
    future: Pin<Box<F>>,
    host: Rc<Host>,
    cancel: CancellationToken,
    rewake: Option<Rewake>,
}

impl<F: Future> Future for Member<F> {
    type Output = (usize, F::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let member = &mut *self;
        let outer = member.host.swap_cancellation(member.cancel.clone());
        let polled = match &mut member.rewake {
            Some(rewake) => rewake.poll(cx, |cx| member.future.as_mut().poll(cx)),
            None => member.future.as_mut().poll(cx),
        };
        member.host.swap_cancellation(outer);
        polled.map(|output| (member.index, output))
    }
}
