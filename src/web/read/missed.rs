//! What was missed and not made up for since.

use std::time::Duration;

use crate::base::clock::earlier;
use crate::base::{JobName, Timestamp, limits};
use crate::model::Identity;
use crate::web::error::ApiResult;
use crate::web::parts::Web;
use crate::web::read::jobs::JobSummary;

/// After this it is history.
const RECENT: Duration = Duration::from_secs(86_400);

/// An absence in which a job's due times were missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedView {
    pub job: JobName,
    pub at: Timestamp,
    /// How many, when and why.
    pub text: String,
}

/// The latest absence of each job in the last day, newest first, unless the job has succeeded after it or is gone.
pub async fn recent(web: &Web, who: &Identity, jobs: &[JobSummary]) -> ApiResult<Vec<MissedView>> {
    let events = web.parts.store.absences(earlier(web.now(), RECENT), limits::STORE_PAGE_ROWS_MAX).await?;
    let mut found: Vec<MissedView> = Vec::new();
    for event in events {
        let (Some(job), Some(text)) = (event.body.job, event.body.data["text"].as_str()) else { continue };
        let known = found.iter().any(|missed| missed.job == job);
        let summary = jobs.iter().find(|summary| summary.name == job);
        let is_open = summary.is_some_and(|summary| !has_succeeded_since(summary, event.body.at));
        if !known && is_open && who.covers(&job) {
            found.push(MissedView { job, at: event.body.at, text: text.to_owned() });
        }
    }
    Ok(found)
}

fn has_succeeded_since(job: &JobSummary, at: Timestamp) -> bool {
    job.last_success.is_some_and(|success| success > at)
}
