//! What scripts can call: one registry, from which everything else comes.
//!
//! # Adding a module
//!
//! 1. Write `bind/<name>.rs` with `pub const MODULE: Module` and one [`Function`] constant for each function:
//!
//!    ```ignore
//!    const GREET: Record = Record { name: "GreetOptions", doc: "…", fields: &[
//!        Field::required("name", Type::String, "Who is greeted"),
//!        Field::optional("after", Type::Duration, "How long to wait first"),
//!        Field::DRY_RUN,
//!    ] };
//!
//!    pub const MODULE: Module = Module {
//!        name: "greeter",
//!        doc: "Greets people.",
//!        functions: &[Function {
//!            name: "greet",
//!            doc: "Greets one person.",
//!            params: &[Field::required("options", Type::Record(&GREET), "Whom and when")],
//!            returns: Type::String,
//!            permission: Some("greet = { \"name\" }"),
//!            call: Call::Async(|context, args| Box::pin(greet(context, args))),
//!            ..Function::DEFAULT
//!        }],
//!        ..Module::DEFAULT
//!    };
//!
//!    async fn greet(context: CallContext, args: Args) -> Result<Datum, Fault> {
//!        let options = args.record("options");
//!        let name = options.need("name")?;
//!        // A permit from `context.run()?.grants`, made by `primitives::permit`; without one `?` ends the call.
//!        if context.dry_run(&args) { return Ok(Datum::record([("would_greet", name.into())])); }
//!        Ok(Datum::Text(format!("hello {name}")))
//!    }
//!    ```
//!
//! 2. Add `mod <name>;` and its `MODULE` to [`MODULES`].
//! 3. `AEGIS_UPDATE_GENERATED=1 cargo test --lib lua::docs` rewrites the editor's types and the reference.
//!
//! What the choke point ([`call`]) has done before a function is reached: the phase fits, the run is neither cancelled
//! nor out of time, arguments have their declared types (see [`Datum`] for what each [`Type`] arrives as), required
//! ones are there, unknown options were refused. What it does afterwards: an `Err(Fault)` becomes the error object that
//! the script catches, with its trace; the result becomes a Lua value; calls with a `permission` are audited.
//!
//! `Call::Durable` is for `ctx` alone: what a journal answers. `Call::Async` futures are `Send` and run on `EngineOptions.io`, never on a lane; they are dropped when the run is
//! cancelled or over, so every `.await` in them is a point where they may end. Results are [`Datum`]s: use
//! `Datum::Json` for what is JSON already, `Datum::record` for small records, `Datum::Bytes` for bodies.

mod alerts;
pub mod args;
mod audit;
mod base64;
pub mod call;
pub mod check;
mod checks;
pub mod context;
mod csv;
pub mod ctx;
mod declaration;
mod diff;
mod docker;
mod duration;
mod egress;
mod events;
mod fs;
mod graph;
mod hash;
mod hex;
mod hmac;
mod host;
mod http;
mod image;
mod jobs;
mod json;
mod kv;
mod llm;
mod log;
mod metrics;
mod notify;
mod process;
mod proxy;
mod redis;
mod regex;
pub mod reply;
mod root;
mod secrets;
pub mod spec;
mod sql;
mod stack;
mod template;
mod time;
mod toml;
mod url;
mod uuid;
mod volumes;
mod yaml;

use std::time::Duration;

use crate::base::Fault;
use crate::base::quantity::show_duration;

pub use args::{Args, Datum};
pub use context::CallContext;
pub use secrets::Handle;
pub use spec::{Call, Constant, Field, Function, Module, ModuleKind, Phase, Record, Type};

/// Every module, in the order of the reference.
pub const MODULES: &[&Module] = &[
    &root::MODULE,
    &ctx::MODULE,
    &log::MODULE,
    &kv::MODULE,
    &jobs::MODULE,
    &events::MODULE,
    &docker::MODULE,
    &stack::MODULE,
    &http::MODULE,
    &notify::MODULE,
    &secrets::MODULE,
    &sql::MODULE,
    &host::MODULE,
    &process::MODULE,
    &fs::MODULE,
    &redis::MODULE,
    &graph::MODULE,
    &llm::MODULE,
    &volumes::MODULE,
    &proxy::MODULE,
    &egress::MODULE,
    &metrics::MODULE,
    &alerts::MODULE,
    &checks::MODULE,
    &json::MODULE,
    &time::MODULE,
    &duration::MODULE,
    &uuid::MODULE,
    &base64::MODULE,
    &hash::MODULE,
    &hmac::MODULE,
    &hex::MODULE,
    &yaml::MODULE,
    &toml::MODULE,
    &csv::MODULE,
    &template::MODULE,
    &regex::MODULE,
    &diff::MODULE,
    &url::MODULE,
    &image::MODULE,
];

/// The option `timeout` of a call, within its bound.
fn within(context: &CallContext, options: &Args, default: Duration, max: Duration) -> Result<Duration, Fault> {
    let timeout = options.duration("timeout").unwrap_or(default);
    if timeout.is_zero() || timeout > max {
        let message = format!("{}: option \"timeout\" must be more than 0", context.name);
        return Err(Fault::new("args.value", message).hint(format!("at most {}", show_duration(max))));
    }
    Ok(timeout)
}

/// A function's place in [`MODULES`], as one number that fits a Lua constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionId(pub u32);

impl FunctionId {
    const FUNCTIONS_PER_MODULE: u32 = 256;

    pub fn new(module: usize, function: usize) -> Self {
        Self(module as u32 * Self::FUNCTIONS_PER_MODULE + function as u32)
    }

    pub fn resolve(self) -> Option<(&'static Module, &'static Function)> {
        let module = MODULES.get((self.0 / Self::FUNCTIONS_PER_MODULE) as usize)?;
        let function = module.functions.get((self.0 % Self::FUNCTIONS_PER_MODULE) as usize)?;
        Some((module, function))
    }
}

/// As a script writes it: `aegis.kv.get`, `ctx:sleep`.
pub fn full_name(module: &Module, function: &Function) -> String {
    match (module.kind, module.name) {
        (ModuleKind::Object, object) => format!("{object}:{}", function.name),
        (ModuleKind::Namespace, "") => format!("aegis.{}", function.name),
        (ModuleKind::Namespace, name) => format!("aegis.{name}.{}", function.name),
    }
}
