//! The `params` field.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reader::{Reader, Table};
use crate::base::limits;
use crate::model::params::{ParamSpec, ParamType, compile_pattern};

const FIELDS: [&str; 8] = ["type", "default", "required", "choices", "min", "max", "pattern", "description"];

pub fn read(reader: &mut Reader, job: &Table) -> BTreeMap<String, ParamSpec> {
    let Some(params) = job.table(reader, "params") else { return BTreeMap::new() };
    if params.names().count() > limits::JOB_PARAMS_MAX {
        reader.wrong(job, "params", format!("more than {} parameters", limits::JOB_PARAMS_MAX));
        return BTreeMap::new();
    }
    let mut specs = BTreeMap::new();
    for name in params.names() {
        if !is_name(name) {
            let problem = "a parameter's name is made of letters, digits, '_' and '-' and begins with a letter or '_'";
            reader.wrong(&params, name, problem);
        } else if let Some(spec) = params.table(reader, name).and_then(|table| one(reader, &table)) {
            specs.insert(name.to_owned(), spec);
        }
    }
    specs
}

fn is_name(name: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    let starts_well = name.as_bytes().first().is_some_and(|c| c.is_ascii_alphabetic() || *c == b'_');
    starts_well && name.len() <= limits::PARAM_NAME_BYTES_MAX && name.bytes().all(legal)
}

fn one(reader: &mut Reader, table: &Table) -> Option<ParamSpec> {
    table.only(reader, &FIELDS);
    let kinds = ParamType::ALL.map(|kind| (kind.as_str(), kind));
    if table.get("type").is_none() {
        let names = ParamType::ALL.map(ParamType::as_str).join(", ");
        reader.wrong(table, "type", format!("it is missing; there are {names}"));
        return None;
    }
    let mut spec = ParamSpec::of(table.choice(reader, "type", &kinds)?);
    spec.description = table.string(reader, "description").unwrap_or_default().to_owned();
    spec.required = table.boolean(reader, "required").unwrap_or(false);
    spec.min = bound(reader, table, "min", spec.kind);
    spec.max = bound(reader, table, "max", spec.kind);
    if spec.min > spec.max && spec.max.is_some() {
        reader.wrong(table, "min", "it is greater than max");
    }
    spec.pattern = pattern(reader, table, spec.kind);
    let choices = choices(reader, table, &spec);
    spec.choices = choices;
    spec.default = default(reader, table, &spec);
    Some(spec)
}

fn bound(reader: &mut Reader, table: &Table, field: &str, kind: ParamType) -> Option<f64> {
    let value = table.get(field)?;
    let measured = match kind {
        ParamType::Boolean => Err("a boolean has no bounds".to_owned()),
        ParamType::Duration | ParamType::Size => ParamSpec::of(kind).accept(value),
        _ => ParamSpec::of(ParamType::Number).accept(value),
    };
    match measured {
        Ok(measured) => measured.as_f64(),
        Err(problem) => {
            reader.wrong(table, field, problem);
            None
        }
    }
}

fn pattern(reader: &mut Reader, table: &Table, kind: ParamType) -> Option<String> {
    let pattern = table.string(reader, "pattern")?;
    if kind != ParamType::String {
        reader.wrong(table, "pattern", "only strings have one");
    } else if compile_pattern(pattern).is_none() {
        reader.wrong(table, "pattern", format!("{pattern:?} is not a regular expression such as \"[a-z0-9\\-]+\""));
    } else {
        return Some(pattern.to_owned());
    }
    None
}

fn choices(reader: &mut Reader, table: &Table, spec: &ParamSpec) -> Vec<Value> {
    let items = match table.get("choices") {
        None => return Vec::new(),
        Some(Value::Array(items)) if !items.is_empty() => items,
        Some(Value::Object(fields)) if fields.contains_key("$function") => {
            let problem = "expected a list of values; a function cannot be asked while the file loads, so check the \
                           value in run";
            reader.wrong(table, "choices", problem);
            return Vec::new();
        }
        Some(_) => {
            reader.wrong(table, "choices", "expected a list of values such as { \"a\", \"b\" }");
            return Vec::new();
        }
    };
    let accepted: Result<Vec<_>, _> = items.iter().map(|item| spec.accept(item)).collect();
    accepted.unwrap_or_else(|problem| {
        reader.wrong(table, "choices", problem);
        Vec::new()
    })
}

fn default(reader: &mut Reader, table: &Table, spec: &ParamSpec) -> Option<Value> {
    let value = table.get("default")?;
    if spec.required {
        reader.wrong(table, "default", "a required parameter has no default; remove one of the two");
        return None;
    }
    match spec.accept(value) {
        Ok(value) => Some(value),
        Err(problem) => {
            reader.wrong(table, "default", problem);
            None
        }
    }
}
