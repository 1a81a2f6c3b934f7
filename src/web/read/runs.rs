//! Runs as callers see them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::names::{RunStateName, TriggerKindName};
use crate::base::clock::since;
use crate::base::{Fault, JobName, RunId, Timestamp, limits, suggest};
use crate::model::{Identity, Run, RunState, TriggerKind};
use crate::store::{RunFilter, StoreError};
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::parse_moment;
use crate::web::parts::Web;

/// One execution of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(title = "Run", as = Run)]
pub struct RunView {
    #[schema(value_type = String, example = "01k9v3j7h6w2k9qexamp1e0abc")]
    pub id: RunId,
    #[schema(value_type = String, example = "health_sweep")]
    pub job: JobName,
    #[schema(value_type = RunStateName)]
    pub state: RunState,
    /// Hash of the version it executes; null for lines typed into a console.
    pub version: Option<String>,
    pub trigger: TriggerView,
    /// Counted from 1; 0 before the first attempt begins.
    pub attempt: u32,
    pub dry_run: bool,
    #[schema(value_type = Object)]
    pub params: Value,
    pub queued_at: Timestamp,
    /// When the next attempt may begin, while it waits out a backoff.
    pub not_before: Option<Timestamp>,
    /// When a parked run goes on unless something wakes it before.
    pub wake_at: Option<Timestamp>,
    /// Of a durable run: when its attempt is out of time, waits and restarts included.
    pub deadline_at: Option<Timestamp>,
    /// Of the latest attempt.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Of the latest attempt, in milliseconds; up to now while it runs.
    pub duration_ms: Option<u64>,
    /// What `run` returned.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    pub error: Option<FaultView>,
    /// Why it is in this state, where the state does not say it.
    pub reason: Option<String>,
    /// The run that set this one off.
    #[schema(value_type = Option<String>)]
    pub parent: Option<RunId>,
    pub progress: Option<ProgressView>,
}

/// What set a run off.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Trigger)]
pub struct TriggerView {
    #[schema(value_type = TriggerKindName)]
    pub kind: TriggerKind,
    /// Who it was.
    #[schema(example = "token:ci")]
    pub actor: String,
    /// The due time that the run stands for, when a schedule set it off.
    pub scheduled_for: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressView {
    pub done: f64,
    pub total: Option<f64>,
    pub text: Option<String>,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct FaultView {
    /// Stable and dotted.
    #[schema(example = "docker.not_found")]
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    /// Whether the same may succeed later without a change.
    pub retryable: bool,
    #[schema(value_type = Object)]
    pub details: Value,
    /// Where in the script.
    pub at: Option<PositionView>,
    /// The calls that led there, innermost first.
    pub trace: Vec<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ScriptPosition)]
pub struct PositionView {
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1.
    pub column: Option<u32>,
    /// The line itself.
    pub text: Option<String>,
}

impl From<Fault> for FaultView {
    fn from(fault: Fault) -> Self {
        let at = fault.at.map(|at| PositionView { file: at.file, line: at.line, column: at.column, text: at.text });
        Self {
            code: fault.code.into_owned(),
            message: fault.message,
            hint: fault.hint,
            retryable: fault.retryable,
            details: fault.details,
            at,
            trace: fault.trace,
        }
    }
}

impl RunView {
    /// With what a queued run waits for, as far as this daemon sees it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn explained(web: &Web, run: Run) -> Result<Self, StoreError> {
        let waits_for = web.parts.runner.waits_for(&run).await?;
        let mut view = Self::new(run, web.now());
        view.reason = waits_for.or(view.reason);
        Ok(view)
    }

    pub fn new(run: Run, now: Timestamp) -> Self {
        let ended = run.finished_at.or((run.state == RunState::Running).then_some(now));
        let duration = run.started_at.zip(ended).map(|(began, ended)| since(ended, began));
        Self {
            id: run.id,
            job: run.job,
            state: run.state,
            version: run.version.map(|version| version.to_string()),
            trigger: TriggerView {
                kind: run.trigger.kind,
                actor: run.trigger.actor.0,
                scheduled_for: run.trigger.scheduled_for,
            },
            attempt: run.attempt,
            dry_run: run.dry_run,
            params: run.params,
            queued_at: run.queued_at,
            not_before: run.not_before,
            wake_at: run.wake_at,
            deadline_at: run.deadline_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            duration_ms: duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            result: run.result,
            error: run.error.map(FaultView::from),
            reason: run.reason,
            parent: run.parent,
            progress: run.progress.map(|p| ProgressView { done: p.done, total: p.total, text: p.text }),
        }
    }
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// Only this job's.
    pub job: Option<String>,
    /// Only in these states, separated by commas.
    #[param(example = "failed,timed_out")]
    pub state: Option<String>,
    /// Not older than this: RFC 3339, or an age such as `24h`.
    pub since: Option<String>,
    /// Not newer than this: RFC 3339, or an age.
    pub until: Option<String>,
    /// Only runs older than this one: the `next` of the page before.
    pub before: Option<String>,
    /// How many; 50 unless told, at most 1000.
    pub limit: Option<usize>,
    /// Lines typed into a console too.
    pub console: Option<bool>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunPage {
    pub runs: Vec<RunView>,
    /// Give it as `before` to get the next page; null on the last.
    #[schema(value_type = Option<String>)]
    pub next: Option<RunId>,
}

impl RunQuery {
    fn filter(&self, now: Timestamp) -> ApiResult<RunFilter> {
        // Forms send empty fields.
        let given =
            |field: &Option<String>| field.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let moment = |name, field| given(field).map(|text| parse_moment(name, &text, now)).transpose();
        let job = given(&self.job).map(|job| job.parse().map_err(|bad| ApiError::bad_request(format!("job: {bad}"))));
        let before =
            given(&self.before).map(|id| id.parse().map_err(|bad| ApiError::bad_request(format!("before: {bad}"))));
        let states = given(&self.state).unwrap_or_default();
        let states = states.split(',').filter(|word| !word.is_empty()).map(parse_state).collect::<ApiResult<_>>()?;
        Ok(RunFilter {
            job: job.transpose()?,
            states,
            since: moment("since", &self.since)?,
            until: moment("until", &self.until)?,
            before: before.transpose()?,
            include_console: self.console.unwrap_or(false),
            limit: self.limit.unwrap_or(limits::STORE_PAGE_ROWS_DEFAULT).clamp(1, limits::STORE_PAGE_ROWS_MAX),
        })
    }
}

fn parse_state(word: &str) -> ApiResult<RunState> {
    RunState::parse(word.trim()).ok_or_else(|| {
        let names = RunState::ALL.map(RunState::as_str);
        let message = format!("state={word:?} is not a state{}", suggest::did_you_mean(word, names));
        ApiError::bad_request(message).hint(format!("the states are {}", names.join(", ")))
    })
}

pub async fn list(web: &Web, who: &Identity, query: &RunQuery) -> ApiResult<RunPage> {
    let now = web.now();
    let mut filter = query.filter(now)?;
    let wanted = filter.limit;
    if who.jobs.is_empty() {
        let runs = web.parts.store.runs(&filter).await?;
        let next = runs.last().map(|run| run.id).filter(|_| runs.len() == wanted);
        return Ok(page_of(runs, next, now));
    }
    // One job's runs have an index of their own.
    if let ([pattern], None) = (&who.jobs[..], &filter.job)
        && !pattern.contains('*')
    {
        filter.job = pattern.parse().ok();
    }
    // A confined caller's page fills from several stored pages, but not from all of the history: where it is not full,
    // the next one goes on from there.
    filter.limit = wanted.max(limits::RUNS_LOOKED_THROUGH_AT_ONCE);
    let (mut runs, mut looked_through, mut more) = (Vec::<Run>::new(), 0, true);
    while more && runs.len() < wanted && looked_through < limits::RUNS_LOOKED_THROUGH_MAX {
        let page = web.parts.store.runs(&filter).await?;
        more = page.len() == filter.limit;
        looked_through += page.len();
        filter.before = page.last().map(|run| run.id);
        runs.extend(page.into_iter().filter(|run| who.covers(&run.job)));
    }
    let next =
        if runs.len() > wanted { runs.get(wanted - 1).map(|run| run.id) } else { filter.before.filter(|_| more) };
    runs.truncate(wanted);
    Ok(page_of(runs, next, now))
}

fn page_of(runs: Vec<Run>, next: Option<RunId>, now: Timestamp) -> RunPage {
    RunPage { runs: runs.into_iter().map(|run| RunView::new(run, now)).collect(), next }
}

/// The run named by its id or by the beginning of it. Runs of jobs outside the caller's scope do not exist for it.
pub async fn find(web: &Web, who: &Identity, text: &str) -> ApiResult<Run> {
    let id = resolve(web, text).await?;
    let run = web.parts.store.run(id).await?.filter(|run| who.covers(&run.job));
    run.ok_or_else(|| unknown(text))
}

async fn resolve(web: &Web, text: &str) -> ApiResult<RunId> {
    let text = text.to_ascii_lowercase();
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.is_empty() || text.len() > 26 || !text.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Err(unknown(&text));
    }
    match web.parts.store.runs_by_prefix(&text).await?[..] {
        [] => Err(unknown(&text)),
        [id] => Ok(id),
        _ => Err(ApiError::conflict("run.ambiguous", format!("several runs begin with {text:?}"))
            .hint("give more of the id")),
    }
}

fn unknown(text: &str) -> ApiError {
    let shown: String = text.chars().take(40).collect();
    ApiError::not_found("run.not_found", format!("there is no run {shown:?}")).hint("GET /api/v1/runs lists them")
}
