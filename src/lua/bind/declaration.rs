//! The job table, for the reference and the editor. Its checking is the loader's work.

use super::{Field, Record, Type};

const CTX_RUN: Type = Type::Callback("(ctx: Ctx) -> any");

const SCHEDULE: Record = Record {
    name: "Schedule",
    doc: "When a job is due. One of cron, every and at.",
    fields: &[
        Field::optional("cron", Type::String, "Five fields, or six with seconds first: `0 6 * * *`"),
        Field::optional("every", Type::Duration, "An interval of elapsed time"),
        Field::optional("at", Type::Time, "Once, at this moment"),
        Field::optional("timezone", Type::String, "IANA name for cron; UTC unless said otherwise"),
        Field::optional("jitter", Type::Duration, "Spread starts over this long, each job always by the same amount"),
        Field::optional("catch_up", Type::Choice(&["none", "latest", "all"]), "What to do about missed due times"),
        Field::optional("window", Type::Duration, "How old a missed due time may be to be caught up"),
        Field::optional(
            "skip",
            Type::List(&Type::String),
            "Calendars of the configuration; what is due while one of them is closed is held",
        ),
    ],
};

const PARAM: Record = Record {
    name: "Param",
    doc: "A parameter; it becomes a flag, a form field and a JSON Schema.",
    fields: &[
        Field::required(
            "type",
            Type::Choice(&["string", "number", "integer", "boolean", "duration", "size", "secret", "list", "map"]),
            "What it holds",
        ),
        Field::optional("description", Type::String, "What it is for"),
        Field::optional("default", Type::Json, "Its value when none is given"),
        Field::optional("required", Type::Boolean, "Refuse runs without it"),
        Field::optional("choices", Type::Any, "The values it may have"),
        Field::optional("min", Type::Number, "Least number, or least length"),
        Field::optional("max", Type::Number, "Largest number, or largest length"),
        Field::optional("pattern", Type::String, "A regular expression that the whole text must match"),
    ],
};

const RETRY: Record = Record {
    name: "Retry",
    doc: "How failed attempts are repeated.",
    fields: &[
        Field::optional("attempts", Type::Integer, "In all, the first included"),
        Field::optional("backoff", Type::Choice(&["constant", "linear", "exponential"]), "How pauses grow"),
        Field::optional("initial", Type::Duration, "The first pause"),
        Field::optional("max", Type::Duration, "The longest pause"),
        Field::optional(
            "on",
            Type::List(&Type::String),
            "Error codes worth it, such as `http.*`; every error without it",
        ),
    ],
};

const CONCURRENCY: Record = Record {
    name: "Concurrency",
    doc: "Runs of equal keys share a limit, across jobs.",
    fields: &[
        Field::required("key", Type::String, "With `${param}` filled in"),
        Field::required("limit", Type::Integer, "Runs at once"),
    ],
};

const UI: Record = Record {
    name: "Ui",
    doc: "How the job shows on the dashboard.",
    fields: &[
        Field::optional("group", Type::String, "Its heading"),
        Field::optional("button", Type::String, "The button's text"),
        Field::optional("confirm", Type::String, "What is asked before the button acts"),
        Field::optional("hidden", Type::Boolean, "Leave it out of lists"),
    ],
};

const PERMISSIONS: Record = Record {
    name: "Permissions",
    doc: "What the job may touch; what is absent it may not.",
    fields: &[
        Field::optional(
            "docker",
            Type::Any,
            "`\"read\"`, `\"write\"`, `\"admin\"`, or a table of name patterns by these",
        ),
        Field::optional("host", Type::Choice(&["read", "write", "admin"]), "Looking at this machine"),
        Field::optional(
            "proxy",
            Type::Any,
            "Load balancers: `\"read\"` or `\"write\"` for all, or a table of these by name",
        ),
        Field::optional("stack", Type::List(&Type::String), "Compose stacks, by pattern"),
        Field::optional("sql", Type::Map(&Type::String), "`\"read\"` or `\"write\"` by data source"),
        Field::optional("redis", Type::Map(&Type::String), "Access by source: read, write, admin"),
        Field::optional("graph", Type::Map(&Type::String), "Access by source: read, write"),
        Field::optional("llm", Type::List(&Type::String), "Language models, by source"),
        Field::optional("http", Type::List(&Type::String), "Hosts, with an optional port"),
        Field::optional(
            "egress",
            Type::List(&Type::String),
            "Hosts that executions may be let out to, with an optional port",
        ),
        Field::optional("notify", Type::List(&Type::String), "Routes"),
        Field::optional(
            "secrets",
            Type::Any,
            "Names of secrets, by pattern: `{ \"TOKEN\" }` to use them, `{ TOKEN = \"reveal\" }` to read their text too",
        ),
        Field::optional(
            "volumes",
            Type::Map(&Type::String),
            "Access by pattern of `tenant/volume`: read, write, admin",
        ),
        Field::optional("process", Type::List(&Type::String), "Programs, by name"),
        Field::optional("fs", Type::Map(&Type::String), "Access by root: read, write"),
        Field::optional("kv", Type::List(&Type::String), "Shared scopes: `shared:NAME`"),
        Field::optional("jobs", Type::List(&Type::String), "Jobs that it may start"),
        Field::optional("runs", Type::List(&Type::String), "Jobs whose runs it may look at, by pattern"),
        Field::optional("events", Type::List(&Type::String), "Events that it may send, by pattern"),
        Field::optional("alerts", Type::Choice(&["read", "write"]), "`\"write\"`: silence and acknowledge alerts"),
    ],
};

pub const JOB: Record = Record {
    name: "Job",
    doc: "The job table. Unknown and ill-typed fields are diagnostics.",
    fields: &[
        Field::optional("description", Type::String, "One line for lists"),
        Field::optional("name", Type::String, "Its name; the file's stem unless said otherwise"),
        Field::optional("tags", Type::List(&Type::String), "Words to find it by"),
        Field::optional("enabled", Type::Boolean, "Whether its schedules fire; true unless said otherwise"),
        Field::optional(
            "schedule",
            Type::OneOf(&[Type::Record(&SCHEDULE), Type::List(&Type::Record(&SCHEDULE))]),
            "When it is due",
        ),
        Field::optional(
            "on",
            Type::Any,
            "Other triggers, one or a list: `docker = { event, type, container, label }`, `sql = { source, channel }`, \
             `job = { name, state }`, `alert = { rule, state }`, `file = { path, settle }`, `webhook = { secret, scheme }`",
        ),
        Field::optional("params", Type::Map(&Type::Record(&PARAM)), "Its parameters, by name"),
        Field::optional("timeout", Type::Duration, "Wall time of one attempt; 10m unless said otherwise"),
        Field::optional("cpu", Type::Duration, "Time in Lua of one attempt; 60s unless said otherwise"),
        Field::optional("memory", Type::Size, "Memory of its VM; 64MiB unless said otherwise, 32MiB at least"),
        Field::optional("retry", Type::Record(&RETRY), "What follows a failed attempt"),
        Field::optional(
            "overlap",
            Type::Choice(&["skip", "queue", "replace", "parallel"]),
            "What happens to a run that comes while another is alive; skip unless said otherwise",
        ),
        Field::optional(
            "runs_on",
            Type::List(&Type::String),
            "Labels that a daemon must have to execute it, where several share the work",
        ),
        Field::optional("concurrency", Type::Record(&CONCURRENCY), "A limit shared by runs of one key"),
        Field::optional("priority", Type::Integer, "Higher goes first; 0 unless said otherwise"),
        Field::optional(
            "resume",
            Type::Boolean,
            "Keep a journal of its steps, and go on at the first unfinished one after a crash",
        ),
        Field::optional("permissions", Type::Record(&PERMISSIONS), "What it may touch"),
        Field::optional("ui", Type::Record(&UI), "How it shows on the dashboard"),
        Field::optional("mcp", Type::Boolean, "Offer it to agents; without effect in this version"),
        Field::optional("on_failure", Type::Callback("(ctx: Ctx, err: Error) -> any"), "Called after the last attempt"),
        Field::optional(
            "on_success",
            Type::Callback("(ctx: Ctx, result: any) -> any"),
            "Called after the last attempt",
        ),
        Field::required("run", CTX_RUN, "The work; what it returns is the run's result"),
    ],
};
