//! Values as people write them in option tables and in the configuration: `"30s"` or `30`, one text or a list of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::base::quantity::{parse_duration, parse_size};

/// A duration: text such as `"30s"`, or seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

/// A number of bytes: text such as `"64MiB"`, or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

/// One text or a list of them. Numbers and booleans become text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Texts(pub Vec<String>);

/// A map of texts, or a list of `"NAME=value"`. Numbers and booleans become text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Pairs(pub BTreeMap<String, String>);

/// An argument vector: a list, or one text that is split as a shell would split it, without expanding anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Argv(pub Vec<String>);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Number(seconds) => Duration::try_from_secs_f64(seconds).map(Self).map_err(de::Error::custom),
            Scalar::Text(text) => parse_duration(&text).map(Self).map_err(de::Error::custom),
            Scalar::Flag(_) => Err(de::Error::custom("expected a duration such as \"30s\", or seconds")),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bad = || de::Error::custom("expected a size such as \"64MiB\", or a number of bytes");
        match Scalar::deserialize(deserializer)? {
            Scalar::Number(bytes) if bytes >= 0.0 && bytes.fract() == 0.0 && bytes < 9e15 => Ok(Self(bytes as u64)),
            Scalar::Text(text) => parse_size(&text).map(Self).map_err(de::Error::custom),
            Scalar::Number(_) | Scalar::Flag(_) => Err(bad()),
        }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match OneOrMany::deserialize(deserializer)? {
            OneOrMany::Many(words) => Ok(Self(words)),
            OneOrMany::One(line) => shlex::split(&line)
                .map(Self)
                .ok_or_else(|| de::Error::custom("a quote in this command is never closed")),
        }
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor).map(Self)
    }
}

/// A number, a text or a boolean, whichever way the format spells it.
pub(super) enum Scalar {
    Number(f64),
    Text(String),
    Flag(bool),
}

impl Scalar {
    /// Integers without a fraction: Lua has doubles only.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => (number as i64).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Scalar;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, a number or a boolean")
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(flag))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number as f64))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number as f64))
            }
        }
        deserializer.deserialize_any(V)
    }
}

enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMany, A::Error> {
                TextsVisitor.visit_seq(list).map(OneOrMany::Many)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
                TextsVisitor.visit_map(map).map(OneOrMany::Many)
            }
        }
        deserializer.deserialize_any(V)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![text.to_owned()])
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Vec<String>, E> {
        Ok(vec![Scalar::Flag(flag).into_text()])
    }

    fn visit_f64<E>(self, number: f64) -> Result<Vec<String>, E> {
        Ok(vec![Scalar::Number(number).into_text()])
    }

    fn visit_i64<E>(self, number: i64) -> Result<Vec<String>, E> {
        Ok(vec![number.to_string()])
    }

    fn visit_u64<E>(self, number: u64) -> Result<Vec<String>, E> {
        Ok(vec![number.to_string()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while let Some(item) = list.next_element::<Scalar>()? {
            texts.push(item.into_text());
        }
        Ok(texts)
    }

    /// An empty Lua table may arrive as a map.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        match map.next_key::<String>()? {
            None => Ok(Vec::new()),
            Some(key) => Err(de::Error::custom(format!("expected a list of texts, not a table with the key {key:?}"))),
        }
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table of texts, or a list of \"NAME=value\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Scalar>()? {
            pairs.insert(name, value.into_text());
        }
        Ok(pairs)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some(item) = list.next_element::<String>()? {
            let Some((name, value)) = item.split_once('=') else {
                return Err(de::Error::custom(format!("expected \"NAME=value\", not {item:?}")));
            };
            pairs.insert(name.to_owned(), value.to_owned());
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn quantities_take_text_and_numbers() {
        assert_eq!(read::<Span>(json!("1m30s")).map(|span| span.0.as_secs()), Ok(90));
        assert_eq!(read::<Span>(json!(0.5)).map(|span| span.0.as_millis()), Ok(500));
        assert_eq!(read::<Size>(json!("1MiB")).map(|size| size.0), Ok(1 << 20));
        assert_eq!(read::<Size>(json!(512.0)).map(|size| size.0), Ok(512));
        for bad in [json!(-1), json!(true), json!("soon"), json!(1.5e300)] {
            assert!(read::<Span>(bad.clone()).is_err() && read::<Size>(bad).is_err());
        }
    }

    #[test]
    fn lists_and_maps_take_both_spellings() {
        assert_eq!(read::<Texts>(json!("a b")), Ok(Texts(vec!["a b".into()])));
        assert_eq!(read::<Texts>(json!(["a", 5])), Ok(Texts(vec!["a".into(), "5".into()])));
        assert_eq!(read::<Texts>(json!(2.0)), Ok(Texts(vec!["2".into()])));
        assert_eq!(read::<Texts>(json!({})), Ok(Texts(vec![])));
        assert_eq!(read::<Argv>(json!("sh -c 'a b'")), Ok(Argv(vec!["sh".into(), "-c".into(), "a b".into()])));
        assert!(read::<Argv>(json!("sh 'x")).is_err_and(|error| error.contains("never closed")));
        let pairs = Pairs([("A".into(), "1".into()), ("B".into(), "x=y".into())].into());
        assert_eq!(read::<Pairs>(json!({"A": 1, "B": "x=y"})), Ok(pairs.clone()));
        assert_eq!(read::<Pairs>(json!(["A=1", "B=x=y"])), Ok(pairs));
        assert!(read::<Pairs>(json!(["A"])).is_err());
    }
}
