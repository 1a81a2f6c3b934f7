//! Holds a document to its tables: wrong types fail, unknown keys warn, numbers in quotes become numbers.

use super::super::interpolate::truth;
use super::super::node::{Map, Node, Value};
use super::super::path::Path;
use super::super::problem::{Kind, Place, Problem, Warnings};
use super::{Fields, Names, Shape};
use crate::base::suggest::did_you_mean;

/// Checks `node` against the table of a whole file.
pub(in super::super) fn check(node: &mut Node, warnings: &mut Warnings) -> Result<(), Problem> {
    shape(node, &super::root::ROOT, &Path::ROOT, warnings)
}

fn shape(node: &mut Node, wanted: &Shape, path: &Path<'_>, warnings: &mut Warnings) -> Result<(), Problem> {
    if !admits(wanted, &node.value) {
        return Err(node.mismatch(path, &describe(wanted)));
    }
    coerce(node, wanted, path)?;
    let at = node.named_at().clone();
    match (wanted, &mut node.value) {
        (Shape::Items(of), Value::List(list)) => items(list, of, path, warnings),
        (Shape::Unique(of), Value::List(list)) => {
            items(list, of, path, warnings)?;
            unique(list, path)
        }
        (Shape::Fields(of), Value::Map(map)) => fields(&at, map, of, path, warnings),
        (Shape::Named(names, of), Value::Map(map)) => named(map, *names, of, path, warnings),
        (Shape::Either(shapes), value) => match shapes.iter().find(|shape| admits(shape, value)) {
            Some(found) => shape(node, found, path, warnings),
            None => Ok(()),
        },
        _ => scalar(node, wanted, path),
    }
}

/// Strings that stand for numbers and booleans become such.
fn coerce(node: &mut Node, wanted: &Shape, path: &Path<'_>) -> Result<(), Problem> {
    let found = match (wanted, &node.value) {
        (Shape::Switch, Value::Text(text)) => truth(text).map(Value::Bool),
        (Shape::Whole | Shape::Within(..), Value::Text(text)) => text.parse().ok().map(Value::Int),
        (Shape::Whole | Shape::Within(..), Value::Float(number)) => Some(Value::Int(*number as i128)),
        (Shape::Number, Value::Text(text)) => {
            text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float)).ok()
        }
        _ => return Ok(()),
    };
    node.value = found.ok_or_else(|| node.mismatch(path, &describe(wanted)))?;
    Ok(())
}

fn scalar(node: &Node, wanted: &Shape, path: &Path<'_>) -> Result<(), Problem> {
    let said = match (wanted, &node.value) {
        (Shape::Word(words), Value::Text(text)) if !words.contains(&text.as_str()) => {
            format!("{text:?} is none of the words allowed here{}", did_you_mean(text, words.iter().copied()))
        }
        (Shape::Matching(accepts, _), Value::Text(text)) if !accepts(text) => format!("{text:?} is not allowed here"),
        (Shape::Within(low, high), Value::Int(number)) if !(i128::from(*low)..=i128::from(*high)).contains(number) => {
            format!("{number} is out of range")
        }
        _ => return Ok(()),
    };
    Err(node.problem(Kind::Value, path, said, format!("write {}", describe(wanted))))
}

/// Whether the type fits; what is inside is looked at later.
fn admits(shape: &Shape, value: &Value) -> bool {
    let is_whole = |value: &Value| match value {
        Value::Int(_) => true,
        Value::Float(number) => number.fract() == 0.0,
        _ => false,
    };
    match shape {
        Shape::Any => true,
        Shape::Text | Shape::Word(_) | Shape::Matching(..) => matches!(value, Value::Text(_)),
        Shape::Switch => matches!(value, Value::Bool(_) | Value::Text(_)),
        Shape::Bool => matches!(value, Value::Bool(_)),
        Shape::Whole | Shape::Within(..) => is_whole(value) || matches!(value, Value::Text(_)),
        Shape::Number | Shape::Bytes | Shape::TextOrNumber => {
            matches!(value, Value::Int(_) | Value::Float(_) | Value::Text(_))
        }
        Shape::Scalar => !matches!(value, Value::List(_) | Value::Map(_)),
        Shape::TextNumberNull => matches!(value, Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Null),
        Shape::Null => matches!(value, Value::Null),
        Shape::Items(_) | Shape::Unique(_) => matches!(value, Value::List(_)),
        Shape::Fields(_) | Shape::Named(..) => matches!(value, Value::Map(_)),
        Shape::Either(shapes) => shapes.iter().any(|shape| admits(shape, value)),
    }
}

fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Any => "a value".to_owned(),
        Shape::Text => "a string".to_owned(),
        Shape::Switch | Shape::Bool => "true or false".to_owned(),
        Shape::Whole => "a whole number".to_owned(),
        Shape::Within(low, high) => format!("a whole number from {low} to {high}"),
        Shape::Number => "a number".to_owned(),
        Shape::Bytes => "a number of bytes, such as \"64m\"".to_owned(),
        Shape::Scalar => "a string, a number or a boolean".to_owned(),
        Shape::TextNumberNull | Shape::TextOrNumber => "a string or a number".to_owned(),
        Shape::Null => "nothing".to_owned(),
        Shape::Word(words) => words.join(", "),
        Shape::Matching(_, wanted) => (*wanted).to_owned(),
        Shape::Items(of) | Shape::Unique(of) => match of {
            Shape::Text => "a list of strings".to_owned(),
            _ => "a list".to_owned(),
        },
        Shape::Fields(_) | Shape::Named(..) => "a mapping".to_owned(),
        Shape::Either(shapes) => {
            let said: Vec<String> = shapes.iter().map(|shape| describe(shape)).collect();
            said.join(" or ")
        }
    }
}

fn items(list: &mut [Node], of: &Shape, path: &Path<'_>, warnings: &mut Warnings) -> Result<(), Problem> {
    list.iter_mut().enumerate().try_for_each(|(index, item)| shape(item, of, &path.item(index), warnings))
}

fn unique(list: &[Node], path: &Path<'_>) -> Result<(), Problem> {
    let mut seen = std::collections::BTreeMap::new();
    for (index, item) in list.iter().enumerate() {
        let json = item.to_json().to_string();
        if let Some(first) = seen.insert(json, index) {
            let message = format!("this is the same as item {first}");
            return Err(item.problem(Kind::Conflict, &path.item(index), message, "remove one of the two"));
        }
    }
    Ok(())
}

fn fields(at: &Place, map: &mut Map, of: &Fields, path: &Path<'_>, warnings: &mut Warnings) -> Result<(), Problem> {
    if let Some(missing) = of.required.iter().find(|key| !map.contains_key(**key)) {
        let message = format!("{missing} is missing in this {}", of.what);
        return Err(Problem::new(Kind::Shape, at, path, message, format!("add {missing}")));
    }
    for (key, entry) in map {
        let path = path.key(key);
        if let Some((_, wanted)) = of.known.iter().find(|(known, _)| known == key) {
            shape(entry, wanted, &path, warnings)?;
        } else if of.kept.contains(&key.as_str()) {
            let message = format!("{key} of a {} is kept, and nothing acts on it", of.what);
            warnings.add(entry.named_at(), &path, message);
        } else if !key.starts_with("x-") {
            let known = of.known.iter().map(|(known, _)| *known);
            let message = format!("{key} is no key of a {}: it is kept, and nothing acts on it", of.what);
            warnings.add(entry.named_at(), &path, message + &did_you_mean(key, known));
        }
    }
    Ok(())
}

fn named(map: &mut Map, names: Names, of: &Shape, path: &Path<'_>, warnings: &mut Warnings) -> Result<(), Problem> {
    for (key, entry) in map {
        let path = path.key(key);
        let is_plain = |extra: fn(char) -> bool| !key.is_empty() && key.chars().all(extra);
        let fits = match names {
            Names::Any => !key.is_empty(),
            Names::Plain | Names::PlainOrAny => is_plain(|c| c.is_ascii_alphanumeric() || "._-".contains(c)),
            Names::SmallOrAny => is_plain(|c| c.is_ascii_lowercase()),
        };
        if fits {
            shape(entry, of, &path, warnings)?;
        } else if matches!(names, Names::Plain | Names::Any) {
            let message = format!("{key:?} cannot be a name");
            let remedy = "use letters, digits, dots, dashes and underscores";
            return Err(Problem::new(Kind::Value, entry.named_at(), &path, message, remedy));
        }
    }
    Ok(())
}
