//! Jobs as callers see them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::names::RunStateName;
use super::rights::{self, RightsView};
use super::runs::RunView;
use super::schedule::UpcomingView;
use super::text;
use crate::base::{JobName, Timestamp, suggest};
use crate::jobs::{Diagnostic, Job, Severity};
use crate::model::{Identity, RunState, params};
use crate::store::JobStats;
use crate::web::error::{ApiError, ApiResult};
use crate::web::parts::{Upcoming, Web};

const VERSIONS_SHOWN: usize = 20;
const DUE_SHOWN: usize = 10;

/// A job in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobSummary {
    #[schema(value_type = String, example = "health_sweep")]
    pub name: JobName,
    pub description: String,
    /// Relative to the scripts folder.
    pub file: String,
    /// Hash of the live version.
    pub version: String,
    pub loaded_at: Timestamp,
    pub tags: Vec<String>,
    pub group: Option<String>,
    /// The button's text, when the job asks for one.
    pub button: Option<String>,
    /// Not listed on the dashboard.
    pub hidden: bool,
    /// Whether its schedules fire.
    pub enabled: bool,
    /// What an operator said, over what the script says; null when nobody did.
    pub enabled_override: Option<bool>,
    /// In words.
    #[schema(example = json!(["every 5m"]))]
    pub schedules: Vec<String>,
    pub next_due: Option<UpcomingView>,
    pub last_run: Option<RunView>,
    pub last_success: Option<Timestamp>,
    /// States of the last 20 runs that ended, oldest first.
    #[schema(value_type = Vec<RunStateName>)]
    pub recent: Vec<RunState>,
    /// Runs that are queued or running now.
    pub live: usize,
    /// How many rights of it wait for a person's approval.
    pub waiting: usize,
    /// What is wrong with its file, if an edit was rejected.
    pub diagnostics: Vec<DiagnosticView>,
}

/// All about one job.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JobDetail {
    #[serde(flatten)]
    pub summary: JobSummary,
    /// The whole declaration, typed: limits, retry, overlap, concurrency, permissions and the rest.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// JSON Schema (2020-12) of the parameters.
    #[schema(value_type = Object)]
    pub params_schema: Value,
    /// What becomes of its permissions.
    pub rights: RightsView,
    /// The next ten due times.
    pub upcoming: Vec<UpcomingView>,
    /// Newest first.
    pub versions: Vec<VersionView>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Version)]
pub struct VersionView {
    pub hash: String,
    pub created_at: Timestamp,
    /// Paths of its files, the job's own first.
    pub files: Vec<String>,
    /// It is the live one.
    pub current: bool,
}

/// What is wrong with a file of the scripts folder.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Diagnostic)]
pub struct DiagnosticView {
    pub file: String,
    #[schema(example = "error")]
    pub severity: &'static str,
    pub since: Timestamp,
    /// An earlier version of the file's job goes on running.
    pub last_good_kept: bool,
    #[serde(flatten)]
    pub fault: super::runs::FaultView,
}

impl From<&Diagnostic> for DiagnosticView {
    fn from(diagnostic: &Diagnostic) -> Self {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        Self {
            file: diagnostic.file.clone(),
            severity,
            since: diagnostic.since,
            last_good_kept: diagnostic.last_good_kept,
            fault: diagnostic.fault.clone().into(),
        }
    }
}

/// Every job that the caller may see, in order of their names.
pub async fn list(web: &Web, who: &Identity) -> ApiResult<Vec<JobSummary>> {
    let snapshot = web.parts.jobs.snapshot();
    let mut stats: HashMap<JobName, JobStats> =
        web.parts.store.job_stats().await?.into_iter().map(|stats| (stats.job.clone(), stats)).collect();
    let jobs: Vec<Arc<Job>> = snapshot.jobs.values().filter(|job| who.covers(&job.spec.name)).cloned().collect();
    let mut next = next_of(web, &jobs, 1).await?;
    let mut live: HashMap<JobName, usize> = HashMap::new();
    for run in web.parts.runner.live() {
        *live.entry(run.job).or_default() += 1;
    }
    let summaries = jobs.iter().map(|job| {
        let name = &job.spec.name;
        let mine = snapshot.diagnostics.iter().filter(|diagnostic| diagnostic.file == job.file);
        JobSummary {
            diagnostics: mine.map(DiagnosticView::from).collect(),
            next_due: next.remove(name).and_then(|due| due.into_iter().next()).map(UpcomingView::from),
            live: live.get(name).copied().unwrap_or(0),
            waiting: snapshot.waiting.get(name).map_or(0, |waiting| waiting.added.len()),
            ..summary(web, job, stats.remove(name))
        }
    });
    Ok(summaries.collect())
}

fn summary(web: &Web, job: &Job, stats: Option<JobStats>) -> JobSummary {
    let now = web.now();
    let (last, last_success, recent) = stats.map_or((None, None, Vec::new()), |s| (s.last, s.last_success, s.recent));
    JobSummary {
        name: job.spec.name.clone(),
        description: job.spec.description.clone(),
        file: job.file.clone(),
        version: job.bundle.hash.to_string(),
        loaded_at: job.loaded_at,
        tags: job.spec.tags.clone(),
        group: job.spec.ui.group.clone(),
        button: job.spec.ui.button.clone(),
        hidden: job.spec.ui.hidden,
        enabled: job.is_enabled(),
        enabled_override: job.enabled_override,
        schedules: job.spec.schedules.iter().map(text::schedule).collect(),
        next_due: None,
        last_run: last.map(|run| RunView::new(run, now)),
        last_success,
        recent,
        live: 0,
        waiting: 0,
        diagnostics: Vec::new(),
    }
}

pub async fn detail(web: &Web, who: &Identity, name: &str) -> ApiResult<JobDetail> {
    let job = find(web, who, name)?;
    // One job's numbers come with all jobs': the store reads them in one pass.
    let all = list(web, who).await?;
    let summary =
        all.into_iter().find(|summary| summary.name == job.spec.name).ok_or_else(|| unknown(web, who, name))?;
    let mut next = next_of(web, std::slice::from_ref(&job), DUE_SHOWN).await?;
    let upcoming = next.remove(&job.spec.name).unwrap_or_default().into_iter().map(UpcomingView::from).collect();
    let versions = web.parts.store.versions(&job.spec.name, VERSIONS_SHOWN).await?;
    let versions = versions.into_iter().map(|version| VersionView {
        current: version.hash == job.bundle.hash,
        hash: version.hash.to_string(),
        created_at: version.created_at,
        files: version.files.into_iter().map(|(path, _)| path).collect(),
    });
    Ok(JobDetail {
        rights: rights::of(web, &job).await?,
        summary,
        spec: serde_json::to_value(&*job.spec).unwrap_or_default(),
        params_schema: params::json_schema(&job.spec.params),
        upcoming,
        versions: versions.collect(),
    })
}

/// The live job of that name, if the caller may see it.
pub fn find(web: &Web, who: &Identity, name: &str) -> ApiResult<Arc<Job>> {
    let parsed = name.parse::<JobName>().ok();
    let job = parsed.and_then(|name| web.parts.jobs.job(&name)).filter(|job| who.covers(&job.spec.name));
    job.ok_or_else(|| unknown(web, who, name))
}

fn unknown(web: &Web, who: &Identity, name: &str) -> ApiError {
    let snapshot = web.parts.jobs.snapshot();
    let names = snapshot.jobs.keys().filter(|job| who.covers(job)).map(JobName::as_str);
    let shown: String = name.chars().take(100).collect();
    let message = format!("there is no job {shown:?}{}", suggest::did_you_mean(name, names));
    ApiError::not_found("job.not_found", message)
        .hint("GET /api/v1/jobs lists them; GET /api/v1/scripts/diagnostics says which files were rejected")
}

async fn next_of(web: &Web, jobs: &[Arc<Job>], count: usize) -> ApiResult<HashMap<JobName, Vec<Upcoming>>> {
    let (forecast, now) = (web.parts.forecast.clone(), web.now());
    let names: Vec<JobName> =
        jobs.iter().filter(|job| !job.spec.schedules.is_empty()).map(|job| job.spec.name.clone()).collect();
    let work = move || names.into_iter().map(|name| (name.clone(), forecast.next(&name, now, count))).collect();
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        ApiError::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "schedule.forecast",
            "the forecast failed; the log says why",
        )
    })
}

/// What is wrong with files now, the errors first.
pub fn diagnostics(web: &Web) -> Vec<DiagnosticView> {
    let snapshot = web.parts.jobs.snapshot();
    let mut views: Vec<DiagnosticView> = snapshot.diagnostics.iter().map(DiagnosticView::from).collect();
    views.sort_by(|a, b| (a.severity, &a.file).cmp(&(b.severity, &b.file)));
    views
}
