//! A YAML value that knows where it was written.

use std::collections::BTreeMap;

use super::number::show_float;
use super::path::Path;
use super::problem::{Kind, Place, Problem};

/// Sorted by key: what a load says depends on the files alone.
pub(super) type Map = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// A value and its place. Two nodes are equal when their values are.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub value: Value,
    /// Where the value begins.
    pub at: Place,
    /// Where its key stands, when it is an entry of a map.
    pub key_at: Option<Place>,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    pub fn new(value: Value, at: &Place) -> Self {
        Self { value, at: at.clone(), key_at: None }
    }

    pub fn text(text: impl Into<String>, at: &Place) -> Self {
        Self::new(Value::Text(text.into()), at)
    }

    pub fn map(map: Map, at: &Place) -> Self {
        Self::new(Value::Map(map), at)
    }

    /// A map of these entries, all at the same place.
    pub fn map_of<const N: usize>(entries: [(&str, Value); N], at: &Place) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), Self::new(value, at)));
        Self::map(entries.collect(), at)
    }

    /// Where a reader looks first: the key if there is one.
    pub fn named_at(&self) -> &Place {
        self.key_at.as_ref().unwrap_or(&self.at)
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(flag) = self.value { Some(flag) } else { None }
    }

    pub fn as_map(&self) -> Option<&Map> {
        if let Value::Map(map) = &self.value { Some(map) } else { None }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Value::Map(map) = &mut self.value { Some(map) } else { None }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        if let Value::List(list) = &self.value { Some(list) } else { None }
    }

    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Node>> {
        if let Value::List(list) = &mut self.value { Some(list) } else { None }
    }

    /// The entry of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The value that this path leads to, or the last one on the way to it.
    pub fn nearest(&self, keys: &[&str]) -> &Node {
        let Some((first, rest)) = keys.split_first() else { return self };
        let next = match &self.value {
            Value::Map(map) => map.get(*first),
            Value::List(list) => first.parse().ok().and_then(|index: usize| list.get(index)),
            _ => None,
        };
        next.map_or(self, |next| next.nearest(rest))
    }

    /// What messages call this type.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "empty",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// A scalar as text, the way Go prints it; nothing for null, lists and maps.
    pub fn shown(&self) -> Option<String> {
        match &self.value {
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Int(number) => Some(number.to_string()),
            Value::Float(number) => Some(show_float(*number)),
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The same without places.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => i64::try_from(*number)
                .map(Json::from)
                .or_else(|_| u64::try_from(*number).map(Json::from))
                .unwrap_or_else(|_| Json::from(number.to_string())),
            Value::Float(number) => Json::from(*number),
            Value::Text(text) => Json::from(text.as_str()),
            Value::List(list) => list.iter().map(Self::to_json).collect(),
            Value::Map(map) => map.iter().map(|(key, node)| (key.clone(), node.to_json())).collect(),
        }
    }

    /// A problem with this value.
    pub fn problem(
        &self,
        kind: Kind,
        path: &Path<'_>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem::new(kind, &self.at, path, message, remedy)
    }

    /// It is not what the key wants.
    pub fn mismatch(&self, path: &Path<'_>, wanted: &str) -> Problem {
        let shown = self.shown().filter(|text| text.len() <= 60).map_or_else(String::new, |text| format!(" ({text})"));
        let message = format!("this is {}{shown}", self.kind());
        self.problem(Kind::Shape, path, message, format!("write {wanted}"))
    }
}
