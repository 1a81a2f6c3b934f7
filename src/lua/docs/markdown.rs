//! The reference: `docs/reference.md`.

use super::{records, type_text};
use crate::lua::bind::{Field, Function, MODULES, Module, ModuleKind, Phase, full_name};

const HEAD: &str = "\
# Reference

Everything that scripts can call. Generated from the registry in `src/lua/bind`; do not edit:
`AEGIS_UPDATE_GENERATED=1 cargo test --lib lua::docs`.

Functions of a module are called with a dot, those of an object with a colon. Options are one table; an unknown key is an
error. `Duration` is text such as `\"5m\"` or seconds, `Size` text such as `\"64MiB\"` or bytes, `Time` RFC 3339 text in UTC.
A failed call raises an error object with `code`, `message`, `hint`, `retryable`, `details` and `trace`.

Calls that wait let other runs go on. They work in coroutines of the script too, but not inside a comparison of `table.sort`, a
callback of `string.gsub` or a metamethod, where Luau cannot wait: collect first, then call.
";

/// The whole page.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for module in MODULES {
        let title = match (module.kind, module.name) {
            (ModuleKind::Object, name) => name.to_owned(),
            (ModuleKind::Namespace, "") => "aegis".to_owned(),
            (ModuleKind::Namespace, name) => format!("aegis.{name}"),
        };
        out.push_str(&format!("\n## {title}\n\n{}\n", module.doc));
        constants(&mut out, module);
        for function in module.functions {
            out.push_str(&format!("\n### `{}`\n\n", call_text(module, function)));
            out.push_str(&function_text(function));
        }
    }
    out.push_str("\n## Tables\n");
    for record in records() {
        out.push_str(&format!("\n### {}\n\n{}\n\n", record.name, record.doc));
        fields(&mut out, record.fields);
    }
    permissions(&mut out);
    out
}

fn constants(out: &mut String, module: &Module) {
    if module.constants.is_empty() {
        return;
    }
    out.push_str("\n| value | type | |\n|---|---|---|\n");
    for constant in module.constants {
        out.push_str(&format!("| `{}` | {} | {} |\n", constant.name, cell(&type_text(&constant.kind)), constant.doc));
    }
}

/// `aegis.kv.get(key, options?)`.
pub fn call_text(module: &Module, function: &Function) -> String {
    format!("{}{}", full_name(module, function), crate::lua::bind::check::signature(function))
}

/// Everything about one function but its name.
pub fn function_text(function: &Function) -> String {
    let mut out = format!("{}\n", function.doc);
    if !function.params.is_empty() {
        out.push('\n');
        fields(&mut out, function.params);
    }
    let returns = type_text(&function.returns);
    if returns != "()" {
        out.push_str(&format!("\nReturns `{returns}`.\n"));
    }
    if let Some(permission) = function.permission {
        out.push_str(&format!("\nPermission: `{permission}`.\n"));
    }
    match function.phase {
        Phase::Any => out.push_str("\nCan be called while the file is loaded.\n"),
        Phase::Load => out.push_str("\nOnly while the file is loaded.\n"),
        Phase::Run => {}
    }
    out
}

fn fields(out: &mut String, fields: &[Field]) {
    out.push_str("| name | type | |\n|---|---|---|\n");
    for field in fields {
        let needed = if field.required { "" } else { " (optional)" };
        out.push_str(&format!(
            "| `{}` | {}{needed} | {} |\n",
            field.name,
            cell(&type_text(&field.kind)),
            cell(field.doc)
        ));
    }
}

/// Text inside a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn permissions(out: &mut String) {
    out.push_str(
        "\n## Permissions\n\nThe line of `permissions` that each call needs; calls that are not here need none.\n\n",
    );
    out.push_str("| call | permission |\n|---|---|\n");
    for module in MODULES {
        for function in module.functions {
            if let Some(permission) = function.permission {
                out.push_str(&format!("| `{}` | `{permission}` |\n", full_name(module, function)));
            }
        }
    }
}
