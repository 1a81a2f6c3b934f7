//! `aegis.template`: texts with places to fill, in the language of Jinja.

use super::json::within_bytes;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::{Fault, limits};
use crate::primitives::template;

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
    let text = args.need("template")?;
    within_bytes(context, text.len(), limits::TEMPLATE_BYTES_MAX)?;
    template::render(text, &args.json("values"), args.record("options").flag("html"))
        .map(Datum::Text)
        .map_err(|fault| Fault { message: format!("{}: {}", context.name, fault.message), ..fault })
}
