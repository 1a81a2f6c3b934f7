//! Fields that may be written in several ways.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;
use serde_json::Value;

use super::super::number::{parse_bytes, show_float};
use super::super::short::words;
use super::HostsList;

/// Whether a field is left out of what is shown.
pub(super) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A scalar as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Number(number) if number.is_f64() => show_float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(shown(&Value::deserialize(deserializer)?))
}

/// One text or a list of them; numbers count as texts.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Array(list) => Ok(list.iter().map(shown).collect()),
        Value::Null => Ok(Vec::new()),
        other => Ok(vec![shown(&other)]),
    }
}

/// A mapping, or a list of `key=value`. A key alone has an empty value.
pub(super) fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let found = variables(deserializer)?;
    Ok(found.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect())
}

/// A mapping, or a list of `key=value`. A key alone has no value.
pub(super) fn variables<'de, D>(deserializer: D) -> Result<BTreeMap<String, Option<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(BTreeMap::new()),
        Value::Object(map) => {
            Ok(map.into_iter().map(|(key, value)| (key, (!value.is_null()).then(|| shown(&value)))).collect())
        }
        Value::Array(list) => Ok(list
            .iter()
            .map(|item| {
                let text = shown(item);
                match text.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                }
            })
            .collect()),
        other => Err(D::Error::custom(format!("{other} is neither a mapping nor a list of key=value"))),
    }
}

/// A command line, which is split into words, or a list of words.
pub(super) fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Array(list) => Ok(Some(list.iter().map(shown).collect())),
        other => words(&shown(&other))
            .map(Some)
            .map_err(|flaw| D::Error::custom(format!("{}: {}", flaw.message, flaw.remedy))),
    }
}

/// A shell's line, or a list that begins with how it is run.
pub(super) fn health_test<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => Ok(list.iter().map(shown).collect()),
        other => Ok(vec!["CMD-SHELL".to_owned(), shown(&other)]),
    }
}

/// `host=address`, `host:address`, or a mapping.
pub(super) fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HostsList, D::Error> {
    let mut list: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match Value::deserialize(deserializer)? {
        Value::Object(map) => {
            for (host, value) in map {
                let addresses = match value {
                    Value::Array(list) => list.iter().map(shown).collect(),
                    other => vec![shown(&other)],
                };
                list.insert(host, addresses);
            }
        }
        Value::Array(items) => {
            for item in items {
                let text = shown(&item);
                let (host, addresses) = text
                    .split_once('=')
                    .or_else(|| text.split_once(':'))
                    .ok_or_else(|| D::Error::custom(format!("{text:?} has no address: write \"host=address\"")))?;
                list.entry(host.to_owned()).or_default().extend(addresses.split(',').map(str::to_owned));
            }
        }
        other => return Err(D::Error::custom(format!("{other} is neither a mapping nor a list of host=address"))),
    }
    for (host, addresses) in &mut list {
        if host.is_empty() || host.contains([':', '=']) {
            return Err(D::Error::custom(format!("{host:?} is no host name")));
        }
        for address in addresses {
            if let Some(bare) =
                address.strip_prefix('[').and_then(|text| text.strip_suffix(']')).filter(|t| !t.is_empty())
            {
                *address = bare.to_owned();
            }
        }
    }
    Ok(HostsList(list))
}

/// Bytes as a number, or such as `64m`.
pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Number(number) => Ok(number.as_i64().unwrap_or_default()),
        Value::String(text) => parse_bytes(&text).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is no size: write a number, or such as \"64m\" or \"1g\""))
        }),
        _ => Ok(0),
    }
}

/// Compose shows bytes as text.
pub(super) fn show_bytes<S: Serializer>(bytes: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(bytes)
}

/// A number of devices, or `all`, which is -1.
pub(super) fn device_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = shown(&Value::deserialize(deserializer)?);
    if text.eq_ignore_ascii_case("all") {
        return Ok(-1);
    }
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no number of devices: write a number or \"all\"")))
}

/// Keys for a build: `id`, or `id=path`.
pub(super) fn ssh<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let found = variables(deserializer)?;
    let show = |(id, path): (String, Option<String>)| match path {
        Some(path) if !path.is_empty() => format!("{id}={path}"),
        _ => id,
    };
    Ok(found.into_iter().map(show).collect())
}
