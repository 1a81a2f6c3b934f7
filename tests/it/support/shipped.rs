//! The scripts that are shipped, as an operator puts them to use.

use std::fs;
use std::path::{Path, PathBuf};

use super::app::Builder;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

impl Builder {
    /// A shipped script with the library that it needs. `changes` are what an operator writes in place of something
    /// that stands in them, such as hosts.
    #[must_use]
    pub fn shipped(self, name: &str, changes: &[(&str, &str)]) -> Self {
        let mut files = vec![format!("{name}.lua")];
        for entry in fs::read_dir(folder().join("lib")).expect("the library").flatten() {
            files.push(format!("lib/{}", entry.file_name().to_string_lossy()));
        }
        let read = |file: &String| fs::read_to_string(folder().join(file)).expect("a shipped script");
        let mut sources: Vec<String> = files.iter().map(read).collect();
        for (from, to) in changes {
            assert!(sources.iter().any(|source| source.contains(from)), "{name} has no {from:?} any more");
            sources.iter_mut().for_each(|source| *source = source.replace(from, to));
        }
        files.iter().zip(sources).fold(self, |builder, (file, source)| builder.script(file, source))
    }
}
