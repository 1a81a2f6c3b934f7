//! Reading runs. Pages are put together from short walks along an index, one for each state asked for, so that a page
//! costs the same in a history of a thousand runs and of a million.

use tracing::error;

use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Actor, Run, RunState, Trigger, TriggerKind};
use crate::store::handle::Store;
use crate::store::sql::{Query, Row, Rows, query};
use crate::store::text::{after_prefix, limit_rows};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// The runs of these rows. A row that cannot be understood is told and passed over: it must not keep the others from
/// going on.
pub fn understood(rows: &[Row]) -> Vec<Run> {
    let run = |row: &Row| {
        let told = |error: &StoreError| error!(run = row.text("id").unwrap_or_default(), %error, "left as it is");
        run_from(row).inspect_err(told).ok()
    };
    rows.iter().filter_map(run).collect()
}

pub fn run_from(row: &Row) -> Result<Run> {
    Ok(Run {
        id: row.parsed("id")?,
        job: row.parsed("job")?,
        version: row.maybe_parsed("version")?,
        state: row.word("state", RunState::parse)?,
        params: row.json("params")?,
        trigger: Trigger {
            kind: row.word("trigger_kind", TriggerKind::parse)?,
            actor: Actor::new(row.text("actor")?),
            scheduled_for: row.maybe_time("scheduled_for")?,
            payload: row.value("payload")?,
        },
        priority: row.number("priority")?,
        attempt: row.number("attempt")?,
        dry_run: row.flag("dry_run")?,
        queued_at: row.time("queued_at")?,
        not_before: row.maybe_time("not_before")?,
        started_at: row.maybe_time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
        result: row.maybe_json("result")?,
        error: row.maybe_json("error")?,
        reason: row.maybe_text("reason")?,
        parent: row.maybe_parsed("parent")?,
        idempotency_key: row.maybe_text("idempotency_key")?,
        progress: row.maybe_json("progress")?,
        fence: row.int("fence")?,
        wake_at: row.maybe_time("wake_at")?,
        deadline_at: row.maybe_time("deadline_at")?,
        concurrency_key: row.maybe_text("concurrency_key")?,
    })
}

impl Store {
    pub async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let row = self.readers().fetch_first(query("SELECT * FROM runs WHERE id = $1").bind(id)).await?;
        row.as_ref().map(run_from).transpose()
    }

    /// Only its state, without the rest of the row; None when there is no such run.
    pub async fn run_state(&self, id: RunId) -> Result<Option<RunState>> {
        let row = self.readers().fetch_first(query("SELECT state FROM runs WHERE id = $1").bind(id)).await?;
        row.map(|row| row.word("state", RunState::parse)).transpose()
    }

    /// Whether this daemon holds the run, running at this fence.
    pub async fn runs_here(&self, id: RunId, fence: i64) -> Result<bool> {
        let select =
            query("SELECT 1 AS found FROM runs WHERE id = $1 AND fence = $2 AND node = $3 AND state = 'running'");
        let select = select.bind(id).bind(fence).bind(self.node());
        Ok(self.readers().fetch_first(select).await?.is_some())
    }

    /// The run that an earlier submission of `job` with this idempotency key made.
    pub async fn run_by_key(&self, job: &JobName, key: &str) -> Result<Option<RunId>> {
        let select = query("SELECT id FROM runs WHERE job = $1 AND idempotency_key = $2");
        let rows = self.readers().fetch(select.bind(job.to_string()).bind(key.to_owned())).await?;
        rows.first().map(|row| row.parsed("id")).transpose()
    }

    /// Newest first; the order is by `queued_at`, then by id.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        let cursor = match filter.before {
            None => None,
            Some(id) => Some((id, self.queued_at(id).await?)),
        };
        self.readers().fetch(page(filter, cursor)).await?.iter().map(run_from).collect()
    }

    /// When the run of a cursor was queued; None when retention has removed it since.
    async fn queued_at(&self, id: RunId) -> Result<Option<Timestamp>> {
        let row = self.readers().fetch_first(query("SELECT queued_at FROM runs WHERE id = $1").bind(id)).await?;
        row.map(|row| row.time("queued_at")).transpose()
    }

    /// Ids of runs whose text begins with `prefix` (at most 2): for people who type the start of an id.
    pub async fn runs_by_prefix(&self, prefix: &str) -> Result<Vec<RunId>> {
        let prefix = prefix.to_ascii_lowercase();
        let select = query("SELECT id FROM runs WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2");
        let rows = self.readers().fetch(select.bind(prefix.as_str()).bind(after_prefix(&prefix))).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// All runs in the given state, those that `node` holds or those of all daemons, oldest first, with no page limit:
    /// for recovery at start.
    pub async fn runs_in(&self, state: RunState, node: Option<&str>) -> Result<Vec<Run>> {
        let held = if node.is_some() { " AND node = $1" } else { "" };
        let select = query(format!("SELECT * FROM runs WHERE {}{held} ORDER BY queued_at, id", in_state(state)));
        let select = if let Some(node) = node { select.bind(node) } else { select };
        let rows = self.readers().fetch(select).await?;
        Ok(understood(&rows))
    }

    /// Every run of a job that `node` holds and that has not ended, in no particular order; lines of consoles are none.
    pub async fn held_by(&self, node: &str) -> Result<Vec<RunId>> {
        let select = query(format!(
            "SELECT id FROM runs WHERE ({} OR {}) AND node = $1 AND version IS NOT NULL",
            in_state(RunState::Queued),
            in_state(RunState::Running)
        ));
        self.readers().fetch(select.bind(node)).await?.iter().map(|row| row.parsed("id")).collect()
    }

    /// Those of these runs that are another daemon's, or have ended.
    pub async fn not_held_by(&self, node: &str, ids: &[RunId]) -> Result<Vec<RunId>> {
        let select = query(
            "SELECT id FROM runs
             WHERE id IN (SELECT value->>0 FROM {rows}) AND (node <> $2 OR finished_at IS NOT NULL)",
        );
        let rows = Rows::of(ids.iter().map(|id| [id]))?;
        self.readers().fetch(select.bind(rows).bind(node)).await?.iter().map(|row| row.parsed("id")).collect()
    }

    /// The runs of these ids that are there, in no particular order.
    pub async fn runs_of(&self, ids: &[RunId]) -> Result<Vec<Run>> {
        let select = query("SELECT * FROM runs WHERE id IN (SELECT value->>0 FROM {rows})");
        let rows = Rows::of(ids.iter().map(|id| [id]))?;
        Ok(understood(&self.readers().fetch(select.bind(rows)).await?))
    }
}

/// The statement for one page: the newest ids of each branch, merged, then their rows.
pub fn page(filter: &RunFilter, cursor: Option<(RunId, Option<Timestamp>)>) -> Query {
    let mut statement = Conditions::default();
    if let Some(job) = &filter.job {
        statement.add("job = $", job.as_str());
    } else if !filter.include_console {
        statement.add("job <> $", crate::base::JobName::console().as_str());
    }
    if let Some(since) = filter.since {
        statement.add("queued_at >= $", since);
    }
    if let Some(until) = filter.until {
        statement.add("queued_at < $", until);
    }
    match cursor {
        Some((id, Some(at))) => {
            statement.add("queued_at <= $", at);
            statement.add("(queued_at < $", at);
            statement.continue_with(" OR id < $)", id);
        }
        // Ids sort by the time they were made, so they stand in for the time that is gone.
        Some((id, None)) => statement.add("id < $", id),
        None => {}
    }
    let limit = limit_rows(filter.limit);
    // One job's runs of any state have an index of their own; all other questions are asked state by state.
    let states: Vec<Option<RunState>> = match (&filter.job, filter.states.as_slice()) {
        (Some(_), []) => vec![None],
        (None, []) => RunState::ALL.map(Some).to_vec(),
        (_, states) => states.iter().copied().map(Some).collect(),
    };
    let branches: Vec<String> =
        states.into_iter().enumerate().map(|(i, state)| statement.branch(i, state, limit)).collect();
    let text = format!(
        "SELECT runs.* FROM (SELECT id, queued_at FROM ({}) AS found ORDER BY queued_at DESC, id DESC LIMIT {limit}) \
         AS page JOIN runs ON runs.id = page.id ORDER BY page.queued_at DESC, page.id DESC",
        branches.join(" UNION ALL ")
    );
    statement.args.into_iter().fold(query(text), Query::bind)
}

/// The state, in words from which the database sees which of the partial indexes serves.
pub(super) fn in_state(state: RunState) -> String {
    let ended = if state.is_final() { "IS NOT NULL" } else { "IS NULL" };
    format!("state = '{state}' AND finished_at {ended}")
}

/// Conditions that all branches share, with their arguments.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub text: String,
    pub args: Vec<crate::store::sql::Arg>,
}

impl Conditions {
    /// Adds `condition`, whose `$` is the place of `value`.
    pub fn add(&mut self, condition: &str, value: impl Into<crate::store::sql::Arg>) {
        self.text.push_str(" AND ");
        self.continue_with(condition, value);
    }

    pub fn continue_with(&mut self, text: &str, value: impl Into<crate::store::sql::Arg>) {
        self.args.push(value.into());
        self.text.push_str(&text.replace('$', &format!("${}", self.args.len())));
    }

    fn branch(&self, place: usize, state: Option<RunState>, limit: usize) -> String {
        let state = state.map_or_else(|| "true".to_owned(), in_state);
        format!(
            "SELECT * FROM (SELECT id, queued_at FROM runs WHERE {state}{} ORDER BY queued_at DESC, id DESC \
             LIMIT {limit}) AS branch{place}",
            self.text
        )
    }
}
