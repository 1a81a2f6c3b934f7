//! What is measured: series of samples, and how samples become a few numbers for a span of time.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::grants::matches;
use crate::base::limits::{METRIC_LABEL_BYTES_MAX, METRIC_LABELS_MAX, METRIC_NAME_BYTES_MAX};
use crate::base::{Fault, Timestamp};

pub type Labels = BTreeMap<String, String>;

/// Aegis's own metrics begin so.
const OWN_PREFIX: &str = "aegis_";
/// The text formats for metrics give these labels a meaning.
const OWN_LABELS: [&str; 2] = ["le", "quantile"];

/// A metric's name with the labels that tell its series apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    pub name: String,
    #[serde(default)]
    pub labels: Labels,
}

impl SeriesKey {
    pub fn new<const N: usize>(name: impl Into<String>, labels: [(&str, &str); N]) -> Self {
        let labels = labels.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
        Self { name: name.into(), labels }
    }

    /// Refuses what no scraper could read, and what would grow without bound.
    ///
    /// # Errors
    /// `metrics.name` and `metrics.labels`, with what is allowed.
    pub fn check(&self) -> Result<(), Fault> {
        let name = &self.name;
        if name.is_empty() || name.len() > METRIC_NAME_BYTES_MAX || !is_word(name) {
            let hint = format!("use 1 to {METRIC_NAME_BYTES_MAX} of letters, digits and '_', beginning with a letter");
            return Err(Fault::new("metrics.name", format!("{name:?} is not a metric's name")).hint(hint));
        }
        if name.starts_with(OWN_PREFIX) {
            let message = format!("the metric {name:?} would pass for one of Aegis's own");
            return Err(Fault::new("metrics.name", message).hint("leave out the \"aegis_\" at the beginning"));
        }
        if self.labels.len() > METRIC_LABELS_MAX {
            let message = format!("the metric {name:?} has {} labels", self.labels.len());
            return Err(Fault::new("metrics.labels", message).hint(format!("use at most {METRIC_LABELS_MAX}")));
        }
        for (label, value) in &self.labels {
            if label.is_empty() || label.len() > METRIC_NAME_BYTES_MAX || !is_word(label) {
                let message = format!("the metric {name:?} has a label {label:?}, which is not a name");
                return Err(Fault::new("metrics.labels", message).hint("use letters, digits and '_'"));
            }
            if OWN_LABELS.contains(&label.as_str()) {
                let message = format!("the metric {name:?} has a label {label:?}, which stands for something else");
                return Err(Fault::new("metrics.labels", message).hint("give the label another name"));
            }
            if value.len() > METRIC_LABEL_BYTES_MAX {
                let message = format!("the label {label:?} of the metric {name:?} has {} bytes", value.len());
                let hint = format!("a label's value has at most {METRIC_LABEL_BYTES_MAX}");
                return Err(Fault::new("metrics.labels", message).hint(hint));
            }
        }
        Ok(())
    }
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.labels.is_empty() {
            return Ok(());
        }
        let labels: Vec<String> = self.labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
        write!(f, "{{{}}}", labels.join(", "))
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether `labels` has all that are `wanted`, whose values may be patterns with `*`.
pub fn labels_match(wanted: &Labels, labels: &Labels) -> bool {
    wanted.iter().all(|(label, pattern)| labels.get(label).is_some_and(|value| matches(pattern, value)))
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub series: SeriesKey,
    pub at: Timestamp,
    /// Finite.
    pub value: f64,
}

/// Which number stands for the samples of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    Last,
}

impl Aggregate {
    pub const NAMES: &'static [&'static str] = &["avg", "min", "max", "sum", "count", "last"];

    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Avg, Self::Min, Self::Max, Self::Sum, Self::Count, Self::Last];
        Self::NAMES.iter().zip(all).find(|(name, _)| **name == text).map(|(_, aggregate)| aggregate)
    }
}

/// What is left of the samples of a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rollup {
    pub count: u64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub last: f64,
    /// Of the latest sample.
    pub last_at: Timestamp,
}

impl Rollup {
    pub fn of(at: Timestamp, value: f64) -> Self {
        Self { count: 1, min: value, max: value, sum: value, last: value, last_at: at }
    }

    /// With the samples of `other`, whichever of the two came first.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        if other.last_at >= self.last_at {
            (self.last, self.last_at) = (other.last, other.last_at);
        }
    }

    pub fn get(&self, aggregate: Aggregate) -> f64 {
        match aggregate {
            Aggregate::Avg => self.sum / self.count.max(1) as f64,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Sum => self.sum,
            Aggregate::Count => self.count as f64,
            Aggregate::Last => self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_shown_as_prometheus_does() {
        assert_eq!(SeriesKey::new("up", []).to_string(), "up");
        assert_eq!(SeriesKey::new("up", [("b", "x\"y"), ("a", "1")]).to_string(), r#"up{a="1", b="x\"y"}"#);
    }

    #[test]
    fn names_and_labels_are_bounded() {
        let long = "x".repeat(METRIC_LABEL_BYTES_MAX + 1);
        let many: Labels = (0..=METRIC_LABELS_MAX).map(|number| (format!("l{number}"), String::new())).collect();
        let wrong = [
            (SeriesKey::new("", []), "metrics.name"),
            (SeriesKey::new("1up", []), "metrics.name"),
            (SeriesKey::new("a-b", []), "metrics.name"),
            (SeriesKey::new("aegis_runs", []), "metrics.name"),
            (SeriesKey::new("x".repeat(METRIC_NAME_BYTES_MAX + 1), []), "metrics.name"),
            (SeriesKey::new("up", [("a b", "")]), "metrics.labels"),
            (SeriesKey::new("up", [("le", "1")]), "metrics.labels"),
            (SeriesKey::new("up", [("a", &long)]), "metrics.labels"),
            (SeriesKey { name: "up".into(), labels: many }, "metrics.labels"),
        ];
        for (series, code) in wrong {
            let fault = series.check().expect_err(code);
            assert_eq!(fault.code, code, "{series}");
            assert!(fault.hint.is_some(), "{series}");
        }
        assert_eq!(SeriesKey::new("http_requests_total", [("path", "/a b\n")]).check(), Ok(()));
    }

    #[test]
    fn rollups_add_up_in_any_order() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let samples = [(1, 4.0), (2, -1.0), (3, 6.0)];
        let of = |order: [usize; 3]| {
            let mut all = order.map(|index| Rollup::of(at(samples[index].0), samples[index].1)).into_iter();
            let first = all.next().expect("three");
            all.fold(first, |mut sum, next| {
                sum.add(&next);
                sum
            })
        };
        assert_eq!(of([0, 1, 2]), of([2, 1, 0]));
        let rollup = of([1, 2, 0]);
        let shown = Aggregate::NAMES.iter().map(|name| rollup.get(Aggregate::parse(name).expect("known")));
        assert_eq!(shown.collect::<Vec<_>>(), [3.0, -1.0, 6.0, 9.0, 3.0, 6.0]);
    }

    #[test]
    fn labels_match_by_pattern() {
        let labels = SeriesKey::new("x", [("mount", "/data/a"), ("host", "web-1")]).labels;
        let wanted = |label, pattern| SeriesKey::new("x", [(label, pattern)]).labels;
        assert!(labels_match(&Labels::new(), &labels) && labels_match(&wanted("mount", "/data/*"), &labels));
        assert!(!labels_match(&wanted("mount", "/data"), &labels) && !labels_match(&wanted("disk", "*"), &labels));
    }
}
