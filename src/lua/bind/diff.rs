//! `aegis.diff`: what changed between two texts.

use similar::{ChangeTag, TextDiff};

use super::json::within_bytes;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::{Fault, limits};

const LINES: Record = Record {
    name: "DiffLines",
    doc: "How a difference is shown.",
    fields: &[
        Field::optional(
            "context",
            Type::Integer,
            "Unchanged lines around a change; 3 unless said otherwise, 100 at most",
        ),
        Field::optional("old_name", Type::String, "What the old text is called; \"old\" unless said otherwise"),
        Field::optional("new_name", Type::String, "What the new text is called; \"new\" unless said otherwise"),
    ],
};
const CHANGES: Record = Record {
    name: "DiffChanges",
    doc: "What changed.",
    fields: &[
        Field::required("changed", Type::Boolean, "Whether anything did"),
        Field::required("added", Type::Integer, "Lines that are new"),
        Field::required("removed", Type::Integer, "Lines that are gone"),
        Field::required("text", Type::String, "As a unified diff, empty without a change"),
    ],
};

pub const MODULE: Module = Module {
    name: "diff",
    doc: "What changed between two texts.",
    functions: &[Function {
        name: "lines",
        doc: "Compares two texts line by line. The difference is right, and the smallest one unless the texts have \
              little in common.",
        params: &[
            Field::required("old", Type::String, "The one text, at most 1 MiB"),
            Field::required("new", Type::String, "The other"),
            Field::optional("options", Type::Record(&LINES), "How it is shown"),
        ],
        returns: Type::Record(&CHANGES),
        phase: Phase::Any,
        call: Call::Sync(lines),
        ..Function::DEFAULT
    }],
    ..Module::DEFAULT
};

fn lines(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    const CONTEXT_LINES_MAX: i64 = 100;
    let (old, new, options) = (args.need("old")?, args.need("new")?, args.record("options"));
    within_bytes(context, old.len().max(new.len()), limits::DOCUMENT_BYTES_MAX)?;
    let around = options.integer("context").unwrap_or(3);
    if !(0..=CONTEXT_LINES_MAX).contains(&around) {
        let message = format!("{}: option \"context\" must be 0 to {CONTEXT_LINES_MAX}", context.name);
        return Err(Fault::new("args.value", message));
    }
    // Beyond this it goes on with what it has, so that the difference is right and no longer the smallest.
    let diff = TextDiff::configure().timeout(limits::CODEC_TIME_MAX).diff_lines(old, new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count() as i64;
    let (added, removed) = (count(ChangeTag::Insert), count(ChangeTag::Delete));
    let name = |option: &str, default: &str| options.text(option).unwrap_or(default).replace(['\n', '\r'], " ");
    let text = diff
        .unified_diff()
        .context_radius(usize::try_from(around).unwrap_or_default())
        .header(&name("old_name", "old"), &name("new_name", "new"))
        .to_string();
    Ok(Datum::record([
        ("changed", (added + removed > 0).into()),
        ("added", added.into()),
        ("removed", removed.into()),
        ("text", text.into()),
    ]))
}
