//! What the operator has named for scripts: the roots of files, and programs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Access;

use super::Finding;
use crate::config::Config;

/// One finding for each; none where nothing is configured.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let roots = config.fs.roots.iter().map(|(name, folder)| root(name, folder));
    let programs = config.process.programs.iter().map(|(name, file)| program(name, file));
    roots.chain(programs).collect()
}

fn root(name: &str, folder: &Path) -> Finding {
    let (what, shown) = ("files", format!("the root {name}, {}", folder.display()));
    if !folder.is_dir() {
        return Finding::problem(what, format!("{shown} is no folder"), "create it, or correct fs.roots");
    }
    match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(what, shown),
        Err(_) => {
            let fix = "chown it to the daemon's user if jobs are to write there";
            Finding::warning(what, format!("{shown} cannot be written by this user"), fix)
        }
    }
}

fn program(name: &str, file: &Path) -> Finding {
    let (what, shown) = ("program", format!("{name}, {}", file.display()));
    match std::fs::metadata(file) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Finding::ok(what, shown),
        _ => Finding::problem(what, format!("{shown} is no program"), "install it, or correct process.programs"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn what_is_named_and_not_there_is_a_problem() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        assert!(check(&config).is_empty());
        config.fs.roots.insert("good".into(), dir.path().to_owned());
        config.fs.roots.insert("missing".into(), dir.path().join("missing"));
        config.process.programs.insert("good".into(), "/bin/sh".into());
        config.process.programs.insert("plain".into(), "/etc/passwd".into());
        let verdicts: Vec<_> = check(&config).into_iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Problem, Verdict::Ok, Verdict::Problem]);
    }
}
