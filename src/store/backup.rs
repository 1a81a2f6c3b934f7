//! Backups of a store that is in use. A backup is always one SQLite file of the current schema, whichever database it
//! was taken from.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::handle::Store;
use super::sql::{Conn, query};
use super::target::{Target, connect_draft};
use super::{StoreError, copy, schema};
use crate::base::RunId;

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// Writes everything that is committed now into a new file at `to`, readable by its owner only, and returns its
    /// size in bytes. Writes go on meanwhile. The file appears when it is complete and on disk.
    ///
    /// # Errors
    /// Refused when `to` exists, or its folder cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<u64> {
        let draft = Draft::beside(to)?;
        match self.target().file() {
            Some(_) => vacuum_into(&mut self.target().connect_reader().await?, draft.path()).await?,
            None => copy_into(self.target(), draft.path()).await?,
        }
        draft.publish(to).await
    }
}

/// A compact copy of a SQLite database as it is at one moment.
pub(super) async fn vacuum_into(conn: &mut Conn, to: &Path) -> Result<()> {
    let name = to.to_str().ok_or_else(|| refused(to, "its name is not UTF-8; choose another one"))?;
    conn.execute(query("VACUUM INTO $1").bind(name)).await.map(drop)
}

/// Everything that one moment's transaction on PostgreSQL sees.
async fn copy_into(target: &Target, to: &Path) -> Result<()> {
    let mut from = target.connect_reader().await?;
    let mut file = connect_draft(to).await?;
    schema::migrate(&mut file, &to.display().to_string()).await?;
    let tables = copy::tables().await?;
    from.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    file.run("BEGIN").await?;
    copy::copy(&mut from, &mut file, &tables).await?;
    file.run("COMMIT").await?;
    file.close().await?;
    from.run("COMMIT").await?;
    from.close().await
}

/// A file under a name that nobody looks for; it goes away unless it is published.
#[derive(Debug)]
pub(super) struct Draft(PathBuf);

impl Draft {
    /// Makes an empty file beside `to`, where there must be none.
    pub fn beside(to: &Path) -> Result<Self> {
        if to.symlink_metadata().is_ok() {
            return Err(exists(to));
        }
        let Some(name) = to.file_name() else { return Err(refused(to, "it names no file")) };
        let mut name = name.to_owned();
        name.push(format!(".{}.part", RunId::generate()));
        Self::at(to.with_file_name(name))
    }

    /// Makes an empty file, readable by its owner only.
    pub fn at(path: PathBuf) -> Result<Self> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| failed(&path, &error))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it its name once it is on disk. A file that has come to be there meanwhile is left alone.
    pub async fn publish(self, to: &Path) -> Result<u64> {
        let to = to.to_owned();
        let published = tokio::task::spawn_blocking(move || {
            let file = File::open(&self.0).map_err(|error| failed(&self.0, &error))?;
            file.sync_all().map_err(|error| failed(&self.0, &error))?;
            let bytes = file.metadata().map_err(|error| failed(&self.0, &error))?.len();
            rename_new(&self.0, &to)?;
            sync_folder(&to)?;
            Ok(bytes)
        });
        published.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.0.display(), %error, "an unfinished file stays behind");
            }
            _ => {}
        }
    }
}

fn rename_new(from: &Path, to: &Path) -> Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(exists(to)),
        // A file system that cannot promise it; that there was none was looked at before.
        Err(Errno::INVAL | Errno::NOSYS) => std::fs::rename(from, to).map_err(|error| failed(to, &error)),
        Err(error) => Err(failed(to, &error.into())),
    }
}

/// Makes the names in a file's folder survive a loss of power.
pub(super) fn sync_folder(file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, &error))
}

fn exists(path: &Path) -> StoreError {
    refused(path, "it exists already; choose another name, or remove it")
}

pub(super) fn refused(path: &Path, reason: &str) -> StoreError {
    StoreError::Refused { reason: format!("{}: {reason}", path.display()) }
}

pub(super) fn failed(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::DiskFull,
        _ => refused(path, &format!("{error}; choose a place that this user may write")),
    }
}
