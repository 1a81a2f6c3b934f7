//! What goes wrong with secrets. No message holds a value.

use std::path::PathBuf;

use crate::base::Fault;
use crate::base::suggest::did_you_mean;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("there is no secret {name:?}{near}")]
    Missing { name: String, near: String, hint: String },
    #[error("{name:?} cannot be the name of a secret: it is of up to 128 letters, digits, '_', '-' and '.'")]
    Name { name: String },
    #[error("the value of the secret {name:?} {problem}")]
    Value { name: String, problem: String },
    #[error("{}: it can be read by others (mode {mode:03o})", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("cannot read {}: {problem}", path.display())]
    Read { path: PathBuf, problem: String },
    #[error("cannot write {}: {problem}", path.display())]
    Write { path: PathBuf, problem: String },
    #[error("{}:{line}: {problem}", path.display())]
    Syntax { path: PathBuf, line: usize, problem: String },
    #[error("{} holds too much: {problem}", path.display())]
    Size { path: PathBuf, problem: String },
    #[error("the identity {} is not there", path.display())]
    NoIdentity { path: PathBuf },
    #[error("the identity {} is no x25519 identity of age", path.display())]
    BadIdentity { path: PathBuf },
    #[error("the store {} cannot be decrypted: {problem}", path.display())]
    Decrypt { path: PathBuf, problem: String },
    #[error("no store of secrets is configured")]
    NoStore,
    #[error("OpenBao at {address} is sealed")]
    Sealed { address: String },
    #[error("OpenBao at {address} denies {what}{said}")]
    Refused { address: String, what: &'static str, said: String },
    #[error("OpenBao at {address} has nothing at {path}")]
    NoPath { address: String, path: String },
    #[error("OpenBao at {address} does not answer: {problem}")]
    Away { address: String, problem: String },
    #[error("OpenBao at {address} answered {what} with something else: {problem}")]
    Strange { address: String, what: &'static str, problem: String },
    #[error("there are too many secrets to mask them all")]
    Crowded,
}

impl SecretError {
    pub fn missing<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, sources: &[&str]) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let near = did_you_mean(name, known);
        let hint = if sources.is_empty() {
            "name a source below `secrets` in the configuration".to_owned()
        } else {
            format!("put it into a source ({}), such as with `aegis secret set {name}`", sources.join(", "))
        };
        Self::Missing { name: name.to_owned(), near, hint }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "secrets.not_found",
            Self::Name { .. } => "secrets.name",
            Self::Value { .. } => "secrets.value",
            Self::Mode { .. } => "secrets.mode",
            Self::Read { .. } | Self::Size { .. } => "secrets.unreadable",
            Self::Write { .. } => "secrets.unwritable",
            Self::Syntax { .. } => "secrets.syntax",
            Self::NoIdentity { .. } | Self::BadIdentity { .. } => "secrets.identity",
            Self::Decrypt { .. } => "secrets.undecryptable",
            Self::NoStore => "secrets.no_store",
            Self::Sealed { .. } => "secrets.sealed",
            Self::Refused { .. } => "secrets.denied",
            Self::NoPath { .. } => "secrets.no_path",
            Self::Away { .. } => "secrets.away",
            Self::Strange { .. } => "secrets.strange_answer",
            Self::Crowded => "secrets.crowded",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { hint, .. } => hint.clone(),
            Self::Mode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Read { path, .. } => {
                format!("it must be a file that the daemon's user may read: ls -l {}", path.display())
            }
            Self::Write { .. } => "the folder must be writable for this user, with room on its disk".to_owned(),
            Self::Syntax { .. } => "one NAME=VALUE a line, as systemd's EnvironmentFile= has it".to_owned(),
            Self::NoIdentity { .. } => {
                "aegis secret init makes one; if the store was written with another identity, restore that".to_owned()
            }
            Self::BadIdentity { .. } => "its line begins with AGE-SECRET-KEY-1; aegis secret init makes one".to_owned(),
            Self::Decrypt { .. } => {
                "restore the identity that it was written with, or the store from a backup".to_owned()
            }
            Self::NoStore => "name secrets.age_identity in the configuration, then run aegis secret init".to_owned(),
            Self::Sealed { .. } => "unseal it: bao operator unseal".to_owned(),
            Self::Refused { what: "login", .. } => {
                "check secrets.openbao.role_id and secret_id; a secret id may have expired or been used up".to_owned()
            }
            Self::Refused { .. } => {
                "give the role a policy with read on the path, with data/ after the mount".to_owned()
            }
            Self::NoPath { .. } => {
                "check secrets.openbao.mount, path and namespace; the mount must be KV version 2".to_owned()
            }
            Self::Away { .. } => "check secrets.openbao.address and the network".to_owned(),
            Self::Strange { .. } => {
                "check that secrets.openbao.address is OpenBao and the mount is KV version 2".to_owned()
            }
            Self::Crowded => "remove secrets that nobody uses".to_owned(),
            Self::Value { .. } | Self::Size { .. } | Self::Name { .. } => return None,
        })
    }
}

impl From<SecretError> for Fault {
    fn from(error: SecretError) -> Self {
        let fault = Self::new(error.code(), error.to_string());
        let fault = match error.hint() {
            Some(hint) => fault.hint(hint),
            None => fault,
        };
        match error {
            SecretError::Away { .. } | SecretError::Sealed { .. } => fault.retryable(),
            _ => fault,
        }
    }
}
