//! What the prelude asks of Rust besides calls: one function with numbered operations, because each function that a
//! VM is given costs it time at birth.

use mlua::{Function, Lua, MultiValue, Value};

use super::host::Host;
use super::{context, group, library, pattern};
use crate::base::Fault;
use crate::base::limits::SUGGEST_NAME_BYTES_MAX;
use crate::base::suggest::did_you_mean;
use crate::lua::bind::call::{self, Answer};
use crate::lua::bind::{Call, FunctionId, MODULES, Module, ModuleKind, full_name, reply};
use crate::lua::durable;
use crate::lua::error::raised;
use crate::lua::interrupt::mark_current_driven;
use crate::lua::show::clip_bytes;

macro_rules! operations {
    ($($variant:ident $name:literal $meaning:literal),* $(,)?) => {
        /// Numbered from 1 in this order; the prelude knows them by these names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Operation { $(#[doc = $meaning] $variant),* }

        impl Operation {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $name)),*];
        }
    };
}

operations! {
    Awaiter "AWAITER" "The function that carries out waiting calls",
    Grouper "GROUPER" "The function that runs tasks together",
    Describe "DESCRIBE" "A module's functions and constants by name",
    Modules "MODULES" "All module names, or an error for a name that is none",
    Resolve "RESOLVE" "The key of a required file",
    Load "LOAD" "The chunk of a key",
    Print "PRINT" "A line for the run's log",
    Normalise "NORMALISE" "A raised value as an error object",
    Now "NOW" "Seconds since the epoch as a durable run knows them; nil where the clock is real",
    Random "RANDOM" "A number of a durable run's own dice; nil where they are real",
    Reseed "RESEED" "Begins a known sequence of these; false where they are real",
    Begin "BEGIN" "Loading is over, the run begins",
    Find "FIND" "Plain search in linear time",
    Pattern "PATTERN" "Refuses a pattern that could not be stopped",
    Mark "MARK" "This thread is polled by Rust",
    Context "CONTEXT" "The fields of ctx",
    Job "JOB" "Declares the job, or gives back what was declared",
    Methods "METHODS" "What secrets are asked, by name",
    Marked "MARKED" "A list that stays one in JSON when it is empty",
}

/// Names of the operations for the prelude, as one line of Lua.
pub fn operation_names() -> String {
    let names = Operation::ALL.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    let numbers = (1..=Operation::ALL.len()).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    format!("local {names} = {numbers}\n")
}

pub fn native(lua: &Lua, (number, mut args): (usize, MultiValue)) -> mlua::Result<Answer> {
    let host = Host::of(lua)?;
    let mut next = || args.pop_front().unwrap_or(Value::Nil);
    let operation = number.checked_sub(1).and_then(|index| Operation::ALL.get(index)).map(|(operation, _)| *operation);
    let outcome = match operation {
        Some(Operation::Awaiter) => Ok(Value::Function(awaiter(lua)?)),
        Some(Operation::Grouper) => Ok(Value::Function(with_own_coroutines(lua, || group::grouper(lua))?)),
        Some(Operation::Describe) => Ok(describe(lua, &text(&next()))?),
        Some(Operation::Modules) => modules(lua, &next())?,
        Some(Operation::Resolve) => match library::resolve(&host, &next()) {
            Ok(key) => Ok(Value::String(lua.create_string(key)?)),
            Err(fault) => Err(fault),
        },
        Some(Operation::Load) => {
            let (key, environment) = (text(&next()), next());
            library::load(lua, &host, &key, environment.as_table())?.map(Value::Function)
        }
        Some(Operation::Print) => {
            host.print(&text(&next()));
            Ok(Value::Nil)
        }
        Some(Operation::Normalise) => {
            let (problem, code) = (next(), next());
            return Ok((true, raised(lua, &host, problem, &code)?));
        }
        Some(Operation::Begin) => {
            if let Value::Function(task) = next() {
                host.set_task(task);
            }
            host.begin();
            Ok(Value::Nil)
        }
        Some(Operation::Now) => durable::now(&host.place()).map(number_or_nil),
        Some(Operation::Random) => durable::random(&host.place()).map(number_or_nil),
        Some(Operation::Reseed) => {
            let seed = next().as_number().unwrap_or_default();
            Ok(Value::Boolean(durable::reseed(&host.place(), seed)))
        }
        Some(Operation::Find) => Ok(pattern::find(&next(), &next(), &next())),
        Some(Operation::Pattern) => pattern::check(&next(), &next()).map(|()| Value::Nil),
        Some(Operation::Mark) => {
            mark_current_driven(lua)?;
            Ok(Value::Nil)
        }
        Some(Operation::Context) => Ok(Value::Table(context::fields(lua, &host)?)),
        Some(Operation::Job) => {
            let (declared, returned) = (next(), next());
            host.declare(declared, returned)
        }
        Some(Operation::Methods) => {
            if let Value::Table(methods) = next() {
                host.set_secret_methods(methods);
            }
            Ok(Value::Nil)
        }
        Some(Operation::Marked) => marked(lua, &host, next())?,
        None => Err(Fault::new("internal.operation", format!("there is no operation {number}"))),
    };
    match outcome {
        Ok(value) => Ok((true, value)),
        Err(fault) => reply::answer(lua, &host, Err(fault)),
    }
}

fn number_or_nil(number: Option<f64>) -> Value {
    number.map_or(Value::Nil, Value::Number)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string_lossy(),
        _ => String::new(),
    }
}

/// The one asynchronous function of a VM, made when the first waiting call is.
fn awaiter(lua: &Lua) -> mlua::Result<Function> {
    with_own_coroutines(lua, || {
        lua.create_async_function(|lua, (id, args): (u32, MultiValue)| call::dispatch(lua, id, args))
    })
}

/// mlua takes `coroutine.yield` from the globals when an asynchronous function is made, and calls it even after the run
/// has ended. By then a script may have put something of its own there; the library's is behind the script's globals.
fn with_own_coroutines(lua: &Lua, make: impl FnOnce() -> mlua::Result<Function>) -> mlua::Result<Function> {
    const NAME: &str = "coroutine";
    let globals = lua.globals();
    let of_script: Value = globals.raw_get(NAME)?;
    if of_script.is_nil() {
        return make();
    }
    globals.raw_remove(NAME)?;
    let made = make();
    globals.raw_set(NAME, of_script)?;
    made
}

/// Function numbers by name: the number itself for a call that is answered at once, minus the number less one for a
/// call that waits. Constants are their values.
fn describe(lua: &Lua, name: &str) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    let Some((index, module)) = MODULES.iter().enumerate().find(|(_, module)| module.name == name) else {
        return Ok(Value::Table(table));
    };
    for (position, function) in module.functions.iter().enumerate() {
        let id = i64::from(FunctionId::new(index, position).0);
        match function.call {
            Call::Sync(_) => table.raw_set(function.name, id)?,
            Call::Async(_) | Call::Durable(_) => table.raw_set(function.name, -id - 1)?,
            Call::Prelude => {}
        }
    }
    let nulls = module.constants.iter().filter(|constant| constant.name == "null");
    for constant in nulls {
        table.raw_set(constant.name, Value::NULL)?;
    }
    Ok(Value::Table(table))
}

fn modules(lua: &Lua, wanted: &Value) -> mlua::Result<Result<Value, Fault>> {
    let names = || MODULES.iter().filter(|module| is_namespace(module)).map(|module| module.name);
    if wanted.is_nil() {
        return Ok(Ok(Value::Table(lua.create_sequence_from(names())?)));
    }
    let wanted = match wanted {
        Value::String(name) => clip_bytes(&name.as_bytes(), SUGGEST_NAME_BYTES_MAX),
        _ => String::new(),
    };
    if names().any(|name| name == wanted) {
        return Ok(Ok(Value::Nil));
    }
    let root = MODULES.iter().filter(|module| module.name.is_empty()).flat_map(|module| module.functions);
    let near = did_you_mean(&wanted, names().chain(root.map(|function| function.name)));
    Ok(Err(Fault::new("api.unknown", format!("there is no aegis.{wanted}{near}"))))
}

fn is_namespace(module: &Module) -> bool {
    module.kind == ModuleKind::Namespace && !module.name.is_empty()
}

fn marked(lua: &Lua, host: &Host, list: Value) -> mlua::Result<Result<Value, Fault>> {
    let Value::Table(table) = &list else {
        let message = format!("aegis.json.list: the argument must be a table, got a {}", list.type_name());
        return Ok(Err(Fault::new("args.type", message)));
    };
    table.set_metatable(Some(host.list_meta(lua)?))?;
    Ok(Ok(list))
}

/// Every name that a script can call, as `aegis.kv.get`: what walking a VM must find.
pub fn known_names() -> Vec<String> {
    let of_module = |module: &&'static Module| {
        let module = *module;
        module.functions.iter().map(move |function| full_name(module, function))
    };
    MODULES.iter().flat_map(of_module).collect()
}
