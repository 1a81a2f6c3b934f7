//! What is in the scripts folder: names and stamps, without reading a file.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::{Fault, limits};

/// Changes whenever a file's content may have changed. Of the file that a symlink leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file was written so shortly before `now` that another write could leave the stamp as it is: file
    /// systems keep time in ticks.
    pub fn is_fresh(&self, now: crate::base::Timestamp) -> bool {
        let age_ns = now.as_nanosecond() - self.changed_ns.max(self.modified_ns);
        // A date in the future is not a writing just now; it may stay there for years.
        let settles_ns = limits::RELOAD_STAMP_SETTLES.as_nanos() as i128;
        (-settles_ns..settles_ns).contains(&age_ns)
    }
}

/// One look at the folder.
#[derive(Debug, Default)]
pub struct Scan {
    /// By path relative to the folder, `/` between its parts: jobs and shared code.
    pub files: BTreeMap<String, Stamp>,
    /// `(path, what is wrong)`.
    pub problems: Vec<(String, Fault)>,
}

/// Whether a scanned file declares a job; the others are shared code.
pub fn is_job(path: &str) -> bool {
    !path.starts_with("lib/")
}

/// Looks at the folder and the folders in it. Hidden names, tests (`*_test.lua`) and other kinds of files are passed
/// over; symlinks are followed as long as they stay inside.
///
/// # Errors
/// The folder itself cannot be read.
pub fn scan(root: &Path) -> Result<Scan, Fault> {
    let canonical = root.canonicalize().map_err(|error| unreadable(root, &error))?;
    let mut walk = Walk { root: canonical.clone(), found: Scan::default(), ancestors: Vec::new() };
    walk.folder(&canonical, "").map_err(|error| unreadable(root, &error))?;
    Ok(walk.found)
}

fn unreadable(root: &Path, error: &io::Error) -> Fault {
    let fault = Fault::new("scripts.unreadable", format!("cannot read the scripts folder {}: {error}", root.display()));
    match error.kind() {
        io::ErrorKind::NotFound => fault.hint("create it, or set scripts.dir; jobs that were loaded go on"),
        io::ErrorKind::PermissionDenied => fault.hint("let the daemon's user read and enter it; loaded jobs go on"),
        _ => fault.hint("jobs that were loaded go on"),
    }
}

struct Walk {
    root: PathBuf,
    found: Scan,
    /// Device and inode of the folders above, so that a symlink to one of them is not entered again.
    ancestors: Vec<(u64, u64)>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        let metadata = fs::metadata(folder)?;
        let identity = (metadata.dev(), metadata.ino());
        if self.ancestors.contains(&identity) {
            return Ok(());
        }
        let entries = fs::read_dir(folder)?;
        self.ancestors.push(identity);
        for entry in entries {
            let entry = entry?;
            match entry.file_name().to_str() {
                Some(name) if name.starts_with('.') => {}
                Some(name) => self.entry(&entry, &format!("{prefix}{name}")),
                None => {
                    let fault = Fault::new("scripts.name", "the file's name is not UTF-8").hint("rename it");
                    self.problem(format!("{prefix}{}", entry.file_name().to_string_lossy()), fault);
                }
            }
        }
        self.ancestors.pop();
        Ok(())
    }

    fn entry(&mut self, entry: &fs::DirEntry, path: &str) {
        if self.found.files.len() >= limits::SCRIPT_FILES_MAX {
            return self.too_many();
        }
        let Ok(kind) = entry.file_type() else { return };
        if kind.is_file() && !is_script(path) {
            return;
        }
        let target = if kind.is_symlink() { self.inside(&entry.path()) } else { Ok(entry.path()) };
        let metadata = target.and_then(|target| Ok((fs::metadata(&target)?, target)));
        match metadata {
            Ok((metadata, target)) if metadata.is_dir() => self.subfolder(&target, path),
            Ok((metadata, _)) if metadata.is_file() && is_script(path) => {
                self.found.files.insert(path.to_owned(), Stamp::of(&metadata));
            }
            Ok(_) => {}
            // It went away between two looks, or is a symlink to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !kind.is_symlink() => {}
            Err(error) if is_script(path) || kind.is_dir() => {
                let fault = Fault::new("scripts.unreadable", format!("cannot look at {path}: {error}"));
                self.problem(path.to_owned(), fault.hint("check where it leads and who may read it"));
            }
            Err(_) => {}
        }
    }

    fn subfolder(&mut self, target: &Path, path: &str) {
        if self.ancestors.len() > limits::SCRIPT_FOLDERS_DEPTH_MAX {
            let message = format!("{path} is nested deeper than {} folders", limits::SCRIPT_FOLDERS_DEPTH_MAX);
            self.problem(path.to_owned(), Fault::new("scripts.too_deep", message));
        } else if let Err(error) = self.folder(target, &format!("{path}/")) {
            let fault = Fault::new("scripts.unreadable", format!("cannot read the folder {path}: {error}"));
            self.problem(path.to_owned(), fault.hint("let the daemon's user read and enter it"));
        }
    }

    /// Where a symlink leads, if that is inside the folder.
    fn inside(&self, link: &Path) -> io::Result<PathBuf> {
        let target = link.canonicalize()?;
        if target.starts_with(&self.root) {
            Ok(target)
        } else {
            Err(io::Error::other(format!("it leads out of the scripts folder, to {}", target.display())))
        }
    }

    fn problem(&mut self, path: String, fault: Fault) {
        self.found.problems.push((path, fault));
    }

    fn too_many(&mut self) {
        let message = format!("there are more than {} scripts; the others are not loaded", limits::SCRIPT_FILES_MAX);
        let fault = Fault::new("scripts.too_many", message).hint("split them over several daemons or remove some");
        if !self.found.problems.iter().any(|(_, known)| *known == fault) {
            self.problem(".".to_owned(), fault);
        }
    }
}

fn is_script(path: &str) -> bool {
    let stem = path.strip_suffix(".lua").or_else(|| path.strip_suffix(".luau"));
    stem.is_some_and(|stem| !stem.ends_with("_test"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, "return 1").expect("a file");
        }
        folder
    }

    #[test]
    fn scripts_are_found_and_other_files_passed_over() {
        let files = ["a.lua", "b.luau", "sub/c.lua", "lib/d.lua", "a_test.lua", ".x.lua", ".git/e.lua", "README.md"];
        let folder = tree(&files);
        let found = scan(folder.path()).expect("readable");
        let names: Vec<_> = found.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.lua", "b.luau", "lib/d.lua", "sub/c.lua"]);
        assert!(found.problems.is_empty());
        assert_eq!(names.iter().filter(|name| is_job(name)).count(), 3);
    }

    #[test]
    fn symlinks_are_followed_inside_only() {
        let folder = tree(&["..release/a.lua", "b.lua"]);
        let outside = tree(&["secret.lua"]);
        symlink("..release", folder.path().join("..data")).expect("a link");
        symlink("..data/a.lua", folder.path().join("a.lua")).expect("a link");
        symlink(outside.path().join("secret.lua"), folder.path().join("out.lua")).expect("a link");
        symlink("nowhere.lua", folder.path().join("dangling.lua")).expect("a link");
        symlink(".", folder.path().join("loop")).expect("a link");
        let found = scan(folder.path()).expect("readable");
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["a.lua", "b.lua"]);
        let mut problems: Vec<_> = found.problems.iter().map(|(path, fault)| (path.as_str(), &fault.message)).collect();
        problems.sort();
        assert_eq!(problems.iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["dangling.lua", "out.lua"]);
        assert!(problems[1].1.contains("leads out of the scripts folder"), "{problems:?}");
    }

    #[test]
    fn a_stamp_changes_with_the_file_and_with_what_a_link_leads_to() {
        let folder = tree(&["one/a.lua", "two/a.lua"]);
        let link = folder.path().join("a.lua");
        symlink("one/a.lua", &link).expect("a link");
        let stamp = || scan(folder.path()).expect("readable").files["a.lua"];
        let first = stamp();
        assert_eq!(stamp(), first);
        fs::remove_file(&link).expect("removed");
        symlink("two/a.lua", &link).expect("a link");
        assert_ne!(stamp(), first);
    }

    #[test]
    fn only_what_was_written_just_now_is_fresh() {
        let folder = tree(&["a.lua"]);
        let stamp = scan(folder.path()).expect("readable").files["a.lua"];
        let written =
            crate::base::Timestamp::from_nanosecond(stamp.modified_ns.max(stamp.changed_ns)).expect("in range");
        let minute = std::time::Duration::from_secs(60);
        assert!(stamp.is_fresh(written));
        assert!(!stamp.is_fresh(crate::base::clock::later(written, minute)));
        assert!(!stamp.is_fresh(crate::base::clock::earlier(written, minute)), "dated in the future");
    }

    #[test]
    fn a_missing_folder_is_a_fault_with_its_path() {
        let fault = scan(Path::new("/nonexistent/scripts")).expect_err("missing");
        assert_eq!(fault.code, "scripts.unreadable");
        assert!(fault.message.contains("/nonexistent/scripts") && fault.hint.is_some());
    }
}
