//! Texts with places to fill, in the language of Jinja. Filling has fuel, so that no template computes without end.

use std::fmt;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::base::{Fault, limits};

/// A template whose syntax was checked.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Template(String);

impl Template {
    pub fn parse(text: String) -> Result<Self, Fault> {
        if text.len() > limits::TEMPLATE_BYTES_MAX {
            let message = format!("it has more than {} bytes", limits::TEMPLATE_BYTES_MAX);
            return Err(Fault::new("template.too_large", message));
        }
        environment(false).template_from_str(&text).map_err(|problem| fault(&problem))?;
        Ok(Self(text))
    }

    pub fn render(&self, values: &Value) -> Result<String, Fault> {
        render(&self.0, values, false)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(|fault| D::Error::custom(fault.message))
    }
}

/// Fills `template`. A name that has no value is an error.
pub fn render(template: &str, values: &Value, is_html: bool) -> Result<String, Fault> {
    let values = minijinja::Value::from(minijinja::value::Serde(values));
    environment(is_html).render_named_str("template", template, values).map_err(|problem| fault(&problem))
}

fn environment(is_html: bool) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(limits::TEMPLATE_FUEL_MAX));
    environment.set_recursion_limit(limits::VALUE_DEPTH_MAX);
    environment.set_auto_escape_callback(move |_| if is_html { AutoEscape::Html } else { AutoEscape::None });
    environment
}

fn fault(problem: &minijinja::Error) -> Fault {
    let line = problem.line().map_or_else(String::new, |line| format!("line {line}: "));
    let said = problem.detail().map_or_else(|| problem.kind().to_string(), str::to_owned);
    let (code, hint) = match problem.kind() {
        ErrorKind::OutOfFuel => ("template.too_long", "compute in Lua, and let the template show what came out"),
        ErrorKind::UndefinedError => ("template.undefined", "give it a value, or write {{ name|default(\"…\") }}"),
        ErrorKind::SyntaxError => ("template.syntax", "{{ }} shows a value, {% %} is a statement"),
        _ => ("template.failed", "filters and tests are those of Jinja"),
    };
    Fault::new(code, format!("{line}{said}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_checked_when_it_is_read() {
        let read = |text: &str| serde_json::from_value::<Template>(text.into()).map_err(|problem| problem.to_string());
        let template = read("{{ severity|upper }}: {{ title }}").expect("a template");
        assert_eq!(template.render(&json!({ "severity": "info", "title": "<x>" })).expect("filled"), "INFO: <x>");
        assert_eq!(template.render(&json!({})).expect_err("no value").code, "template.undefined");
        assert!(read("line\n{% if %}").expect_err("no condition").contains("line 2"));
        assert!(read(&"x".repeat(limits::TEMPLATE_BYTES_MAX + 1)).is_err());
    }
}
