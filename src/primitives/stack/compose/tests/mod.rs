//! The loader as a whole, on files in memory.

mod files;
mod mangled;
mod merging;
mod problems;
mod shown;
mod variables;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Entry, FileProblem, Files, Loaded, Options, Problem, load};

/// Files by path.
#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, FileProblem> {
        self.0.get(path).cloned().ok_or(FileProblem::Missing)
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        if self.0.contains_key(path) {
            return Some(Entry::File);
        }
        let folder = format!("{path}/");
        self.0.keys().any(|file| file.starts_with(&folder)).then_some(Entry::Folder)
    }
}

/// Loads the stack in `/srv/shop` of these files, given by their paths in it.
fn try_load(files: &[(&str, &str)], change: impl FnOnce(&mut Options)) -> Result<Loaded, Problem> {
    let in_folder = |path: &str| super::files_path::join("/srv/shop", path);
    let memory = Memory(files.iter().map(|(path, text)| (in_folder(path), text.as_bytes().to_vec())).collect());
    let mut options = Options { folder: "/srv/shop".into(), home: Some("/home/ops".into()), ..Options::default() };
    change(&mut options);
    load(&memory, &options)
}

/// One file, which must load, as it is shown.
fn shown(text: &str) -> Value {
    shown_of(&[("compose.yaml", text)])
}

fn shown_of(files: &[(&str, &str)]) -> Value {
    let loaded = try_load(files, |_| {}).unwrap_or_else(|problem| panic!("{problem}"));
    loaded.project.to_json().expect("JSON")
}

/// The service `web` of a file that has its keys alone, as they are shown.
fn web(keys: &str) -> Value {
    let indented: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    let mut shown = shown(&format!("services:\n  web:\n    image: web:1\n{indented}\n{EXTRAS}"));
    shown["services"]["web"].take()
}

/// What services of tests may refer to.
const EXTRAS: &str = "
networks: { front: {}, back: {} }
volumes: { data: {} }
configs: { site: { file: ./site.conf } }
secrets: { key: { file: ./key } }
";

/// What is said about a file that must not load.
fn refused(text: &str) -> String {
    match try_load(&[("compose.yaml", text)], |_| {}) {
        Ok(loaded) => panic!("it loads: {:?}", loaded.project),
        Err(problem) => problem.to_string(),
    }
}
