//! Declarations as JSON Schema, for the API and for tools of agents.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ParamSpec, ParamType};

/// A schema (2020-12) of the whole set, as an object that allows no other names.
pub fn json_schema(specs: &BTreeMap<String, ParamSpec>) -> Value {
    let properties: Map<_, _> = specs.iter().map(|(name, spec)| (name.clone(), property(spec))).collect();
    let required: Vec<_> = specs
        .iter()
        .filter(|(_, spec)| spec.required && spec.default.is_none())
        .map(|(name, _)| Value::from(name.as_str()))
        .collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(spec: &ParamSpec) -> Value {
    let (mut schema, note) = match spec.kind {
        ParamType::String => (json!({ "type": "string" }), ""),
        ParamType::Secret => (json!({ "type": "string" }), "The name of a secret."),
        ParamType::Number => (json!({ "type": "number" }), ""),
        ParamType::Integer => (json!({ "type": "integer" }), ""),
        ParamType::Boolean => (json!({ "type": "boolean" }), ""),
        ParamType::Duration => {
            (json!({ "type": ["number", "string"] }), "A duration: seconds, or text such as \"5m\".")
        }
        ParamType::Size => (json!({ "type": ["integer", "string"] }), "A size: bytes, or text such as \"64MiB\"."),
        ParamType::List => (json!({ "type": "array" }), ""),
        ParamType::Map => (json!({ "type": "object" }), ""),
    };
    let texts = [spec.description.as_str(), note];
    let description = texts.iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>().join(" ");
    if !description.is_empty() {
        schema["description"] = description.into();
    }
    if let Some(default) = &spec.default {
        schema["default"] = default.clone();
    }
    if !spec.choices.is_empty() {
        schema["enum"] = spec.choices.clone().into();
    }
    let (least, most) = match spec.kind {
        ParamType::String | ParamType::Secret => ("minLength", "maxLength"),
        ParamType::List => ("minItems", "maxItems"),
        ParamType::Map => ("minProperties", "maxProperties"),
        _ => ("minimum", "maximum"),
    };
    for (key, bound) in [(least, spec.min), (most, spec.max)] {
        if let Some(bound) = bound {
            schema[key] = if bound.fract() == 0.0 { json!(bound as i64) } else { json!(bound) };
        }
    }
    if let Some(pattern) = &spec.pattern {
        schema["pattern"] = format!("^(?:{pattern})$").into();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_says_what_validation_does() {
        let specs = BTreeMap::from([
            (
                "name".to_owned(),
                ParamSpec {
                    required: true,
                    pattern: Some("[a-z]+".into()),
                    max: Some(20.0),
                    description: "Who".into(),
                    ..ParamSpec::of(ParamType::String)
                },
            ),
            (
                "wait".to_owned(),
                ParamSpec { default: Some(json!(300)), min: Some(0.5), ..ParamSpec::of(ParamType::Duration) },
            ),
        ]);
        let expected = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "Who", "maxLength": 20, "pattern": "^(?:[a-z]+)$" },
                "wait": {
                    "type": ["number", "string"],
                    "description": "A duration: seconds, or text such as \"5m\".",
                    "default": 300,
                    "minimum": 0.5,
                },
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        assert_eq!(json_schema(&specs), expected);
    }
}
