//! `aegis.csv` (RFC 4180).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::json::bounded;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::{Fault, limits};

const DELIMITER: Field = Field::optional("delimiter", Type::String, "One character; \",\" unless said otherwise");
const DECODE: Record = Record {
    name: "CsvDecode",
    doc: "How to read.",
    fields: &[
        DELIMITER,
        Field::optional(
            "header",
            Type::Boolean,
            "The first row names the columns, and each row is a table; true unless said otherwise",
        ),
        Field::optional("flexible", Type::Boolean, "Rows may be of different lengths"),
    ],
};
const ENCODE: Record = Record {
    name: "CsvEncode",
    doc: "How to write.",
    fields: &[
        DELIMITER,
        Field::optional(
            "columns",
            Type::List(&Type::String),
            "Of rows that are tables, in order; all names of all rows, sorted, unless said otherwise",
        ),
        Field::optional("header", Type::Boolean, "Begin with the columns' names; true unless said otherwise"),
    ],
};

pub const MODULE: Module = Module {
    name: "csv",
    doc: "Comma-separated values. All cells are texts.",
    functions: &[
        Function {
            name: "decode",
            doc: "Rows of a document: tables by column, or lists without a header.",
            params: &[
                Field::required("text", Type::String, "The document, at most 16 MiB and 100000 cells"),
                Field::optional("options", Type::Record(&DECODE), "How to read"),
            ],
            returns: Type::List(&Type::Json),
            phase: Phase::Any,
            call: Call::Sync(decode),
            ..Function::DEFAULT
        },
        Function {
            name: "encode",
            doc: "Rows, all lists or all tables, as a document. Null is an empty cell.",
            params: &[
                Field::required("rows", Type::Json, "The rows, at most 1 MiB"),
                Field::optional("options", Type::Record(&ENCODE), "How to write"),
            ],
            returns: Type::String,
            phase: Phase::Any,
            call: Call::Sync(encode),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn delimiter(context: &CallContext, options: &Args) -> Result<u8, Fault> {
    match options.text("delimiter").unwrap_or(",").as_bytes() {
        [byte] if !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => {
            let message = format!(
                "{}: option \"delimiter\" must be one ASCII character, no quote and no end of line",
                context.name
            );
            Err(Fault::new("args.value", message))
        }
    }
}

fn decode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let (text, options) = (args.need("text")?, args.record("options"));
    bounded(context, text.len())?;
    let has_header = options.boolean("header").unwrap_or(true);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(context, &options)?)
        .has_headers(has_header)
        .flexible(options.flag("flexible"))
        .from_reader(text.as_bytes());
    let failed = |problem: csv::Error| Fault::new("csv.syntax", format!("{}: {problem}", context.name));
    let header = if has_header { reader.headers().map_err(failed)?.clone() } else { csv::StringRecord::new() };
    if let Some(twice) = twice(&header) {
        let message = format!("{}: two columns have the name {twice:?}", context.name);
        return Err(Fault::new("csv.syntax", message).hint("read it with header = false"));
    }
    let (mut rows, mut cells) = (Vec::new(), 0);
    for record in reader.records() {
        let record = record.map_err(failed)?;
        cells += record.len().max(1);
        if cells > limits::CSV_CELLS_MAX {
            let message = format!("{}: there are more than {} cells", context.name, limits::CSV_CELLS_MAX);
            return Err(Fault::new("csv.too_large", message).hint("split the document and read its parts"));
        }
        let texts = record.iter().map(Value::from);
        rows.push(match has_header {
            true => Value::Object(header.iter().map(str::to_owned).zip(texts).collect::<Map<_, _>>()),
            false => texts.collect(),
        });
    }
    Ok(Datum::Json(Value::Array(rows)))
}

fn twice(header: &csv::StringRecord) -> Option<&str> {
    let mut seen = BTreeSet::new();
    header.iter().find(|name| !seen.insert(*name))
}

fn encode(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let wrong = |problem: String| Fault::new("csv.encode", format!("{}: {problem}", context.name));
    let rows = match args.json("rows") {
        Value::Array(rows) => rows,
        Value::Object(none) if none.is_empty() => Vec::new(),
        _ => return Err(wrong("argument \"rows\" must be a list".into())),
    };
    let columns = options.texts("columns").unwrap_or_else(|| {
        let names = rows.iter().filter_map(Value::as_object).flat_map(Map::keys);
        names.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    });
    let delimiter = delimiter(context, &options)?;
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new());
    let failed = |problem: csv::Error| wrong(problem.to_string());
    if options.boolean("header").unwrap_or(true) && !columns.is_empty() {
        writer.write_record(&columns).map_err(failed)?;
    }
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<&Value> = match row {
            Value::Array(cells) => cells.iter().collect(),
            Value::Object(cells) => columns.iter().map(|name| cells.get(name).unwrap_or(&Value::Null)).collect(),
            _ => return Err(wrong(format!("row {} is neither a list nor a table", number + 1))),
        };
        let texts: Option<Vec<String>> = cells.into_iter().map(cell).collect();
        let texts = texts.ok_or_else(|| wrong(format!("row {} has a table in a cell", number + 1)))?;
        writer.write_record(&texts).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|problem| wrong(problem.to_string()))?;
    Ok(Datum::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

/// None: no text stands for it.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
