//! Values against their declarations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{coerce, describe, show};
use super::{BadParam, ParamSpec, ParamType, Params, compile_pattern};
use crate::base::quantity::show_size;
use crate::base::{limits, nearest};

/// Checks `given` against `specs` and fills in defaults. The result holds each value in the form in which it is kept,
/// and validates to itself. All problems are found at once; `null` counts as not given.
pub fn validate(specs: &BTreeMap<String, ParamSpec>, given: &Params) -> Result<Params, Vec<BadParam>> {
    let bad = |name: &str, problem: String| BadParam { name: name.chars().take(64).collect(), problem };
    if let Err(problem) = bounded(given) {
        return Err(vec![bad("(all)", problem)]);
    }
    let mut problems: Vec<_> = given
        .iter()
        .filter(|(name, value)| !specs.contains_key(*name) && !value.is_null())
        .map(|(name, _)| bad(name, unknown(specs, name)))
        .collect();
    let mut kept = Params::new();
    for (name, spec) in specs {
        let value = given.get(name).filter(|value| is_given(spec, value));
        match value.map(|value| accept(spec, value)) {
            Some(Ok(value)) => {
                kept.insert(name.clone(), value);
            }
            Some(Err(problem)) => problems.push(bad(name, problem)),
            None => match &spec.default {
                Some(default) => {
                    kept.insert(name.clone(), default.clone());
                }
                None if spec.required => problems.push(bad(name, missing(spec))),
                None => {}
            },
        }
    }
    if problems.is_empty() { Ok(kept) } else { Err(problems) }
}

/// An empty field of a form is no value, save for text that may be empty.
fn is_given(spec: &ParamSpec, value: &Value) -> bool {
    let may_be_empty = spec.kind == ParamType::String && !spec.required;
    !value.is_null() && (may_be_empty || value.as_str() != Some(""))
}

fn bounded(given: &Params) -> Result<(), String> {
    given.values().try_for_each(shallow)?;
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
    if bytes > limits::RUN_PARAMS_BYTES_MAX {
        let (found, most) = (show_size(bytes as u64), show_size(limits::RUN_PARAMS_BYTES_MAX as u64));
        return Err(format!("they are {found} in all, more than {most}"));
    }
    Ok(())
}

fn shallow(value: &Value) -> Result<(), String> {
    if depth_exceeds(value, limits::VALUE_DEPTH_MAX) {
        return Err(format!("nested deeper than {} levels", limits::VALUE_DEPTH_MAX));
    }
    Ok(())
}

fn depth_exceeds(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| depth_exceeds(item, levels - 1)),
        Value::Object(items) => levels == 0 || items.values().any(|item| depth_exceeds(item, levels - 1)),
        _ => false,
    }
}

fn unknown(specs: &BTreeMap<String, ParamSpec>, name: &str) -> String {
    let names = || specs.keys().map(String::as_str);
    match nearest(name, names()) {
        Some(found) => format!("the job has no such parameter; did you mean {found:?}?"),
        None if specs.is_empty() => "the job has no such parameter; it takes none".to_owned(),
        None => format!("the job has no such parameter; it takes {}", names().collect::<Vec<_>>().join(", ")),
    }
}

fn missing(spec: &ParamSpec) -> String {
    let choices = if spec.choices.is_empty() { String::new() } else { format!(", one of {}", listed(spec)) };
    format!("it is required ({}{choices})", spec.kind.as_str())
}

pub(super) fn accept(spec: &ParamSpec, given: &Value) -> Result<Value, String> {
    let value = coerce(spec.kind, given)?;
    shallow(&value)?;
    if !spec.choices.is_empty() {
        return if spec.choices.contains(&value) {
            Ok(value)
        } else {
            Err(format!("expected one of {}, got {}", listed(spec), describe(&value)))
        };
    }
    within(spec, &value)?;
    if let (Some(pattern), Some(text)) = (&spec.pattern, value.as_str()) {
        let regex =
            compile_pattern(pattern).ok_or_else(|| format!("the job's pattern {pattern:?} does not compile"))?;
        if !regex.is_match(text) {
            return Err(format!("expected text that matches {pattern:?}, got {}", describe(&value)));
        }
    }
    Ok(value)
}

fn listed(spec: &ParamSpec) -> String {
    spec.choices.iter().map(|choice| show(spec.kind, choice)).collect::<Vec<_>>().join(", ")
}

fn within(spec: &ParamSpec, value: &Value) -> Result<(), String> {
    let (measure, unit) = match value {
        Value::Number(number) => (number.as_f64().unwrap_or(f64::NAN), ""),
        Value::String(text) => (text.chars().count() as f64, " characters"),
        Value::Array(items) => (items.len() as f64, " items"),
        Value::Object(items) => (items.len() as f64, " entries"),
        Value::Bool(_) | Value::Null => return Ok(()),
    };
    let shown = |bound: f64| {
        let quantity = matches!(spec.kind, ParamType::Duration | ParamType::Size);
        let text = if quantity { show(spec.kind, &Value::from(bound)) } else { bound.to_string() };
        format!("{text}{unit}")
    };
    let got = || if unit.is_empty() { show(spec.kind, value) } else { format!("{measure}") };
    match (spec.min, spec.max) {
        (Some(min), _) if measure < min => Err(format!("expected at least {}, got {}", shown(min), got())),
        (_, Some(max)) if measure > max => Err(format!("expected at most {}, got {}", shown(max), got())),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
