//! The database itself, read and, to prove that it would show, falsified without the daemon's knowledge.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use crate::record::{StepOf, StoredOccurrence, StoredRun};

/// Where the books are.
#[derive(Debug, Clone)]
pub enum Books {
    /// The file.
    Sqlite(PathBuf),
    /// The address.
    Postgres(String),
}

/// A row's columns as text, whatever the database.
type Columns = Vec<Option<String>>;

impl Books {
    pub async fn runs(&self) -> Vec<StoredRun> {
        let columns = "id, job, state, reason, error, result, idempotency_key, CAST(scheduled_for AS TEXT)";
        let rows = self.read(&format!("SELECT {columns} FROM runs ORDER BY id"), 8).await;
        let run = |row: Columns| {
            let [id, job, state, reason, error, result, key, due] =
                <[Option<String>; 8]>::try_from(row).expect("eight columns");
            StoredRun {
                id: id.expect("an id"),
                job: job.expect("a job"),
                state: state.expect("a state"),
                reason,
                error,
                result,
                key,
                scheduled_for: due.map(|due| due.parse().expect("a number")),
            }
        };
        rows.into_iter().map(run).collect()
    }

    pub async fn occurrences(&self) -> Vec<StoredOccurrence> {
        let rows = self
            .read("SELECT job, CAST(scheduled_for AS TEXT), state, run, CAST(decided_at AS TEXT) FROM occurrences", 5)
            .await;
        let occurrence = |row: Columns| {
            let [job, due, state, run, at] = <[Option<String>; 5]>::try_from(row).expect("five columns");
            StoredOccurrence {
                job: job.expect("a job"),
                scheduled_for: due.expect("a due time").parse().expect("a number"),
                state: state.expect("a state"),
                run,
                decided_at: at.expect("a time").parse().expect("a number"),
            }
        };
        rows.into_iter().map(occurrence).collect()
    }

    /// Steps that are recorded as done, and what was undone under `undo-` and the step's name.
    pub async fn journal(&self) -> BTreeSet<StepOf> {
        let text = "SELECT run, kind, name FROM steps WHERE state = 'done' AND kind IN ('step', 'undo')";
        let step = |row: Columns| {
            let [run, kind, name] = <[Option<String>; 3]>::try_from(row).expect("three columns");
            let (kind, name) = (kind.expect("a kind"), name.expect("a name"));
            (run.expect("a run"), if kind == "undo" { format!("undo-{name}") } else { name })
        };
        self.read(text, 3).await.into_iter().map(step).collect()
    }

    /// What a run has in its journal, for people: place, kind, name, state, begin and end in microseconds, error.
    pub async fn journal_of(&self, run: &str) -> Vec<String> {
        let times = "CAST(started_at AS TEXT), CAST(finished_at AS TEXT), CAST(wake_at AS TEXT)";
        let text =
            format!("SELECT key, kind, name, state, {times}, error FROM steps WHERE run = '{run}' ORDER BY place");
        let line = |row: Columns| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" ");
        self.read(&text, 8).await.into_iter().map(line).collect()
    }

    /// Runs on that daemon that have not ended, other than those that wait without it.
    pub async fn alive_on(&self, node: &str) -> usize {
        let text = format!("SELECT id FROM runs WHERE node = '{node}' AND state IN ('queued', 'running')");
        self.read(&text, 1).await.len()
    }

    /// Changes the books behind the daemon's back and tells how many rows that were.
    pub async fn falsify(&self, statement: &str) -> u64 {
        let statement = AssertSqlSafe(statement.to_owned());
        match self {
            Self::Sqlite(file) => {
                let mut conn = open(file).await;
                let changed = sqlx::query(statement).execute(&mut conn).await.expect("changed").rows_affected();
                conn.close().await.expect("closed");
                changed
            }
            Self::Postgres(url) => {
                let mut conn = PgConnection::connect(url).await.expect("the server answers");
                sqlx::query(statement).execute(&mut conn).await.expect("changed").rows_affected()
            }
        }
    }

    async fn read(&self, text: &str, columns: usize) -> Vec<Columns> {
        let query = AssertSqlSafe(text.to_owned());
        match self {
            Self::Sqlite(file) => {
                // A copy: reading the real one would carry its log over, which is the daemon's to do.
                let folder = tempfile::tempdir().expect("a folder");
                let copy = folder.path().join("copy.db");
                for ending in ["", "-wal"] {
                    let from = format!("{}{ending}", file.display());
                    if Path::new(&from).exists() {
                        std::fs::copy(&from, format!("{}{ending}", copy.display())).expect("copied");
                    }
                }
                let mut conn = open(&copy).await;
                let rows = sqlx::query(query).fetch_all(&mut conn).await.expect("readable");
                conn.close().await.expect("closed");
                let text = |row: &SqliteRow, column| row.try_get::<Option<String>, _>(column).expect("text");
                rows.iter().map(|row| (0..columns).map(|column| text(row, column)).collect()).collect()
            }
            Self::Postgres(url) => {
                let mut conn = PgConnection::connect(url).await.expect("the server answers");
                let rows = sqlx::query(query).fetch_all(&mut conn).await.expect("readable");
                let text = |row: &PgRow, column| row.try_get::<Option<String>, _>(column).expect("text");
                rows.iter().map(|row| (0..columns).map(|column| text(row, column)).collect()).collect()
            }
        }
    }
}

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("a database")
}
