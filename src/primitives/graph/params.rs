//! Parameters as literals of the prefix `CYPHER name=value …`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::base::limits;

/// The prefix for these parameters, empty without any. The error names the parameter.
pub fn prefix(params: &Map<String, Value>) -> Result<String, String> {
    if params.is_empty() {
        return Ok(String::new());
    }
    let mut text = "CYPHER ".to_owned();
    for (name, value) in params {
        if !is_name(name) {
            return Err(format!("{name:?} is not a parameter's name: letters, digits and '_', no digit first"));
        }
        text.push_str(name);
        text.push('=');
        literal(value, &mut text, 0).map_err(|problem| format!("the parameter {name:?} {problem}"))?;
        text.push(' ');
        if text.len() > limits::GRAPH_QUERY_BYTES_MAX {
            return Err(format!("the parameters have more than {} bytes together", limits::GRAPH_QUERY_BYTES_MAX));
        }
    }
    Ok(text)
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn literal(value: &Value, text: &mut String, depth: usize) -> Result<(), String> {
    if depth > limits::VALUE_DEPTH_MAX {
        return Err(format!("is nested deeper than {}", limits::VALUE_DEPTH_MAX));
    }
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => write!(text, "{whole}").map_err(|problem| problem.to_string())?,
            // With a fraction or an exponent, or the server would read a whole number.
            (None, Some(number)) if number.is_finite() => {
                write!(text, "{number:?}").map_err(|problem| problem.to_string())?;
            }
            _ => return Err("is a number that the server cannot hold".into()),
        },
        Value::String(content) => quoted(content, text)?,
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                literal(item, text, depth + 1)?;
            }
            text.push(']');
        }
        Value::Object(entries) => {
            text.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                // Inside backticks there is no way to write one.
                if key.is_empty() || key.contains(['`', '\\', '\0']) {
                    return Err(format!(
                        "has the key {key:?}: a key is not empty and has no backtick, backslash or NUL"
                    ));
                }
                write!(text, "`{key}`:").map_err(|problem| problem.to_string())?;
                literal(item, text, depth + 1)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

/// In double quotes, in which a backslash and a double quote alone have a meaning.
fn quoted(content: &str, text: &mut String) -> Result<(), String> {
    if content.contains('\0') {
        return Err("holds a NUL character, which the server takes for the end; encode it with aegis.base64".into());
    }
    text.push('"');
    for c in content.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Result<String, String> {
        prefix(value.as_object().expect("an object"))
    }

    #[test]
    fn values_are_literals() {
        let cases = [
            (json!({}), ""),
            (json!({ "a": 1, "b": -0.5 }), "CYPHER a=1 b=-0.5 "),
            (json!({ "a": 1e300, "b": i64::MIN }), "CYPHER a=1e300 b=-9223372036854775808 "),
            (json!({ "s": "it's \"x\" \\ y" }), r#"CYPHER s="it's \"x\" \\ y" "#),
            (json!({ "l": [null, true, [], {}] }), "CYPHER l=[null,true,[],{}] "),
            (json!({ "m": { "a b": { "c": "}" } } }), "CYPHER m={`a b`:{`c`:\"}\"}} "),
        ];
        for (value, expected) in cases {
            assert_eq!(of(value), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_name() {
        let cases = [
            (json!({ "a b": 1 }), "\"a b\" is not"),
            (json!({ "1a": 1 }), "\"1a\" is not"),
            (json!({ "a=1 RETURN 1//": 1 }), "is not a parameter's name"),
            (json!({ "": 1 }), "is not a parameter's name"),
            (json!({ "s": "a\u{0}b" }), "the parameter \"s\" holds a NUL"),
            (json!({ "m": { "a`b": 1 } }), "the parameter \"m\" has the key"),
            (json!({ "m": { "": 1 } }), "the parameter \"m\" has the key"),
            (json!({ "n": u64::MAX }), ""),
        ];
        for (value, part) in cases {
            match of(value.clone()) {
                Err(problem) => assert!(problem.contains(part), "{problem}"),
                // Beyond 64 bits signed it goes as a double.
                Ok(text) => assert_eq!(text, "CYPHER n=1.8446744073709552e19 ", "{value}"),
            }
        }
        let mut deep = json!(1);
        for _ in 0..=limits::VALUE_DEPTH_MAX {
            deep = json!([deep]);
        }
        assert!(of(json!({ "d": deep })).is_err_and(|problem| problem.contains("nested deeper")));
        let long = "x".repeat(limits::GRAPH_QUERY_BYTES_MAX);
        assert!(of(json!({ "s": long })).is_err_and(|problem| problem.contains("bytes together")));
    }
}
