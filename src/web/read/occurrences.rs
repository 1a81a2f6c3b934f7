//! The ledger of due times, page by page.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schedule::OccurrenceView;
use crate::base::{JobName, Timestamp, limits, suggest};
use crate::model::{Identity, Occurrence, OccurrenceState};
use crate::store::OccurrenceFilter;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::parse_moment;
use crate::web::parts::Web;

/// Which due times to list, newest first.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OccurrenceQuery {
    /// Only this job's.
    pub job: Option<String>,
    /// Only in these states, separated by commas.
    #[param(example = "missed,refused")]
    pub state: Option<String>,
    /// Due at this time or later: RFC 3339, or an age such as `24h`.
    pub from: Option<String>,
    /// Due before this time: RFC 3339, or an age.
    pub to: Option<String>,
    /// Only due times older than this one: the `next` of the page before.
    pub before: Option<String>,
    /// How many; 50 unless told, at most 1000.
    pub limit: Option<usize>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OccurrencePage {
    pub occurrences: Vec<OccurrenceView>,
    /// Give it as `before` to get the next page; null on the last.
    pub next: Option<String>,
}

impl OccurrenceQuery {
    fn filter(&self, now: Timestamp) -> ApiResult<OccurrenceFilter> {
        // Forms send empty fields.
        let given =
            |field: &Option<String>| field.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let moment = |name, field| given(field).map(|text| parse_moment(name, &text, now)).transpose();
        let job = given(&self.job).map(|job| job.parse().map_err(|bad| ApiError::bad_request(format!("job: {bad}"))));
        let states = given(&self.state).unwrap_or_default();
        let states = states.split(',').filter(|word| !word.is_empty()).map(parse_state).collect::<ApiResult<_>>()?;
        Ok(OccurrenceFilter {
            job: job.transpose()?,
            states,
            from: moment("from", &self.from)?,
            to: moment("to", &self.to)?,
            before: given(&self.before).map(|text| parse_cursor(&text)).transpose()?,
            limit: self.limit.unwrap_or(limits::STORE_PAGE_ROWS_DEFAULT).clamp(1, limits::STORE_PAGE_ROWS_MAX),
        })
    }
}

fn parse_state(word: &str) -> ApiResult<OccurrenceState> {
    OccurrenceState::parse(word.trim()).ok_or_else(|| {
        let names = OccurrenceState::ALL.map(OccurrenceState::as_str);
        let message = format!("state={word:?} is not a state{}", suggest::did_you_mean(word, names));
        ApiError::bad_request(message).hint(format!("the states are {}", names.join(", ")))
    })
}

/// A due time is known by its moment and its job.
fn cursor_of(last: &Occurrence) -> String {
    format!("{},{}", last.scheduled_for, last.job)
}

fn parse_cursor(text: &str) -> ApiResult<(Timestamp, JobName)> {
    let parts = text.split_once(',').and_then(|(at, job)| Some((at.parse().ok()?, job.parse().ok()?)));
    parts.ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        ApiError::bad_request(format!("before={shown:?} is no cursor")).hint("give the `next` of the page before")
    })
}

pub async fn list(web: &Web, who: &Identity, query: &OccurrenceQuery) -> ApiResult<OccurrencePage> {
    let mut filter = query.filter(web.now())?;
    let wanted = filter.limit;
    if who.jobs.is_empty() {
        let rows = web.parts.store.occurrence_page(&filter).await?;
        let next = rows.last().map(cursor_of).filter(|_| rows.len() == wanted);
        return Ok(page_of(rows, next));
    }
    // One job's due times have an index of their own.
    if let ([pattern], None) = (&who.jobs[..], &filter.job)
        && !pattern.contains('*')
    {
        filter.job = pattern.parse().ok();
    }
    // As for runs: a confined caller's page fills from several stored ones, but not from all of the history.
    filter.limit = wanted.max(limits::RUNS_LOOKED_THROUGH_AT_ONCE);
    let (mut rows, mut looked_through, mut more) = (Vec::<Occurrence>::new(), 0, true);
    while more && rows.len() < wanted && looked_through < limits::RUNS_LOOKED_THROUGH_MAX {
        let page = web.parts.store.occurrence_page(&filter).await?;
        more = page.len() == filter.limit;
        looked_through += page.len();
        filter.before = page.last().map(|last| (last.scheduled_for, last.job.clone()));
        rows.extend(page.into_iter().filter(|row| who.covers(&row.job)));
    }
    let reached = filter.before.filter(|_| more).map(|(at, job)| format!("{at},{job}"));
    let next = if rows.len() > wanted { rows.get(wanted - 1).map(cursor_of) } else { reached };
    rows.truncate(wanted);
    Ok(page_of(rows, next))
}

fn page_of(rows: Vec<Occurrence>, next: Option<String>) -> OccurrencePage {
    OccurrencePage { occurrences: rows.into_iter().map(OccurrenceView::from).collect(), next }
}
