//! The audit log as callers see it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::base::{Masker, Timestamp};
use crate::model::AuditRecord;
use crate::model::audit::{AuditEnds, Mark};
use crate::store::AuditFilter;
use crate::web::error::ApiResult;
use crate::web::extract::parse_moment;
use crate::web::parts::Web;

/// Which records, and which page of them.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only of this job.
    #[param(example = "health_sweep")]
    pub job: Option<String>,
    /// Only by this actor.
    #[param(example = "token:ci")]
    pub actor: Option<String>,
    /// Only acts whose name begins so.
    #[param(example = "aegis.docker.")]
    pub action: Option<String>,
    /// Only what did not go well: `true`.
    pub refused: Option<String>,
    /// Only since then: a time, or an age such as `24h`.
    #[param(example = "24h")]
    pub since: Option<String>,
    /// Oldest first, beginning behind the record of this number. Without it the newest come first.
    pub after: Option<i64>,
    /// Newest first, only records before this number.
    pub before: Option<i64>,
    /// At most 1000; 50 unless said otherwise.
    pub limit: Option<usize>,
}

/// A record of the audit log. `hash` is BLAKE3 over all other fields, `prev` the hash of the record before.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub struct AuditView {
    pub seq: i64,
    pub at: Timestamp,
    /// The daemon that wrote it.
    pub node: String,
    #[schema(example = "token:ci")]
    pub actor: String,
    #[schema(example = "aegis.docker.stop")]
    pub action: String,
    pub object: String,
    pub job: Option<String>,
    pub run: Option<String>,
    #[schema(example = "docker = \"write\"")]
    pub permission: Option<String>,
    /// `ok`, or the code of what went wrong.
    pub outcome: String,
    /// Particulars: JSON text, to the letter as the hash covers it.
    pub data: Option<String>,
    pub prev: String,
    pub hash: String,
    /// Only of a record of which a part is hidden here, because it holds what is a secret by now: whether the record as
    /// it is kept has the hash that it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intact: Option<bool>,
}

impl AuditView {
    fn new(record: AuditRecord, masker: &Masker) -> Self {
        let hides = serde_json::to_string(&record).is_ok_and(|text| masker.finds(text));
        let intact = hides.then(|| record.digest() == record.hash);
        let AuditRecord { seq, at, node, actor, action, object, job, run, permission, outcome, data, prev, hash } =
            record;
        Self { seq, at, node, actor, action, object, job, run, permission, outcome, data, prev, hash, intact }
    }
}

/// A place in the log.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditMark)]
pub struct MarkView {
    pub seq: i64,
    pub hash: String,
}

impl From<Mark> for MarkView {
    fn from(mark: Mark) -> Self {
        Self { seq: mark.seq, hash: mark.hash }
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditPage {
    pub records: Vec<AuditView>,
    /// What `after` or `before` is for the next page; null when there is none yet.
    pub next: Option<i64>,
    /// The newest record of the whole log.
    pub head: MarkView,
    /// The newest record that retention has removed.
    pub checkpoint: Option<MarkView>,
}

pub async fn page(web: &Web, query: &AuditQuery) -> ApiResult<AuditPage> {
    let text =
        |field: &Option<String>| field.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let since = text(&query.since).map(|since| parse_moment("since", &since, web.now())).transpose()?;
    let filter = AuditFilter {
        job: text(&query.job),
        actor: text(&query.actor),
        action: text(&query.action),
        refused: text(&query.refused).is_some_and(|refused| refused != "false"),
        since,
    };
    let limit = query.limit.unwrap_or(0);
    // Read before the records: what the log has noted as its end is in it then.
    let AuditEnds { head, checkpoint } = web.parts.store.audit_ends().await?;
    let records = match query.after {
        Some(after) => web.parts.store.audit(&filter, after, limit).await?,
        None => web.parts.store.audit_before(&filter, query.before.unwrap_or(i64::MAX), limit).await?,
    };
    let more = records.last().map(|last| last.seq).filter(|last| match query.after {
        Some(_) => *last < head.seq,
        None => checkpoint.as_ref().map_or(0, |mark| mark.seq) + 1 < *last,
    });
    let masker = web.parts.store.masker();
    let records = records.into_iter().map(|record| AuditView::new(record, masker)).collect();
    Ok(AuditPage { records, next: more, head: head.into(), checkpoint: checkpoint.map(MarkView::from) })
}
