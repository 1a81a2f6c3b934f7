//! The shape of the registry: what a module offers, declared as constants.
//!
//! Everything that is known about a function stands in one [`Function`]: its arguments' checks, its documentation, the
//! editor's types, the permission table and the call itself. Nothing is declared twice.

use futures_util::future::BoxFuture;

use super::args::{Args, Datum};
use super::context::CallContext;
use crate::base::Fault;
use crate::lua::durable::{Operation, Reads};

/// A namespace under `aegis`, an object such as `ctx`, or (with an empty name) `aegis` itself.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    pub name: &'static str,
    /// One or two sentences for the reference.
    pub doc: &'static str,
    pub functions: &'static [Function],
    pub constants: &'static [Constant],
    pub kind: ModuleKind,
}

impl Module {
    pub const DEFAULT: Self = Self { name: "", doc: "", functions: &[], constants: &[], kind: ModuleKind::Namespace };

    pub fn function(&self, name: &str) -> Option<&'static Function> {
        self.functions.iter().find(|function| function.name == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    /// `aegis.<name>`, its functions called with a dot.
    Namespace,
    /// A value that scripts are handed, its functions called with a colon.
    Object,
}

/// A value that is not a function: `aegis.null`, `ctx.run_id`.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    pub name: &'static str,
    pub kind: Type,
    pub doc: &'static str,
}

/// One function as scripts see it.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    pub name: &'static str,
    /// Sentences; the first stands alone in lists.
    pub doc: &'static str,
    /// In order. Options are one [`Type::Record`], by convention the last.
    pub params: &'static [Field],
    pub returns: Type,
    /// The line for `permissions` that allows the call, such as `docker = "read"`.
    pub permission: Option<&'static str>,
    pub phase: Phase,
    /// What makes its answer another one each time.
    pub reads: Reads,
    /// The version that brought it.
    pub since: &'static str,
    pub call: Call,
}

impl Function {
    /// Runs only, since 0.1, returns nothing: what most declarations begin with (`..Function::DEFAULT`).
    pub const DEFAULT: Self = Self {
        name: "",
        doc: "",
        params: &[],
        returns: Type::Nothing,
        permission: None,
        phase: Phase::Run,
        reads: Reads::Nothing,
        since: "0.1",
        call: Call::Prelude,
    };
}

/// When a function may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// At any time; it has no effect outside the script.
    Any,
    /// Only in a run: it needs a capability.
    Run,
    /// Only while a file is loaded.
    Load,
}

/// How a call is carried out.
#[derive(Debug, Clone, Copy)]
pub enum Call {
    /// On the lane. It must not wait, and must be quick (well under a millisecond).
    Sync(fn(&CallContext, &Args) -> Result<Datum, Fault>),
    /// On the I/O runtime; the script waits, others go on. Dropped when the run is cancelled.
    Async(fn(CallContext, Args) -> BoxFuture<'static, Result<Datum, Fault>>),
    /// On the lane: what a durable run's journal answers, or else carries out and records.
    Durable(Operation),
    /// In the prelude's Lua, because it calls back into the script.
    Prelude,
}

/// A parameter, an option, or a field of a returned record.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: Type,
    pub required: bool,
    pub doc: &'static str,
}

impl Field {
    pub const fn required(name: &'static str, kind: Type, doc: &'static str) -> Self {
        Self { name, kind, required: true, doc }
    }

    pub const fn optional(name: &'static str, kind: Type, doc: &'static str) -> Self {
        Self { name, kind, required: false, doc }
    }

    /// `dry_run`, which every function that changes the world takes. Read it through [`CallContext::dry_run`].
    pub const DRY_RUN: Self = Self::optional("dry_run", Type::Boolean, "Return the plan and change nothing");
}

/// A table with known keys. As a parameter it refuses keys that it does not know.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// The name of its type in the editor's stubs, `DockerCreate` say; unique among records.
    pub name: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
}

/// What a value may be. `Datum` says what each arrives as.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// As a result: no value.
    Nothing,
    /// Anything that JSON can hold.
    Json,
    /// The same with secrets in it; arrives as `Type::Json`, with their texts.
    SealedJson,
    /// A secret as `aegis.secrets.get` gives it; arrives as its text, and the call's result is masked.
    Secret,
    /// The same; arrives as [`Datum::Secret`], unopened.
    Held,
    /// Any Lua value; prelude functions only.
    Any,
    Boolean,
    Number,
    Integer,
    /// UTF-8 text.
    String,
    /// A string of any bytes.
    Bytes,
    /// `"250ms"`, `"5m"` or seconds.
    Duration,
    /// `"64MiB"` or bytes.
    Size,
    /// RFC 3339 text, or seconds since the epoch.
    Time,
    /// One of these strings.
    Choice(&'static [&'static str]),
    List(&'static Type),
    /// Keys are strings.
    Map(&'static Type),
    Record(&'static Record),
    /// Either kind is accepted, tried in order.
    OneOf(&'static [Type]),
    /// A script's function. It stays in Lua: it arrives as `Datum::Null`.
    Function,
    /// A script's function of this Luau type; for documentation only.
    Callback(&'static str),
    /// A result that may be nil.
    Optional(&'static Type),
}
