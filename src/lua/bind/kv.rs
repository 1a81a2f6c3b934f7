//! `aegis.kv`: values that outlive a run.

use serde_json::Value;

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::clock::later;
use crate::base::{Fault, limits};
use crate::primitives::permit::{self, KvPermit};
use crate::store::{KvEntry, KvOutcome, KvWrite};

const SCOPE: Field =
    Field::optional("scope", Type::String, "\"job\" (the default) or \"shared:NAME\", which needs a permission");

const SCOPED: Record = Record { name: "KvScope", doc: "Where the key lives.", fields: &[SCOPE] };

const SET: Record = Record {
    name: "KvSet",
    doc: "How a value is kept.",
    fields: &[
        SCOPE,
        Field::optional("ttl", Type::Duration, "Forget the value after this long"),
        Field::optional(
            "revision",
            Type::Integer,
            "Write only if the entry still has this revision (0: only if it is absent); raises `kv.conflict` if not",
        ),
    ],
};

const LIST: Record = Record {
    name: "KvList",
    doc: "Which keys to list.",
    fields: &[
        SCOPE,
        Field::optional("prefix", Type::String, "Only keys that begin with this"),
        Field::optional("limit", Type::Integer, "At most this many; 100 unless said otherwise, 1000 at most"),
    ],
};

const ENTRY: Record = Record {
    name: "KvEntry",
    doc: "A value with what compare-and-set needs.",
    fields: &[
        Field::required("key", Type::String, "Its key"),
        Field::required("value", Type::Json, "Its value"),
        Field::required("revision", Type::Integer, "Grows with each write"),
        Field::optional("expires_at", Type::Time, "When it is forgotten"),
    ],
};

const KEY: Field = Field::required("key", Type::String, "The key, at most 512 bytes");
const PERMISSION: &str = "kv = { \"shared:NAME\" }";

pub const MODULE: Module = Module {
    name: "kv",
    doc: "Values that outlive a run. Each job has a scope of its own; `shared:NAME` scopes are granted by name. A scope \
          holds 10 000 keys and 64 MiB at most.",
    functions: &[
        Function {
            name: "get",
            doc: "The value of a key, or nil.",
            params: &[KEY, Field::optional("options", Type::Record(&SCOPED), "Where to look")],
            returns: Type::Optional(&Type::Json),
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(get(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "entry",
            doc: "The value of a key with its revision and expiry, or nil.",
            params: &[KEY, Field::optional("options", Type::Record(&SCOPED), "Where to look")],
            returns: Type::Optional(&Type::Record(&ENTRY)),
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(entry(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "set",
            doc: "Keeps a value and returns its new revision.",
            params: &[
                KEY,
                Field::required("value", Type::Json, "What to keep, at most 256 KiB as JSON"),
                Field::optional("options", Type::Record(&SET), "Where and how long"),
            ],
            returns: Type::Integer,
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(set(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "delete",
            doc: "Forgets a key. Forgetting an absent one is no error.",
            params: &[KEY, Field::optional("options", Type::Record(&SET), "Where, and under which condition")],
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(delete(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "list",
            doc: "Keys with their values, in order of the keys.",
            params: &[Field::optional("options", Type::Record(&LIST), "Which")],
            returns: Type::List(&Type::Record(&ENTRY)),
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(list(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "update",
            doc: "Replaces a value by `change(value)` and returns the new one; tries again when another run was \
                  faster. `change` may be called several times; nil deletes.",
            params: &[
                KEY,
                Field::required("change", Type::Function, "Makes the new value of the old one (nil when absent)"),
                Field::optional("options", Type::Record(&SET), "Where and how long"),
            ],
            returns: Type::Optional(&Type::Json),
            permission: Some(PERMISSION),
            call: Call::Prelude,
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

/// The permit for the scope that the options name.
fn scope(context: &CallContext, options: &Args) -> Result<KvPermit, Fault> {
    let run = context.run()?;
    let scope = options.text("scope").unwrap_or("job");
    let is_shared = scope.strip_prefix("shared:").is_some_and(|name| !name.is_empty());
    if scope != "job" && !is_shared {
        let message = format!("{}: \"{scope}\" is not a scope", context.name);
        return Err(Fault::new("kv.scope", message).hint("use \"job\" or \"shared:NAME\""));
    }
    Ok(permit::kv(&run.grants, run.job.as_str(), scope)?)
}

fn key(context: &CallContext, args: &Args) -> Result<String, Fault> {
    let key = args.need("key")?;
    if key.is_empty() || key.len() > limits::KV_KEY_BYTES_MAX {
        let message = format!("{}: a key has 1 to {} bytes", context.name, limits::KV_KEY_BYTES_MAX);
        return Err(Fault::new("kv.key", message));
    }
    Ok(key.to_owned())
}

async fn get(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let found = read(&context, &args).await?;
    Ok(found.map_or(Datum::Null, |(_, entry)| Datum::Json(entry.value)))
}

async fn entry(context: CallContext, args: Args) -> Result<Datum, Fault> {
    Ok(read(&context, &args).await?.map_or(Datum::Null, |(key, entry)| record(key, entry)))
}

async fn read(context: &CallContext, args: &Args) -> Result<Option<(String, KvEntry)>, Fault> {
    let scope = scope(context, &args.record("options"))?;
    let key = key(context, args)?;
    let found = context.run()?.kv.get(scope, key.clone()).await?;
    Ok(found.map(|entry| (key, entry)))
}

fn record(key: String, entry: KvEntry) -> Datum {
    Datum::record([
        ("key", key.into()),
        ("value", Datum::Json(entry.value)),
        ("revision", entry.revision.into()),
        ("expires_at", entry.expires_at.map_or(Datum::Null, Datum::Time)),
    ])
}

async fn set(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let value = args.json("value");
    let masker = context.primitives.secrets.masker();
    if masker.finds_in_json(&value) || args.text("key").is_some_and(|key| masker.finds(key)) {
        let message = format!("{}: the text of a secret is not kept here", context.name);
        let hint = "keep its name, and call aegis.secrets.get where it is needed";
        return Err(Fault::new("kv.secret", message).hint(hint));
    }
    let bytes = value.to_string().len();
    if bytes > limits::KV_VALUE_BYTES_MAX {
        let message = format!("{}: the value has {bytes} bytes as JSON", context.name);
        let hint = format!("at most {} bytes are kept under one key", limits::KV_VALUE_BYTES_MAX);
        return Err(Fault::new("kv.too_large", message).hint(hint));
    }
    write(&context, &args, Some(value)).await.map(Datum::Integer)
}

async fn delete(context: CallContext, args: Args) -> Result<Datum, Fault> {
    write(&context, &args, None).await.map(|_| Datum::Null)
}

async fn write(context: &CallContext, args: &Args, value: Option<Value>) -> Result<i64, Fault> {
    let options = args.record("options");
    let key = key(context, args)?;
    let permit = scope(context, &options)?;
    let write = KvWrite {
        scope: permit.scope().to_owned(),
        key: key.clone(),
        value,
        expires_at: options.duration("ttl").map(|ttl| later(context.clock.now(), ttl)),
        expect_revision: options.integer("revision"),
    };
    if context.dry_run(args) {
        return Ok(write.expect_revision.unwrap_or(0));
    }
    match context.run()?.kv.write(permit, write).await? {
        KvOutcome::Written { revision } => Ok(revision),
        KvOutcome::Conflict { revision } => {
            let message = format!("{}: \"{key}\" was written by another run meanwhile", context.name);
            let details = serde_json::json!({ "revision": revision });
            Err(Fault::new("kv.conflict", message).hint("read it again, or use aegis.kv.update").details(details))
        }
    }
}

async fn list(context: CallContext, args: Args) -> Result<Datum, Fault> {
    const ENTRIES_DEFAULT: i64 = 100;
    let options = args.record("options");
    let scope = scope(&context, &options)?;
    let prefix = options.text("prefix").unwrap_or_default().to_owned();
    let limit = options.integer("limit").unwrap_or(ENTRIES_DEFAULT).clamp(1, limits::STORE_PAGE_ROWS_MAX as i64);
    let found = context.run()?.kv.list(scope, prefix, limit as usize).await?;
    Ok(Datum::List(found.into_iter().map(|(key, entry)| record(key, entry)).collect()))
}
