//! What the Rust side knows of one VM: who runs in it, until when, and the metatables that its values share.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use mlua::{Lua, Table, Value};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::base::clock::later;
use crate::base::{Clock, Fault, Timestamp};
use crate::lua::bind::{CallContext, Function};
use crate::lua::json::LIST_MARK;
use crate::lua::scope::RunScope;
use crate::primitives::Primitives;

/// Lives in the VM's app data. A console changes its scope with every line.
#[derive(Debug)]
pub struct Host {
    io: Handle,
    clock: Clock,
    primitives: Arc<Primitives>,
    current: RefCell<Current>,
    error_meta: OnceCell<Table>,
    list_meta: OnceCell<Table>,
}

/// The attempt (or console line) that runs now; at load there is none.
#[derive(Debug, Clone)]
struct Current {
    scope: Option<Arc<RunScope>>,
    deadline: Timestamp,
    /// Of the innermost group of tasks (`ctx:all`), the run's own outside of one.
    cancel: CancellationToken,
}

impl Host {
    pub fn new(io: Handle, clock: Clock, primitives: Arc<Primitives>) -> Self {
        let current = Current { scope: None, deadline: Timestamp::MAX, cancel: CancellationToken::new() };
        Self {
            io,
            clock,
            primitives,
            current: RefCell::new(current),
            error_meta: OnceCell::new(),
            list_meta: OnceCell::new(),
        }
    }

    pub fn of(lua: &Lua) -> mlua::Result<Rc<Self>> {
        let host = lua.app_data_ref::<Rc<Self>>().map(|host| host.clone());
        host.ok_or_else(|| mlua::Error::runtime("this VM was not made by the engine"))
    }

    /// From now on calls are made in the name of `scope`.
    pub fn enter(&self, scope: Arc<RunScope>) {
        let deadline = later(self.clock.now(), scope.timeout);
        let cancel = scope.cancel.clone();
        *self.current.borrow_mut() = Current { scope: Some(scope), deadline, cancel };
    }

    pub fn is_run(&self) -> bool {
        self.current.borrow().scope.is_some()
    }

    pub fn scope(&self) -> Option<Arc<RunScope>> {
        self.current.borrow().scope.clone()
    }

    pub fn deadline(&self) -> Timestamp {
        self.current.borrow().deadline
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn io(&self) -> &Handle {
        &self.io
    }

    pub fn cancellation(&self) -> CancellationToken {
        self.current.borrow().cancel.clone()
    }

    /// Puts `cancel` in place of the current token and returns that one: for the polls of a group's task.
    pub fn swap_cancellation(&self, cancel: CancellationToken) -> CancellationToken {
        std::mem::replace(&mut self.current.borrow_mut().cancel, cancel)
    }

    /// A fault when the run is cancelled or out of time, so that no call begins then.
    pub fn in_time(&self, name: &str) -> Result<(), Fault> {
        let current = self.current.borrow();
        if current.cancel.is_cancelled() {
            return Err(Fault::new("run.cancelled", format!("{name} was not called: the run is cancelled")));
        }
        if current.scope.is_some() && self.clock.now() >= current.deadline {
            return Err(Fault::new("run.timeout", format!("{name} was not called: the run's time is over")));
        }
        Ok(())
    }

    pub fn context(&self, name: Arc<str>, function: &'static Function) -> CallContext {
        let current = self.current.borrow();
        CallContext {
            clock: self.clock.clone(),
            primitives: self.primitives.clone(),
            scope: current.scope.clone(),
            deadline: current.deadline,
            name,
            function,
        }
    }

    /// The metatable of error objects.
    pub fn error_meta(&self, lua: &Lua) -> mlua::Result<Table> {
        shared(&self.error_meta, || {
            let meta = lua.create_table()?;
            meta.raw_set("__tostring", lua.create_function(|_, error: Table| Ok(describe(&error)))?)?;
            meta.raw_set("__metatable", "error")?;
            meta.set_readonly(true);
            Ok(meta)
        })
    }

    /// The metatable by which an empty list stays a list in JSON.
    pub fn list_meta(&self, lua: &Lua) -> mlua::Result<Table> {
        shared(&self.list_meta, || {
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
