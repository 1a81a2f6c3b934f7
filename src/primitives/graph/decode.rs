//! The compact form of an answer: `[header, rows, statistics]`, each value with a number for its type.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::{DateTime, Time};
use serde_json::{Map, Value, json};

use crate::primitives::redis::Reply;

/// What the numbers in nodes and edges stand for.
#[derive(Debug, Default)]
pub struct Names {
    pub labels: Vec<String>,
    pub types: Vec<String>,
    pub properties: Vec<String>,
}

/// An answer's parts, before its values are read.
pub struct Parts<'a> {
    pub columns: Vec<String>,
    rows: &'a [Reply],
    pub statistics: BTreeMap<String, f64>,
}

const EDGE: i64 = 7;
const NODE: i64 = 8;
const PATH: i64 = 9;

/// Why an answer cannot be read; a phrase.
pub type Unreadable = &'static str;

impl<'a> Parts<'a> {
    pub fn of(answer: &'a Reply) -> Result<Self, Unreadable> {
        let parts = answer.as_list().ok_or("it is not a list")?;
        let (header, rows, statistics) = match parts {
            [header, rows, statistics] => (list(header)?, list(rows)?, list(statistics)?),
            // What returns nothing has statistics alone.
            [statistics] => (&[][..], &[][..], list(statistics)?),
            _ => return Err("it has not three parts"),
        };
        let columns = header.iter().map(column).collect::<Result<_, _>>()?;
        Ok(Self { columns, rows, statistics: read_statistics(statistics) })
    }

    /// Whether reading it needs [`Names`].
    pub fn has_entities(&self) -> bool {
        fn holds(value: &Reply) -> bool {
            match value.as_list() {
                Some([Reply::Integer(EDGE | NODE | PATH), _]) => true,
                Some(items) => items.iter().any(holds),
                None => matches!(value, Reply::Map(pairs) if pairs.iter().any(|(_, value)| holds(value))),
            }
        }
        self.rows.iter().any(holds)
    }

    /// Each row by its columns.
    pub fn rows(&self, names: &Names) -> Result<Vec<Value>, Unreadable> {
        let row = |row: &Reply| {
            let values = list(row)?;
            if values.len() != self.columns.len() {
                return Err("a row has another number of values than there are columns");
            }
            let cells = self.columns.iter().zip(values);
            cells.map(|(column, value)| Ok((column.clone(), names.value(value)?))).collect::<Result<Map<_, _>, _>>()
        };
        self.rows.iter().map(|entry| row(entry).map(Value::Object)).collect()
    }
}

/// `[type, name]`
fn column(entry: &Reply) -> Result<String, Unreadable> {
    list(entry)?.get(1).and_then(Reply::as_text).map(str::to_owned).ok_or("a column has no name")
}

/// `Nodes created: 2` becomes `nodes_created = 2`; a unit behind the number goes.
fn read_statistics(lines: &[Reply]) -> BTreeMap<String, f64> {
    let line = |line: &Reply| {
        let (name, value) = line.as_text()?.split_once(':')?;
        let number = value.split_whitespace().next()?.parse().ok()?;
        let name = match name.trim() {
            "Query internal execution time" => "took_ms".to_owned(),
            name => name.to_ascii_lowercase().replace(' ', "_"),
        };
        Some((name, number))
    };
    lines.iter().filter_map(line).collect()
}

/// The names in the answer to one of the server's procedures, in the order of their numbers.
pub fn names(answer: &Reply) -> Result<Vec<String>, Unreadable> {
    let rows = answer.as_list().and_then(|parts| parts.get(1)).and_then(Reply::as_list).ok_or("names are missing")?;
    let name = |row: &Reply| row.as_list()?.first()?.as_text().map(str::to_owned);
    rows.iter().map(|row| name(row).ok_or("a name is missing")).collect()
}

fn list(value: &Reply) -> Result<&[Reply], Unreadable> {
    value.as_list().ok_or("a list is missing")
}

fn integer(value: Option<&Reply>) -> Result<i64, Unreadable> {
    match value {
        Some(Reply::Integer(number)) => Ok(*number),
        _ => Err("a number is missing"),
    }
}

fn name(names: &[String], number: i64) -> Result<String, Unreadable> {
    let found = usize::try_from(number).ok().and_then(|number| names.get(number));
    found.cloned().ok_or("it names something that the graph does not have: was it changed meanwhile?")
}

fn double(value: &Reply) -> Result<f64, Unreadable> {
    match value {
        Reply::Double(number) => Ok(*number),
        // `-nan` is not a number for Rust's parser.
        value => {
            let text = value.as_text().ok_or("a number is missing")?;
            if text.ends_with("nan") { Ok(f64::NAN) } else { text.parse().map_err(|_| "a number cannot be read") }
        }
    }
}

/// What is no number for JSON is its name.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number)
}

impl Names {
    fn value(&self, tagged: &Reply) -> Result<Value, Unreadable> {
        let [kind, value] = list(tagged)? else { return Err("a value has no type") };
        Ok(match integer(Some(kind))? {
            1 => Value::Null,
            2 => match value {
                Reply::Bytes(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
                value => Value::from(value.as_text().ok_or("a text is missing")?),
            },
            3 => Value::from(integer(Some(value))?),
            4 => Value::Bool(value.as_text() == Some("true")),
            5 => number(double(value)?),
            6 => self.values(value)?,
            EDGE => self.edge(value)?,
            NODE => self.node(value)?,
            PATH => self.path(value)?,
            10 => self.map(value)?,
            11 => {
                let [latitude, longitude] = list(value)? else { return Err("a point has not two numbers") };
                json!({ "latitude": number(double(latitude)?), "longitude": number(double(longitude)?) })
            }
            12 => list(value)?.iter().map(|item| double(item).map(number)).collect::<Result<_, _>>()?,
            13 => Value::from(moment(integer(Some(value))?)?.to_string()),
            14 => Value::from(moment(integer(Some(value))?)?.date().to_string()),
            15 => Value::from(moment(integer(Some(value))?)?.time().to_string()),
            16 => Value::from(integer(Some(value))?),
            _ => return Err("a type of value that is not known"),
        })
    }

    fn values(&self, value: &Reply) -> Result<Value, Unreadable> {
        list(value)?.iter().map(|item| self.value(item)).collect()
    }

    /// Keys and values in turn, or pairs where the protocol has maps.
    fn map(&self, value: &Reply) -> Result<Value, Unreadable> {
        let mut entries = Map::new();
        let key = |key: &Reply| key.as_text().map(str::to_owned).ok_or("a key is missing");
        match value {
            Reply::Map(pairs) => {
                for (name, value) in pairs {
                    entries.insert(key(name)?, self.value(value)?);
                }
            }
            value => {
                for pair in list(value)?.chunks(2) {
                    let [name, value] = pair else { return Err("a key has no value") };
                    entries.insert(key(name)?, self.value(value)?);
                }
            }
        }
        Ok(Value::Object(entries))
    }

    /// `[id, [label…], [property…]]`
    fn node(&self, value: &Reply) -> Result<Value, Unreadable> {
        let [id, labels, properties] = list(value)? else { return Err("a node has not three parts") };
        let label = |label: &Reply| name(&self.labels, integer(Some(label))?).map(Value::from);
        let labels: Value = list(labels)?.iter().map(label).collect::<Result<_, _>>()?;
        let properties = self.properties(properties)?;
        Ok(json!({ "kind": "node", "id": integer(Some(id))?, "labels": labels, "properties": properties }))
    }

    /// `[id, type, from, to, [property…]]`
    fn edge(&self, value: &Reply) -> Result<Value, Unreadable> {
        let [id, kind, from, to, properties] = list(value)? else { return Err("an edge has not five parts") };
        Ok(json!({
            "kind": "edge",
            "id": integer(Some(id))?,
            "type": name(&self.types, integer(Some(kind))?)?,
            "from": integer(Some(from))?,
            "to": integer(Some(to))?,
            "properties": self.properties(properties)?,
        }))
    }

    fn path(&self, value: &Reply) -> Result<Value, Unreadable> {
        let [nodes, edges] = list(value)? else { return Err("a path has not two parts") };
        let entities = |tagged: &Reply| match tagged.as_list() {
            Some([_, items]) => self.values(items),
            _ => Err("a path has no list"),
        };
        Ok(json!({ "kind": "path", "nodes": entities(nodes)?, "edges": entities(edges)? }))
    }

    /// Each `[name, type, value]`.
    fn properties(&self, value: &Reply) -> Result<Map<String, Value>, Unreadable> {
        let property = |property: &Reply| {
            let [key, kind, value] = list(property)? else { return Err("a property has not three parts") };
            let tagged = Reply::List(vec![kind.clone(), value.clone()]);
            Ok((name(&self.properties, integer(Some(key))?)?, self.value(&tagged)?))
        };
        list(value)?.iter().map(property).collect()
    }
}

/// Seconds since 1970, without a zone. A time of day comes as one on a day that does not matter.
fn moment(seconds: i64) -> Result<DateTime, Unreadable> {
    let epoch = DateTime::from_parts(jiff::civil::date(1970, 1, 1), Time::midnight());
    let span = 0.seconds().try_seconds(seconds).map_err(|_| "a time is out of range")?;
    epoch.checked_add(span).map_err(|_| "a time is out of range")
}
