//! Where lines are remembered: a file of the user's own.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::limits;

/// `$XDG_STATE_HOME/aegis/console_history`, by default below `~/.local/state`. None when there is no home.
fn path() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("aegis/console_history"))
}

/// The history. None when no file can be kept, which is no reason not to work.
pub(super) fn open() -> Option<reedline::FileBackedHistory> {
    let path = path()?;
    make_private(&path).ok()?;
    reedline::FileBackedHistory::with_file(limits::CONSOLE_HISTORY_LINES_MAX, path).ok()
}

/// Makes the file, or takes it back from others: lines may hold what is nobody else's business.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_the_users_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("aegis/console_history");
        for _ in 0..2 {
            make_private(&path).expect("it is made");
            let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opened up");
        }
    }
}
