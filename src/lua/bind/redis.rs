//! `aegis.redis`: commands to the Redis servers that the operator has configured.

mod convert;

use std::time::Duration;

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::{Fault, limits};
use crate::primitives::permit;
use crate::primitives::redis::{CallOptions, Command, Done, Reply};
use convert::{datum, scalar, words};

const SOURCE: Field = Field::required("source", Type::String, "Its name under `redis` in the configuration");
const KEY: Field = Field::required("key", Type::Bytes, "The key");
const SCALAR: Type = Type::OneOf(&[Type::Number, Type::Bytes, Type::Secret]);
const WORDS: Type = Type::List(&SCALAR);
const TIMEOUT: Field =
    Field::optional("timeout", Type::Duration, "Of the whole call; 5s unless said otherwise, 10m at most");

const READ: Record = Record { name: "RedisRead", doc: "How long to wait.", fields: &[TIMEOUT] };
const CALL: Record = Record { name: "RedisCall", doc: "How a command is sent.", fields: &[TIMEOUT, Field::DRY_RUN] };
const PIPELINE: Record = Record {
    name: "RedisPipeline",
    doc: "How commands are sent.",
    fields: &[
        Field::optional("atomic", Type::Boolean, "As a transaction: all of them or none, with nobody in between"),
        TIMEOUT,
        Field::DRY_RUN,
    ],
};
const SET: Record = Record {
    name: "RedisSet",
    doc: "How a value is kept.",
    fields: &[
        Field::optional("ttl", Type::Duration, "Forget it after this long"),
        Field::optional(
            "only",
            Type::Choice(&["absent", "present"]),
            "Only if the key is absent, or only if it is there",
        ),
        TIMEOUT,
        Field::DRY_RUN,
    ],
};
const SCAN: Record = Record {
    name: "RedisScan",
    doc: "Which keys.",
    fields: &[
        Field::optional("match", Type::Bytes, "A glob pattern, such as `user:*`"),
        Field::optional("type", Type::String, "Only keys that hold this: string, list, set, zset, hash, stream"),
        Field::optional("limit", Type::Integer, "At most so many keys; 1000 unless said otherwise, 100000 at most"),
        TIMEOUT,
    ],
};
const SOURCE_RECORD: Record = Record {
    name: "RedisSource",
    doc: "A source of the configuration.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("granted", Type::Boolean, "Whether this job may read from it"),
    ],
};

const READING: Function = Function { permission: Some("redis = { SOURCE = \"read\" }"), ..Function::DEFAULT };
const WRITING: Function = Function { permission: Some("redis = { SOURCE = \"write\" }"), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "redis",
    doc: "Redis servers by the names that they have under `redis` in the configuration. What a command needs is what the \
          server says of it: `read` for commands that only read, `write` for those that change data, `admin` for those \
          that it calls dangerous or administrative and for scripts. Texts are of any bytes; a value that is absent is \
          nil, `aegis.null` inside lists.",
    functions: &[
        Function {
            name: "command",
            doc: "Sends one command and returns its reply: maps as tables, sets and lists as lists, integers beyond 2^53 \
                  as strings. `SELECT`, `SUBSCRIBE`, `MULTI` and what else changes a connection is refused.",
            params: &[
                SOURCE,
                Field::required("command", WORDS, "Its name and arguments: texts and numbers"),
                Field::optional("options", Type::Record(&CALL), "How it is sent"),
            ],
            returns: Type::Optional(&Type::Any),
            call: Call::Async(|context, args| Box::pin(command(context, args))),
            ..READING
        },
        Function {
            name: "pipeline",
            doc: "Sends commands in one go and returns their replies in order. When the server refuses one, its number \
                  is in the error, and the others were carried out unless the call is atomic.",
            params: &[
                SOURCE,
                Field::required("commands", Type::List(&WORDS), "The commands, 10000 at most"),
                Field::optional("options", Type::Record(&PIPELINE), "How they are sent"),
            ],
            returns: Type::List(&Type::Any),
            call: Call::Async(|context, args| Box::pin(pipeline(context, args))),
            ..READING
        },
        Function {
            name: "get",
            doc: "The text of a key, or nil.",
            params: &[SOURCE, KEY, Field::optional("options", Type::Record(&READ), "How long to wait")],
            returns: Type::Optional(&Type::Bytes),
            call: Call::Async(|context, args| Box::pin(get(context, args))),
            ..READING
        },
        Function {
            name: "set",
            doc: "Keeps a text or a number under a key; false when `only` did not hold.",
            params: &[
                SOURCE,
                KEY,
                Field::required("value", SCALAR, "What to keep"),
                Field::optional("options", Type::Record(&SET), "How long, and on which condition"),
            ],
            returns: Type::Boolean,
            call: Call::Async(|context, args| Box::pin(set(context, args))),
            ..WRITING
        },
        Function {
            name: "del",
            doc: "Removes keys and returns how many there were.",
            params: &[
                SOURCE,
                Field::required("keys", Type::OneOf(&[Type::Bytes, Type::List(&Type::Bytes)]), "One key or several"),
                Field::optional("options", Type::Record(&CALL), "How it is sent"),
            ],
            returns: Type::Integer,
            call: Call::Async(|context, args| Box::pin(del(context, args))),
            ..WRITING
        },
        Function {
            name: "incr",
            doc: "Adds to the number of a key, an absent one being 0, and returns the new one.",
            params: &[
                SOURCE,
                KEY,
                Field::optional("by", Type::Integer, "How much; 1 unless said otherwise"),
                Field::optional("options", Type::Record(&CALL), "How it is sent"),
            ],
            returns: Type::Integer,
            call: Call::Async(|context, args| Box::pin(incr(context, args))),
            ..WRITING
        },
        Function {
            name: "expire",
            doc: "Forgets a key after a time; false when it is absent.",
            params: &[
                SOURCE,
                KEY,
                Field::required("ttl", Type::Duration, "After how long, to the millisecond"),
                Field::optional("options", Type::Record(&CALL), "How it is sent"),
            ],
            returns: Type::Boolean,
            call: Call::Async(|context, args| Box::pin(expire(context, args))),
            ..WRITING
        },
        Function {
            name: "publish",
            doc: "Tells a channel something and returns how many heard it.",
            params: &[
                SOURCE,
                Field::required("channel", Type::Bytes, "The channel"),
                Field::required("message", Type::Bytes, "What is told"),
                Field::optional("options", Type::Record(&CALL), "How it is sent"),
            ],
            returns: Type::Integer,
            call: Call::Async(|context, args| Box::pin(publish(context, args))),
            ..WRITING
        },
        Function {
            name: "scan",
            doc: "Keys, without holding the server up as `KEYS` does. Keys that come and go meanwhile may be missing.",
            params: &[SOURCE, Field::optional("options", Type::Record(&SCAN), "Which")],
            returns: Type::List(&Type::Bytes),
            call: Call::Async(|context, args| Box::pin(scan(context, args))),
            ..READING
        },
        Function {
            name: "info",
            doc: "What the server says of itself, by name: `used_memory`, `connected_clients`, `role` and so on.",
            params: &[
                SOURCE,
                Field::optional("section", Type::String, "Only this: `memory`, `replication`, `stats` …"),
                Field::optional("options", Type::Record(&READ), "How long to wait"),
            ],
            returns: Type::Map(&Type::String),
            call: Call::Async(|context, args| Box::pin(info(context, args))),
            ..READING
        },
        Function {
            name: "sources",
            doc: "All sources, and whether this job may read from them.",
            returns: Type::List(&Type::Record(&SOURCE_RECORD)),
            call: Call::Sync(|context, _| sources(context)),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn timeout(context: &CallContext, options: &Args) -> Result<Duration, Fault> {
    super::within(context, options, limits::REDIS_TIMEOUT_DEFAULT, limits::REDIS_TIMEOUT_MAX)
}

async fn run(context: &CallContext, args: &Args, commands: &[Command]) -> Result<Done, Fault> {
    let permit = permit::redis(&context.run()?.grants, args.need("source")?)?.noting(&context.reach);
    let options = args.record("options");
    let how = CallOptions {
        timeout: timeout(context, &options)?,
        atomic: options.flag("atomic"),
        dry_run: context.dry_run(args),
    };
    Ok(context.primitives.redis.run(&permit, commands, how).await?)
}

/// The one reply of one command; None in a dry run that would have changed something.
async fn one(context: &CallContext, args: &Args, command: Command) -> Result<Option<Reply>, Fault> {
    match run(context, args, &[command]).await? {
        Done::Replies(replies) => Ok(replies.into_iter().next()),
        Done::Planned(_) => Ok(None),
    }
}

fn planned(plan: Vec<String>) -> Datum {
    Datum::record([("planned", plan.into())])
}

async fn command(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let command = Command(words(args.list("command").unwrap_or_default()));
    Ok(match run(&context, &args, &[command]).await? {
        Done::Replies(replies) => replies.into_iter().next().map_or(Datum::Null, datum),
        Done::Planned(plan) => planned(plan),
    })
}

async fn pipeline(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let words_of = |command: &Datum| match command {
        Datum::List(list) => Command(words(list)),
        _ => Command(Vec::new()),
    };
    let commands: Vec<Command> = args.list("commands").unwrap_or_default().iter().map(words_of).collect();
    Ok(match run(&context, &args, &commands).await? {
        Done::Replies(replies) => Datum::List(replies.into_iter().map(datum).collect()),
        Done::Planned(plan) => Datum::List(vec![planned(plan)]),
    })
}

fn key(args: &Args) -> &[u8] {
    args.bytes("key").unwrap_or_default()
}

fn integer(reply: Option<Reply>) -> Datum {
    reply.map_or(Datum::Integer(0), datum)
}

async fn get(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let reply = one(&context, &args, Command::new([b"GET", key(&args)])).await?;
    Ok(reply.map_or(Datum::Null, datum))
}

async fn set(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let value = args.get("value").map(scalar).unwrap_or_default();
    let mut command = Command::new([b"SET", key(&args), &value]);
    if let Some(ttl) = options.duration("ttl") {
        command.0.extend([b"PX".to_vec(), milliseconds(&context, ttl)?]);
    }
    match options.text("only") {
        Some("absent") => command.0.push(b"NX".to_vec()),
        Some(_) => command.0.push(b"XX".to_vec()),
        None => {}
    }
    let reply = one(&context, &args, command).await?;
    Ok(Datum::Bool(reply != Some(Reply::Nil)))
}

/// At least one, for the server takes 0 for a mistake.
fn milliseconds(context: &CallContext, ttl: Duration) -> Result<Vec<u8>, Fault> {
    match i64::try_from(ttl.as_millis()) {
        Ok(count @ 1..) => Ok(count.to_string().into_bytes()),
        _ => Err(Fault::new("args.value", format!("{}: ttl must be at least 1ms", context.name))),
    }
}

async fn del(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let mut command = Command::new([b"DEL"]);
    match args.get("keys") {
        Some(Datum::List(keys)) if keys.is_empty() => return Ok(Datum::Integer(0)),
        Some(Datum::List(keys)) => command.0.extend(words(keys)),
        Some(key) => command.0.push(scalar(key)),
        None => {}
    }
    Ok(integer(one(&context, &args, command).await?))
}

async fn incr(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let by = args.integer("by").unwrap_or(1).to_string();
    Ok(integer(one(&context, &args, Command::new([b"INCRBY", key(&args), by.as_bytes()])).await?))
}

async fn expire(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let ttl = milliseconds(&context, args.duration("ttl").unwrap_or_default())?;
    let reply = one(&context, &args, Command::new([b"PEXPIRE", key(&args), &ttl])).await?;
    Ok(Datum::Bool(reply == Some(Reply::Integer(1))))
}

async fn publish(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let bytes = |name: &str| args.bytes(name).unwrap_or_default().to_vec();
    let command = Command(vec![b"PUBLISH".to_vec(), bytes("channel"), bytes("message")]);
    Ok(integer(one(&context, &args, command).await?))
}

async fn scan(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let limit = options.integer("limit").unwrap_or(limits::REDIS_SCAN_KEYS_DEFAULT);
    if !(1..=limits::REDIS_SCAN_KEYS_MAX).contains(&limit) {
        let message = format!("{}: option \"limit\" must be 1 to {}", context.name, limits::REDIS_SCAN_KEYS_MAX);
        return Err(Fault::new("args.value", message));
    }
    let limit = usize::try_from(limit).unwrap_or_default();
    let mut found = std::collections::BTreeSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let mut command = Command::new([b"SCAN", &cursor, b"COUNT", b"1000"]);
        for (word, option) in [(b"MATCH".to_vec(), "match"), (b"TYPE".to_vec(), "type")] {
            if let Some(bytes) = options.bytes(option) {
                command.0.extend([word, bytes.to_vec()]);
            }
        }
        let Some(Reply::List(answer)) = one(&context, &args, command).await? else { break };
        let mut answer = answer.into_iter();
        let (Some(Reply::Bytes(next)), Some(Reply::List(keys))) = (answer.next(), answer.next()) else { break };
        found.extend(keys.into_iter().filter_map(|key| if let Reply::Bytes(key) = key { Some(key) } else { None }));
        if next == b"0" || found.len() >= limit {
            break;
        }
        cursor = next;
    }
    Ok(Datum::List(found.into_iter().take(limit).map(Datum::Bytes).collect()))
}

async fn info(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::redis(&context.run()?.grants, args.need("source")?)?.noting(&context.reach);
    let timeout = timeout(&context, &args.record("options"))?;
    let section = args.text("section").unwrap_or_default();
    let fields = context.primitives.redis.info(&permit, section, timeout).await?;
    Ok(Datum::Map(fields.into_iter().map(|(name, value)| (name, Datum::Text(value))).collect()))
}

fn sources(context: &CallContext) -> Result<Datum, Fault> {
    let grants = &context.run()?.grants;
    let source =
        |name: &str| Datum::record([("name", name.into()), ("granted", permit::redis(grants, name).is_ok().into())]);
    Ok(Datum::List(context.primitives.redis.sources().map(source).collect()))
}
