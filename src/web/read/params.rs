//! A job's parameters as JSON Schema, for clients that build forms or check values themselves.

use serde_json::{Map, Value, json};

use crate::model::JobSpec;
use crate::model::params::{ParamSpec, ParamType};

/// The schema of the whole parameter object.
pub fn json_schema(spec: &JobSpec) -> Value {
    let properties: Map<String, Value> = spec.params.iter().map(|(name, param)| (name.clone(), property(param))).collect();
    let required: Vec<&String> = spec.params.iter().filter(|(_, param)| param.required).map(|(name, _)| name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(param: &ParamSpec) -> Value {
    let mut schema = Map::new();
    let (kind, format): (Value, Option<&str>) = match param.kind {
        ParamType::String => (json!("string"), None),
        ParamType::Secret => (json!("string"), Some("secret-name")),
        ParamType::Number => (json!("number"), None),
        ParamType::Integer => (json!("integer"), None),
        ParamType::Boolean => (json!("boolean"), None),
        ParamType::Duration => (json!(["string", "number"]), Some("duration-text")),
        ParamType::Size => (json!(["string", "integer"]), Some("size-text")),
        ParamType::List => (json!("array"), None),
        ParamType::Map => (json!("object"), None),
    };
    schema.insert("type".into(), kind);
    let mut put = |key: &str, value: Option<Value>| value.map(|value| schema.insert(key.into(), value));
    put("format", format.map(Value::from));
    put("description", (!param.description.is_empty()).then(|| param.description.clone().into()));
    put("default", param.default.clone());
    put("enum", (!param.choices.is_empty()).then(|| param.choices.clone().into()));
    let (min, max) = match param.kind {
        ParamType::String | ParamType::Secret => ("minLength", "maxLength"),
        ParamType::List => ("minItems", "maxItems"),
        ParamType::Map => ("minProperties", "maxProperties"),
        _ => ("minimum", "maximum"),
    };
    put(min, param.min.map(number));
    put(max, param.max.map(number));
    put("pattern", param.pattern.as_deref().and_then(regex_of).map(|regex| format!("^(?:{regex})$").into()));
    Value::Object(schema)
}

/// Whole numbers without a decimal point: `minLength` must be an integer.
pub fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// A Lua pattern as the regular expression (ECMAScript, `v` flag) that matches the same; None where there is none.
/// The server checks with the pattern itself in any case.
pub fn regex_of(pattern: &str) -> Option<String> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('$').filter(|rest| !rest.ends_with('%')).unwrap_or(pattern);
    let mut regex = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '%' => regex.push_str(&class(rest.next()?, false)?),
            '[' => set(&mut rest, &mut regex)?,
            '.' => regex.push_str(r"[\s\S]"),
            // Lua's `-` repeats as little as possible.
            '-' if !regex.is_empty() => regex.push_str("*?"),
            '*' | '+' | '?' | '(' | ')' => regex.push(c),
            c => push_literal(&mut regex, c),
        }
    }
    Some(regex)
}

fn set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Option<()> {
    regex.push('[');
    if rest.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    let mut first = true;
    loop {
        match rest.next()? {
            ']' if !first => break,
            '%' => regex.push_str(&class(rest.next()?, true)?),
            // A range, unless it stands at an end of the set.
            '-' if !first && rest.peek().is_some_and(|next| *next != ']') => regex.push('-'),
            c => push_literal(regex, c),
        }
        first = false;
    }
    regex.push(']');
    Some(())
}

fn class(letter: char, in_set: bool) -> Option<String> {
    let members = match letter.to_ascii_lowercase() {
        'a' => "A-Za-z",
        'd' => "0-9",
        'l' => "a-z",
        'u' => "A-Z",
        'w' => "A-Za-z0-9",
        'x' => "A-Fa-f0-9",
        's' => r"\s",
        'p' => r"!-\/:-@\[-`\{-~",
        // %b, %f, %c and back references have no equal.
        'a'..='z' | '0'..='9' => return None,
        _ => {
            let mut literal = String::new();
            push_literal(&mut literal, letter);
            return Some(literal);
        }
    };
    match (letter.is_ascii_uppercase(), in_set) {
        (false, true) => Some(members.to_owned()),
        (false, false) => Some(format!("[{members}]")),
        (true, false) => Some(format!("[^{members}]")),
        (true, true) => None,
    }
}

fn push_literal(regex: &mut String, c: char) {
    if r"\^$.|?*+()[]{}/-&~!#%,:;<=>@`".contains(c) {
        regex.push('\\');
    }
    regex.push(c);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn lua_patterns_become_regular_expressions() {
        let cases = [
            ("^%d+$", "[0-9]+"),
            ("[%w_-]+", r"[A-Za-z0-9_\-]+"),
            ("v%d+%.%d-", r"v[0-9]+\.[0-9]*?"),
            ("[^a-c]", "[^a-c]"),
            ("a.b", r"a[\s\S]b"),
        ];
        for (pattern, regex) in cases {
            assert_eq!(regex_of(pattern).as_deref(), Some(regex), "{pattern}");
        }
        assert_eq!(regex_of("%b()"), None);
        assert_eq!(regex_of("[a"), None);
    }

    #[test]
    fn bounds_are_named_by_type() {
        let text = |kind: &str| json!({ "type": kind, "min": 1, "max": 8, "required": true });
        let param = |kind| serde_json::from_value::<ParamSpec>(text(kind)).expect("a declaration");
        let mut spec = JobSpec::named("demo".parse().expect("a name"));
        spec.params = BTreeMap::from([("count".into(), param("integer")), ("name".into(), param("string"))]);
        let schema = json_schema(&spec);
        assert_eq!(schema["properties"]["count"], json!({ "type": "integer", "minimum": 1, "maximum": 8 }));
        assert_eq!(schema["properties"]["name"], json!({ "type": "string", "minLength": 1, "maxLength": 8 }));
        assert_eq!(schema["required"], json!(["count", "name"]));
    }
}
