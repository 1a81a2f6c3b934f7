//! `aegis.graph`: Cypher for the FalkorDB servers that the operator has configured.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::{Fault, limits};
use crate::primitives::graph::Query;
use crate::primitives::permit;

const SOURCE: Field = Field::required("source", Type::String, "Its name under `graph` in the configuration");
const GRAPH: Field = Field::required("graph", Type::String, "The graph's name");
const CYPHER: Field =
    Field::required("cypher", Type::String, "The query; values belong into the parameters, as `$name`");
const PARAMS: Field =
    Field::optional("params", Type::Json, "By name: texts, numbers, booleans, `aegis.null`, lists and tables of these");
const TIMEOUT: Field = Field::optional(
    "timeout",
    Type::Duration,
    "After which the server gives up; 30s unless said otherwise, 1h at most",
);

const READ: Record = Record { name: "GraphRead", doc: "How long to wait.", fields: &[TIMEOUT] };
const CALL: Record = Record { name: "GraphCall", doc: "How a query is sent.", fields: &[TIMEOUT, Field::DRY_RUN] };
const RESULT: Record = Record {
    name: "GraphResult",
    doc: "What a query gave.",
    fields: &[
        Field::required("columns", Type::List(&Type::String), "Their names, in order"),
        Field::required(
            "rows",
            Type::List(&Type::Map(&Type::Json)),
            "Each by its columns. A node is `{ kind = \"node\", id, labels, properties }`, an edge `{ kind = \"edge\", \
             id, type, from, to, properties }`, a path `{ kind = \"path\", nodes, edges }`, a point `{ latitude, \
             longitude }`; dates and times are texts, durations seconds, whole numbers beyond 2^53 strings",
        ),
        Field::required("statistics", Type::Map(&Type::Number), "Such as `nodes_created`, `properties_set`, `took_ms`"),
        Field::optional("plan", Type::List(&Type::String), "In a dry run of a query that writes: the server's plan"),
    ],
};
const SOURCE_RECORD: Record = Record {
    name: "GraphSource",
    doc: "A source of the configuration.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("granted", Type::Boolean, "Whether this job may read from it"),
    ],
};

const READING: Function = Function { permission: Some("graph = { SOURCE = \"read\" }"), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "graph",
    doc: "Graphs of FalkorDB servers by the names that they have under `graph` in the configuration. With `read` the \
          server itself refuses queries that write.",
    functions: &[
        Function {
            name: "query",
            doc: "Sends an openCypher query with its parameters.",
            params: &[SOURCE, GRAPH, CYPHER, PARAMS, Field::optional("options", Type::Record(&CALL), "How it is sent")],
            returns: Type::Record(&RESULT),
            call: Call::Async(|context, args| Box::pin(query(context, args))),
            ..READING
        },
        Function {
            name: "explain",
            doc: "How the server would carry a query out, a line for each operation. Nothing is carried out.",
            params: &[
                SOURCE,
                GRAPH,
                CYPHER,
                PARAMS,
                Field::optional("options", Type::Record(&READ), "How long to wait"),
            ],
            returns: Type::List(&Type::String),
            call: Call::Async(|context, args| Box::pin(explain(context, args))),
            ..READING
        },
        Function {
            name: "graphs",
            doc: "The names of a source's graphs.",
            params: &[SOURCE, Field::optional("options", Type::Record(&READ), "How long to wait")],
            returns: Type::List(&Type::String),
            call: Call::Async(|context, args| Box::pin(graphs(context, args))),
            ..READING
        },
        Function {
            name: "delete",
            doc: "Removes a graph with all that is in it; false when there was none.",
            params: &[SOURCE, GRAPH, Field::optional("options", Type::Record(&CALL), "How it is sent")],
            returns: Type::Boolean,
            permission: Some("graph = { SOURCE = \"write\" }"),
            call: Call::Async(|context, args| Box::pin(delete(context, args))),
            ..Function::DEFAULT
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

fn timeout(context: &CallContext, args: &Args) -> Result<Duration, Fault> {
    super::within(context, &args.record("options"), limits::GRAPH_TIMEOUT_DEFAULT, limits::GRAPH_TIMEOUT_MAX)
}

/// An empty table is a list of nothing or a table of nothing.
fn params(context: &CallContext, args: &Args) -> Result<Map<String, Value>, Fault> {
    match args.json("params") {
        Value::Null => Ok(Map::new()),
        Value::Object(params) => Ok(params),
        Value::Array(items) if items.is_empty() => Ok(Map::new()),
        _ => Err(Fault::new("args.type", format!("{}: argument \"params\" must be a table of names", context.name))),
    }
}

async fn query(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::graph(&context.run()?.grants, args.need("source")?)?.noting(&context.reach);
    let query = Query {
        graph: args.need("graph")?,
        cypher: args.need("cypher")?,
        params: &params(&context, &args)?,
        timeout: timeout(&context, &args)?,
        dry_run: context.dry_run(&args),
    };
    let answer = context.primitives.graph.query(&permit, &query).await?;
    let mut record = json!({ "columns": answer.columns, "rows": answer.rows, "statistics": answer.statistics });
    if let Some(plan) = answer.plan {
        record["plan"] = plan.into();
    }
    Ok(Datum::Json(record))
}

async fn explain(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::graph(&context.run()?.grants, args.need("source")?)?.noting(&context.reach);
    let query = Query {
        graph: args.need("graph")?,
        cypher: args.need("cypher")?,
        params: &params(&context, &args)?,
        timeout: timeout(&context, &args)?,
        dry_run: true,
    };
    Ok(context.primitives.graph.explain(&permit, &query).await?.into())
}

async fn graphs(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::graph(&context.run()?.grants, args.need("source")?)?.noting(&context.reach);
    Ok(context.primitives.graph.graphs(&permit, timeout(&context, &args)?).await?.into())
}

async fn delete(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::graph(&context.run()?.grants, args.need("source")?)?.noting(&context.reach);
    let (timeout, dry_run) = (timeout(&context, &args)?, context.dry_run(&args));
    Ok(context.primitives.graph.delete(&permit, args.need("graph")?, timeout, dry_run).await?.into())
}

fn sources(context: &CallContext) -> Result<Datum, Fault> {
    let grants = &context.run()?.grants;
    let source =
        |name: &str| Datum::record([("name", name.into()), ("granted", permit::graph(grants, name).is_ok().into())]);
    Ok(Datum::List(context.primitives.graph.sources().map(source).collect()))
}
