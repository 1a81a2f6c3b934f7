//! Texts with places to fill, in the language of Jinja. Filling has fuel, so that no template computes without end.

use std::fmt;

use minijinja::machinery::{Token, tokenize};
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
        check_depth(&text)?;
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
    check_depth(template)?;
    let values = minijinja::Value::from(minijinja::value::Serde(values));
    environment(is_html).render_named_str("template", template, values).map_err(|problem| fault(&problem))
}

/// The engine bounds how deep expressions are nested, but not how long their chains are: `x|a|b|…`, `1 + 1 + …` and
/// `elif` after `elif` each take a piece of the stack, and a stack that overflows takes the whole process with it.
fn check_depth(template: &str) -> Result<(), Fault> {
    let (mut in_tag, mut elifs) = (0, 0);
    // What is no token is a mistake that the engine itself describes.
    for (token, span) in tokenize(template, false, Default::default()).map_while(Result::ok) {
        match token {
            Token::VariableStart | Token::BlockStart | Token::TemplateData(_) => in_tag = 0,
            Token::Ident("elif") => elifs += 1,
            _ => in_tag += 1,
        }
        if in_tag > limits::TEMPLATE_TAG_TOKENS_MAX || elifs > limits::TEMPLATE_ELIFS_MAX {
            let (tag, most) = (limits::TEMPLATE_TAG_TOKENS_MAX, limits::TEMPLATE_ELIFS_MAX);
            let message = format!("line {}: there is too much in one expression or condition", span.start_line);
            let hint = format!(
                "at most {tag} words and signs between two braces and {most} times elif; compute in Lua, and let the \
                 template show what came out"
            );
            return Err(Fault::new("template.too_deep", message).hint(hint));
        }
    }
    Ok(())
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

    /// Each of these overflows the stack of whoever reads it without a bound.
    #[test]
    fn no_chain_is_read_deeper_than_a_small_stack_goes() {
        let chains = [
            ("{{ x", "|upper", " }}"),
            ("{{ 1", "+1", " }}"),
            ("{{ ", "not ", "x }}"),
            ("{{ ", "-", "1 }}"),
            ("{{ x", ".a", " }}"),
            ("{{ x", "()", " }}"),
            ("{{ x", "[0]", " }}"),
            ("{{ 1", " if x else 1", " }}"),
            ("{{ {\"a\": {\"}}\": x", " is string", "}} }}"),
            ("{% raw %}{# {{ \" {% endraw %}{{ x", "~x", " }}"),
            ("{% if x %}", "{% elif x %}", "{% endif %}"),
        ];
        let read = move |times: usize, within: bool| {
            for (before, link, after) in chains {
                let text = format!("{before}{}{after}", link.repeat(times));
                let code = render(&text, &json!({ "x": "a" }), false).map_or_else(|fault| fault.code, |_| "ok".into());
                assert_eq!(code != "template.too_deep", within, "{before}{link}{after}: {code}");
            }
        };
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let reader = small.spawn(move || {
            read(limits::TEMPLATE_ELIFS_MAX, true);
            read(20_000, false);
        });
        reader.expect("a thread").join().expect("read");
    }

    #[test]
    fn a_long_template_of_many_small_tags_is_filled() {
        let text = "{% if x == 'b' %}no{% elif x %}{{ x|upper }} {% endif %}".repeat(60);
        assert_eq!(render(&text, &json!({ "x": "a" }), false).expect("filled").len(), 120);
        assert!(render(&"{{ x|upper }}, ".repeat(5_000), &json!({ "x": "a" }), false).is_ok());
    }
}
