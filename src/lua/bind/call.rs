//! The choke point: every call of every binding passes here, and nowhere else do phase, cancellation, deadline, span,
//! audit event and error mapping happen.

use std::rc::Rc;
use std::sync::Arc;

use mlua::{Lua, MultiValue, Value};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::args::{Args, Datum};
use super::audit::Record;
use super::check::arguments;
use super::context::{CallContext, phase_fault};
use super::spec::{Call, Function, Phase};
use super::{FunctionId, reply};
use crate::base::{Fault, limits};
use crate::lua::durable::{self, Given, Reads};
use crate::lua::vm::Host;
use crate::primitives::permit;

/// `(true, value)` or `(false, error object)`; the prelude raises the latter.
pub type Answer = (bool, Value);

/// A call that is answered at once.
pub fn invoke(lua: &Lua, id: u32, values: MultiValue) -> mlua::Result<Answer> {
    let host = Host::of(lua)?;
    let outcome = admit(&host, id, values).and_then(|(context, args, _held)| {
        let Call::Sync(call) = context.function.call else { return Err(miswired(&context.name)) };
        let span = tracing::debug_span!("call", function = &*context.name);
        let record = Record::begin(&context, &args)?;
        let result = span.in_scope(|| call(&context, &args));
        ended(&context, record, result)
    });
    reply::answer(lua, &host, outcome)
}

/// A call that waits. The primitive's future runs on the I/O runtime; dropping this future aborts it.
pub async fn dispatch(lua: Lua, id: u32, values: MultiValue) -> mlua::Result<Answer> {
    let host = Host::of(&lua)?;
    let functions = FunctionId(id).resolve().filter(|(_, function)| matches!(function.call, Call::Durable(_)));
    let given = functions.map(|_| values.clone()).unwrap_or_default();
    let outcome = match admit(&host, id, values) {
        Ok((context, args, _held)) if let Call::Durable(operation) = context.function.call => {
            durable::call(&host, operation, &context, &args, &given).await
        }
        Ok((context, args, _held)) => carry_out(&host, context, args).await,
        Err(fault) => Err(fault),
    };
    reply::answer(&lua, &host, outcome)
}

async fn carry_out(host: &Rc<Host>, context: CallContext, args: Args) -> Result<Datum, Fault> {
    let Call::Async(call) = context.function.call else { return Err(miswired(&context.name)) };
    let span = tracing::debug_span!("call", function = &*context.name);
    let record = Record::begin(&context, &args)?;
    let cancelled = host.cancellation();
    let _away = host.away();
    let future = call(context.clone(), args).instrument(span);
    let task = AbortOnDropHandle::new(host.io().spawn(future));
    let result = tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(Fault::new("run.cancelled", format!("{} was cancelled", context.name))),
        joined = task => joined.unwrap_or_else(|problem| {
            let message = format!("{} failed inside the daemon: {problem}", context.name);
            Err(Fault::new("internal.panic", message))
        }),
    };
    ended(&context, record, result)
}

/// Whether the call may begin, and with what.
fn admit(host: &Rc<Host>, id: u32, values: MultiValue) -> Result<(CallContext, Args, Held), Fault> {
    let Some((module, function)) = FunctionId(id).resolve() else {
        return Err(Fault::new("internal.unknown_function", format!("there is no function number {id}")));
    };
    let name: Arc<str> = super::full_name(module, function).into();
    host.in_time(&name)?;
    match function.phase {
        Phase::Run if !host.is_run() => return Err(phase_fault(&name)),
        Phase::Load if host.is_run() => {
            return Err(Fault::new("phase.run", format!("{name} can only be called while the file is loaded")));
        }
        _ => {}
    }
    let room = limits::CALL_ARGUMENTS_BYTES_MAX.saturating_sub(host.held_bytes().get());
    let (args, bytes) = arguments(&name, function, values, room)?;
    let given = match function.reads {
        Reads::Nothing => Given::default(),
        reads => Given::at(&host.place(), reads, args.has("time"))?,
    };
    Ok((host.context(name, function, given), args, Held::new(host, bytes)))
}

/// The arguments of a call that is under way, against what the run may hold of them.
struct Held {
    host: Rc<Host>,
    bytes: usize,
}

impl Held {
    fn new(host: &Rc<Host>, bytes: usize) -> Self {
        host.held_bytes().set(host.held_bytes().get() + bytes);
        Self { host: host.clone(), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = self.host.held_bytes();
        held.set(held.get().saturating_sub(self.bytes));
    }
}

/// Says of a fault who keeps a missing right away, and ends the call's record.
fn ended(context: &CallContext, record: Option<Record>, result: Result<Datum, Fault>) -> Result<Datum, Fault> {
    let result = match &context.scope {
        Some(scope) => result.map_err(|fault| permit::explained(&scope.grants, fault)),
        None => result,
    };
    if let Some(record) = record {
        record.end(&result);
    }
    result
}

fn miswired(name: &str) -> Fault {
    Fault::new("internal.miswired", format!("{name} is not wired to this dispatcher"))
}

/// How the prelude has to call a function.
pub fn dispatcher_of(function: &Function) -> &'static str {
    match function.call {
        Call::Sync(_) => "sync",
        Call::Async(_) => "async",
        Call::Durable(_) => "durable",
        Call::Prelude => "prelude",
    }
}
