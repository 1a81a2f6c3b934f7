//! From a file to its pinned sources: the file and, through `require`, everything it leads to.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::base::quantity::show_size;
use crate::base::{Fault, ScriptPosition, limits};
use crate::lua::{Bundle, Engine};

/// A bundle, or why there is none; and in both cases every path that was looked for, so that a change of any of them
/// (a file that appears, too) is known to matter.
#[derive(Debug)]
pub struct Bundling {
    pub looked_for: BTreeSet<String>,
    pub result: Result<Bundle, Fault>,
}

/// Reads `file` (relative to `root`) and all that it requires. Blocking.
pub fn bundle(root: &Path, file: &str) -> Bundling {
    let mut looked_for = BTreeSet::from([file.to_owned()]);
    let result = gather(root, file, &mut looked_for).map(Bundle::new);
    Bundling { looked_for, result }
}

fn gather(root: &Path, file: &str, looked_for: &mut BTreeSet<String>) -> Result<Vec<(String, String)>, Fault> {
    let own = read(root, file).map_err(|error| unreadable(file, &error))?;
    let mut waiting: VecDeque<_> = Engine::requires(&own).into();
    let mut files = vec![(file.to_owned(), own)];
    let mut seen = BTreeSet::new();
    while let Some(required) = waiting.pop_front() {
        if !seen.insert(required.clone()) {
            continue;
        }
        for path in Engine::required_files(&required) {
            looked_for.insert(path.clone());
            let known = files.iter().any(|(name, _)| *name == path);
            match read(root, &path) {
                Ok(_) if known => break,
                Ok(source) => {
                    waiting.extend(Engine::requires(&source));
                    files.push((path, source));
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        if files.len() > limits::SCRIPT_REQUIRES_MAX + 1 {
            let message = format!("{file} requires more than {} files", limits::SCRIPT_REQUIRES_MAX);
            return Err(Fault::new("scripts.requires", message).hint("split the job or merge the files"));
        }
    }
    // The order in which requires are found must not make a difference to the version.
    files[1..].sort();
    Ok(files)
}

fn read(root: &Path, path: &str) -> io::Result<String> {
    let root = root.canonicalize()?;
    let target = root.join(path).canonicalize()?;
    if !target.starts_with(&root) {
        return Err(io::Error::other("it leads out of the scripts folder"));
    }
    // Not blocking: a pipe without a writer would hold the loader up for ever.
    let file =
        File::from(rustix::fs::open(target, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let most = limits::SCRIPT_SOURCE_BYTES_MAX;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("it is larger than {}", show_size(most as u64))));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))?;
    // Editors on Windows put a mark of the encoding first.
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

fn unreadable(path: &str, error: &io::Error) -> Fault {
    let fault = Fault::new("scripts.unreadable", format!("cannot read {path}: {error}"));
    let at = ScriptPosition { file: path.to_owned(), line: 1, column: None, text: None };
    match error.kind() {
        io::ErrorKind::PermissionDenied => fault.hint("let the daemon's user read it").at(at),
        _ => fault.at(at),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("lib")).expect("a folder");
        for (path, source) in files {
            fs::write(folder.path().join(path), source).expect("written");
        }
        folder
    }

    #[test]
    fn required_files_come_along_and_are_looked_for_where_there_are_none() {
        let files = [
            ("a.lua", "local b = require('@lib/b')\nlocal s = require('@std/health')"),
            ("lib/b.lua", "return { c = require('lib.c'), x = require('@lib/x') }"),
            ("lib/c.luau", "return require('@lib/b')"),
        ];
        let folder = folder(&files);
        let found = bundle(folder.path(), "a.lua");
        let pinned = found.result.expect("a bundle");
        assert_eq!(
            pinned.files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
            ["a.lua", "lib/b.lua", "lib/c.luau"]
        );
        for path in ["a.lua", "lib/b.lua", "lib/c.lua", "lib/c.luau", "lib/x.lua", "lib/x/init.luau"] {
            assert!(found.looked_for.contains(path), "{path}");
        }
    }

    #[test]
    fn a_pipe_is_refused_instead_of_waited_for() {
        let folder = folder(&[("a.lua", "return require('@lib/pipe')")]);
        let pipe = folder.path().join("lib/pipe.lua");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("a pipe");
        let (sender, receiver) = std::sync::mpsc::channel();
        let root = folder.path().to_owned();
        std::thread::spawn(move || sender.send(bundle(&root, "a.lua").result.expect_err("a pipe").message));
        let message = receiver.recv_timeout(std::time::Duration::from_secs(10)).expect("it does not wait");
        assert!(message.contains("lib/pipe.lua") && message.contains("not a regular file"), "{message}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let huge = "-".repeat(limits::SCRIPT_SOURCE_BYTES_MAX + 1);
        let folder = folder(&[("huge.lua", &huge)]);
        fs::write(folder.path().join("binary.lua"), b"return \xff").expect("written");
        let outside = tempfile::NamedTempFile::new().expect("a file");
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out.lua")).expect("a link");
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("pipe.lua"), rustix::fs::Mode::RUSR).expect("a pipe");
        for (file, says) in [
            ("huge.lua", "larger than 256.0 KiB"),
            ("binary.lua", "not UTF-8"),
            ("out.lua", "leads out"),
            ("pipe.lua", "it is not a regular file"),
        ] {
            let fault = bundle(folder.path(), file).result.expect_err(file);
            assert!(fault.message.contains(file) && fault.message.contains(says), "{fault}");
        }
    }
}
