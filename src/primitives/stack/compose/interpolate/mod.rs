//! Fills variables into the texts of a document.

mod casts;
mod template;

use std::collections::BTreeMap;

use super::node::{Node, Value};
use super::path::Path;
use super::problem::{Kind, Place, Problem};
use super::session::Session;
pub(super) use casts::truth;
pub(super) use template::{Flaw, Variables, fill};

/// The variables that a file may use: those of the project, or of an inclusion.
pub type Environment = BTreeMap<String, String>;

struct Lookup<'a> {
    environment: &'a Environment,
    unset: Vec<String>,
}

impl Variables for Lookup<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn unset(&mut self, name: &str) {
        self.unset.push(name.to_owned());
    }
}

/// Fills the variables of `environment` into every text below `node`; keys are left alone.
pub(super) fn interpolate(
    node: &mut Node,
    environment: &Environment,
    path: &Path<'_>,
    session: &mut Session<'_>,
) -> Result<(), Problem> {
    match &mut node.value {
        Value::Text(text) => {
            let filled = text_of(text, &node.at, environment, path, session)?;
            node.value = match casts::cast(&path.parts()) {
                None => Value::Text(filled),
                Some(cast) => cast.apply(&filled).ok_or_else(|| {
                    let message = format!("{filled:?} is not {}", cast.wanted());
                    Problem::new(Kind::Shape, &node.at, path, message, format!("write {}", cast.wanted()))
                })?,
            };
        }
        Value::List(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                interpolate(item, environment, &path.item(index), session)?;
            }
        }
        Value::Map(map) => {
            for (key, entry) in map.iter_mut() {
                interpolate(entry, environment, &path.key(key), session)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
    Ok(())
}

fn text_of(
    text: &str,
    at: &Place,
    environment: &Environment,
    path: &Path<'_>,
    session: &mut Session<'_>,
) -> Result<String, Problem> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    let mut lookup = Lookup { environment, unset: Vec::new() };
    let filled = fill(text, &mut lookup).map_err(|flaw| explain(flaw, at, path))?;
    for name in lookup.unset {
        let message =
            format!("the variable {name} is not set and becomes empty; set it in .env, or write ${{{name}:-}}");
        session.warnings.add(at, path, message);
    }
    session.spend_text(filled.len(), at, path)?;
    Ok(filled)
}

/// A flaw of a text as a problem of a file.
pub(super) fn explain(flaw: Flaw, at: &Place, path: &Path<'_>) -> Problem {
    let (kind, message, remedy) = match flaw {
        Flaw::Malformed(text) => {
            let remedy = "write ${NAME}, or $$ for a dollar sign";
            (Kind::Variable, format!("{text:?} is no variable"), remedy.to_owned())
        }
        Flaw::Missing { name, reason } => {
            let told = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let remedy = format!("set {name} in the environment or in .env");
            (Kind::Variable, format!("the variable {name} is required{told}"), remedy)
        }
        Flaw::TooDeep => {
            (Kind::TooLarge, "defaults lie too deep in each other".to_owned(), "use fewer of them".to_owned())
        }
        Flaw::TooLong => {
            (Kind::TooLarge, "the text is too long once filled in".to_owned(), "use shorter values".to_owned())
        }
    };
    Problem::new(kind, at, path, message, remedy)
}
