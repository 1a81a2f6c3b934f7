//! The job table of a file becomes a [`JobSpec`], or every fault in it with its line.

mod params;
mod permissions;
mod policy;
mod reader;
mod schedules;
mod triggers;
mod warnings;

use reader::{Reader, Table};
pub use warnings::warnings;

use crate::base::{Fault, JobName};
use crate::jobs::Site;
use crate::lua::Inspected;
use crate::model::JobSpec;
use crate::model::job::UiSpec;

/// The fields of the table that a file gives to `aegis.job`.
const FIELDS: [&str; 25] = [
    "name",
    "description",
    "tags",
    "enabled",
    "schedule",
    "on",
    "params",
    "timeout",
    "cpu",
    "memory",
    "retry",
    "overlap",
    "runs_on",
    "concurrency",
    "priority",
    "resume",
    "permissions",
    "ui",
    "mcp",
    "on_failure",
    "on_success",
    "run",
    // Taken for one of the above by people who come from elsewhere; each gets a hint of its own.
    "cron",
    "every",
    "parameters",
];
const MISTAKEN: [(&str, &str); 3] = [
    ("cron", "write schedule = { cron = \"0 6 * * *\" }"),
    ("every", "write schedule = { every = \"5m\" }"),
    ("parameters", "the field is called params"),
];

/// Checks what `file` (relative to the scripts folder, with the text `source`) says of its job, at `site`.
pub fn declare(inspected: &Inspected, file: &str, source: &str, site: &Site) -> Result<JobSpec, Vec<Fault>> {
    let mut reader = Reader::new(file, source, &inspected.lines);
    let Some(table) = Table::root(&inspected.table) else {
        reader.fault(&[], "aegis.job takes a table", "write return aegis.job { run = function(ctx) … end }");
        return Err(reader.faults);
    };
    for (field, hint) in MISTAKEN {
        if table.get(field).is_some() {
            reader.unknown(&table, field, hint);
        }
    }
    table.only(&mut reader, &FIELDS);
    let spec = name(&mut reader, &table, file).map(|name| read(&mut reader, &table, name, site));
    match spec {
        Some(spec) if reader.faults.is_empty() => Ok(spec),
        _ => Err(reader.faults),
    }
}

fn read(reader: &mut Reader, table: &Table, name: JobName, site: &Site) -> JobSpec {
    let schedules = schedules::read(reader, table, &name, &site.calendars);
    let params = params::read(reader, table);
    if !table.is_function(reader, "run") && table.get("run").is_none() {
        reader.fault(&[], "the job has no run function", "add run = function(ctx) … end");
    }
    let resume = table.boolean(reader, "resume").unwrap_or(false);
    let grants = permissions::read(reader, table);
    JobSpec {
        description: table.string(reader, "description").unwrap_or_default().to_owned(),
        tags: table.strings(reader, "tags"),
        enabled: table.boolean(reader, "enabled").unwrap_or(true),
        schedules,
        on: triggers::read(reader, table, &grants),
        limits: policy::limits(reader, table, resume),
        retry: policy::retry(reader, table),
        overlap: policy::overlap(reader, table),
        runs_on: table.strings(reader, "runs_on"),
        concurrency: policy::concurrency(reader, table, &params),
        params,
        priority: policy::priority(reader, table),
        resume,
        permissions: grants,
        ui: ui(reader, table),
        mcp: table.boolean(reader, "mcp").unwrap_or(false),
        has_on_failure: table.is_function(reader, "on_failure"),
        has_on_success: table.is_function(reader, "on_success"),
        name,
    }
}

/// What the table says, or else the file's name without its ending.
fn name(reader: &mut Reader, table: &Table, file: &str) -> Option<JobName> {
    let stem = file.rsplit('/').next().unwrap_or(file);
    let stem = stem.strip_suffix(".lua").or_else(|| stem.strip_suffix(".luau")).unwrap_or(stem);
    let said = table.get("name").is_some();
    let text = if said { table.string(reader, "name")? } else { stem };
    // The console's own name is one to read, not one to give.
    let named = text.parse::<JobName>().map_err(|error| error.to_string()).and_then(|name| match name {
        name if name == JobName::console() => Err(format!("{text:?} is what lines of the console are recorded under")),
        name => Ok(name),
    });
    match named {
        Ok(name) => Some(name),
        Err(error) if said => {
            reader.wrong(table, "name", error);
            None
        }
        Err(error) => {
            reader.fault(&[], &format!("the file's name: {error}"), "rename the file or set name = \"…\"");
            None
        }
    }
}

fn ui(reader: &mut Reader, table: &Table) -> UiSpec {
    let Some(ui) = table.table(reader, "ui") else { return UiSpec::default() };
    ui.only(reader, &["group", "button", "confirm", "hidden"]);
    let text = |reader: &mut Reader, field| ui.string(reader, field).map(str::to_owned);
    UiSpec {
        group: text(reader, "group"),
        button: text(reader, "button"),
        confirm: text(reader, "confirm"),
        hidden: ui.boolean(reader, "hidden").unwrap_or(false),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
