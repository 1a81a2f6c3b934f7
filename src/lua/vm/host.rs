//! What the Rust side knows of one VM: who runs in it, until when, and the metatables that its values share.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use mlua::{Function as LuaFunction, Lua, Table, Value};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::around::Around;
use crate::base::clock::later;
use crate::base::{Clock, Fault, Masker, Timestamp, limits};
use crate::lua::bind::{CallContext, Function};
use crate::lua::bundle::Bundle;
use crate::lua::durable::{Away, Course, Given, Place};
use crate::lua::engine::Core;
use crate::lua::interrupt::{Stop, Switch};
use crate::lua::json::LIST_MARK;
use crate::lua::scope::{LogSink, RunScope};
use crate::lua::show::clip;
use crate::lua::standard::Standard;
use crate::model::LogLevel;
use crate::primitives::permit::Reach;
use crate::primitives::sql::Open;
use crate::primitives::{egress, http};

/// Lives in the VM's app data. A console changes its scope with every line.
#[derive(Debug)]
pub struct Host {
    core: Arc<Core>,
    bundle: RefCell<Option<Arc<Bundle>>>,
    current: RefCell<Current>,
    /// Of a durable run.
    course: RefCell<Option<Rc<Course>>>,
    /// Runs a function of the script in a thread that Rust polls.
    task: RefCell<Option<LuaFunction>>,
    /// What `aegis.job` was given.
    declared: RefCell<Option<Table>>,
    last_trace: RefCell<Vec<String>>,
    switch: OnceCell<Arc<Switch>>,
    /// What the arguments of calls take that are under way.
    held_bytes: Cell<usize>,
    /// What the script holds open in data sources.
    open: Arc<Open>,
    streams: Arc<http::Open>,
    gates: Arc<egress::Open>,
    fixtures: Rc<Fixtures>,
}

/// Read-only tables of the VM itself, made when they are first needed and the same for all of its runs.
#[derive(Debug, Default)]
struct Fixtures {
    error_meta: OnceCell<Table>,
    list_meta: OnceCell<Table>,
    /// What handles of secrets are asked, by name.
    secret_methods: OnceCell<Table>,
}

/// The attempt (or console line) that runs now.
#[derive(Debug, Clone)]
struct Current {
    /// None at `Engine::inspect`.
    scope: Option<Arc<RunScope>>,
    /// The file's body is over and the run has begun.
    begun: Cell<bool>,
    deadline: Timestamp,
    around: Around,
}

impl Host {
    pub(in crate::lua) fn new(core: Arc<Core>) -> Self {
        let current =
            Current { scope: None, begun: Cell::new(false), deadline: Timestamp::MAX, around: Around::default() };
        Self {
            core,
            bundle: RefCell::new(None),
            current: RefCell::new(current),
            course: RefCell::default(),
            task: RefCell::default(),
            declared: RefCell::new(None),
            last_trace: RefCell::new(Vec::new()),
            switch: OnceCell::new(),
            held_bytes: Cell::new(0),
            open: Arc::default(),
            streams: Arc::default(),
            gates: Arc::default(),
            fixtures: Rc::default(),
        }
    }

    /// For the next run in the same VM.
    pub fn next(&self) -> Self {
        Self { fixtures: self.fixtures.clone(), ..Self::new(self.core.clone()) }
    }

    pub fn of(lua: &Lua) -> mlua::Result<Rc<Self>> {
        let host = lua.app_data_ref::<Rc<Self>>().map(|host| host.clone());
        host.ok_or_else(|| mlua::Error::runtime("this VM was not made by the engine"))
    }

    pub fn set_switch(&self, switch: Arc<Switch>) {
        let _ = self.switch.set(switch);
    }

    /// For what polls threads of this VM besides the run's own. None before the VM is finished.
    pub fn switch(&self) -> Option<Arc<Switch>> {
        self.switch.get().cloned()
    }

    /// The prelude's `aegis.secrets`, before any script has a secret.
    pub fn set_secret_methods(&self, methods: Table) {
        let _ = self.fixtures.secret_methods.set(methods);
    }

    pub fn secret_method(&self, name: &str) -> mlua::Result<Value> {
        self.fixtures.secret_methods.get().map_or(Ok(Value::Nil), |methods| methods.raw_get(name))
    }

    /// What takes secrets out of what a run leaves behind.
    pub fn masker(&self) -> &Masker {
        self.core.primitives.secrets.masker()
    }

    pub fn held_bytes(&self) -> &Cell<usize> {
        &self.held_bytes
    }

    pub fn set_bundle(&self, bundle: Arc<Bundle>) {
        *self.bundle.borrow_mut() = Some(bundle);
    }

    pub fn bundle(&self) -> Option<Arc<Bundle>> {
        self.bundle.borrow().clone()
    }

    pub fn standard(&self) -> &Standard {
        &self.core.standard
    }

    /// From now on the VM belongs to `scope`; its calls have to wait for [`Self::begin`].
    pub fn enter(&self, scope: Arc<RunScope>) {
        let deadline = later(self.core.clock.now(), scope.timeout);
        let around = Around { cancel: scope.cancel.clone(), place: Place::Free };
        *self.current.borrow_mut() = Current { scope: Some(scope), begun: Cell::new(false), deadline, around };
    }

    /// The run is durable: its calls go along a journal, from `place` on.
    pub fn follow(&self, course: Rc<Course>, place: Place) {
        *self.course.borrow_mut() = Some(course);
        self.current.borrow_mut().around.place = place;
    }

    pub fn course(&self) -> Option<Rc<Course>> {
        self.course.borrow().clone()
    }

    /// The script is not replayed any more; what is called from now on is real, and its lines are kept.
    pub fn leave_course(&self) {
        *self.course.borrow_mut() = None;
        self.current.borrow_mut().around.place = Place::Inside;
    }

    pub fn place(&self) -> Place {
        self.current.borrow().around.place.clone()
    }

    /// Says to the other strands of a durable run that this one is in a call, until what is returned is dropped.
    pub fn away(&self) -> Option<Away> {
        Away::from(&self.current.borrow().around.place)
    }

    /// What the runtime's own Lua runs tasks with.
    pub fn set_task(&self, task: LuaFunction) {
        *self.task.borrow_mut() = Some(task);
    }

    pub fn task(&self) -> Option<LuaFunction> {
        self.task.borrow().clone()
    }

    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Loading is over: capabilities can be used.
    pub fn begin(&self) {
        self.current.borrow().begun.set(true);
    }

    pub fn is_run(&self) -> bool {
        let current = self.current.borrow();
        current.scope.is_some() && current.begun.get()
    }

    pub fn scope(&self) -> Option<Arc<RunScope>> {
        self.current.borrow().scope.clone()
    }

    pub fn deadline(&self) -> Timestamp {
        self.current.borrow().deadline
    }

    pub fn io(&self) -> &Handle {
        &self.core.io
    }

    pub fn cancellation(&self) -> CancellationToken {
        self.current.borrow().around.cancel.clone()
    }

    /// Puts other surroundings in place of the current ones and returns those: for the polls of a group's task.
    pub fn swap_around(&self, around: Around) -> Around {
        std::mem::replace(&mut self.current.borrow_mut().around, around)
    }

    /// Why the run should have ended by now, if it should.
    pub fn overdue(&self) -> Option<Stop> {
        let current = self.current.borrow();
        if current.around.cancel.is_cancelled() {
            Some(Stop::Cancelled)
        } else if self.core.clock.now() >= current.deadline {
            Some(Stop::Timeout)
        } else {
            None
        }
    }

    /// A fault when the run is cancelled or out of time, so that no call begins then.
    pub fn in_time(&self, name: &str) -> Result<(), Fault> {
        match self.overdue() {
            None => Ok(()),
            Some(Stop::Timeout) => {
                Err(Fault::new("run.timeout", format!("{name} was not called: the run's time is over")))
            }
            Some(_) => Err(Fault::new("run.cancelled", format!("{name} was not called: the run is cancelled"))),
        }
    }

    pub fn context(&self, name: Arc<str>, function: &'static Function, given: Given) -> CallContext {
        let current = self.current.borrow();
        let log = current.scope.as_ref().map(|scope| scope.log.clone());
        CallContext {
            clock: self.core.clock.clone(),
            primitives: self.core.primitives.clone(),
            scope: current.scope.clone().filter(|_| current.begun.get()),
            log: log.filter(|_| !self.is_replaying()),
            cancel: current.around.cancel.clone(),
            deadline: current.deadline,
            given,
            open: self.open.clone(),
            streams: self.streams.clone(),
            gates: self.gates.clone(),
            reach: Reach::default(),
            name,
            function,
        }
    }

    /// Whether lines that the script writes now were written before.
    fn is_replaying(&self) -> bool {
        matches!(self.place(), Place::Strand(_))
            && self.course.borrow().as_ref().is_some_and(|course| course.is_replaying())
    }

    /// `print`. At `Engine::inspect` lines go nowhere: the same body runs again with each run.
    pub fn print(&self, text: &str) {
        let log: Option<Arc<dyn LogSink>> = self.current.borrow().scope.as_ref().map(|scope| scope.log.clone());
        if let Some(log) = log.filter(|_| !self.is_replaying()) {
            log.line(LogLevel::Info, clip(text, limits::LOG_LINE_BYTES_MAX), serde_json::Value::Null);
        }
    }

    /// `aegis.job(table)` when `declared` is a value; the check at the file's end, of what it returned, when it is nil.
    pub fn declare(&self, declared: Value, returned: Value) -> Result<Value, Fault> {
        let mut known = self.declared.borrow_mut();
        match (declared, &*known) {
            (Value::Nil, None) => Err(Fault::new("job.missing", "the file declares no job")
                .hint("end it with: return aegis.job { description = \"…\", run = function(ctx) … end }")),
            (Value::Nil, Some(table)) if returned == Value::Table(table.clone()) => Ok(returned),
            (Value::Nil, Some(_)) => Err(Fault::new("job.not_returned", "the file does not return its job")
                .hint("write return before aegis.job { … }, as the file's last statement")),
            (_, _) if self.is_run() => {
                Err(Fault::new("phase.run", "aegis.job can only be called while the file is loaded"))
            }
            (Value::Table(_), Some(_)) => Err(Fault::new("job.twice", "aegis.job is called a second time")
                .hint("one file is one job; put the other into a file of its own")),
            (Value::Table(table), None) => {
                *known = Some(table.clone());
                Ok(Value::Table(table))
            }
            (other, _) => {
                let message = format!("aegis.job: the argument must be a table, got a {}", other.type_name());
                Err(Fault::new("args.type", message))
            }
        }
    }

    pub fn remember_trace(&self, trace: Vec<String>) {
        *self.last_trace.borrow_mut() = trace;
    }

    /// Where the last error object was raised that carries no trace of its own.
    pub fn last_trace(&self) -> Vec<String> {
        self.last_trace.borrow().clone()
    }

    /// The metatable of error objects.
    pub fn error_meta(&self, lua: &Lua) -> mlua::Result<Table> {
        shared(&self.fixtures.error_meta, || {
            let meta = lua.create_table()?;
            meta.raw_set("__tostring", lua.create_function(|_, error: Table| Ok(describe(&error)))?)?;
            meta.raw_set("__metatable", "error")?;
            meta.set_readonly(true);
            Ok(meta)
        })
    }

    /// The metatable by which an empty list stays a list in JSON.
    pub fn list_meta(&self, lua: &Lua) -> mlua::Result<Table> {
        shared(&self.fixtures.list_meta, || {
            let meta = lua.create_table()?;
            meta.raw_set(LIST_MARK, true)?;
            meta.set_readonly(true);
            Ok(meta)
        })
    }
}

fn shared(cell: &OnceCell<Table>, make: impl FnOnce() -> mlua::Result<Table>) -> mlua::Result<Table> {
    if let Some(table) = cell.get() {
        return Ok(table.clone());
    }
    let table = make()?;
    Ok(cell.get_or_init(|| table).clone())
}

/// An error object as text: the message, and the hint in parentheses.
fn describe(error: &Table) -> String {
    let text = |key: &str| match error.raw_get::<Value>(key) {
        Ok(Value::String(text)) => Some(text.to_string_lossy()),
        _ => None,
    };
    let message = text("message").or_else(|| text("code")).unwrap_or_else(|| "error".to_owned());
    text("hint").map_or_else(|| message.clone(), |hint| format!("{message} ({hint})"))
}
