//! Limits, retries, overlap, concurrency and priority.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Reader, Table};
use crate::base::limits;
use crate::base::quantity::{show_duration, show_size};
use crate::base::suggest::did_you_mean;
use crate::model::job::{Backoff, Concurrency, JobLimits, Overlap, RetryPolicy};
use crate::model::params::ParamSpec;

const OVERLAPS: [(&str, Overlap); 4] = [
    ("skip", Overlap::Skip),
    ("queue", Overlap::Queue),
    ("replace", Overlap::Replace),
    ("parallel", Overlap::Parallel),
];
const BACKOFFS: [(&str, Backoff); 3] =
    [("constant", Backoff::Constant), ("linear", Backoff::Linear), ("exponential", Backoff::Exponential)];

/// A durable job's time counts its waits, so it has more of it.
pub fn limits(reader: &mut Reader, job: &Table, resume: bool) -> JobLimits {
    let default = JobLimits::default();
    let (timeout, most) = if resume {
        (limits::RUN_DURABLE_TIMEOUT_DEFAULT, limits::RUN_DURABLE_TIMEOUT_MAX)
    } else {
        (default.timeout, limits::RUN_TIMEOUT_MAX)
    };
    let memory = job.size(reader, "memory").map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if memory.is_some_and(|bytes| !(limits::RUN_MEMORY_BYTES_MIN..=limits::RUN_MEMORY_BYTES_MAX).contains(&bytes)) {
        let bound = |bytes: usize| show_size(bytes as u64);
        let (least, greatest) = (bound(limits::RUN_MEMORY_BYTES_MIN), bound(limits::RUN_MEMORY_BYTES_MAX));
        reader.wrong(job, "memory", format!("expected {least} to {greatest}"));
    }
    JobLimits {
        timeout: wall(reader, job, "timeout", most).unwrap_or(timeout),
        cpu: wall(reader, job, "cpu", limits::RUN_TIMEOUT_MAX).unwrap_or(default.cpu),
        memory_bytes: memory.unwrap_or(default.memory_bytes),
    }
}

fn wall(reader: &mut Reader, job: &Table, field: &str, most: Duration) -> Option<Duration> {
    let duration = job.duration(reader, field)?;
    if duration < Duration::from_millis(1) || duration > most {
        reader.wrong(job, field, format!("expected 1ms to {}", show_duration(most)));
    }
    Some(duration)
}

pub fn retry(reader: &mut Reader, job: &Table) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    let Some(table) = job.table(reader, "retry") else { return policy };
    table.only(reader, &["attempts", "backoff", "initial", "max", "on"]);
    match table.integer(reader, "attempts", 1, i64::from(limits::RUN_ATTEMPTS_MAX)) {
        Some(attempts) => policy.attempts = u32::try_from(attempts).unwrap_or(1),
        None if table.get("attempts").is_none() => {
            reader.wrong(job, "retry", "attempts is missing; write { attempts = 3 }")
        }
        None => {}
    }
    policy.backoff = table.choice(reader, "backoff", &BACKOFFS).unwrap_or(policy.backoff);
    policy.initial = table.duration(reader, "initial").unwrap_or(policy.initial);
    policy.max = table.duration(reader, "max").unwrap_or(policy.max.max(policy.initial));
    if policy.max < policy.initial {
        reader.wrong(&table, "max", "it is shorter than initial");
    }
    policy.on = table.strings(reader, "on");
    policy
}

pub fn overlap(reader: &mut Reader, job: &Table) -> Overlap {
    job.choice(reader, "overlap", &OVERLAPS).unwrap_or_default()
}

pub fn concurrency(reader: &mut Reader, job: &Table, params: &BTreeMap<String, ParamSpec>) -> Option<Concurrency> {
    let table = job.table(reader, "concurrency")?;
    table.only(reader, &["key", "limit"]);
    let limit = table.integer(reader, "limit", 1, i64::from(u32::MAX)).unwrap_or(1);
    let Some(key) = table.string(reader, "key") else {
        if table.get("key").is_none() {
            reader.wrong(job, "concurrency", "key is missing; write { key = \"deploy/${stack}\", limit = 1 }");
        }
        return None;
    };
    for name in placeholders(key).filter(|name| !params.contains_key(*name)) {
        let near = did_you_mean(name, params.keys().map(String::as_str));
        reader.wrong(&table, "key", format!("the job has no parameter {name:?}{near}"));
    }
    Some(Concurrency { key: key.to_owned(), limit: u32::try_from(limit).unwrap_or(1) })
}

/// The names in `${name}`.
fn placeholders(key: &str) -> impl Iterator<Item = &str> {
    key.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

pub fn priority(reader: &mut Reader, job: &Table) -> i32 {
    let most = i64::from(limits::RUN_PRIORITY_MAX);
    let priority = job.integer(reader, "priority", -most, most).unwrap_or(0);
    i32::try_from(priority).unwrap_or(0)
}
