//! The database and the scripts folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Access;

use super::Finding;
use crate::base::quantity;
use crate::config::redact_urls;

/// Less free space than this and history, logs and the write-ahead log soon have none.
const FREE_BYTES_MIN: u64 = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn database(url: &str) -> Finding {
    match url.strip_prefix("sqlite:") {
        Some(":memory:") => {
            Finding::warning("database", "kept in memory", "its history ends with the daemon: set store.url")
        }
        Some(path) => sqlite(Path::new(path.trim_start_matches("//").split('?').next().unwrap_or_default())),
        None => postgres(url).await,
    }
}

/// Whether the file, or else the first directory above it that is there, can be written.
fn sqlite(path: &Path) -> Finding {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there: PathBuf = absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    let shown = there.display();
    if rustix::fs::access(&there, Access::WRITE_OK).is_err() {
        return Finding::problem(
            "database",
            format!("{shown} cannot be written by this user"),
            format!("chown it to the daemon's user, or set store.url; the database is {}", path.display()),
        );
    }
    let free = rustix::fs::statvfs(&there).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let found = format!("SQLite, {}, {} free", path.display(), quantity::show_size(free));
    match free {
        ..FREE_BYTES_MIN => Finding::warning("database", found, "free space on this disk, or shorten retention"),
        _ => Finding::ok("database", found),
    }
}

/// Whether the server's address accepts connections; what it then says is the daemon's to find out.
async fn postgres(url: &str) -> Finding {
    let shown = redact_urls(url);
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str()).filter(|host| !host.is_empty());
    let Some(host) = host else {
        return Finding::warning(
            "database",
            format!("{shown} names no host"),
            "a socket directory cannot be checked from here",
        );
    };
    let port = parsed.as_ref().and_then(url::Url::port).unwrap_or(5432);
    match tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Finding::ok("database", format!("PostgreSQL, {shown}")),
        Ok(Err(error)) => Finding::problem(
            "database",
            format!("{host}:{port} cannot be reached: {error}"),
            "start PostgreSQL, or correct DATABASE_URL or store.url",
        ),
        Err(_) => Finding::problem(
            "database",
            format!("{host}:{port} does not answer within {PATIENCE:?}"),
            "look for a firewall between, or correct DATABASE_URL or store.url",
        ),
    }
}

pub(super) fn scripts(dir: &Path) -> Finding {
    let shown = dir.display();
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            let is_script =
                |path: PathBuf| path.extension().is_some_and(|extension| extension == "lua" || extension == "luau");
            let count = entries.flatten().filter(|entry| is_script(entry.path())).count();
            Finding::ok("scripts", format!("{shown}, {count} files"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Finding::problem(
            "scripts",
            format!("{shown} is not there"),
            "make it with `aegis init`, or set scripts.dir",
        ),
        Err(error) => Finding::problem(
            "scripts",
            format!("{shown} cannot be read: {error}"),
            "let the daemon's user read and enter it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[tokio::test]
    async fn databases_are_judged_without_being_touched() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("new/aegis.db");
        let finding = database(&format!("sqlite://{}", file.display())).await;
        assert_ne!(finding.verdict, Verdict::Problem, "{finding:?}");
        assert!(!file.exists());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        assert_eq!(database(&format!("postgres://u:p@127.0.0.1:{port}/x")).await.verdict, Verdict::Ok);
        drop(listener);
        let gone = database(&format!("postgres://u:secret@127.0.0.1:{port}/x")).await;
        assert!(gone.verdict == Verdict::Problem && !gone.found.contains("secret"), "{gone:?}");
    }

    #[test]
    fn a_missing_folder_has_a_fix() {
        let finding = scripts(Path::new("/nowhere/scripts"));
        assert!(finding.verdict == Verdict::Problem && finding.fix.is_some_and(|fix| fix.contains("aegis init")));
    }
}
