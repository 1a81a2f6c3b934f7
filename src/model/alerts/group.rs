//! Who is told of what, and when: one message for many alerts, not one each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Alert, AlertState, Severity, Silence};
use crate::base::Timestamp;
use crate::base::clock::later;

/// How alerts are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Alerts whose values of these labels are the same go out as one message; `alert` is the alert's name.
    pub group_by: Vec<String>,
    /// From the first alert of a group to its first message, so that others can come along.
    pub group_wait: Duration,
    /// Between two messages of a group that has news.
    pub group_interval: Duration,
    /// Between two messages of a group without news that still fires.
    pub repeat_interval: Duration,
    /// Routes of alerts that name none.
    pub routes: BTreeMap<Severity, Vec<String>>,
}

/// One message to one route.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub route: String,
    /// What its alerts have in common, for people.
    pub group: String,
    pub firing: Vec<Alert>,
    /// Were told as firing, and are over.
    pub resolved: Vec<Alert>,
    /// Nothing in it is new.
    pub repeated: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub due: Vec<Notice>,
    /// When there may be something due that is not yet.
    pub next: Option<Timestamp>,
}

/// What is due at `now`. `alerts` are those that are alive and those that were over lately; what each route was told is
/// on them, so that a restart tells nothing twice.
pub fn plan(policy: &Policy, alerts: &[Alert], silences: &[Silence], now: Timestamp) -> Plan {
    let on: Vec<&Silence> = silences.iter().filter(|silence| silence.is_on(now)).collect();
    let mut groups: BTreeMap<(&str, String), Vec<&Alert>> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| alert.state != AlertState::Pending) {
        let of_severity = || policy.routes.get(&alert.severity).map_or(&[][..], Vec::as_slice);
        let routes = if alert.routes.is_empty() { of_severity() } else { &alert.routes };
        for route in routes {
            groups.entry((route, group_of(policy, alert))).or_default().push(alert);
        }
    }
    let mut plan = Plan { due: Vec::new(), next: on.iter().map(|silence| silence.ends_at).min() };
    for ((route, group), members) in groups {
        let is_quiet = |alert: &Alert| {
            alert.acknowledged.is_some()
                || on.iter().any(|silence| silence.covers(alert))
                || is_inhibited(alert, alerts.iter())
        };
        let Some((at, notice)) = group_notice(policy, route, group, &members, &is_quiet) else { continue };
        if at <= now {
            plan.due.push(notice);
        } else {
            plan.next = Some(plan.next.map_or(at, |next| next.min(at)));
        }
    }
    plan
}

/// What a group has to tell next, and when.
fn group_notice(
    policy: &Policy,
    route: &str,
    group: String,
    members: &[&Alert],
    is_quiet: &dyn Fn(&Alert) -> bool,
) -> Option<(Timestamp, Notice)> {
    let told = |alert: &Alert| alert.told.get(route).copied();
    let was_told_firing = |alert: &Alert| told(alert).is_some_and(|told| told.state == AlertState::Firing);
    let of = |keep: &dyn Fn(&Alert) -> bool| -> Vec<Alert> {
        members.iter().filter(|alert| keep(alert)).map(|alert| (*alert).clone()).collect()
    };
    let fresh = of(&|alert| alert.state == AlertState::Firing && !was_told_firing(alert) && !is_quiet(alert));
    let firing = of(&|alert| alert.state == AlertState::Firing && !is_quiet(alert));
    // The end of what was told is told, even of what is quiet by now: nobody shall wait for it.
    let resolved = of(&|alert| alert.is_over() && was_told_firing(alert));
    let last = members.iter().filter_map(|alert| told(alert)).map(|told| told.at).max();
    let first_fired = fresh.iter().filter_map(|alert| alert.fired_at).min();
    let waited = first_fired.map(|at| later(at, policy.group_wait));
    let spaced = last.map(|at| later(at, policy.group_interval));
    let repeated = fresh.is_empty() && resolved.is_empty();
    let at = match (repeated, firing.is_empty()) {
        (true, true) => return None,
        (true, false) => last.map(|at| later(at, policy.repeat_interval)),
        (false, _) => waited.max(spaced),
    }?;
    Some((at, Notice { route: route.to_owned(), group, firing, resolved, repeated }))
}

fn group_of(policy: &Policy, alert: &Alert) -> String {
    let value = |label: &String| match label.as_str() {
        "alert" => Some(alert.name.clone()),
        "severity" => Some(alert.severity.to_string()),
        _ => alert.labels.get(label).cloned(),
    };
    let parts: Vec<String> = policy.group_by.iter().filter_map(value).collect();
    parts.join(" · ")
}

/// Whether something worse fires about the same thing: then nobody needs to hear of the lesser.
pub fn is_inhibited<'a>(alert: &Alert, others: impl Iterator<Item = &'a Alert>) -> bool {
    let mut others = others;
    others.any(|other| {
        other.state == AlertState::Firing && other.severity > alert.severity && other.subject == alert.subject
    })
}
