//! A console session: lines of Lua in one VM, each as a run of its own.

use std::sync::Arc;

use mlua::chunk::ChunkMode;
use mlua::{Table, Value};

use super::attempt::stopped;
use super::compile::{Code, compile};
use super::engine::Core;
use super::error::of_mlua;
use super::json::{self, to_json};
use super::scope::RunScope;
use super::show::readable;
use super::syntax::{publish_locals, unfinished};
use super::vm::{Budget, Ended, Vm, known_names};
use crate::base::{Fault, limits};

/// The result of one console line.
#[derive(Debug, Clone, PartialEq)]
pub enum EvalOutcome {
    /// Each value as readable Lua, and as JSON where it can be.
    Values(Vec<(String, serde_json::Value)>),
    /// The text is the beginning of something longer.
    Incomplete,
    Failed(Fault),
}

/// One REPL session's VM. Not `Send`.
#[derive(Debug)]
pub struct Console {
    vm: Vm,
    /// Where the session's names live; the library's are behind it.
    session: Table,
}

/// What messages and traces call the line.
const CHUNK: &str = "console";

impl Console {
    pub(in crate::lua) fn open(core: &Arc<Core>, scope: RunScope) -> Result<Self, Fault> {
        let vm = Vm::new(core, scope.memory_bytes)?;
        vm.host().enter(Arc::new(scope));
        vm.host().begin();
        let session = Self::session(&vm).map_err(|problem| of_mlua(&problem))?;
        Ok(Self { vm, session })
    }

    fn session(vm: &Vm) -> mlua::Result<Table> {
        let lua = vm.lua();
        let session = lua.create_table()?;
        let meta = lua.create_table()?;
        meta.raw_set("__index", lua.globals())?;
        meta.set_readonly(true);
        session.set_metatable(Some(meta))?;
        Ok(session)
    }

    /// Evaluates one line (or several) as `scope`'s run: an expression gives its values.
    pub async fn eval(&mut self, scope: RunScope, code: &str) -> EvalOutcome {
        if code.len() > limits::CONSOLE_INPUT_BYTES_MAX {
            let message = format!("the input has {} bytes", code.len());
            let hint = format!("at most {} bytes are evaluated at once", limits::CONSOLE_INPUT_BYTES_MAX);
            return EvalOutcome::Failed(Fault::new("console.too_large", message).hint(hint));
        }
        if code.trim().is_empty() {
            return EvalOutcome::Values(Vec::new());
        }
        let compiled = match read(code) {
            Read::Code(compiled) => compiled,
            Read::Incomplete => return EvalOutcome::Incomplete,
            Read::Wrong(fault) => return EvalOutcome::Failed(fault),
        };
        match self.run(scope, &compiled).await {
            Ok(values) => EvalOutcome::Values(values),
            Err(mut fault) => {
                if let Some(at) = fault.at.as_mut().filter(|at| at.file == CHUNK && at.text.is_none()) {
                    at.text = line(code, at.line);
                }
                EvalOutcome::Failed(fault)
            }
        }
    }

    async fn run(&mut self, scope: RunScope, code: &[u8]) -> Result<Vec<(String, serde_json::Value)>, Fault> {
        let as_fault = |problem: mlua::Error| of_mlua(&problem);
        let scope = Arc::new(scope);
        let lua = self.vm.lua();
        lua.set_memory_limit(scope.memory_bytes).map_err(as_fault)?;
        self.vm.host().enter(scope.clone());
        self.vm.host().begin();
        let context: Table = self.vm.entry("context")?.call(()).map_err(as_fault)?;
        self.session.raw_set("ctx", context).map_err(as_fault)?;
        let chunk = lua.load(code).set_mode(ChunkMode::Binary).set_name(format!("={CHUNK}"));
        let chunk = chunk.set_environment(self.session.clone()).into_function().map_err(as_fault)?;
        let budget = Budget { wall: scope.timeout, cpu: scope.cpu, cancel: scope.cancel.clone() };
        match self.vm.drive(self.vm.entry("evaluate")?, chunk, &budget).await? {
            Ended::Returned(values) => Ok(shown(&values)),
            Ended::Raised(fault) => Err(fault),
            Ended::Halted(halt) => Err(halt.into_fault()),
            Ended::Stopped(stop, trace) => Err(stopped(stop, trace, &scope, None)),
        }
    }

    /// Names that could complete `prefix` (such as `aegis.do`), from the live VM.
    pub fn complete(&self, prefix: &str) -> Vec<String> {
        const COMPLETIONS_MAX: usize = 200;
        let path_begins = prefix.rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | ':'));
        let (before, path) = prefix.split_at(path_begins.map_or(0, |at| at + 1));
        let mut found = self.members(path).unwrap_or_default();
        if path.starts_with("aegis") {
            found.extend(known_names().into_iter().filter(|name| name.starts_with(path)));
        }
        found.sort();
        found.dedup();
        found.truncate(COMPLETIONS_MAX);
        found.into_iter().map(|name| format!("{before}{name}")).collect()
    }

    /// Completions of `a.b.pre` among the members of `a.b`. Reads tables only; runs none of the session's functions.
    fn members(&self, path: &str) -> Option<Vec<String>> {
        let (owner, partial) = path.rfind(['.', ':']).map_or(("", path), |at| (&path[..at], &path[at + 1..]));
        let tables = if owner.is_empty() {
            vec![
                self.session.clone(),
                self.vm.lua().globals(),
                self.vm.lua().globals().metatable()?.raw_get("__index").ok()?,
            ]
        } else {
            vec![self.table_at(owner)?]
        };
        let join = &path[..path.len() - partial.len()];
        let names = tables.iter().flat_map(|table| table.pairs::<Value, Value>().filter_map(Result::ok)).filter_map(
            |(key, _)| match key {
                Value::String(name) => Some(name.to_string_lossy()).filter(|name| name.starts_with(partial)),
                _ => None,
            },
        );
        Some(names.map(|name| format!("{join}{name}")).collect())
    }

    fn table_at(&self, path: &str) -> Option<Table> {
        let mut names = path.split(['.', ':']);
        let first = names.next()?;
        let globals = self.vm.lua().globals();
        let mut value: Value = match self.session.raw_get::<Value>(first).ok()? {
            Value::Nil => globals.get(first).ok()?,
            value => value,
        };
        for name in names {
            value = match &value {
                Value::Table(table) => table.raw_get(name).ok()?,
                _ => return None,
            };
        }
        value.as_table().cloned()
    }
}

fn shown(values: &Value) -> Vec<(String, serde_json::Value)> {
    let Value::Table(packed) = values else { return Vec::new() };
    let count = packed.raw_get::<usize>("n").unwrap_or(0);
    let value = |index| packed.raw_get::<Value>(index).unwrap_or_default();
    let json = |value: &Value| to_json(value, json::Budget::of_bytes(limits::RUN_RESULT_BYTES_MAX).lenient());
    (1..=count).map(value).map(|value| (readable(&value), json(&value).unwrap_or_default())).collect()
}

/// Whether `code` is the beginning of something longer: for editors, which then offer another line.
pub fn is_incomplete(code: &str) -> bool {
    matches!(read(code), Read::Incomplete)
}

enum Read {
    Code(Code),
    Incomplete,
    Wrong(Fault),
}

/// An expression if it can be one, else statements.
fn read(code: &str) -> Read {
    let expression = compile(CHUNK, &format!("return {code}\n"));
    if let Ok(compiled) = expression {
        return Read::Code(compiled);
    }
    match compile(CHUNK, &publish_locals(code)) {
        Ok(compiled) => Read::Code(compiled),
        Err(fault) if unfinished(code, &fault.message) => Read::Incomplete,
        Err(fault) => match expression {
            // `f(` is the beginning of an expression, though no beginning of a statement.
            Err(of_expression) if unfinished(code, &of_expression.message) && begins_expression(code) => {
                Read::Incomplete
            }
            _ => Read::Wrong(fault),
        },
    }
}

/// Whether what stands there can be an expression's beginning only: its last token wants another.
fn begins_expression(code: &str) -> bool {
    let last = code.trim_end().chars().last();
    last.is_some_and(|last| "+-*/%^=<>~(,[{.:".contains(last))
        || code.trim_end().ends_with(" and")
        || code.trim_end().ends_with(" or")
        || code.trim_end().ends_with(" not")
}

fn line(code: &str, number: u32) -> Option<String> {
    code.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?).map(str::to_owned)
}
