//! Putting a backup in the place of a database that no daemon works on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::backup::{Draft, failed, refused, sync_folder, vacuum_into};
use super::link::LOCK;
use super::sql::{Conn, query};
use super::target::{Target, connect_draft, connect_source};
use super::{StoreError, copy, schema};
use crate::base::{RunId, Timestamp};

type Result<T> = std::result::Result<T, StoreError>;

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the SQLite database that was there before is now.
    pub kept: Option<PathBuf>,
}

/// Puts the backup at `from` in the place of the database at `url`. A SQLite database that is there is kept aside, named
/// after `now`; what is in a PostgreSQL database is replaced in one transaction. Leases of daemons are not restored.
///
/// # Errors
/// When `from` is damaged, is no backup or was written by a newer Aegis; when a daemon works on the database. Then
/// nothing has changed.
pub async fn restore(url: &str, from: &Path, now: Timestamp) -> Result<Restored> {
    let target = Target::parse(url)?;
    match target.file() {
        Some(file) => restore_file(&target, file, from, now).await,
        None => restore_server(&target, from).await,
    }
}

async fn restore_file(target: &Target, file: &Path, from: &Path, now: Timestamp) -> Result<Restored> {
    let is_new = !file.exists();
    let lock = target.prepare()?;
    let kept = (!is_new).then(|| with_suffix(file, &format!(".before-restore-{}", now.strftime("%Y%m%dT%H%M%S%fZ"))));
    let draft = Draft::at(with_suffix(file, &format!(".restore-{}", RunId::generate())))?;
    prepare_copy(from, draft.path()).await?;
    match &kept {
        Some(kept) => set_aside(target, file, kept).await?,
        // What `prepare` has just made.
        None => std::fs::remove_file(file).map_err(|error| failed(file, &error))?,
    }
    draft.publish(file).await?;
    sync_folder(file)?;
    drop(lock);
    Ok(Restored { kept })
}

/// Gives the database and what belongs to it other names: all of them or, when one cannot be had, none.
async fn set_aside(target: &Target, file: &Path, kept: &Path) -> Result<()> {
    // With the last commits in the file itself nothing depends on the log beside it. A database that is too damaged for
    // that is kept as it is.
    if let Ok(mut old) = target.connect().await {
        let moved = old.fetch(query("PRAGMA wal_checkpoint(TRUNCATE)")).await;
        let closed = old.close().await;
        if let Err(error) = moved.and(closed) {
            tracing::warn!(file = %file.display(), %error, "the old database's log could not be moved into it");
        }
    }
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    for ending in ["-wal", "-shm", ""] {
        let (old, aside) = (with_suffix(file, ending), with_suffix(kept, ending));
        match std::fs::rename(&old, &aside) {
            Ok(()) => moved.push((old, aside)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !ending.is_empty() => {}
            Err(error) => {
                for (old, aside) in moved.iter().rev() {
                    if let Err(error) = std::fs::rename(aside, old) {
                        tracing::error!(file = %aside.display(), %error, "it could not be given back its name");
                    }
                }
                return Err(failed(&old, &error));
            }
        }
    }
    Ok(())
}

async fn restore_server(target: &Target, from: &Path) -> Result<Restored> {
    let draft = Draft::at(std::env::temp_dir().join(format!("aegis-restore-{}.db", RunId::generate())))?;
    prepare_copy(from, draft.path()).await?;
    let mut source = connect_source(draft.path()).await?;
    let tables = copy::tables().await?;
    let mut conn = target.connect().await?;
    schema::migrate(&mut conn, &target.url).await?;
    refuse_company(&mut conn, target).await?;
    conn.run("BEGIN").await?;
    conn.fetch_one(query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT) AS held").bind(LOCK)).await?;
    source.run("BEGIN").await?;
    copy::copy(&mut source, &mut conn, &tables).await?;
    conn.run("COMMIT").await?;
    conn.run("ANALYZE").await?;
    source.close().await?;
    conn.close().await?;
    Ok(Restored { kept: None })
}

/// A daemon would go on with what it remembers of the database that is replaced.
async fn refuse_company(conn: &mut Conn, target: &Target) -> Result<()> {
    let others = query(
        "SELECT count(*) AS others FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'aegis' AND pid <> pg_backend_pid()",
    );
    if conn.fetch_one(others).await?.int("others")? == 0 {
        return Ok(());
    }
    let reason = "an Aegis daemon is connected to it; stop all daemons that use it and restore again".to_owned();
    Err(StoreError::Open { url: target.url.clone(), reason })
}

/// A sound copy of the backup, brought up to the current schema.
async fn prepare_copy(from: &Path, to: &Path) -> Result<()> {
    let shown = from.display().to_string();
    if !from.is_file() {
        return Err(refused(from, "there is no such file; name a file that `aegis backup` has written"));
    }
    let mut source = connect_source(from).await.map_err(|error| damaged(from, &error.to_string()))?;
    check(&mut source, from).await?;
    vacuum_into(&mut source, to).await?;
    source.close().await?;
    let mut copy = connect_draft(to).await?;
    schema::migrate(&mut copy, &shown).await?;
    copy.execute(query("DELETE FROM nodes")).await?;
    copy.close().await
}

/// Whether the file is whole and is ours.
async fn check(source: &mut Conn, from: &Path) -> Result<()> {
    let whole = source.fetch_one(query("PRAGMA integrity_check")).await.and_then(|row| row.text("integrity_check"));
    match whole.map_err(|error| damaged(from, &error.to_string()))? {
        text if text == "ok" => {}
        text => return Err(damaged(from, &text)),
    }
    let ours = query("SELECT count(*) AS found FROM sqlite_master WHERE name = '_sqlx_migrations'");
    if source.fetch_one(ours).await?.int("found")? == 0 {
        return Err(damaged(from, "it holds something else"));
    }
    Ok(())
}

fn damaged(from: &Path, reason: &str) -> StoreError {
    let reason = format!("{} is damaged or no backup ({reason}); use another one", from.display());
    StoreError::Corrupt { reason }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
