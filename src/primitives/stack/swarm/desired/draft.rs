//! A service's description as it grows, and what each key of the files added to it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::primitives::stack::desired::{long_hash, short_hash};

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub spec: Value,
    parts: BTreeMap<String, Map<String, Value>>,
}

impl Draft {
    /// Puts what a key of the files comes to at its place, which is a JSON pointer.
    pub fn put(&mut self, key: &str, place: &str, value: impl Into<Value>) {
        let value = value.into();
        self.parts.entry(key.to_owned()).or_default().insert(place.to_owned(), value.clone());
        let mut at = &mut self.spec;
        for step in place.split('/').skip(1) {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[step];
        }
        *at = value;
    }

    /// The same for a list or a table, if there is anything in it.
    pub fn put_some(&mut self, key: &str, place: &str, value: impl Into<Value>) {
        let value = value.into();
        let is_empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !is_empty {
            self.put(key, place, value);
        }
    }

    /// A short hash of each key.
    pub fn parts(&self) -> BTreeMap<String, String> {
        self.parts.iter().map(|(key, of)| (key.clone(), short_hash(&json!(of)))).collect()
    }

    /// Of all of it.
    pub fn hash(&self) -> String {
        long_hash(&self.spec)
    }
}
