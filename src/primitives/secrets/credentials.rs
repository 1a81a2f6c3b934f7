//! systemd's credentials: a folder with a file for each, which the manager makes for the unit and nobody changes.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::SecretError;
use super::files::{self, Readers, Stamp};
use super::setting::is_name;
use super::source::{Entry, Values};
use crate::base::limits;

/// The files of the folder, by their names; others than those that can be secrets are left out.
pub fn read(folder: &Path) -> Result<Values, SecretError> {
    let mut values = BTreeMap::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        let content = files::read(&path, Readers::Group)?;
        let text = String::from_utf8(content).map_err(|_| SecretError::Value {
            name: name.clone(),
            problem: format!("in {} is not UTF-8 text: encode it, in base64 say", path.display()),
        })?;
        // The line's end belongs to the editor that wrote it.
        let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        let entry = Entry { value: text.into(), at: files::written_at(&path) };
        values.insert(name, entry);
    }
    Ok(values)
}

/// Of the folder and all that is in it.
pub fn stamps(folder: &Path) -> Vec<Option<Stamp>> {
    let of_files = names(folder).unwrap_or_default().into_iter().map(|name| Stamp::of(&folder.join(name)));
    std::iter::once(Stamp::of(folder)).chain(of_files).collect()
}

fn names(folder: &Path) -> Result<Vec<String>, SecretError> {
    let failed = |problem: std::io::Error| SecretError::Read { path: folder.to_owned(), problem: problem.to_string() };
    let mut names = Vec::new();
    for found in std::fs::read_dir(folder).map_err(failed)? {
        let found = found.map_err(failed)?;
        let name = found.file_name().to_string_lossy().into_owned();
        if is_name(&name) && found.path().is_file() {
            names.push(name);
        }
        if names.len() > limits::SECRETS_MAX {
            let problem = format!("more than {} credentials", limits::SECRETS_MAX);
            return Err(SecretError::Size { path: folder.to_owned(), problem });
        }
    }
    names.sort();
    Ok(names)
}
