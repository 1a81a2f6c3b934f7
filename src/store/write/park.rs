//! A run that parks while somebody answers it. The answer is in its journal, but the run may have looked before it came;
//! nobody else would wake it.

use std::collections::HashMap;

use super::journal::stop_waiting;
use crate::base::RunId;
use crate::model::StepKey;
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
        let seen = Seen::by(journal.iter().map(|row| row.parsed("key")).collect::<Result<Vec<_>>>()?);
        if answered.iter().any(|key| !seen.has_gone_on(key)) {
            let wake = query("UPDATE runs SET wake_at = $2 WHERE id = $1").bind(change.run);
            conn.execute(wake.bind(change.at)).await?;
        }
    }
    Ok(())
}

/// How far each function of a run has come. Places alternate with the numbers of functions that run side by side, which
/// say nothing about order.
struct Seen(HashMap<Vec<u32>, u32>);

impl Seen {
    fn by(journal: Vec<StepKey>) -> Self {
        let mut furthest: HashMap<Vec<u32>, u32> = HashMap::new();
        for key in journal {
            let places = key.places();
            for level in (0..places.len()).step_by(2) {
                let known = furthest.entry(places[..level].to_vec()).or_default();
                *known = places[level].max(*known);
            }
        }
        Self(furthest)
    }

    /// Whether the run can have come so far only after it had the answer at `key`.
    fn has_gone_on(&self, key: &StepKey) -> bool {
        let places = key.places();
        let further = |level: usize| self.0.get(&places[..level]).is_some_and(|furthest| *furthest > places[level]);
        (0..places.len()).step_by(2).any(further)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_after_in_the_same_function_has_seen_an_answer() {
        let key = |text: &str| text.parse::<StepKey>().expect("a key");
        let gone_on = |of: &str, later: &str| Seen::by(vec![key(of), key(later)]).has_gone_on(&key(of));
        assert!(
            gone_on("2", "3") && gone_on("4.2.1", "4.2.2") && gone_on("4.2.1", "5") && gone_on("4.2.1.3.1", "4.2.2")
        );
        assert!(!gone_on("2", "1") && !gone_on("2", "2") && !gone_on("4.1.1", "4.2.1") && !gone_on("4.2.1", "4.1.7"));
    }
}
