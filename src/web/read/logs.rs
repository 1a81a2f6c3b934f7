//! Lines of a run's log as callers see them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::names::LogLevelName;
use crate::base::{RunId, Timestamp, limits, suggest};
use crate::model::{LogLevel, LogLine};
use crate::web::error::{ApiError, ApiResult};
use crate::web::parts::Web;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub struct LogLineView {
    /// Counted from 1 within the run, across attempts.
    pub seq: u64,
    pub at: Timestamp,
    pub attempt: u32,
    #[schema(value_type = LogLevelName)]
    pub level: LogLevel,
    pub text: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub fields: Value,
}

impl From<LogLine> for LogLineView {
    fn from(line: LogLine) -> Self {
        let LogLine { seq, at, attempt, level, text, fields, .. } = line;
        Self { seq, at, attempt, level, text, fields }
    }
}

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Only lines after this number.
    pub after: Option<u64>,
    /// The last so many lines instead of a page from the beginning.
    pub tail: Option<usize>,
    /// How many; 1000 unless told, which is also the most.
    pub limit: Option<usize>,
    /// Only lines of at least this level.
    #[param(value_type = Option<LogLevelName>)]
    pub level: Option<String>,
    /// Go on with new lines until the run ends: server-sent events or NDJSON, by `Accept`.
    pub follow: Option<bool>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogPage {
    pub lines: Vec<LogLineView>,
    /// Give it as `after` to get the next page; null when the log ends here for now.
    pub next: Option<u64>,
}

impl LogQuery {
    pub fn least_level(&self) -> ApiResult<LogLevel> {
        let Some(word) = self.level.as_deref().filter(|word| !word.is_empty()) else { return Ok(LogLevel::Debug) };
        LogLevel::parse(word).ok_or_else(|| {
            let names = LogLevel::ALL.map(LogLevel::as_str);
            let message = format!("level={word:?} is not a level{}", suggest::did_you_mean(word, names));
            ApiError::bad_request(message).hint("the levels are debug, info, warn and error")
        })
    }
}

pub async fn page(web: &Web, run: RunId, query: &LogQuery) -> ApiResult<LogPage> {
    let least = query.least_level()?;
    let store = &web.parts.store;
    let most = limits::STORE_PAGE_ROWS_MAX;
    if let Some(tail) = query.tail {
        let lines = store.logs_tail(run, tail.clamp(1, most)).await?;
        return Ok(LogPage { lines: at_least(lines, least), next: None });
    }
    let limit = query.limit.unwrap_or(most).clamp(1, most);
    let lines = store.logs(run, query.after.unwrap_or(0), limit).await?;
    let next = lines.last().map(|line| line.seq).filter(|_| lines.len() == limit);
    Ok(LogPage { lines: at_least(lines, least), next })
}

fn at_least(lines: Vec<LogLine>, least: LogLevel) -> Vec<LogLineView> {
    lines.into_iter().filter(|line| line.level >= least).map(LogLineView::from).collect()
}
