//! The choke point: every call of every binding passes here, and nowhere else do phase, cancellation, deadline, span,
//! audit event and error mapping happen.

use std::rc::Rc;
use std::sync::Arc;

use mlua::{Lua, MultiValue, Value};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::args::{Args, Datum};
use super::audit::Record;
use super::check::{Checked, arguments};
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
    let outcome = admit(&host, id, values).and_then(|Admitted { context, args, sealed, .. }| {
        let Call::Sync(call) = context.function.call else { return Err(miswired(&context.name)) };
        let span = tracing::debug_span!("call", function = &*context.name);
        let record = Record::begin(&context, &args)?;
        let result = masked(&context, sealed, span.in_scope(|| call(&context, &args)));
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
        Ok(Admitted { context, args, held: _held, .. }) if let Call::Durable(operation) = context.function.call => {
            durable::call(&host, operation, &context, &args, &given).await
        }
        Ok(Admitted { context, args, sealed, held: _held }) => carry_out(&host, context, args, sealed).await,
        Err(fault) => Err(fault),
    };
    reply::answer(&lua, &host, outcome)
}

async fn carry_out(host: &Rc<Host>, context: CallContext, args: Args, sealed: bool) -> Result<Datum, Fault> {
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
    ended(&context, record, masked(&context, sealed, result))
}

/// A call that was given secrets does not show them to the script: not in a plan, and not in what a server echoes.
fn masked(context: &CallContext, sealed: bool, result: Result<Datum, Fault>) -> Result<Datum, Fault> {
    if !sealed {
        return result;
    }
    let masker = context.primitives.secrets.masker();
    result.map(|datum| datum.masked(masker)).map_err(|mut fault| {
        masker.fault(&mut fault);
        fault
    })
}

/// A call that may begin.
struct Admitted {
    context: CallContext,
    args: Args,
    /// Secrets are among them.
    sealed: bool,
    held: Held,
}

fn admit(host: &Rc<Host>, id: u32, values: MultiValue) -> Result<Admitted, Fault> {
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
    let Checked { args, bytes, sealed } = arguments(&name, function, values, room)?;
    let given = match function.reads {
        Reads::Nothing => Given::default(),
        reads => Given::at(&host.place(), reads, args.has("time"))?,
    };
    Ok(Admitted { context: host.context(name, function, given), args, sealed, held: Held::new(host, bytes) })
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
