//! Alerts in the words of a message.

use crate::base::Timestamp;
use crate::base::clock::since;
use crate::base::limits::{ALERT_NOTICE_LINES_MAX, NOTIFY_FIELDS_MAX};
use crate::base::quantity::show_duration;
use crate::model::alerts::{Alert, Notice, Severity};
use crate::primitives::notify::{self, Message};

pub fn message(notice: &Notice, now: Timestamp) -> Message {
    let all = || notice.firing.iter().chain(&notice.resolved);
    let worst = all().map(|alert| alert.severity).max().unwrap_or_default();
    let single = match (notice.firing.as_slice(), notice.resolved.as_slice()) {
        ([one], []) | ([], [one]) => Some(one),
        _ => None,
    };
    let head = if notice.firing.is_empty() { "Resolved" } else { heading(worst) };
    let title = match single {
        Some(alert) => format!("{head}: {}", alert.summary),
        None => format!("{head}: {} ({})", notice.group, counts(notice)),
    };
    let mut lines: Vec<String> = notice.firing.iter().map(|alert| line(alert, now)).collect();
    lines.extend(notice.resolved.iter().map(|alert| line(alert, now)));
    let more = lines.len().saturating_sub(ALERT_NOTICE_LINES_MAX);
    lines.truncate(ALERT_NOTICE_LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    let fields = single.map(|alert| alert.labels.clone().into_iter().take(NOTIFY_FIELDS_MAX).collect());
    Message {
        title,
        text: lines.join("\n"),
        severity: severity(worst),
        fields: fields.unwrap_or_default(),
        url: None,
        key: None,
    }
}

fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Note",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
        Severity::Emergency => "EMERGENCY",
    }
}

fn counts(notice: &Notice) -> String {
    match (notice.firing.len(), notice.resolved.len()) {
        (firing, 0) => format!("{firing} firing"),
        (0, resolved) => format!("{resolved} resolved"),
        (firing, resolved) => format!("{firing} firing, {resolved} resolved"),
    }
}

fn line(alert: &Alert, now: Timestamp) -> String {
    let name = &alert.name;
    let whole = |span: std::time::Duration| show_duration(std::time::Duration::from_secs(span.as_secs()));
    match alert.resolved_at {
        Some(end) => {
            let lasted = whole(since(end, alert.fired_at.unwrap_or(alert.since)));
            format!("resolved: {} [{name}], after {lasted}", alert.summary)
        }
        None => format!("{}: {} [{name}], for {}", alert.severity, alert.summary, whole(since(now, alert.since))),
    }
}

/// A receiver knows three degrees.
fn severity(severity: Severity) -> notify::Severity {
    match severity {
        Severity::Info => notify::Severity::Info,
        Severity::Warning => notify::Severity::Warning,
        Severity::Critical | Severity::Emergency => notify::Severity::Critical,
    }
}
