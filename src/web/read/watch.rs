//! Alerts, silences and checks for the API and the pages.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::base::clock::{earlier, later};
use crate::base::{RunId, Timestamp, limits, quantity};
use crate::model::alerts::{Acknowledgement, Alert, AlertState, Silence, is_inhibited};
use crate::model::checks::Check;
use crate::model::metrics::{Aggregate, Labels};
use crate::model::{Identity, NewEvent};
use crate::store::{MetricQuery, WatchWrite};
use crate::web::error::{ApiError, ApiResult};
use crate::web::parts::Web;

/// Hours that a check's bar has.
pub const BAR_HOURS: i64 = 24;

/// Something that is or was wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertView {
    pub id: String,
    /// Of the rule, or as the script calls it.
    pub name: String,
    #[schema(value_type = String, example = "firing")]
    pub state: AlertState,
    #[schema(value_type = String, example = "critical")]
    pub severity: crate::model::alerts::Severity,
    #[schema(value_type = Object)]
    pub labels: Labels,
    pub summary: String,
    pub value: Option<f64>,
    pub since: Timestamp,
    pub fired_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// Why it is over.
    pub reason: Option<String>,
    pub last_seen: Timestamp,
    /// Nobody is told of it: `silenced`, `inhibited` by something worse, or `acknowledged`.
    pub quiet: Option<&'static str>,
    pub acknowledged_by: Option<String>,
    pub note: Option<String>,
}

/// Alerts that nobody is told of for a while.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Silence)]
pub struct SilenceView {
    pub id: String,
    /// What an alert must have; `alert` and `severity` are its own.
    #[schema(value_type = Object)]
    pub labels: Labels,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub by: String,
    pub note: String,
}

/// Something that is asked at intervals.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Check)]
pub struct CheckView {
    pub name: String,
    #[schema(example = "http")]
    pub kind: String,
    pub target: String,
    #[schema(example = "up")]
    pub state: &'static str,
    pub since: Timestamp,
    pub interval_ms: u64,
    pub last_at: Option<Timestamp>,
    pub latency_ms: Option<f64>,
    pub problem: Option<String>,
    /// Good answers among those of the last 24 hours, 0 to 1; null when there were none.
    pub uptime: Option<f64>,
    /// The same for each hour, the oldest first.
    pub hours: Vec<Option<f64>>,
}

/// Live alerts, the worst first, and then those that were over since a moment.
pub async fn alerts(web: &Web, over_since: Option<Timestamp>) -> ApiResult<Vec<AlertView>> {
    let (found, silences) = tokio::join!(web.parts.store.alerts(over_since), web.parts.store.silences(web.now()));
    let (found, silences) = (found?, silences?);
    let mut views: Vec<AlertView> = found.iter().map(|alert| view(alert, &found, &silences, web.now())).collect();
    views.sort_by_key(|alert| match alert.state {
        AlertState::Resolved => (2, std::cmp::Reverse(alert.severity), std::cmp::Reverse(alert.resolved_at)),
        state => (u8::from(state == AlertState::Pending), std::cmp::Reverse(alert.severity), std::cmp::Reverse(None)),
    });
    Ok(views)
}

fn view(alert: &Alert, all: &[Alert], silences: &[Silence], now: Timestamp) -> AlertView {
    let is_silenced = silences.iter().any(|silence| silence.is_on(now) && silence.covers(alert));
    let quiet = match alert {
        _ if alert.is_over() => None,
        _ if alert.acknowledged.is_some() => Some("acknowledged"),
        _ if is_silenced => Some("silenced"),
        _ if is_inhibited(alert, all.iter()) => Some("inhibited"),
        _ => None,
    };
    let seen = alert.acknowledged.clone();
    AlertView {
        id: alert.id.clone(),
        name: alert.name.clone(),
        state: alert.state,
        severity: alert.severity,
        labels: alert.labels.clone(),
        summary: alert.summary.clone(),
        value: alert.value,
        since: alert.since,
        fired_at: alert.fired_at,
        resolved_at: alert.resolved_at,
        reason: alert.reason.clone(),
        last_seen: alert.last_seen,
        quiet,
        note: seen.as_ref().map(|seen| seen.note.clone()).filter(|note| !note.is_empty()),
        acknowledged_by: seen.map(|seen| seen.by),
    }
}

/// Notes that somebody looks after the alert, whose id may be cut short.
pub async fn acknowledge(web: &Web, who: &Identity, id: &str, note: &str) -> ApiResult<AlertView> {
    bounded("note", note)?;
    let found = if id.is_empty() { Vec::new() } else { web.parts.store.alerts_named(id).await? };
    let alert = match found.as_slice() {
        [one] => one,
        [] => return Err(ApiError::not_found("alert.not_found", format!("there is no alert {id:?}"))),
        _ => return Err(ApiError::bad_request(format!("more than one alert's id begins with {id:?}"))),
    };
    let seen = Acknowledgement { by: who.actor.to_string(), at: web.now(), note: note.to_owned() };
    let data = serde_json::json!({ "id": alert.id, "name": alert.name, "by": seen.by, "note": note });
    let write = WatchWrite {
        acknowledged: vec![(alert.id.clone(), seen.clone())],
        events: vec![NewEvent::new(seen.at, "alert.acknowledged").data(data)],
        ..WatchWrite::default()
    };
    if !web.parts.store.watch(write).await? {
        return Err(ApiError::conflict("alert.over", format!("the alert {} is over", alert.name)));
    }
    let alert = Alert { acknowledged: Some(seen), ..alert.clone() };
    Ok(view(&alert, &[], &[], web.now()))
}

pub async fn silences(web: &Web) -> ApiResult<Vec<SilenceView>> {
    let found = web.parts.store.silences(web.now()).await?;
    Ok(found.into_iter().map(SilenceView::from).collect())
}

impl From<Silence> for SilenceView {
    fn from(silence: Silence) -> Self {
        let Silence { id, matching, starts_at, ends_at, by, note } = silence;
        Self { id, labels: matching, starts_at, ends_at, by, note }
    }
}

/// Keeps alerts with these labels quiet from now on.
pub async fn silence(web: &Web, who: &Identity, labels: Labels, span: &str, note: &str) -> ApiResult<SilenceView> {
    bounded("note", note)?;
    if labels.is_empty() {
        let refusal = ApiError::bad_request("a silence without labels would keep everything quiet");
        return Err(refusal.hint("name what is to be quiet, such as alert=disk_*"));
    }
    if labels.len() > limits::METRIC_LABELS_MAX {
        return Err(ApiError::bad_request(format!("labels: at most {} are possible", limits::METRIC_LABELS_MAX)));
    }
    for (label, value) in &labels {
        bounded(label, value)?;
    }
    let span = quantity::parse_duration(span).map_err(|bad| ApiError::bad_request(format!("duration: {bad}")))?;
    if span.is_zero() || span > limits::SILENCE_MAX {
        return Err(ApiError::bad_request("duration: write more than 0 and at most a year"));
    }
    let now = web.now();
    if web.parts.store.silences(now).await?.len() >= limits::SILENCES_MAX {
        return Err(ApiError::conflict("silence.too_many", format!("there are {} silences", limits::SILENCES_MAX)));
    }
    let silence = Silence {
        id: RunId::generate().to_string(),
        matching: labels,
        starts_at: now,
        ends_at: later(now, span),
        by: who.actor.to_string(),
        note: note.to_owned(),
    };
    put(web, silence.clone(), "alert.silenced").await?;
    Ok(silence.into())
}

/// Ends a silence now; its id may be cut short.
pub async fn end_silence(web: &Web, id: &str) -> ApiResult<SilenceView> {
    let now = web.now();
    let found = web.parts.store.silences(now).await?;
    let named: Vec<&Silence> = found.iter().filter(|silence| !id.is_empty() && silence.id.starts_with(id)).collect();
    let [silence] = named.as_slice() else {
        return Err(ApiError::not_found("silence.not_found", format!("there is no silence {id:?}")));
    };
    let ended = Silence { ends_at: now, ..(*silence).clone() };
    put(web, ended.clone(), "alert.unsilenced").await?;
    Ok(ended.into())
}

async fn put(web: &Web, silence: Silence, kind: &str) -> ApiResult<()> {
    let events = vec![NewEvent::new(web.now(), kind).data(serde_json::json!(silence))];
    web.parts.store.watch(WatchWrite { silences: vec![silence], events, ..WatchWrite::default() }).await?;
    Ok(())
}

fn bounded(what: &str, text: &str) -> ApiResult<()> {
    if text.len() <= limits::ALERT_TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("{what}: at most {} bytes are kept", limits::ALERT_TEXT_BYTES_MAX)))
}

pub async fn checks(web: &Web) -> ApiResult<Vec<CheckView>> {
    const HOUR: Duration = Duration::from_secs(3_600);
    let now = web.now();
    let this_hour = now.as_second().div_euclid(3_600) * 3_600;
    let first = this_hour - (BAR_HOURS - 1) * 3_600;
    let asked = MetricQuery {
        name: "check_ok".to_owned(),
        matching: Labels::new(),
        from: Timestamp::from_second(first).unwrap_or_else(|_| earlier(now, HOUR)),
        to: later(now, HOUR),
        step: HOUR,
    };
    let checks = web.parts.store.checks().await?;
    // With more checks than are answered at once the page has no bars, and everything else.
    let measured = web.parts.store.measured(&asked).await.unwrap_or_default();
    let view = |check: Check| {
        let own = measured.iter().find(|series| series.series.labels.get("check") == Some(&check.name));
        let points = own.map(|series| series.points.as_slice()).unwrap_or_default();
        let of_hour = |hour: i64| {
            let start = first + hour * 3_600;
            points.iter().find(|(at, _)| at.as_second() == start).map(|(_, rollup)| rollup.get(Aggregate::Avg))
        };
        let (sum, count) =
            points.iter().fold((0.0, 0), |(sum, count), (_, rollup)| (sum + rollup.sum, count + rollup.count));
        CheckView {
            name: check.name,
            kind: check.kind,
            target: check.target,
            state: check.state.as_str(),
            since: check.since,
            interval_ms: check.interval_ms,
            last_at: check.last_at,
            latency_ms: check.latency_ms,
            problem: check.problem,
            uptime: (count > 0).then(|| sum / count as f64),
            hours: (0..BAR_HOURS).map(of_hour).collect(),
        }
    };
    Ok(checks.into_iter().map(view).collect())
}
