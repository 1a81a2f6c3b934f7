//! `.doc NAME`.

use super::markdown::{call_text, function_text};
use crate::lua::bind::{MODULES, Module, ModuleKind, full_name};

/// What is known of `aegis.kv.get`, `kv.get`, `aegis.kv`, `ctx:log` or `ctx`; None for what does not exist.
pub fn doc(name: &str) -> Option<String> {
    let wanted = name.trim().trim_end_matches("()").replace(':', ".");
    let short = wanted.strip_prefix("aegis.").unwrap_or(&wanted);
    if wanted == "aegis" {
        return Some(overview());
    }
    for module in MODULES {
        if !module.name.is_empty() && short == module.name {
            return Some(module_text(module));
        }
        for function in module.functions {
            let full = full_name(module, function).replace(':', ".");
            if full == wanted || full.strip_prefix("aegis.").is_some_and(|tail| tail == short) {
                return Some(format!("{}\n\n{}", call_text(module, function), function_text(function)));
            }
        }
        if let Some(constant) = module.constants.iter().find(|constant| {
            let owner = if module.name.is_empty() { String::new() } else { format!("{}.", module.name) };
            short == format!("{owner}{}", constant.name)
        }) {
            return Some(format!("{name}\n\n{}\n", constant.doc));
        }
    }
    None
}

fn overview() -> String {
    let mut out = "aegis\n\n".to_owned();
    for module in MODULES.iter().filter(|module| module.kind == ModuleKind::Namespace && !module.name.is_empty()) {
        out.push_str(&format!("aegis.{}: {}\n", module.name, module.doc));
    }
    out
}

fn module_text(module: &Module) -> String {
    let mut out = format!("{}\n\n", module.doc);
    for function in module.functions {
        let first = function.doc.split_inclusive(". ").next().unwrap_or_default().trim_end();
        out.push_str(&format!("{}  {first}\n", call_text(module, function)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::doc;

    #[test]
    fn names_are_found_however_they_are_written() {
        for name in [
            "aegis.kv.get",
            "kv.get",
            "aegis.kv.get()",
            "ctx:log",
            "ctx.log",
            "aegis.kv",
            "ctx",
            "aegis.sleep",
            "aegis.null",
            "aegis",
            "ctx.params",
        ] {
            assert!(doc(name).is_some(), "{name}");
        }
        assert!(doc("aegis.nothing").is_none() && doc("").is_none());
        assert!(doc("aegis.kv.set").is_some_and(|text| text.contains("aegis.kv.set(key, value, options?)") && text.contains("shared:NAME")));
    }
}
