//! One VM: made, watched, driven, thrown away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, StdLib, Table, Thread, Value};
use tokio_util::sync::CancellationToken;

use super::host::Host;
use super::native::native;
use crate::base::Fault;
use crate::lua::bind::call;
use crate::lua::durable::Halt;
use crate::lua::engine::Core;
use crate::lua::error::{fault_of, of_mlua, out_of_memory};
use crate::lua::interrupt::{Connection, Limits, Rewake, Stop, Watch, mark_driven, slice_mark};
use crate::lua::trace::{self, PRELUDE_CHUNK};

/// Functions of Luau and mlua that reach out of the sandbox, or tell of other scripts' doings.
const REMOVED: [&str; 7] = ["loadstring", "getfenv", "setfenv", "newproxy", "gcinfo", "collectgarbage", "require"];

/// What Luau raises when an error's handler fails, for want of memory say.
const HANDLER_FAILED: &str = "error in error handling";

/// What the call chain of a stopped script may take on top of the script's own limit.
const TRACE_BYTES_MAX: usize = 1 << 20;

/// Who has a VM's host while no call is under way: the VM, and its app data.
const OWN_HOSTS: usize = 2;

/// What a run may leave behind until the collector comes by, in a VM that is used again.
const LEFT_BYTES_MAX: usize = 256 << 10;

/// A VM with `aegis` in it. Not `Send`.
#[derive(Debug)]
pub struct Vm {
    connection: Connection,
    core: Arc<Core>,
    host: Rc<Host>,
    /// The prelude's entry points.
    entry: Table,
    /// What it took before any script was in it, and what it may take.
    new_bytes: usize,
    most_bytes: usize,
    /// How many runs it has had.
    runs: u32,
}

/// What the script may use.
#[derive(Debug, Clone)]
pub struct Budget {
    pub wall: Duration,
    pub cpu: Duration,
    pub cancel: CancellationToken,
}

/// How a piece of Lua ended.
#[derive(Debug)]
pub enum Ended {
    Returned(Value),
    Raised(Fault),
    /// With the place where it was.
    Stopped(Stop, Vec<String>),
    /// A durable run's VM was given up.
    Halted(Halt),
}

impl Vm {
    pub(in crate::lua) fn new(core: &Arc<Core>, memory_bytes: usize) -> Result<Self, Fault> {
        let code = core.prelude.clone()?;
        Self::build(core, &code, memory_bytes).map_err(|problem| of_mlua(&problem))
    }

    fn build(core: &Arc<Core>, prelude: &[u8], memory_bytes: usize) -> mlua::Result<Self> {
        let libraries = StdLib::COROUTINE
            | StdLib::TABLE
            | StdLib::OS
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::BIT
            | StdLib::MATH
            | StdLib::BUFFER
            | StdLib::VECTOR
            | StdLib::DEBUG;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        let globals = lua.globals();
        for name in REMOVED {
            globals.raw_remove(name)?;
        }
        let host = Rc::new(Host::new(core.clone()));
        lua.set_app_data(host.clone());
        let invoke = lua.create_function(|lua, (id, args)| call::invoke(lua, id, args))?;
        let native = lua.create_function(native)?;
        let chunk = lua.load(prelude).set_mode(ChunkMode::Binary).set_name(PRELUDE_CHUNK).into_function()?;
        let entry: Table = chunk.call((invoke, native, Lua::poll_pending(), slice_mark()))?;
        lua.sandbox(true)?;
        lua.set_memory_limit(memory_bytes)?;
        let connection = Connection::new(lua);
        host.set_switch(connection.switch());
        let new_bytes = connection.lua().used_memory();
        Ok(Self { connection, core: core.clone(), host, entry, new_bytes, most_bytes: memory_bytes, runs: 1 })
    }

    /// The VM as it was when it was new, for another run of the same version with the same rights and limits. None when
    /// something of the last run may still be in it: then it is thrown away.
    ///
    /// A script can change only three things that outlast it. Its globals are a table of their own in front of the
    /// libraries, which are read-only: it gets a new one. What the prelude and the host remember is replaced. And its
    /// coroutines may still wait in calls: then somebody besides this VM has the host.
    pub fn renewed(mut self) -> Option<Self> {
        if Rc::strong_count(&self.host) > OWN_HOSTS {
            return None;
        }
        self.renew().ok()?;
        self.runs += 1;
        Some(self)
    }

    pub fn runs(&self) -> u32 {
        self.runs
    }

    fn renew(&mut self) -> mlua::Result<()> {
        let host = Rc::new(self.host.next());
        self.connection.lua().set_app_data(host.clone());
        self.host = host;
        self.connection.renew();
        self.host.set_switch(self.connection.switch());
        let lua = self.connection.lua();
        lua.sandbox(false)?;
        lua.sandbox(true)?;
        let mut seed = [0; 4];
        getrandom::fill(&mut seed).map_err(|problem| mlua::Error::runtime(problem.to_string()))?;
        self.entry.raw_get::<Function>("renew")?.call::<()>(u32::from_le_bytes(seed))?;
        let left = || lua.used_memory().saturating_sub(self.new_bytes);
        if left() > LEFT_BYTES_MAX {
            lua.gc_collect()?;
        }
        if left() > LEFT_BYTES_MAX {
            return Err(mlua::Error::runtime("the last run has left too much behind"));
        }
        // What is still to be collected is not the next run's.
        lua.set_memory_limit(self.most_bytes + left()).map(drop)
    }

    pub fn lua(&self) -> &Lua {
        self.connection.lua()
    }

    #[cfg(test)]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub fn host(&self) -> &Rc<Host> {
        &self.host
    }

    /// Puts functions in place of those whose answers a durable run records. Before the script is loaded.
    pub fn make_durable(&self) -> Result<(), Fault> {
        self.core
            .durable_prelude
            .clone()
            .and_then(|code| self.replace_fickle(&code).map_err(|problem| of_mlua(&problem)))
    }

    fn replace_fickle(&self, code: &[u8]) -> mlua::Result<()> {
        let lua = self.lua();
        let libraries = ["os", "math"].map(|name| lua.globals().get::<Table>(name));
        for library in &libraries {
            library.as_ref().map_err(Clone::clone)?.set_readonly(false);
        }
        let chunk = lua.load(code).set_mode(ChunkMode::Binary).set_name(PRELUDE_CHUNK).into_function()?;
        chunk.call::<()>(lua.create_function(native)?)?;
        for library in libraries {
            library?.set_readonly(true);
        }
        Ok(())
    }

    /// An entry point of the prelude: `inspect`, `execute`, `call`, `evaluate`, `context`.
    pub fn entry(&self, name: &str) -> Result<Function, Fault> {
        self.entry.raw_get(name).map_err(|problem| of_mlua(&problem))
    }

    /// Runs `function(args…)`, which answers as the prelude's entry points do, until it ends or has to.
    pub async fn drive(&self, function: Function, args: impl IntoLuaMulti, budget: &Budget) -> Result<Ended, Fault> {
        let (thread, watch) = self.prepare(function, budget)?;
        let future = thread.clone().into_async::<(bool, Value)>(args).map_err(|problem| of_mlua(&problem))?;
        let mut future = pin!(future);
        let mut rewake = Rewake::new(self.connection.switch());
        let course = self.host.course();
        let halted = || course.as_ref().is_some_and(|course| course.is_halted());
        let polled = std::future::poll_fn(|cx| {
            let mut poll = |cx: &mut Context<'_>| {
                let caught = || catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
                watch.during(caught)
            };
            rewake.poll(cx, |cx| match poll(cx) {
                // Whatever the script made of it.
                _ if halted() => Poll::Ready(None),
                None => Poll::Ready(None),
                Some(Ok(Poll::Pending)) => Poll::Pending,
                Some(Ok(Poll::Ready(result))) => Poll::Ready(Some(result)),
                Some(Err(_)) => Poll::Ready(Some(Err(mlua::Error::external(panicked())))),
            })
        });
        let result = tokio::select! {
            biased;
            () = budget.cancel.cancelled() => {
                watch.stop(Stop::Cancelled);
                None
            }
            () = self.core.clock.sleep(budget.wall) => {
                watch.stop(Stop::Timeout);
                None
            }
            result = polled => result,
        };
        let halt = course.and_then(|course| course.take_halt());
        if let (None, None, Some(halt)) = (&result, watch.stopped(), halt) {
            self.connection.disarm();
            return Ok(Ended::Halted(halt));
        }
        Ok(self.ended(result, &thread, &watch))
    }

    /// The same for a script that cannot wait, on this thread. Blocking.
    pub fn drive_blocking(&self, function: Function, args: impl IntoLuaMulti, budget: &Budget) -> Result<Ended, Fault> {
        let (thread, watch) = self.prepare(function, budget)?;
        let mut args = Some(args.into_lua_multi(self.lua()).map_err(|problem| of_mlua(&problem))?);
        let result = loop {
            let args = args.take().unwrap_or_default();
            let resumed = watch.during(|| thread.resume::<mlua::MultiValue>(args));
            let finished = !thread.is_resumable();
            match resumed {
                None => break None,
                Some(Err(problem)) => break Some(Err(problem)),
                Some(Ok(values)) if finished => break Some(self.lua().unpack_multi(values)),
                // A slice is over, or the file's body yielded to nobody: it goes on either way.
                Some(Ok(_)) => {}
            }
        };
        Ok(self.ended(result, &thread, &watch))
    }

    fn prepare(&self, function: Function, budget: &Budget) -> Result<(Thread, Arc<Watch>), Fault> {
        let ticker = self.core.ticker.as_ref().map_err(Clone::clone)?;
        let thread = self.lua().create_thread(function).map_err(|problem| of_mlua(&problem))?;
        mark_driven(&thread);
        let limits = Limits { wall: budget.wall, cpu: budget.cpu, cancel: budget.cancel.clone() };
        Ok((thread, ticker.watch(self.connection.switch(), &limits)))
    }

    fn ended(&self, result: Option<mlua::Result<(bool, Value)>>, thread: &Thread, watch: &Watch) -> Ended {
        match result {
            Some(Ok((true, value))) => Ended::Returned(value),
            Some(Ok((false, problem))) => {
                let mut fault = fault_of(&problem, &self.host);
                if fault.message == HANDLER_FAILED && self.is_full() {
                    fault = out_of_memory();
                }
                // A call that was refused for this reason may have raised before the ticker looked.
                match self.host.overdue() {
                    Some(stop) => Ended::Stopped(stop, fault.trace),
                    None => Ended::Raised(fault),
                }
            }
            Some(Err(problem)) => Ended::Raised(of_mlua(&problem)),
            None => {
                let trace = self.where_is(thread);
                self.connection.disarm();
                Ended::Stopped(watch.stopped().unwrap_or(Stop::Cancelled), trace)
            }
        }
    }

    /// Whether the last thing it wanted was more memory than it may have.
    fn is_full(&self) -> bool {
        let limit = self.lua().set_memory_limit(0).unwrap_or(0);
        let _ = self.lua().set_memory_limit(limit);
        limit > 0 && self.lua().used_memory() >= limit / 10 * 9
    }

    /// The call chain of a thread that was stopped. Nothing of the script's own runs for it: the function is the
    /// library's, kept since the VM was made, and the stop is still armed.
    fn where_is(&self, thread: &Thread) -> Vec<String> {
        // A limit that is used up would make even this fail; without one, a deep stack of long names would fill memory.
        let limit = self.lua().set_memory_limit(0).unwrap_or(0);
        let _ = self.lua().set_memory_limit(limit.max(self.lua().used_memory() + TRACE_BYTES_MAX));
        let traceback = self.entry.raw_get::<Function>("traceback");
        let text = traceback.and_then(|traceback| traceback.call::<String>(thread.clone()));
        let _ = self.lua().set_memory_limit(limit);
        text.map(|text| trace::frames(&text)).unwrap_or_default()
    }
}

fn panicked() -> Fault {
    Fault::new("internal.panic", "the runtime failed while executing the script; the daemon's log says where")
}
