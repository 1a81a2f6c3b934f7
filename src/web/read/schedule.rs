//! Due times: what became of the past ones, and what will become of those to come.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::names::OccurrenceStateName;
use crate::base::clock::later;
use crate::base::{JobName, RunId, Timestamp, limits};
use crate::model::{Identity, Occurrence, OccurrenceState};
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::parse_moment;
use crate::web::parts::{Upcoming, Web};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScheduleQuery {
    /// Only this job's.
    pub job: Option<String>,
    /// Begin of the window: RFC 3339 or an age such as `24h`; now unless told.
    pub from: Option<String>,
    /// End of the window: RFC 3339, or `+24h` from now; a day after `from` unless told.
    pub to: Option<String>,
    /// At most so many due times of each kind; at most 1000.
    pub limit: Option<usize>,
}

/// Due times of a window.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScheduleWindow {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Settled due times, newest first.
    pub past: Vec<OccurrenceView>,
    /// Due times to come, soonest first.
    pub upcoming: Vec<UpcomingView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Occurrence)]
pub struct OccurrenceView {
    #[schema(value_type = String)]
    pub job: JobName,
    pub scheduled_for: Timestamp,
    #[schema(value_type = OccurrenceStateName)]
    pub state: OccurrenceState,
    pub reason: Option<String>,
    #[schema(value_type = Option<String>)]
    pub run: Option<RunId>,
    pub decided_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Upcoming)]
pub struct UpcomingView {
    #[schema(value_type = String)]
    pub job: JobName,
    pub scheduled_for: Timestamp,
    /// With jitter.
    pub fire_at: Timestamp,
    /// The local time asked for does not exist; this is the moment the gap closes.
    pub dst_shifted: bool,
    /// Why it will not fire as things stand now.
    pub held: Option<String>,
}

impl From<Occurrence> for OccurrenceView {
    fn from(occurrence: Occurrence) -> Self {
        let Occurrence { job, scheduled_for, state, reason, run, decided_at } = occurrence;
        Self { job, scheduled_for, state, reason, run, decided_at }
    }
}

impl From<Upcoming> for UpcomingView {
    fn from(upcoming: Upcoming) -> Self {
        let Upcoming { job, scheduled_for, fire_at, dst_shifted, held } = upcoming;
        Self { job, scheduled_for, fire_at, dst_shifted, held }
    }
}

pub async fn window(web: &Web, who: &Identity, query: &ScheduleQuery) -> ApiResult<ScheduleWindow> {
    let now = web.now();
    let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    let from = given(&query.from).map_or(Ok(now), |text| parse_moment("from", &text, now))?;
    let to = given(&query.to).map_or(Ok(later(from, DAY)), |text| parse_moment("to", &text, now))?;
    if to <= from {
        return Err(ApiError::bad_request(format!("the window ends ({to}) before it begins ({from})")));
    }
    let job = given(&query.job).map(|job| job.parse::<JobName>()).transpose();
    let job = job.map_err(|bad| ApiError::bad_request(format!("job: {bad}")))?;
    let limit = query.limit.unwrap_or(limits::STORE_PAGE_ROWS_MAX).clamp(1, limits::STORE_PAGE_ROWS_MAX);
    let past = match from < now {
        true => web.parts.store.occurrences(job.as_ref(), from, to.min(later(now, DAY)), limit).await?,
        false => Vec::new(),
    };
    let upcoming = match now < to {
        true => forecast(web, job.clone(), from.max(now), to, limit).await?,
        false => Vec::new(),
    };
    let past = past.into_iter().filter(|past| who.covers(&past.job)).map(OccurrenceView::from).collect();
    let upcoming = upcoming.into_iter().filter(|next| who.covers(&next.job)).map(UpcomingView::from).collect();
    Ok(ScheduleWindow { from, to, past, upcoming })
}

/// Arithmetic over every schedule is work for the processor, not for the thread that answers requests.
pub async fn forecast(
    web: &Web,
    job: Option<JobName>,
    from: Timestamp,
    to: Timestamp,
    limit: usize,
) -> ApiResult<Vec<Upcoming>> {
    let forecast = web.parts.forecast.clone();
    let task = tokio::task::spawn_blocking(move || forecast.due(job.as_ref(), from, to, limit));
    task.await.map_err(|_| {
        ApiError::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "schedule.forecast",
            "the forecast failed; the log says why",
        )
    })
}
