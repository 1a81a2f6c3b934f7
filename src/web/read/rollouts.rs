//! Rollouts of stacks, as the jobs that carry them out have recorded them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::Timestamp;
use crate::web::error::ApiResult;
use crate::web::parts::Web;

/// Where `@std/rollout` keeps its records, by stack and run.
const SCOPE: &str = "shared:rollouts";

/// A rollout of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Rollout)]
pub struct RolloutView {
    /// By which one goes back to it.
    pub id: String,
    /// The run that carried it out.
    pub run: String,
    pub at: Timestamp,
    /// `rolling blue-green canary ab`; `none` for what was there before the first one.
    pub strategy: String,
    /// Who set it off.
    pub actor: String,
    /// `succeeded rolled_back refused found`.
    pub outcome: String,
    /// Why it did not succeed.
    pub reason: Option<String>,
    /// The earlier rollout that it went back to.
    pub back_to: Option<String>,
    /// Of the settings of all services: equal ones differ in their images only.
    pub digest: String,
    pub services: BTreeMap<String, RolloutImage>,
}

/// The image of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutImage {
    pub image: String,
    pub image_id: Option<String>,
    /// What its registry calls it.
    pub digest: Option<String>,
}

/// The newest first. What a job has put there that is no record is left out.
pub async fn list(web: &Web, stack: &str) -> ApiResult<Vec<RolloutView>> {
    web.parts.stacks.source(stack)?;
    let found = web.parts.store.kv_list(SCOPE, &format!("{stack}/"), usize::MAX).await?;
    let records = found.into_iter().filter_map(|(_, entry)| serde_json::from_value(entry.value).ok());
    let mut records: Vec<RolloutView> = records.collect();
    // Ids of runs grow with time.
    records.sort_by(|one, other| other.run.cmp(&one.run));
    Ok(records)
}
