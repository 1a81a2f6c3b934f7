//! A run that parks while somebody answers it. The answer is in its journal, but the run may have looked before it came;
//! nobody else would wake it.

use std::collections::HashMap;

use super::journal::stop_waiting;
use crate::base::RunId;
use crate::model::StepKey;
use crate::model::journal::Seen;
use crate::store::sql::{Conn, Rows, query};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// Makes those of the runs that have just parked due at once which have an answer that they did not go on from.
pub async fn wake_answered(conn: &mut Conn, parked: &[&Transition]) -> Result<()> {
    if parked.is_empty() {
        return Ok(());
    }
    let answered = query(
        "SELECT steps.run, steps.key
         FROM (SELECT value->>0 AS run, CAST(value->>1 AS BIGINT) AS fence FROM {rows}) AS c
         JOIN steps ON steps.run = c.run AND steps.answered = c.fence",
    );
    let rows = conn.fetch(answered.bind(Rows::of(parked.iter().map(|change| (change.run, change.fence)))?)).await?;
    let mut keys: HashMap<RunId, Vec<StepKey>> = HashMap::new();
    for row in rows {
        keys.entry(row.parsed("run")?).or_default().push(row.parsed("key")?);
    }
    for change in parked {
        let Some(answered) = keys.get(&change.run) else { continue };
        let journal = conn.fetch(query("SELECT key FROM steps WHERE run = $1").bind(change.run)).await?;
        let journal = journal.iter().map(|row| row.parsed("key")).collect::<Result<Vec<StepKey>>>()?;
        let seen = Seen::by(&journal);
        if answered.iter().any(|key| !seen.has_gone_on(key)) {
            let wake = query("UPDATE runs SET wake_at = $2 WHERE id = $1").bind(change.run);
            conn.execute(wake.bind(change.at)).await?;
        }
    }
    Ok(())
}

/// What a change that was applied does to the journals of its runs.
pub async fn journals(conn: &mut Conn, applied: &[&Transition]) -> Result<()> {
    let entries: Vec<_> =
        applied.iter().flat_map(|change| change.journal.iter().map(|entry| (change.run, entry))).collect();
    super::journal::record(conn, &entries).await?;
    let forgotten: Vec<_> =
        applied.iter().flat_map(|change| change.forget.iter().map(|key| (change.run, key))).collect();
    super::journal::forget(conn, &forgotten).await?;
    let ended: Vec<RunId> = applied.iter().filter(|change| change.to.is_final()).map(|change| change.run).collect();
    stop_waiting(conn, &ended).await?;
    let parked: Vec<&Transition> =
        applied.iter().filter(|change| change.to == crate::model::RunState::Parked).copied().collect();
    wake_answered(conn, &parked).await
}
