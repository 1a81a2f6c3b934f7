//! Settings that are secret: written down as `secret:NAME`, or plainly, and shown as neither.

use std::fmt::{self, Debug};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::limits::SECRET_NAME_BYTES_MAX;
use crate::base::{ExposeSecret, Masker, SecretString};

/// Finds a secret by its name, at the moment when it is needed.
pub trait Secrets: Debug + Send + Sync {
    fn secret(&self, name: &str) -> Option<SecretString>;

    /// What takes secrets out of what is sent to people.
    fn masker(&self) -> Masker {
        Masker::default()
    }
}

/// Secrets as environment variables of the daemon.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessSecrets;

impl Secrets for ProcessSecrets {
    fn secret(&self, name: &str) -> Option<SecretString> {
        std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from)
    }
}

/// A value of the configuration that nobody is shown.
#[derive(Clone)]
pub enum Setting {
    /// `secret:NAME`.
    Secret(String),
    Plain(SecretString),
}

const PREFIX: &str = "secret:";

/// Whether a secret can be called so: letters, digits, `_`, `-` and `.`.
pub fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=SECRET_NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.chars().all(legal)
}

impl Setting {
    pub fn parse(text: String) -> Result<Self, String> {
        let Some(name) = text.strip_prefix(PREFIX) else {
            if text.trim().is_empty() {
                return Err(format!("it is empty: write the value, or {PREFIX}NAME"));
            }
            return Ok(Self::Plain(text.into()));
        };
        if !is_name(name) {
            return Err(format!("write {PREFIX}NAME, where NAME is of letters, digits, '_', '-' and '.'"));
        }
        Ok(Self::Secret(name.to_owned()))
    }

    /// Of the secret that it stands for.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Secret(name) => Some(name),
            Self::Plain(_) => None,
        }
    }

    /// The value; None when there is no secret of that name.
    pub fn value(&self, secrets: &dyn Secrets) -> Option<SecretString> {
        match self {
            Self::Secret(name) => secrets.secret(name),
            Self::Plain(value) => Some(value.clone()),
        }
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(own), Self::Secret(other)) => own == other,
            (Self::Plain(own), Self::Plain(other)) => own.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "{PREFIX}{name}"),
            Self::Plain(_) => f.write_str("***"),
        }
    }
}

impl Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shown as `secret:NAME` or `***`, never as the value.
impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
