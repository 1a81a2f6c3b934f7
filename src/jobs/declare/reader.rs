//! Reads fields of tables, and gathers what is wrong with them, each with its place in the source.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::base::quantity::{parse_duration, parse_size};
use crate::base::suggest::did_you_mean;
use crate::base::{Fault, ScriptPosition};

/// Where faults go.
#[derive(Debug)]
pub struct Reader<'a> {
    file: &'a str,
    source: &'a str,
    lines: &'a BTreeMap<String, u32>,
    pub faults: Vec<Fault>,
}

/// One step from the job table inwards: a field's name, or a list's index from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Field(String),
    Index(usize),
}

/// A table and how it was reached. Reading a field of the wrong type is a fault and gives nothing.
#[derive(Debug)]
pub struct Table<'a> {
    fields: Vec<(&'a str, &'a Value)>,
    path: Vec<Step>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a str, source: &'a str, lines: &'a BTreeMap<String, u32>) -> Self {
        Self { file, source, lines, faults: Vec::new() }
    }

    /// A fault at the place of `path`.
    pub fn fault(&mut self, path: &[Step], message: &str, hint: &str) {
        let fault = Fault::new("job.field_invalid", message).at(self.position(path));
        self.faults.push(if hint.is_empty() { fault } else { fault.hint(hint) });
    }

    pub fn wrong(&mut self, table: &Table, field: &str, problem: impl AsRef<str>) {
        let path = table.path_to(field);
        self.fault(&path, &format!("{}: {}", show(&path), problem.as_ref()), "");
    }

    pub fn unknown(&mut self, table: &Table, field: &str, hint: &str) {
        let path = table.path_to(field);
        let inside = if table.path.is_empty() { String::new() } else { format!(" in {}", show(&table.path)) };
        let fault = Fault::new("job.field_unknown", format!("unknown field {field:?}{inside}{hint}"));
        self.faults.push(fault.at(self.position(&path)));
    }

    /// The line of the innermost step that is known. Of the steps beyond it, reading on finds the line.
    fn position(&self, path: &[Step]) -> ScriptPosition {
        let known = |length: &usize| self.lines.get(&show(&path[..*length])).map(|line| (*length, *line as usize));
        let (length, mut line) =
            (1..=path.len()).rev().find_map(|length| known(&length)).unwrap_or((1, self.job_line()));
        for step in path.iter().skip(length) {
            if let Step::Field(field) = step {
                let after = self.source.lines().enumerate().skip(line.saturating_sub(1));
                line = after.filter(|(_, text)| assigns(text, field)).map(|(at, _)| at + 1).next().unwrap_or(line);
            }
        }
        let text = self.source.lines().nth(line.saturating_sub(1)).map(|text| text.trim_end().to_owned());
        ScriptPosition { file: self.file.to_owned(), line: u32::try_from(line).unwrap_or(u32::MAX), column: None, text }
    }

    fn job_line(&self) -> usize {
        self.source.lines().position(|text| text.contains("aegis.job")).map_or(1, |line| line + 1)
    }
}

/// Whether the line has `field =` or `["field"] =`.
fn assigns(text: &str, field: &str) -> bool {
    text.match_indices(field).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + field.len()..].trim_start_matches(['"', '\'', ']']).trim_start();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && after.starts_with('=') && !after.starts_with("==")
    })
}

/// `params.stack.type`, `schedule[2].cron`.
fn show(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(field) if text.is_empty() => text.push_str(field),
            Step::Field(field) => text.push_str(&format!(".{field}")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// What a value is, in a script's words.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) if is_function(value) => "a function".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

impl<'a> Table<'a> {
    pub fn root(value: &'a Value) -> Option<Self> {
        Self::at(value, Vec::new())
    }

    /// None when the value is no table. Lua has one empty table for lists and maps; it may arrive as either.
    fn at(value: &'a Value, path: Vec<Step>) -> Option<Self> {
        let fields = match value {
            Value::Object(fields) if !is_function(value) => fields.iter().map(|(name, value)| (name.as_str(), value)),
            Value::Array(items) if items.is_empty() => return Some(Self { fields: Vec::new(), path }),
            _ => return None,
        };
        Some(Self { fields: fields.collect(), path })
    }

    fn path_to(&self, field: &str) -> Vec<Step> {
        self.path.iter().cloned().chain([Step::Field(field.to_owned())]).collect()
    }

    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.fields.iter().map(|(name, _)| *name)
    }

    /// Every field outside `known` is a fault, with the nearest known one.
    pub fn only(&self, reader: &mut Reader, known: &[&str]) {
        for name in self.names().filter(|name| !known.contains(name)) {
            let near = did_you_mean(name, known.iter().copied());
            let hint = if near.is_empty() { format!("; there are {}", known.join(", ")) } else { near };
            reader.unknown(self, name, &hint);
        }
    }

    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.iter().find(|(name, value)| *name == field && !value.is_null()).map(|(_, value)| *value)
    }

    fn read<T>(
        &self,
        reader: &mut Reader,
        field: &str,
        expected: &str,
        take: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(field)?;
        let taken = take(value);
        if taken.is_none() {
            reader.wrong(self, field, format!("expected {expected}, got {}", describe(value)));
        }
        taken
    }

    pub fn string(&self, reader: &mut Reader, field: &str) -> Option<&'a str> {
        self.read(reader, field, "text", Value::as_str)
    }

    pub fn boolean(&self, reader: &mut Reader, field: &str) -> Option<bool> {
        self.read(reader, field, "true or false", Value::as_bool)
    }

    pub fn integer(&self, reader: &mut Reader, field: &str, least: i64, most: i64) -> Option<i64> {
        self.read(reader, field, &format!("a whole number from {least} to {most}"), |value| {
            let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
            Some(number as i64).filter(|whole| (least..=most).contains(whole))
        })
    }

    /// Text with a unit, or a number of seconds.
    pub fn duration(&self, reader: &mut Reader, field: &str) -> Option<Duration> {
        self.read(reader, field, "a duration such as \"30s\" or \"5m\"", |value| match value {
            Value::String(text) => parse_duration(text).ok(),
            other => Duration::try_from_secs_f64(other.as_f64()?).ok(),
        })
    }

    /// Text with a unit, or a number of bytes.
    pub fn size(&self, reader: &mut Reader, field: &str) -> Option<u64> {
        self.read(reader, field, "a size such as \"64MiB\"", |value| match value {
            Value::String(text) => parse_size(text).ok(),
            other => {
                Some(other.as_f64()?).filter(|bytes| *bytes >= 0.0 && bytes.fract() == 0.0).map(|bytes| bytes as u64)
            }
        })
    }

    /// A list of text; an absent one is empty.
    pub fn strings(&self, reader: &mut Reader, field: &str) -> Vec<String> {
        let texts = |value: &Value| match value {
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Value::Object(empty) if empty.is_empty() => Some(Vec::new()),
            _ => None,
        };
        self.read(reader, field, "a list of text such as { \"a\", \"b\" }", texts).unwrap_or_default()
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, reader: &mut Reader, field: &str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.string(reader, field)?;
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let near = did_you_mean(word, names.iter().copied());
            reader.wrong(self, field, format!("expected {}, got {word:?}{near}", names.join(", ")));
        }
        found
    }

    pub fn table(&self, reader: &mut Reader, field: &str) -> Option<Table<'a>> {
        self.read(reader, field, "a table", |value| Table::at(value, self.path_to(field)))
    }

    /// A table, or a list of tables; `example` is shown when it is neither.
    pub fn tables(&self, reader: &mut Reader, field: &str, example: &str) -> Vec<Table<'a>> {
        let expected = format!("a table such as {example}, or a list of them");
        let path = |index| self.path_to(field).into_iter().chain([Step::Index(index + 1)]).collect();
        let listed = |value: &'a Value| match value {
            Value::Array(items) => items.iter().enumerate().map(|(index, item)| Table::at(item, path(index))).collect(),
            one => Table::at(one, self.path_to(field))
                .map(|table| if table.fields.is_empty() { Vec::new() } else { vec![table] }),
        };
        self.read(reader, field, &expected, listed).unwrap_or_default()
    }

    pub fn is_function(&self, reader: &mut Reader, field: &str) -> bool {
        self.read(reader, field, "a function", |value| is_function(value).then_some(())).is_some()
    }
}

fn is_function(value: &Value) -> bool {
    value.get("$function").is_some()
}
