//! What becomes of a job's permissions: what is granted, what the policy bounds, what waits for a person.

use serde::Serialize;
use utoipa::ToSchema;

use crate::base::Timestamp;
use crate::jobs::{Job, Snapshot, Waiting};
use crate::model::Right;
use crate::store::RightsRow;
use crate::web::error::ApiResult;
use crate::web::parts::Web;

/// A job's rights in words, such as `docker write on web-*`.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Rights)]
pub struct RightsView {
    pub granted: Vec<String>,
    pub capped: Vec<CappedView>,
    /// A version whose rights wait.
    pub waiting: Option<WaitingView>,
    pub approved: Option<ApprovedView>,
}

/// A right that the operator's policy bounds.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CappedRight)]
pub struct CappedView {
    pub right: String,
    /// The line that bounds it.
    #[schema(example = "config/policy.yaml:12")]
    pub policy: String,
    /// What is left; empty when nothing is.
    pub allowed: Vec<String>,
}

/// A version that asks for rights which nobody has approved.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WaitingRights)]
pub struct WaitingView {
    pub version: String,
    /// Of the rights: what an approval names.
    pub hash: String,
    pub since: Timestamp,
    pub added: Vec<String>,
    /// What the version that goes on has and this one does without.
    pub removed: Vec<String>,
    /// What it keeps.
    pub kept: Vec<String>,
    /// No earlier version goes on: it is live without these rights, and its schedules are held.
    pub held: bool,
}

/// What a person approved last.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApprovedRights)]
pub struct ApprovedView {
    pub by: String,
    pub at: Timestamp,
    pub rights: Vec<String>,
}

fn words(rights: &[Right]) -> Vec<String> {
    rights.iter().map(ToString::to_string).collect()
}

impl From<&Waiting> for WaitingView {
    fn from(waiting: &Waiting) -> Self {
        let kept: Vec<Right> = waiting.rights.iter().filter(|right| !waiting.added.contains(right)).cloned().collect();
        Self {
            version: waiting.version.to_string(),
            hash: waiting.hash.clone(),
            since: waiting.since,
            added: words(&waiting.added),
            removed: words(&waiting.removed),
            kept: words(&kept),
            held: waiting.held,
        }
    }
}

impl From<RightsRow> for ApprovedView {
    fn from(row: RightsRow) -> Self {
        Self { by: row.approved_by, at: row.approved_at, rights: words(&row.rights) }
    }
}

/// Of the live version of a job.
pub async fn of(web: &Web, job: &Job) -> ApiResult<RightsView> {
    let snapshot: &Snapshot = &web.parts.jobs.snapshot();
    let report = snapshot.policy.report(&job.file, &job.spec.permissions);
    let waiting = snapshot.waiting.get(&job.spec.name);
    // What waits in the live version itself is not granted.
    let withheld =
        waiting.filter(|waiting| waiting.version == job.bundle.hash).map_or(&[][..], |waiting| &waiting.added);
    let granted = report.granted.iter().filter(|right| !withheld.contains(right)).map(ToString::to_string);
    let capped = report.capped.iter().map(|one| CappedView {
        right: one.right.to_string(),
        policy: one.policy.clone(),
        allowed: words(&one.allowed),
    });
    let approved = web.parts.store.rights().await?.into_iter().find(|row| row.job == job.spec.name);
    Ok(RightsView {
        granted: granted.collect(),
        capped: capped.collect(),
        waiting: waiting.map(|waiting| WaitingView::from(&**waiting)),
        approved: approved.map(ApprovedView::from),
    })
}
