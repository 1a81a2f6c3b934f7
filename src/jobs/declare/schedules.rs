//! The `schedule` field.

use std::time::Duration;

use super::reader::{Reader, Table};
use crate::base::suggest::did_you_mean;
use crate::base::{JobName, Timestamp, limits};
use crate::model::Calendars;
use crate::model::schedule::{CatchUp, Rule, ScheduleSpec};

const EXAMPLE: &str = "{ cron = \"0 6 * * *\", timezone = \"UTC\" } or { every = \"5m\" }";
const KINDS: [&str; 3] = ["cron", "every", "at"];
const FIELDS: [&str; 8] = ["cron", "every", "at", "timezone", "jitter", "catch_up", "window", "skip"];
const CATCH_UPS: [(&str, CatchUp); 3] = [("none", CatchUp::None), ("latest", CatchUp::Latest), ("all", CatchUp::All)];

pub fn read(reader: &mut Reader, job: &Table, name: &JobName, calendars: &Calendars) -> Vec<ScheduleSpec> {
    let tables = job.tables(reader, "schedule", EXAMPLE);
    if tables.len() > limits::JOB_SCHEDULES_MAX {
        reader.wrong(job, "schedule", format!("more than {} entries", limits::JOB_SCHEDULES_MAX));
        return Vec::new();
    }
    tables.iter().filter_map(|table| one(reader, table, name, calendars)).collect()
}

fn one(reader: &mut Reader, table: &Table, name: &JobName, calendars: &Calendars) -> Option<ScheduleSpec> {
    table.only(reader, &FIELDS);
    let kinds: Vec<_> = KINDS.into_iter().filter(|kind| table.get(kind).is_some()).collect();
    let [kind] = kinds[..] else {
        let found = if kinds.is_empty() { "none".to_owned() } else { kinds.join(" and ") };
        reader.wrong(
            table,
            kinds.first().unwrap_or(&"cron"),
            format!("expected one of cron, every and at, got {found}"),
        );
        return None;
    };
    if kind != "cron" && table.get("timezone").is_some() {
        reader.wrong(table, "timezone", format!("only cron has a time zone; {kind} counts in UTC"));
    }
    let rule = rule(reader, table, kind)?;
    let mut spec = ScheduleSpec::new(rule);
    spec.jitter = table.duration(reader, "jitter").unwrap_or(Duration::ZERO);
    spec.catch_up = table.choice(reader, "catch_up", &CATCH_UPS).unwrap_or(spec.catch_up);
    spec.window = table.duration(reader, "window");
    spec.skip = table.strings(reader, "skip");
    check_calendars(reader, table, &spec.skip, calendars);
    match spec.plan(name) {
        Ok(_) => Some(spec),
        Err(error) => {
            let field = if error.is_zone() { "timezone" } else { kind };
            reader.wrong(table, field, error.to_string());
            None
        }
    }
}

/// Those that the configuration does not have are faults.
fn check_calendars(reader: &mut Reader, table: &Table, skip: &[String], calendars: &Calendars) {
    for name in skip.iter().filter(|name| !calendars.has(name)) {
        let known: Vec<&str> = calendars.names().collect();
        let near = did_you_mean(name, known.iter().copied());
        let remedy = match known[..] {
            [] => "; the configuration defines none".to_owned(),
            _ if near.is_empty() => format!("; the configuration defines {}", known.join(", ")),
            _ => near,
        };
        reader.wrong(table, "skip", format!("there is no calendar {name:?}{remedy}"));
    }
}

fn rule(reader: &mut Reader, table: &Table, kind: &str) -> Option<Rule> {
    match kind {
        "cron" => {
            let expression = table.string(reader, "cron")?.to_owned();
            let timezone = table.string(reader, "timezone").unwrap_or("UTC").to_owned();
            Some(Rule::Cron { expression, timezone })
        }
        "every" => table.duration(reader, "every").map(|interval| Rule::Every { interval }),
        _ => match table.string(reader, "at")?.parse::<Timestamp>() {
            Ok(at) => Some(Rule::At { at }),
            Err(_) => {
                let problem = "expected a time with its offset, such as \"2027-01-01T00:00:00Z\"";
                reader.wrong(table, "at", problem);
                None
            }
        },
    }
}
