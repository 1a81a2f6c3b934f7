//! Reading a run's log lines.

use crate::base::RunId;
use crate::model::{LogLevel, LogLine};
use crate::store::handle::Store;
use crate::store::sql::{Row, query};
use crate::store::text::limit_rows;
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

fn line_from(row: &Row) -> Result<LogLine> {
    Ok(LogLine {
        run: row.parsed("run")?,
        seq: row.number("seq")?,
        at: row.time("at")?,
        attempt: row.number("attempt")?,
        level: row.word("level", LogLevel::parse)?,
        text: row.text("text")?,
        fields: row.value("fields")?,
    })
}

impl Store {
    /// Lines of a run with `seq > after`, at most `limit` (capped at `STORE_PAGE_ROWS_MAX`).
    pub async fn logs(&self, run: RunId, after: u64, limit: usize) -> Result<Vec<LogLine>> {
        let select = query("SELECT * FROM logs WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3");
        let rows = self.readers().fetch(select.bind(run).bind(after).bind(limit_rows(limit))).await?;
        rows.iter().map(line_from).collect()
    }

    /// The last `limit` lines (capped at `STORE_PAGE_ROWS_MAX`), in order.
    pub async fn logs_tail(&self, run: RunId, limit: usize) -> Result<Vec<LogLine>> {
        let select = query("SELECT * FROM logs WHERE run = $1 ORDER BY seq DESC LIMIT $2");
        let rows = self.readers().fetch(select.bind(run).bind(limit_rows(limit))).await?;
        rows.iter().rev().map(line_from).collect()
    }
}
