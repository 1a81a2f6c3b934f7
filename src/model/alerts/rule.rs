//! What is wrong, in numbers.

use std::time::Duration;

use super::Severity;
use crate::base::limits::{ALERT_HOLD_MAX, ALERT_STALE_DEFAULT, ALERT_WINDOW_MIN};
use crate::base::quantity::show_duration;
use crate::model::metrics::{Labels, SeriesKey, labels_match};

/// What of a series is looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// The samples as they are.
    Value,
    /// How much a counter grows in a second, over the window. A counter that becomes smaller has begun anew at 0.
    Rate { window: Duration },
    /// By how many percent of the growth of the counter `of`, which has the same labels, this one grows, over the
    /// window. Worked out whenever `of` has a new sample; 0 when neither grows.
    Percent { of: String, window: Duration },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Wrong above the threshold; right again at `clear` or below, which is the threshold or less.
    Above { threshold: f64, clear: f64 },
    /// Wrong below the threshold; right again at `clear` or above, which is the threshold or more.
    Below { threshold: f64, clear: f64 },
    /// Wrong when there was no sample for so long.
    Absent { after: Duration },
}

/// One rule; it watches each series that matches by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub name: String,
    pub metric: String,
    /// Labels that a series must have; values may be patterns with `*`.
    pub matching: Labels,
    pub measure: Measure,
    pub condition: Condition,
    /// The condition must hold for so long before the alert fires.
    pub hold: Duration,
    /// It must not hold for so long before the alert is over.
    pub clear_for: Duration,
    /// A sample says nothing any more after so long.
    pub stale: Duration,
    pub severity: Severity,
    /// Put on the alert besides those of the series.
    pub labels: Labels,
    /// `{value}`, `{threshold}`, `{series}` and `{NAME}` of a label stand for what they name.
    pub summary: String,
    /// Where it is told; empty for those of its severity.
    pub routes: Vec<String>,
}

impl Rule {
    /// A rule on the samples as they are, a warning, with nothing that waits.
    pub fn new(name: &str, metric: &str, condition: Condition) -> Self {
        Self {
            name: name.to_owned(),
            metric: metric.to_owned(),
            matching: Labels::new(),
            measure: Measure::Value,
            condition,
            hold: Duration::ZERO,
            clear_for: Duration::ZERO,
            stale: ALERT_STALE_DEFAULT,
            severity: Severity::Warning,
            labels: Labels::new(),
            summary: String::new(),
            routes: Vec::new(),
        }
    }

    /// What in it cannot be meant, with the field's name.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn check(&self) -> Result<(), String> {
        let series = SeriesKey { name: self.metric.clone(), labels: Labels::new() };
        series.check().map_err(|fault| format!("metric: {fault}"))?;
        match self.condition {
            Condition::Above { threshold, clear } if clear > threshold || !threshold.is_finite() => {
                return Err(format!("clear: {clear} is more than above: {threshold}; the alert would never rest"));
            }
            Condition::Below { threshold, clear } if clear < threshold || !threshold.is_finite() => {
                return Err(format!("clear: {clear} is less than below: {threshold}; the alert would never rest"));
            }
            Condition::Absent { .. } if self.measure != Measure::Value || !self.hold.is_zero() => {
                return Err("absent: says itself for how long; leave out for, rate and percent_of".into());
            }
            Condition::Absent { after } if after.is_zero() => return Err("absent: must be more than 0".into()),
            _ => {}
        }
        if let Measure::Rate { window } | Measure::Percent { window, .. } = self.measure
            && (window < ALERT_WINDOW_MIN || window > ALERT_HOLD_MAX)
        {
            let (least, most) = (show_duration(ALERT_WINDOW_MIN), show_duration(ALERT_HOLD_MAX));
            return Err(format!("window: write {least} to {most}"));
        }
        for (field, time) in [("for", self.hold), ("clear_for", self.clear_for), ("stale", self.stale)] {
            if time > ALERT_HOLD_MAX {
                return Err(format!("{field}: at most {} is possible", show_duration(ALERT_HOLD_MAX)));
            }
        }
        if self.stale.is_zero() {
            return Err("stale: must be more than 0".into());
        }
        Ok(())
    }

    /// Whether the rule's own metric has this series.
    pub fn covers(&self, series: &SeriesKey) -> bool {
        series.name == self.metric && labels_match(&self.matching, &series.labels)
    }

    /// The samples of so long ago that it still needs.
    pub fn window(&self) -> Option<Duration> {
        match &self.measure {
            Measure::Value => None,
            Measure::Rate { window } | Measure::Percent { window, .. } => Some(*window),
        }
    }

    pub fn is_wrong(&self, value: f64) -> bool {
        match self.condition {
            Condition::Above { threshold, .. } => value > threshold,
            Condition::Below { threshold, .. } => value < threshold,
            Condition::Absent { .. } => false,
        }
    }

    pub fn is_clear(&self, value: f64) -> bool {
        match self.condition {
            Condition::Above { clear, .. } => value <= clear,
            Condition::Below { clear, .. } => value >= clear,
            Condition::Absent { .. } => true,
        }
    }

    /// Its alert on a series, in one sentence.
    pub fn describe(&self, series: &SeriesKey, value: Option<f64>) -> String {
        let shown = value.map_or_else(|| "unknown".to_owned(), number);
        let threshold = match self.condition {
            Condition::Above { threshold, .. } | Condition::Below { threshold, .. } => number(threshold),
            Condition::Absent { after } => show_duration(after),
        };
        if self.summary.is_empty() {
            let is = match self.condition {
                Condition::Above { .. } => format!("is {shown}, above {threshold}"),
                Condition::Below { .. } => format!("is {shown}, below {threshold}"),
                Condition::Absent { .. } => format!("has had no sample for {threshold}"),
            };
            return format!("{series} {is}");
        }
        let mut text = self.summary.replace("{value}", &shown).replace("{threshold}", &threshold);
        text = text.replace("{series}", &series.to_string());
        for (label, value) in series.labels.iter().chain(&self.labels) {
            text = text.replace(&format!("{{{label}}}"), value);
        }
        text
    }
}

/// A number for people: at most two places behind the point.
pub fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(90.0, "90"), (90.125, "90.12"), (0.5, "0.5"), (-3.0, "-3"), (100.0, "100")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn summaries_name_the_thing() {
        let series = SeriesKey::new("disk", [("mount", "/data")]);
        let rule = Rule::new("full", "disk", Condition::Above { threshold: 85.0, clear: 80.0 });
        assert_eq!(rule.describe(&series, Some(91.456)), "disk{mount=\"/data\"} is 91.46, above 85");
        let rule = Rule { summary: "{mount} is {value} % full ({threshold})".into(), ..rule };
        assert_eq!(rule.describe(&series, Some(91.0)), "/data is 91 % full (85)");
    }

    #[test]
    fn rules_that_cannot_be_meant_are_refused() {
        let above = |threshold, clear| Rule::new("x", "up", Condition::Above { threshold, clear });
        let minute = Duration::from_secs(60);
        let wrong = [
            (above(90.0, 95.0), "clear: 95"),
            (above(f64::NAN, 1.0), "clear: 1"),
            (Rule::new("x", "up", Condition::Below { threshold: 5.0, clear: 4.0 }), "clear: 4"),
            (Rule { hold: minute, ..Rule::new("x", "up", Condition::Absent { after: minute }) }, "absent: says"),
            (Rule::new("x", "up", Condition::Absent { after: Duration::ZERO }), "absent: must"),
            (Rule { measure: Measure::Rate { window: Duration::ZERO }, ..above(1.0, 1.0) }, "window: write"),
            (Rule { hold: Duration::MAX, ..above(1.0, 1.0) }, "for: at most"),
            (Rule { stale: Duration::ZERO, ..above(1.0, 1.0) }, "stale: must"),
            (Rule { metric: "a b".into(), ..above(1.0, 1.0) }, "metric: \"a b\""),
        ];
        for (rule, problem) in wrong {
            let found = rule.check().expect_err(problem);
            assert!(found.starts_with(problem), "{found}");
        }
        assert_eq!(above(1.0, 1.0).check(), Ok(()));
    }
}
