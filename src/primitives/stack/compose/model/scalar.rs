//! Values with a form of their own.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::super::number::{parse_nanos, show_nanos};

/// A duration in nanoseconds, shown as `1m30s`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub i64);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let wanted = || D::Error::custom(format!("{text:?} is no duration: write such as \"30s\" or \"1m30s\""));
        parse_nanos(&text).map(Self).ok_or_else(wanted)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show_nanos(self.0))
    }
}

/// A share: processors, percents, ratios. Single precision, as in Compose.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Cpus(pub f32);

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = match &value {
            Value::String(text) => text.parse::<f64>().ok(),
            other => other.as_f64(),
        };
        let number = number.filter(|number| number.is_finite());
        number.map(|number| Self(number as f32)).ok_or_else(|| D::Error::custom(format!("{value} is no number")))
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e9 {
            return serializer.serialize_i64(self.0 as i64);
        }
        // Through the shortest text, so that 0.1 does not become 0.10000000149.
        serializer.serialize_f64(self.0.to_string().parse().unwrap_or_else(|_| f64::from(self.0)))
    }
}

/// One limit, or a soft and a hard one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ulimit {
    Single(i64),
    Pair { soft: i64, hard: i64 },
}

impl<'de> Deserialize<'de> for Ulimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Some(number) = value.as_i64() {
            return Ok(Self::Single(number));
        }
        let of = |key: &str| value.get(key).and_then(Value::as_i64);
        match (of("soft"), of("hard")) {
            (Some(soft), Some(hard)) => Ok(Self::Pair { soft, hard }),
            _ => Err(D::Error::custom("a limit is a whole number, or soft and hard")),
        }
    }
}

impl Serialize for Ulimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (soft, hard) = match *self {
            Self::Single(number) if number != 0 => return serializer.serialize_i64(number),
            Self::Single(_) => (0, 0),
            Self::Pair { soft, hard } => (soft, hard),
        };
        let mut map = serializer.serialize_map(None)?;
        for (key, number) in [("soft", soft), ("hard", hard)] {
            if number != 0 {
                map.serialize_entry(key, &number)?;
            }
        }
        map.end()
    }
}

/// Addresses by host name, shown as sorted `name=address`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostsList(pub BTreeMap<String, Vec<String>>);

impl Serialize for HostsList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list: Vec<String> = self
            .0
            .iter()
            .flat_map(|(host, addresses)| addresses.iter().map(move |address| format!("{host}={address}")))
            .collect();
        list.sort();
        serializer.collect_seq(list)
    }
}

/// Keys that the model does not know: extensions (`x-…`), which are not shown, and unknown ones, which are.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(transparent)]
pub struct Extra(pub BTreeMap<String, Value>);

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(key, _)| !key.starts_with("x-")))
    }
}

/// A text that nothing prints.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}
