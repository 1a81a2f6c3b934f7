//! A script that does something else than its journal says.

use std::collections::BTreeMap;

use serde_json::json;

use super::strand::Strand;
use crate::base::{Fault, limits};
use crate::lua::show::clip;
use crate::model::EntryKind;

/// One call, as messages name it.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Entry(EntryKind, String),
    Group,
}

impl Call {
    pub fn new(kind: EntryKind, name: &str) -> Self {
        Self::Entry(kind, name.to_owned())
    }

    fn show(&self) -> String {
        match self {
            Self::Group => "ctx:all or ctx:map".to_owned(),
            Self::Entry(EntryKind::Sleep, _) => "sleep".to_owned(),
            Self::Entry(EntryKind::Value, name) => format!("the {name}"),
            Self::Entry(kind, name) => format!("{} \"{name}\"", kind.as_str()),
        }
    }
}

/// What a strand does at `place` (None: it is over) is not what was recorded there.
pub fn fault(strand: &Strand, place: u32, call: Option<&Call>) -> Fault {
    let before = recorded(strand, place);
    let mut now: BTreeMap<u32, String> = strand.latest().iter().map(|(place, call)| (*place, call.show())).collect();
    let does = match call {
        Some(call) => format!("calls {}", call.show()),
        None => {
            now.insert(place, "the end".to_owned());
            "ends".to_owned()
        }
    };
    let was = before.get(&place).map_or_else(|| "nothing".to_owned(), Clone::clone);
    let at = |place: u32| {
        let places = strand.prefix().iter().chain([&place]).map(u32::to_string).collect::<Vec<_>>();
        places.join(".")
    };
    let list = |calls: &BTreeMap<u32, String>| -> Vec<String> {
        calls.iter().map(|(place, call)| format!("{} {call}", at(*place))).collect()
    };
    let (before, now) = (list(&before), list(&now));
    let message = format!(
        "the script does something else than it did before: at {} it {does} where the journal has {was}; \
         recorded: {}; now: {}",
        at(place),
        before.join(", "),
        now.join(", ")
    );
    Fault::new("run.diverged", clip(&message, limits::ERROR_MESSAGE_BYTES_MAX))
        .hint(
            "outside of steps a durable script has to do the same each time: read what may change inside ctx:step, \
             and do not let the order of pairs decide over calls",
        )
        .details(json!({ "at": at(place), "recorded": before, "current": now }))
}

/// The strand's recorded calls around a place.
fn recorded(strand: &Strand, around: u32) -> BTreeMap<u32, String> {
    let half = u32::try_from(limits::STEPS_SHOWN_MAX / 2).unwrap_or(u32::MAX);
    let depth = strand.prefix().len();
    let mut calls = BTreeMap::new();
    for entry in strand.course().journal().iter().filter(|entry| entry.key.places().starts_with(strand.prefix())) {
        let places = entry.key.places();
        let Some(place) = places.get(depth).filter(|place| **place > 0 && place.abs_diff(around) <= half) else {
            continue;
        };
        let own = places.len() == depth + 1;
        let call = if own { Call::new(entry.kind, &entry.name) } else { Call::Group };
        calls.insert(*place, call.show());
    }
    calls
}
