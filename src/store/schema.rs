//! The schema and its steps, embedded. Which steps a database has had is kept in its table `_sqlx_migrations`.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::StoreError;
use super::sql::{Conn, Dialect, Raw, query};

/// `(version, name, SQLite, PostgreSQL)`; a released step is never edited, only followed by another.
const STEPS: [(i64, &str, &str, &str); 7] = [
    (
        1,
        "init",
        include_str!("../../migrations/sqlite/0001_init.sql"),
        include_str!("../../migrations/postgres/0001_init.sql"),
    ),
    (
        2,
        "durable",
        include_str!("../../migrations/sqlite/0002_durable.sql"),
        include_str!("../../migrations/postgres/0002_durable.sql"),
    ),
    (
        3,
        "ledger",
        include_str!("../../migrations/sqlite/0003_ledger.sql"),
        include_str!("../../migrations/postgres/0003_ledger.sql"),
    ),
    (
        4,
        "watch",
        include_str!("../../migrations/sqlite/0004_watch.sql"),
        include_str!("../../migrations/postgres/0004_watch.sql"),
    ),
    (
        5,
        "trust",
        include_str!("../../migrations/sqlite/0005_trust.sql"),
        include_str!("../../migrations/postgres/0005_trust.sql"),
    ),
    (
        6,
        "outbox",
        include_str!("../../migrations/sqlite/0006_outbox.sql"),
        include_str!("../../migrations/postgres/0006_outbox.sql"),
    ),
    (
        7,
        "stops",
        include_str!("../../migrations/sqlite/0007_stops.sql"),
        include_str!("../../migrations/postgres/0007_stops.sql"),
    ),
];

/// Brings the database up to the newest schema.
pub(super) async fn migrate(conn: &mut Conn, url: &str) -> Result<(), StoreError> {
    migrate_to(conn, url, newest_known()).await
}

/// As [`migrate`], and no further than step `newest`.
pub(super) async fn migrate_to(conn: &mut Conn, url: &str, newest: i64) -> Result<(), StoreError> {
    let migrator = migrator(conn.dialect(), newest);
    let outcome = match &mut conn.raw {
        Raw::Sqlite(conn) => migrator.run_direct(None, conn, false).await,
        Raw::Postgres(conn) => migrator.run_direct(None, conn, false).await,
    };
    let refuse = |reason: String| Err(StoreError::Open { url: url.to_owned(), reason });
    match outcome {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(_)) => {
            if conn.fetch(query("SELECT value FROM counters WHERE name = 'event_seq'")).await.is_err() {
                return refuse("it holds the tables of another program; give Aegis a database of its own".into());
            }
            let newest = query("SELECT max(version) AS newest FROM _sqlx_migrations");
            let found = conn.fetch_one(newest).await?.int("newest")?;
            Err(StoreError::TooNew { url: url.to_owned(), found, known: newest_known() })
        }
        Err(MigrateError::VersionMismatch(step)) => refuse(format!(
            "step {step} of its schema is not this Aegis's own; restore a backup or use another database"
        )),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => match error.into() {
            // Lost connections and full disks keep their names.
            StoreError::Refused { reason } | StoreError::Corrupt { reason } => refuse(reason),
            other => Err(other),
        },
        Err(other) => refuse(other.to_string()),
    }
}

fn newest_known() -> i64 {
    STEPS.iter().map(|step| step.0).max().unwrap_or(0)
}

fn migrator(dialect: Dialect, newest: i64) -> Migrator {
    let steps = STEPS.iter().filter(|step| step.0 <= newest).map(|&(version, name, sqlite, postgres)| {
        let text = match dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        };
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}
