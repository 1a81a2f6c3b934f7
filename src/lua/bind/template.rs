//! `aegis.template`: texts with places to fill, in the language of Jinja.

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

use super::json::within_bytes;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::{Fault, limits};

const RENDER: Record = Record {
    name: "TemplateRender",
    doc: "How a template is filled.",
    fields: &[Field::optional("html", Type::Boolean, "Escape values for HTML; `|safe` marks what is HTML already")],
};

pub const MODULE: Module = Module {
    name: "template",
    doc: "Texts with places to fill: `{{ name }}`, `{% if … %}`, `{% for x in list %}`, filters such as `|upper`.",
    functions: &[Function {
        name: "render",
        doc: "Fills a template. A name that has no value is an error; so is a template that computes for too long. A \
              template cannot include others.",
        params: &[
            Field::required("template", Type::String, "The text, at most 256 KiB"),
            Field::optional("values", Type::Json, "What its names stand for, at most 1 MiB"),
            Field::optional("options", Type::Record(&RENDER), "How it is filled"),
        ],
        returns: Type::String,
        phase: Phase::Any,
        call: Call::Sync(render),
        ..Function::DEFAULT
    }],
    ..Module::DEFAULT
};

fn render(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let template = args.need("template")?;
    within_bytes(context, template.len(), limits::TEMPLATE_BYTES_MAX)?;
    let is_html = args.record("options").flag("html");
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(limits::TEMPLATE_FUEL_MAX));
    environment.set_recursion_limit(limits::VALUE_DEPTH_MAX);
    environment.set_auto_escape_callback(move |_| if is_html { AutoEscape::Html } else { AutoEscape::None });
    let values = minijinja::Value::from(minijinja::value::Serde(args.json("values")));
    environment.render_named_str("template", template, values).map(Datum::Text).map_err(|problem| {
        let line = problem.line().map_or_else(String::new, |line| format!("line {line}: "));
        let said = problem.detail().map_or_else(|| problem.kind().to_string(), str::to_owned);
        let (code, hint) = match problem.kind() {
            ErrorKind::OutOfFuel => ("template.too_long", "compute in Lua, and let the template show what came out"),
            ErrorKind::UndefinedError => ("template.undefined", "give it a value, or write {{ name|default(\"…\") }}"),
            ErrorKind::SyntaxError => ("template.syntax", "{{ }} shows a value, {% %} is a statement"),
            _ => ("template.failed", "filters and tests are those of Jinja"),
        };
        Fault::new(code, format!("{}: {line}{said}", context.name)).hint(hint)
    })
}
