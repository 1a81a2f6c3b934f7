//! What people and editors read about the API, all of it made from the registry.

mod luau;
mod markdown;
mod names;

pub use luau::types;
pub use markdown::reference;
pub use names::doc;

use super::bind::{Field, Record, Type};

/// A type as Luau writes it.
fn type_text(kind: &Type) -> String {
    match kind {
        Type::Nothing => "()".to_owned(),
        Type::Secret | Type::Held => "Secret".to_owned(),
        Type::Json | Type::SealedJson | Type::Any => "any".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::Number | Type::Integer => "number".to_owned(),
        Type::String | Type::Bytes => "string".to_owned(),
        Type::Duration => "Duration".to_owned(),
        Type::Size => "Size".to_owned(),
        Type::Time => "Time".to_owned(),
        Type::Choice(choices) => choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(" | "),
        Type::List(of) => format!("{{ {} }}", type_text(of)),
        Type::Map(of) => format!("{{ [string]: {} }}", type_text(of)),
        Type::Record(record) => record.name.to_owned(),
        Type::OneOf(kinds) => {
            let mut texts: Vec<String> = kinds.iter().map(type_text).collect();
            texts.dedup();
            if texts.iter().any(|text| text == "any") { "any".to_owned() } else { texts.join(" | ") }
        }
        Type::Function => "(...any) -> ...any".to_owned(),
        Type::Callback(signature) => (*signature).to_owned(),
        Type::Optional(of) => match type_text(of).as_str() {
            "any" => "any".to_owned(),
            text => format!("{text}?"),
        },
    }
}

/// `name: type`, with the mark of what may be left out.
fn field_text(field: &Field) -> String {
    let text = type_text(&field.kind);
    match (field.required, text.contains('|') || text.contains("->"), text.as_str()) {
        (true, ..) | (false, _, "any") => format!("{}: {text}", field.name),
        (false, true, _) => format!("{}: ({text})?", field.name),
        (false, false, _) => format!("{}: {text}?", field.name),
    }
}

/// Every record that the registry mentions, each once, in the order of first mention.
fn records() -> Vec<&'static Record> {
    let mut found = Vec::new();
    for module in super::bind::MODULES {
        for function in module.functions {
            for field in function.params {
                collect(&field.kind, &mut found);
            }
            collect(&function.returns, &mut found);
        }
        for constant in module.constants {
            collect(&constant.kind, &mut found);
        }
    }
    found
}

fn collect(kind: &Type, found: &mut Vec<&'static Record>) {
    match kind {
        Type::Record(record) if !found.iter().any(|known| known.name == record.name) => {
            found.push(record);
            record.fields.iter().for_each(|field| collect(&field.kind, found));
        }
        Type::List(of) | Type::Map(of) | Type::Optional(of) => collect(of, found),
        Type::OneOf(kinds) => kinds.iter().for_each(|kind| collect(kind, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lua::bind::{MODULES, full_name};

    /// Compares a committed file with what the registry says, or writes it when asked to.
    fn committed(path: &str, generated: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("AEGIS_UPDATE_GENERATED").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            std::fs::write(&path, generated).expect("the file");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == generated,
            "{} is out of date: run AEGIS_UPDATE_GENERATED=1 cargo test --lib lua::docs",
            path.display()
        );
    }

    #[test]
    fn committed_types_match_the_registry() {
        committed("stdlib/types/aegis.d.luau", &types());
    }

    #[test]
    fn the_committed_reference_matches_the_registry() {
        committed("docs/reference.md", &reference());
    }

    #[test]
    fn everything_is_documented_once() {
        let mut names = Vec::new();
        for module in MODULES {
            assert!(module.doc.ends_with('.'), "{}", module.name);
            for function in module.functions {
                let name = full_name(module, function);
                assert!(function.doc.ends_with('.') && doc(&name).is_some(), "{name}");
                assert!(function.params.iter().all(|field| !field.doc.is_empty()), "{name}");
                let optional_first = function.params.windows(2).find(|pair| !pair[0].required && pair[1].required);
                assert!(optional_first.is_none(), "{name}: a required argument after an optional one");
                assert!(!names.contains(&name), "{name} twice");
                names.push(name);
            }
        }
        for record in records() {
            assert!(
                !record.doc.is_empty() && record.fields.iter().all(|field| !field.doc.is_empty()),
                "{}",
                record.name
            );
        }
    }

    #[test]
    fn the_types_are_luau() {
        // Definition files have `declare`, which the compiler has not; everything else must compile.
        let source = types().replace("declare aegis:", "local aegis:").replace("declare function", "-- ");
        assert!(
            crate::lua::compile::compile("aegis.d.luau", &source).is_ok(),
            "{:?}",
            crate::lua::compile::compile("aegis.d.luau", &source)
        );
    }
}
