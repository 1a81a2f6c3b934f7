//! What a script declares about itself: the job table, checked and typed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grants::Grants;
use super::millis;
use super::params::ParamSpec;
use super::schedule::ScheduleSpec;
use crate::base::limits::CONCURRENCY_KEY_BYTES_MAX;
use crate::base::{JobName, limits};

/// A job as its file declares it. Durations serialise as milliseconds (`…_ms`), sizes as bytes. Stored with each version,
/// and read by later releases: a field that is added has a default here, whatever the version is that was stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    pub name: JobName,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default = "enabled")]
    pub enabled: bool,
    #[serde(default)]
    pub schedules: Vec<ScheduleSpec>,
    /// Other triggers, as declared.
    #[serde(default)]
    pub on: Vec<TriggerSpec>,
    /// In order of their names.
    #[serde(default)]
    pub params: BTreeMap<String, ParamSpec>,
    #[serde(default)]
    pub limits: JobLimits,
    #[serde(default)]
    pub retry: RetryPolicy,
    #[serde(default)]
    pub overlap: Overlap,
    /// Labels that a daemon must have to execute it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs_on: Vec<String>,
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
    #[serde(default)]
    pub priority: i32,
    /// Durable: resumes at its first unfinished step after a crash.
    #[serde(default)]
    pub resume: bool,
    #[serde(default)]
    pub permissions: Grants,
    #[serde(default)]
    pub ui: UiSpec,
    #[serde(default)]
    pub mcp: bool,
    #[serde(default)]
    pub has_on_failure: bool,
    #[serde(default)]
    pub has_on_success: bool,
}

fn enabled() -> bool {
    true
}

impl JobSpec {
    /// A job of that name with every field at its default.
    /// Whether a daemon with these labels may execute it.
    pub fn runs_with(&self, labels: &[String]) -> bool {
        self.runs_on.iter().all(|label| labels.contains(label))
    }

    pub fn named(name: JobName) -> Self {
        Self {
            name,
            description: String::new(),
            tags: Vec::new(),
            enabled: true,
            schedules: Vec::new(),
            on: Vec::new(),
            params: BTreeMap::new(),
            limits: JobLimits::default(),
            retry: RetryPolicy::default(),
            overlap: Overlap::default(),
            runs_on: Vec::new(),
            concurrency: None,
            priority: 0,
            resume: false,
            permissions: Grants::default(),
            ui: UiSpec::default(),
            mcp: false,
            has_on_failure: false,
            has_on_success: false,
        }
    }
}

/// `{webhook=…}`, `{docker=…}` and their kin; the trigger of that name reads its own options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerSpec {
    pub kind: String,
    pub options: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobLimits {
    /// Wall time of one attempt.
    #[serde(rename = "timeout_ms", with = "millis")]
    pub timeout: Duration,
    /// Time in Lua of one attempt, waiting not counted.
    #[serde(rename = "cpu_ms", with = "millis")]
    pub cpu: Duration,
    pub memory_bytes: usize,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            timeout: limits::RUN_TIMEOUT_DEFAULT,
            cpu: limits::RUN_CPU_DEFAULT,
            memory_bytes: limits::RUN_MEMORY_BYTES_DEFAULT,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    pub backoff: Backoff,
    #[serde(rename = "initial_ms", with = "millis")]
    pub initial: Duration,
    #[serde(rename = "max_ms", with = "millis")]
    pub max: Duration,
    /// Error codes (`http.*`) worth another attempt; empty: every error, timeouts included.
    #[serde(default)]
    pub on: Vec<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Backoff::Exponential,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(300),
            on: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// How long to wait after failed attempt number `attempt` (from 1), or None when there shall be no other.
    pub fn delay_after(&self, attempt: u32, code: &str) -> Option<Duration> {
        let worth_it = self.on.is_empty() || self.on.iter().any(|pattern| super::grants::matches(pattern, code));
        if attempt >= self.attempts || !worth_it {
            return None;
        }
        let doubled = |attempt: u32| self.initial.checked_mul(1_u32.checked_shl(attempt - 1)?);
        let delay = match self.backoff {
            Backoff::Constant => Some(self.initial),
            Backoff::Linear => self.initial.checked_mul(attempt),
            Backoff::Exponential => doubled(attempt),
        };
        Some(delay.map_or(self.max, |delay| delay.min(self.max)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    Constant,
    Linear,
    Exponential,
}

/// What happens to a run that comes while an earlier one of the same job is alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The new one is not accepted.
    #[default]
    Skip,
    /// It waits its turn; a second waiter of a schedule is coalesced into the first.
    Queue,
    /// The earlier one is cancelled.
    Replace,
    Parallel,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// With `${param}` filled in, runs of equal keys share the limit, across jobs.
    pub key: String,
    pub limit: u32,
}

impl Concurrency {
    /// The key for a run with these parameters. A parameter that is absent fills in as nothing. What is longer than
    /// `CONCURRENCY_KEY_BYTES_MAX` ends in a hash of the whole: the database has an index of the keys.
    pub fn key_for(&self, params: &Value) -> String {
        let (mut key, mut rest) = (String::with_capacity(self.key.len()), self.key.as_str());
        // In one pass: what a parameter says is not looked at for further names.
        while let Some((before, after)) = rest.split_once("${")
            && let Some((name, after)) = after.split_once('}')
        {
            key.push_str(before);
            match params.get(name) {
                Some(Value::String(text)) => key.push_str(text),
                Some(Value::Null) | None => {}
                Some(other) => key.push_str(&other.to_string()),
            }
            rest = after;
        }
        key.push_str(rest);
        bounded(key)
    }
}

fn bounded(mut key: String) -> String {
    if key.len() > CONCURRENCY_KEY_BYTES_MAX {
        let hash = blake3::hash(key.as_bytes()).to_hex();
        key.truncate(key.floor_char_boundary(CONCURRENCY_KEY_BYTES_MAX - hash.len()));
        key.push_str(&hash);
    }
    key
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UiSpec {
    pub group: Option<String>,
    /// The button's text; without it the job can still be started from its page.
    pub button: Option<String>,
    /// Ask before the button acts.
    #[serde(default)]
    pub confirm: Option<String>,
    #[serde(default)]
    pub hidden: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stored_job_of_an_earlier_release_can_be_read() {
        let name: JobName = "backup".parse().expect("a good name");
        let read = |stored| serde_json::from_value::<JobSpec>(stored).expect("readable");
        assert_eq!(read(json!({"name": "backup"})), JobSpec::named(name.clone()));
        let partly = json!({"name": "backup", "limits": {"cpu_ms": 60_000}, "retry": {"attempts": 1}, "ui": {}});
        assert_eq!(read(partly), JobSpec::named(name));
    }

    #[test]
    fn backoff_grows_to_its_bound_and_ends() {
        let policy = RetryPolicy { attempts: 40, max: Duration::from_secs(8), ..RetryPolicy::default() };
        let seconds = |attempt| policy.delay_after(attempt, "http.timeout").map(|delay| delay.as_secs());
        assert_eq!([seconds(1), seconds(2), seconds(4), seconds(39)], [Some(1), Some(2), Some(8), Some(8)]);
        assert_eq!(seconds(40), None);
    }

    #[test]
    fn only_named_errors_are_retried() {
        let policy = RetryPolicy { attempts: 2, on: vec!["http.*".into()], ..RetryPolicy::default() };
        assert!(policy.delay_after(1, "http.timeout").is_some());
        assert!(policy.delay_after(1, "script.error").is_none());
    }

    #[test]
    fn long_concurrency_keys_stay_apart_in_bounded_room() {
        let limit = Concurrency { key: "deploy/${stack}".into(), limit: 1 };
        let long = |last: &str| limit.key_for(&json!({"stack": "\u{1f980}".repeat(10_000) + last}));
        assert!(long("a").len() <= CONCURRENCY_KEY_BYTES_MAX && long("a").starts_with("deploy/\u{1f980}"));
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
        let fits = "x".repeat(CONCURRENCY_KEY_BYTES_MAX - "deploy/".len());
        assert_eq!(limit.key_for(&json!({"stack": fits})), format!("deploy/{fits}"));
    }

    #[test]
    fn concurrency_keys_take_parameters() {
        let limit = Concurrency { key: "deploy/${stack}/${count}".into(), limit: 1 };
        assert_eq!(limit.key_for(&json!({"stack": "web", "count": 2})), "deploy/web/2");
        assert_eq!(limit.key_for(&json!({"stack": "web"})), "deploy/web/", "what is absent fills in as nothing");
        assert_eq!(limit.key_for(&json!({"stack": "${count}", "count": 2})), "deploy/${count}/2");
        let odd = Concurrency { key: "a/${stack".into(), limit: 1 };
        assert_eq!(odd.key_for(&json!({"stack": "web"})), "a/${stack");
    }
}
