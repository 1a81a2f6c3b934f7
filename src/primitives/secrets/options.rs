//! The section `secrets` of the configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::openbao::OpenBaoOptions;

/// As it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// `NAME=VALUE` lines, mode 600.
    pub env_file: Option<PathBuf>,
    /// A folder with a file for each; `$CREDENTIALS_DIRECTORY`, which systemd sets, unless said otherwise.
    pub credentials: Option<PathBuf>,
    /// Opens the store; without it there is none.
    pub age_identity: Option<PathBuf>,
    pub store: PathBuf,
    pub openbao: Option<OpenBaoOptions>,
}

impl Default for SecretsConfig {
    fn default() -> Self {
        Self {
            env_file: None,
            credentials: None,
            age_identity: None,
            store: "./data/secrets.age".into(),
            openbao: None,
        }
    }
}

/// What a service is made from: the section, and where systemd has put its credentials.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub config: SecretsConfig,
    pub credentials_directory: Option<PathBuf>,
}
