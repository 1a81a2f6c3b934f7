//! One source of secrets: what it holds, and when it has to be read again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::age_store::AgeStore;
use super::error::SecretError;
use super::files::{self, Readers, Stamp};
use super::{credentials, env_file};
use crate::base::{SecretString, Timestamp, limits};

/// Where a secret comes from, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    EnvFile,
    Credentials,
    Store,
    OpenBao,
}

impl SourceKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EnvFile => "environment file",
            Self::Credentials => "systemd credential",
            Self::Store => "store",
            Self::OpenBao => "openbao",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub value: SecretString,
    /// When it was set, as far as the source knows.
    pub at: Option<Timestamp>,
}

pub type Values = BTreeMap<String, Entry>;

/// A source on disk.
#[derive(Debug, Clone)]
pub enum Place {
    EnvFile(PathBuf),
    Credentials(PathBuf),
    Store(AgeStore),
}

impl Place {
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::EnvFile(_) => SourceKind::EnvFile,
            Self::Credentials(_) => SourceKind::Credentials,
            Self::Store(_) => SourceKind::Store,
        }
    }

    fn read(&self) -> Result<Values, SecretError> {
        match self {
            Self::EnvFile(path) => {
                let content = files::read(path, Readers::Nobody)?;
                let syntax =
                    |line, problem: &str| SecretError::Syntax { path: path.clone(), line, problem: problem.to_owned() };
                let text = std::str::from_utf8(&content).map_err(|_| syntax(1, "the file is not UTF-8 text"))?;
                let values = env_file::parse(text).map_err(|(line, problem)| syntax(line, problem))?;
                let at = files::written_at(path);
                Ok(values.into_iter().map(|(name, value)| (name, Entry { value: value.into(), at })).collect())
            }
            Self::Credentials(folder) => credentials::read(folder),
            Self::Store(store) => store.read(),
        }
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        match self {
            Self::EnvFile(path) => vec![Stamp::of(path)],
            Self::Credentials(folder) => credentials::stamps(folder),
            Self::Store(store) => vec![Stamp::of(store.file()), Stamp::of(store.identity())],
        }
    }
}

/// A source with what was read from it.
#[derive(Debug)]
pub struct Source {
    pub place: Place,
    stamps: Option<Vec<Option<Stamp>>>,
    pub values: Values,
    /// Why the last reading failed; the values are then those of the one before.
    pub problem: Option<SecretError>,
}

impl Source {
    pub fn new(place: Place) -> Self {
        Self { place, stamps: None, values: Values::new(), problem: None }
    }

    /// Reads it again if it changed. True when it did.
    pub fn look(&mut self) -> bool {
        // Before it is read: what changes meanwhile is seen the next time.
        let stamps = self.place.stamps();
        if self.stamps.as_ref() == Some(&stamps) {
            return false;
        }
        self.stamps = Some(stamps);
        match self.place.read().and_then(|values| checked(values, self.place.kind())) {
            Ok(values) => (self.values, self.problem) = (values, None),
            Err(problem) => self.problem = Some(problem),
        }
        true
    }
}

/// Values within their bounds.
pub fn checked(values: Values, kind: SourceKind) -> Result<Values, SecretError> {
    use crate::base::ExposeSecret;
    let too_long = |(_, entry): &(&String, &Entry)| entry.value.expose_secret().len() > limits::SECRET_VALUE_BYTES_MAX;
    if let Some((name, _)) = values.iter().find(too_long) {
        let problem = format!("is longer than {} bytes", limits::SECRET_VALUE_BYTES_MAX);
        return Err(SecretError::Value { name: name.clone(), problem });
    }
    if values.len() > limits::SECRETS_MAX {
        let problem = format!("more than {} secrets", limits::SECRETS_MAX);
        return Err(SecretError::Size { path: kind.as_str().into(), problem });
    }
    Ok(values)
}
