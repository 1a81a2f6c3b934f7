//! From a file to its pinned sources: the file and, through `require`, everything it leads to.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

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
        for path in candidates(&required) {
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

/// Where the file of `@lib/name` or `lib.name` may be. None for the shipped library and for what is no such path:
/// the runtime says what is wrong with it.
fn candidates(required: &str) -> Vec<String> {
    let inside = match required.strip_prefix("@lib/") {
        Some(inside) => inside.to_owned(),
        None => match required.strip_prefix("lib.") {
            Some(dotted) => dotted.replace('.', "/"),
            None => return Vec::new(),
        },
    };
    let legal = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
    if !inside.split('/').all(legal) {
        return Vec::new();
    }
    [".lua", ".luau", "/init.lua", "/init.luau"].map(|ending| format!("lib/{inside}{ending}")).to_vec()
}

fn read(root: &Path, path: &str) -> io::Result<String> {
    let root = root.canonicalize()?;
    let target = root.join(path).canonicalize()?;
    if !target.starts_with(&root) {
        return Err(io::Error::other("it leads out of the scripts folder"));
    }
    let file = File::open(target)?;
    let most = limits::SCRIPT_SOURCE_BYTES_MAX;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("it is larger than {}", show_size(most as u64))));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
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
    use super::*;

    #[test]
    fn a_required_name_leads_only_into_lib() {
        assert_eq!(candidates("@lib/a/b")[..2], ["lib/a/b.lua", "lib/a/b.luau"]);
        assert_eq!(candidates("lib.a.b")[0], "lib/a/b.lua");
        for other in ["@std/health", "@lib/../../etc/passwd", "@lib/", "lib..x", "@lib/.git/x", "name"] {
            assert_eq!(candidates(other), Vec::<String>::new(), "{other}");
        }
    }
}
