//! `aegis.sql`: the operator's data sources.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::Fault;
use crate::primitives::permit::{self, SqlPermit};
use crate::primitives::sql::{Bounds, Cell, Rows, Sql, SqlError, Statement};

/// In this order: text that is not UTF-8 becomes bytes, tables and `aegis.null` become JSON.
const PARAM: Type = Type::OneOf(&[Type::Boolean, Type::Number, Type::String, Type::Bytes, Type::Secret, Type::Json]);

const TIMEOUT: Field = Field::optional(
    "timeout",
    Type::Duration,
    "Of the whole statement; the source's unless said otherwise, 1h at most",
);
const MAX_ROWS: Field =
    Field::optional("max_rows", Type::Integer, "More are an error; 10000 unless said otherwise, 100000 at most");

const QUERY: Record = Record { name: "SqlQuery", doc: "Bounds of a query.", fields: &[TIMEOUT, MAX_ROWS] };
const ONE: Record = Record { name: "SqlOne", doc: "Bounds of a query for one row.", fields: &[TIMEOUT] };
const EXECUTE: Record =
    Record { name: "SqlExecute", doc: "Bounds of a statement.", fields: &[TIMEOUT, Field::DRY_RUN] };
const TRANSACTION: Record = Record {
    name: "SqlTransactionOptions",
    doc: "Bounds of a transaction.",
    fields: &[
        Field::optional(
            "timeout",
            Type::Duration,
            "After which it is rolled back; 60s unless said otherwise, 1h at most",
        ),
        Field::DRY_RUN,
    ],
};
const STREAM: Record = Record {
    name: "SqlStream",
    doc: "Bounds of a stream.",
    fields: &[Field::optional("timeout", Type::Duration, "Of all of it; 10m unless said otherwise, 1h at most")],
};

const SOURCE: Record = Record {
    name: "SqlSource",
    doc: "A data source of the configuration.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::optional("database", Type::String, "postgres, sqlite or mysql; nil when only a secret says"),
        Field::optional("access", Type::String, "read or write, as this job may use it; nil when it may not"),
    ],
};

const NAME: Field = Field::required("source", Type::String, "The source's name");
const PLACE: Field = Field::required(
    "source",
    Type::OneOf(&[Type::String, Type::Integer]),
    "The source's name, or the number of a transaction",
);
const TEXT: Field =
    Field::required("text", Type::String, "One statement; values are $1, $2 … in PostgreSQL and ? elsewhere");
const PARAMS: Field = Field::optional(
    "params",
    Type::List(&PARAM),
    "The values in their order; aegis.null for null, since nil ends a list",
);
const NUMBER: Field = Field::required("number", Type::Integer, "What it was opened as");
const TX: Type = Type::Callback(
    "(tx: { query: (any, string, { any }?, SqlQuery?) -> { any }, one: (any, string, { any }?, SqlOne?) -> any, \
     execute: (any, string, { any }?, SqlExecute?) -> number }) -> ...any",
);
const ROW: Type = Type::Callback("(row: any, count: number) -> any");

const READ: &str = "sql = { SOURCE = \"read\" }";
const WRITE: &str = "sql = { SOURCE = \"write\" }";

const READING: Function = Function { permission: Some(READ), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "sql",
    doc: "Databases that the operator has configured under `sql`: PostgreSQL, SQLite, MySQL and MariaDB. Values are \
          bound, never written into the text. Large integers, decimals, times and UUIDs are strings, json values are \
          tables, null is aegis.null. With `\"read\"` the database itself refuses to write.",
    functions: &[
        Function {
            name: "sources",
            doc: "All sources, and whether this job may use them.",
            returns: Type::List(&Type::Record(&SOURCE)),
            call: Call::Sync(|context, _| sources(context)),
            ..Function::DEFAULT
        },
        Function {
            name: "query",
            doc: "Carries out one statement and returns its rows, each a table by column.",
            params: &[PLACE, TEXT, PARAMS, Field::optional("options", Type::Record(&QUERY), "Its bounds")],
            returns: Type::List(&Type::Json),
            call: Call::Async(|context, args| Box::pin(query(context, args))),
            ..READING
        },
        Function {
            name: "one",
            doc: "The only row of a statement, or nil. Raises `sql.many_rows` when there are more.",
            params: &[PLACE, TEXT, PARAMS, Field::optional("options", Type::Record(&ONE), "Its bounds")],
            returns: Type::Optional(&Type::Json),
            call: Call::Async(|context, args| Box::pin(one(context, args))),
            ..READING
        },
        Function {
            name: "execute",
            doc: "Carries out one statement and returns how many rows it changed. In a dry run the database checks it, \
                  changes nothing, and the number is 0.",
            params: &[PLACE, TEXT, PARAMS, Field::optional("options", Type::Record(&EXECUTE), "Its bounds")],
            returns: Type::Integer,
            permission: Some(WRITE),
            call: Call::Async(|context, args| Box::pin(execute(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "transaction",
            doc: "Calls `body(tx)`, where tx:query, tx:one and tx:execute take effect together when it returns, and not \
                  at all when it raises, is stopped or takes too long. Returns what `body` does.",
            params: &[
                NAME,
                Field::required("body", TX, "What belongs together"),
                Field::optional("options", Type::Record(&TRANSACTION), "Its bounds"),
            ],
            returns: Type::Any,
            call: Call::Prelude,
            ..READING
        },
        Function {
            name: "stream",
            doc: "Calls `visit(row, count)` for each row, however many there are, with a few of them in memory; ends \
                  early when it returns false. Returns the number of rows that were visited.",
            params: &[
                NAME,
                TEXT,
                Field::required("params", Type::List(&PARAM), "The values in their order; {} for none"),
                Field::required("visit", ROW, "Called for each row"),
                Field::optional("options", Type::Record(&STREAM), "Its bounds"),
            ],
            returns: Type::Integer,
            call: Call::Prelude,
            ..READING
        },
        Function {
            name: "begin",
            doc: "Begins a transaction and returns its number, which query, one and execute take for a source. \
                  Prefer `transaction`, which ends it in every case.",
            params: &[NAME, Field::optional("options", Type::Record(&TRANSACTION), "Its bounds")],
            returns: Type::Integer,
            call: Call::Async(|context, args| Box::pin(begin(context, args))),
            ..READING
        },
        Function {
            name: "finish",
            doc: "Ends a transaction.",
            params: &[NUMBER, Field::optional("commit", Type::Boolean, "Keep its changes; they are undone otherwise")],
            call: Call::Async(|context, args| Box::pin(finish(context, args))),
            ..READING
        },
        Function {
            name: "open",
            doc: "Opens a stream of rows and returns its number. Prefer `stream`, which closes it in every case.",
            params: &[NAME, TEXT, PARAMS, Field::optional("options", Type::Record(&STREAM), "Its bounds")],
            returns: Type::Integer,
            call: Call::Async(|context, args| Box::pin(open(context, args))),
            ..READING
        },
        Function {
            name: "fetch",
            doc: "The next rows of a stream; none at its end.",
            params: &[NUMBER],
            returns: Type::List(&Type::Json),
            call: Call::Async(|context, args| Box::pin(fetch(context, args))),
            ..READING
        },
        Function {
            name: "close",
            doc: "Closes a stream. Closing one twice is no error.",
            params: &[NUMBER],
            call: Call::Sync(|context, args| {
                context.open.remove(args.integer("number").unwrap_or_default());
                Ok(Datum::Null)
            }),
            ..READING
        },
    ],
    ..Module::DEFAULT
};

fn sources(context: &CallContext) -> Result<Datum, Fault> {
    let grants = &context.run()?.grants;
    let source = |known: crate::primitives::sql::Known<'_>| {
        let access = permit::sql(grants, known.name).ok().map(|permit| if permit.writes() { "write" } else { "read" });
        Datum::record([
            ("name", known.name.into()),
            ("database", known.dialect.map(|dialect| dialect.as_str()).into()),
            ("access", access.into()),
        ])
    };
    Ok(Datum::List(context.primitives.sql.sources().map(source).collect()))
}

/// Where a call goes, with the permit for it.
enum Place {
    Source(SqlPermit),
    Transaction(i64),
}

fn place(context: &CallContext, args: &Args) -> Result<Place, Fault> {
    Ok(match args.integer("source") {
        Some(number) => Place::Transaction(number),
        None => Place::Source(permit::sql(&context.run()?.grants, args.need("source")?)?),
    })
}

fn statement(args: &Args) -> Result<Statement, Fault> {
    let params = args.list("params").unwrap_or_default().iter().map(cell).collect();
    Ok(Statement { text: args.need("text")?.to_owned(), params, bounds: bounds(args)? })
}

fn bounds(args: &Args) -> Result<Bounds, Fault> {
    let options = args.record("options");
    let rows_max = options.integer("max_rows").map(|rows| usize::try_from(rows).unwrap_or(0));
    Ok(Bounds { timeout: options.duration("timeout"), rows_max })
}

fn cell(datum: &Datum) -> Cell {
    match datum {
        Datum::Bool(value) => Cell::Bool(*value),
        Datum::Number(number) => Cell::of_number(*number),
        Datum::Integer(number) => Cell::Integer(*number),
        Datum::Text(text) => Cell::Text(text.clone()),
        Datum::Bytes(bytes) => Cell::Bytes(bytes.clone()),
        Datum::Json(value) => Cell::of_json(value),
        _ => Cell::Null,
    }
}

fn datum(cell: Cell) -> Datum {
    match cell {
        Cell::Null => Datum::Null,
        Cell::Bool(value) => Datum::Bool(value),
        Cell::Integer(number) => Datum::Integer(number),
        Cell::Number(number) => Datum::Number(number),
        Cell::Text(text) => Datum::Text(text),
        Cell::Bytes(bytes) => Datum::Bytes(bytes),
        Cell::Json(value) => Datum::Json(value),
        Cell::List(cells) => Datum::List(cells.into_iter().map(datum).collect()),
    }
}

fn rows(found: Rows) -> Datum {
    let rows = found.rows.into_iter().map(|row| row.into_iter().map(datum).collect()).collect();
    Datum::Rows { columns: found.columns, rows }
}

fn sql(context: &CallContext) -> &Sql {
    &context.primitives.sql
}

async fn select(context: &CallContext, args: &Args, statement: Statement) -> Result<Rows, Fault> {
    Ok(match place(context, args)? {
        Place::Source(permit) => sql(context).query(&permit, &statement, context.dry_run(args)).await?,
        Place::Transaction(number) => context.open.transaction(number)?.query(statement).await?,
    })
}

async fn query(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let statement = statement(&args)?;
    select(&context, &args, statement).await.map(rows)
}

async fn one(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let mut statement = statement(&args)?;
    statement.bounds.rows_max = Some(2);
    let many = || SqlError::ManyRows(args.text("source").unwrap_or("the transaction").to_owned());
    let mut found = match select(&context, &args, statement).await {
        Err(fault) if fault.code == "sql.too_many_rows" => return Err(many().into()),
        found => found?,
    };
    if found.rows.len() > 1 {
        return Err(many().into());
    }
    let row = found.rows.pop();
    Ok(row.map_or(Datum::Null, |row| Datum::row(&found.columns, row.into_iter().map(datum).collect())))
}

async fn execute(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (statement, dry) = (statement(&args)?, context.dry_run(&args));
    let affected = match place(&context, &args)? {
        Place::Source(permit) => sql(&context).execute(&permit, &statement, dry).await?,
        Place::Transaction(number) => context.open.transaction(number)?.execute(statement, dry).await?,
    };
    Ok(Datum::Integer(i64::try_from(affected).unwrap_or(i64::MAX)))
}

async fn begin(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::sql(&context.run()?.grants, args.need("source")?)?;
    context.open.room()?;
    let (bounds, dry) = (bounds(&args)?, context.dry_run(&args));
    let transaction = sql(&context).begin(&permit, bounds, dry, context.cancel.clone()).await?;
    Ok(Datum::Integer(context.open.add_transaction(transaction)?))
}

async fn finish(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let number = args.integer("number").unwrap_or_default();
    let transaction = context.open.transaction(number)?;
    context.open.remove(number);
    transaction.finish(args.flag("commit")).await?;
    Ok(Datum::Null)
}

async fn open(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::sql(&context.run()?.grants, args.need("source")?)?;
    context.open.room()?;
    let (statement, dry) = (statement(&args)?, context.dry_run(&args));
    let stream = sql(&context).stream(&permit, statement, dry, context.cancel.clone()).await?;
    Ok(Datum::Integer(context.open.add_stream(stream)?))
}

async fn fetch(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let number = args.integer("number").unwrap_or_default();
    let stream = context.open.stream(number)?;
    let page = stream.lock().await.next().await?;
    if page.is_none() {
        context.open.remove(number);
    }
    Ok(rows(page.unwrap_or_default()))
}
