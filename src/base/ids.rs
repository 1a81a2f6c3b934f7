//! Names and numbers that identify things.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::limits;

/// A run's identity: a ULID in lower case, so that ids sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(Ulid);

impl RunId {
    /// An id of a test's choice.
    #[cfg(test)]
    pub fn from_number(number: u128) -> Self {
        Self(Ulid(number))
    }

    /// A new id. Ids of different milliseconds sort by time.
    pub fn generate() -> Self {
        Self(Ulid::generate())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; ulid::ULID_LEN];
        let text = self.0.array_to_str(&mut buffer);
        text.make_ascii_lowercase();
        f.write_str(text)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a run id: expected 26 characters such as 01jd3v7h6w2k9qexample0abcd")]
pub struct BadRunId(String);

impl FromStr for RunId {
    type Err = BadRunId;

    fn from_str(text: &str) -> Result<Self, BadRunId> {
        Ulid::from_string(text).map(Self).map_err(|_| BadRunId(text.chars().take(64).collect()))
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A job's name: 1 to 100 of `a-z A-Z 0-9 _ - .`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct JobName(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a job name: use 1 to {max} of letters, digits, '_', '-' and '.', beginning with a letter or digit",
    max = limits::JOB_NAME_BYTES_MAX
)]
pub struct BadJobName(String);

impl JobName {
    /// The name under which lines typed into a console are recorded. No file can claim it.
    pub fn console() -> Self {
        Self(Arc::from("(console)"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobName {
    type Err = BadJobName;

    fn from_str(text: &str) -> Result<Self, BadJobName> {
        let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
        let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if text == "(console)" || starts_well && text.len() <= limits::JOB_NAME_BYTES_MAX && text.bytes().all(legal) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(BadJobName(text.chars().take(120).collect()))
        }
    }
}

impl<'de> Deserialize<'de> for JobName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// BLAKE3 over everything a job's version consists of: its file and all files it requires.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionHash([u8; 32]);

impl VersionHash {
    /// Hashes `(name, content)` pairs; lengths are hashed too, so that no two lists collide by concatenation.
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (name, content) in parts {
            for part in [name.as_bytes(), content] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first 12 hex digits, enough for a person.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for VersionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for VersionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VersionHash {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

impl Serialize for VersionHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_survives_its_text() {
        let id = RunId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string(), id.to_string().to_lowercase());
        assert!("nonsense".parse::<RunId>().is_err());
    }

    #[test]
    fn job_names_are_plain() {
        for good in ["a", "health_sweep", "db-backup.v2", "9lives"] {
            assert!(good.parse::<JobName>().is_ok(), "{good}");
        }
        let long = "x".repeat(limits::JOB_NAME_BYTES_MAX + 1);
        for bad in ["", "_a", "../x", "a b", "a/b", "ä", &long] {
            assert!(bad.parse::<JobName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_version_hash_depends_on_where_parts_end() {
        let split = VersionHash::of([("a", b"bc".as_slice())]);
        assert_ne!(split, VersionHash::of([("ab", b"c".as_slice())]));
        assert_eq!(split.to_string().parse().ok(), Some(split));
    }
}
