//! Every change of every zone's clock from 2020 to 2040, against a reference that shares nothing with the code under
//! test: `tests/reference/dst.py` walks real time with Python's zoneinfo. Both read the system's zone data, so that a
//! difference between two releases of that data cannot pass for a fault of the arithmetic.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "the helpers of a test may panic, too")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use aegis::base::Timestamp;
use aegis::model::schedule::CronRule;
use jiff::SignedDuration;
use jiff::tz::TimeZoneDatabase;

const ZONEINFO: &str = "/usr/share/zoneinfo";

/// `(minutes from the change, whether a gap moved it)`.
type Dues = Vec<(i64, bool)>;

fn reference() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/dst.py");
    let output = Command::new("python3").arg(script).arg(ZONEINFO).output().expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn parse(dues: &str) -> Dues {
    let each = dues.split(',').filter(|due| !due.is_empty());
    each.map(|due| (due.trim_end_matches('+').parse().expect("minutes"), due.ends_with('+'))).collect()
}

/// What the code under test says about the span that the reference's answer covers.
fn computed(rule: &CronRule, change: Timestamp, expected: &Dues) -> Dues {
    let (Some((first, _)), Some((last, _))) = (expected.first(), expected.last()) else { return Vec::new() };
    let moment = |minutes: i64| change + SignedDuration::from_mins(minutes);
    let mut found = Vec::new();
    let mut at = moment(*first) - SignedDuration::from_secs(1);
    while let Some((due, shifted)) = rule.next_after(at).filter(|(due, _)| *due <= moment(*last)) {
        let from_change = due.duration_since(change);
        assert_eq!(from_change.as_secs() % 60, 0, "{due} is no whole minute");
        found.push((from_change.as_mins(), shifted));
        at = due;
    }
    found
}

#[test]
fn no_change_of_any_clock_loses_or_doubles_a_due_time() {
    let zones = TimeZoneDatabase::from_dir(ZONEINFO).expect("zone data: install tzdata");
    let mut wrong = Vec::new();
    let (mut zone_count, mut change_count, mut due_count, mut moved_count) = (0, 0, 0, 0);
    for line in reference().lines() {
        let mut fields = line.split('\t').filter(|field| !field.is_empty());
        let name = fields.next().expect("a zone's name");
        let zone = zones.get(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut rules: BTreeMap<&str, CronRule> = BTreeMap::new();
        zone_count += 1;
        for field in fields {
            change_count += 1;
            let (second, schedules) = field.split_once(':').expect("a change");
            let change = Timestamp::from_second(second.parse().expect("seconds")).expect("in range");
            for (expression, dues) in schedules.split(';').map(|one| one.split_once('=').expect("a schedule")) {
                let rule = rules
                    .entry(expression)
                    .or_insert_with(|| CronRule::parse(expression, zone.clone()).expect("an expression"));
                let expected = parse(dues);
                due_count += expected.len();
                moved_count += expected.iter().filter(|(_, moved)| *moved).count();
                let found = computed(rule, change, &expected);
                if found != expected {
                    wrong.push(format!("{name} {expression:?} around {change}: {found:?}, not {expected:?}"));
                }
            }
        }
    }
    println!("{zone_count} zones, {change_count} changes, {due_count} due times, {moved_count} of them moved by a gap");
    assert!(wrong.is_empty(), "{} differ, such as\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    assert!(zone_count > 400 && change_count > 4_000 && moved_count > 1_000, "the reference covers too little");
}
