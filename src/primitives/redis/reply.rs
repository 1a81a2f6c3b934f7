//! What a server answers, bounded.

use redis::Value;

use super::error::Problem;
use crate::base::limits;

/// A value of the protocol. Texts of any bytes are [`Reply::Bytes`]; [`Reply::Text`] is what the server says itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Nil,
    Bool(bool),
    Integer(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Reply>),
    /// In the server's order.
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    /// Refuses an error anywhere in it, and more values or deeper nesting than is held.
    pub fn read(value: Value) -> Result<Self, Problem> {
        read(value, 0, &mut 0)
    }

    /// One of several that are held together: `count` is of the values so far.
    pub fn read_after(value: Value, count: &mut usize) -> Result<Self, Problem> {
        read(value, 0, count)
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Reply]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }
}

fn read(value: Value, depth: usize, count: &mut usize) -> Result<Reply, Problem> {
    *count += 1;
    if *count > limits::REDIS_REPLY_VALUES_MAX {
        return Err(Problem::TooMany { values_max: limits::REDIS_REPLY_VALUES_MAX });
    }
    if depth > limits::VALUE_DEPTH_MAX {
        return Err(Problem::Protocol(format!("it is nested deeper than {}", limits::VALUE_DEPTH_MAX)));
    }
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Integer(number),
        Value::BulkString(bytes) => Reply::Bytes(bytes),
        Value::Array(values) | Value::Set(values) => {
            let items = values.into_iter().map(|value| read(value, depth + 1, count));
            Reply::List(items.collect::<Result<_, _>>()?)
        }
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Reply::Text(text),
        Value::Okay => Reply::Text("OK".into()),
        Value::Map(pairs) => {
            let mut read_pairs = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                read_pairs.push((read(key, depth + 1, count)?, read(value, depth + 1, count)?));
            }
            Reply::Map(read_pairs)
        }
        Value::Attribute { data, .. } => read(*data, depth + 1, count)?,
        Value::Double(number) => Reply::Double(number),
        Value::Boolean(flag) => Reply::Bool(flag),
        Value::BigNumber(digits) => Reply::Bytes(digits),
        Value::ServerError(error) => {
            let text = error.details().unwrap_or_default().to_owned();
            return Err(Problem::Refused { code: error.code().to_owned(), text, command: None });
        }
        _ => return Err(Problem::Protocol("a kind of value that is not known".into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_values_than_are_held_are_refused() {
        let max = limits::REDIS_REPLY_VALUES_MAX;
        assert!(Reply::read(Value::Array(vec![Value::Int(1); max - 1])).is_ok());
        let refused = Reply::read(Value::Array(vec![Value::Int(1); max])).expect_err("too many");
        assert_eq!(refused, Problem::TooMany { values_max: max });
        let mut deep = Value::Nil;
        for _ in 0..=limits::VALUE_DEPTH_MAX {
            deep = Value::Array(vec![deep]);
        }
        assert!(matches!(Reply::read(deep), Err(Problem::Protocol(_))));
    }
}
