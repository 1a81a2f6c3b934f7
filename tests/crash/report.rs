//! The table at the end.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::checks::{Found, Wrong, check};
use crate::record::Record;

/// Prints what was done and found, and gives what is wrong.
pub fn report(title: &str, seed: u64, lives: u32, record: &Record, took: Duration) -> Vec<Found> {
    let found = check(record);
    let mut rows = vec![
        ("seed".to_owned(), seed.to_string()),
        ("kills".to_owned(), lives.to_string()),
        ("seconds".to_owned(), took.as_secs().to_string()),
        ("runs acknowledged".to_owned(), distinct(record.acknowledged.iter().map(|promise| &promise.run)).to_string()),
        ("runs in the books".to_owned(), record.runs.len().to_string()),
    ];
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for run in &record.runs {
        *states.entry(&run.state).or_default() += 1;
    }
    rows.extend(states.iter().map(|(state, count)| (format!("  {state}"), count.to_string())));
    let steps = distinct(record.effects.iter().map(|effect| (&effect.run, &effect.step)));
    rows.push(("steps executed".to_owned(), steps.to_string()));
    rows.push(("  again, not committed before".to_owned(), (record.effects.len() - steps).to_string()));
    let committed = record.journals.values().map(std::collections::BTreeSet::len).max().unwrap_or_default();
    rows.push(("steps in the journal at a kill, at most".to_owned(), committed.to_string()));
    rows.push(("due times settled".to_owned(), record.occurrences.len().to_string()));
    for wrong in Wrong::ALL {
        let count = found.iter().filter(|(kind, _)| *kind == wrong).count();
        rows.push((format!("wrong: {wrong:?}"), count.to_string()));
    }
    let width = rows.iter().map(|(what, _)| what.len()).max().unwrap_or_default();
    println!("\n| {title:<width$} |        |\n|{}|-------:|", "-".repeat(width + 2));
    for (what, value) in rows {
        println!("| {what:<width$} | {value:>6} |");
    }
    found
}

fn distinct<T: std::hash::Hash + Eq>(items: impl Iterator<Item = T>) -> usize {
    items.collect::<HashSet<T>>().len()
}

/// Fails with everything that is wrong.
pub fn expect_nothing(seed: u64, found: &[Found]) {
    let lines: Vec<String> = found.iter().take(40).map(|(wrong, what)| format!("{wrong:?}: {what}")).collect();
    let count = found.len();
    assert!(found.is_empty(), "{count} wrong; again with AEGIS_CRASH_SEED={seed}:\n{}", lines.join("\n"));
}
