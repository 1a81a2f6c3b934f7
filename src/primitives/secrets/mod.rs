//! Secrets: where they come from, who may have them, and what is masked because of them.
//!
//! A name is looked for in the sources in this order, and the first that has it gives the value: the environment file,
//! systemd's credentials, Aegis's own encrypted store, OpenBao. What the configuration names as `secret:NAME` is looked
//! for in the daemon's own environment last of all; scripts do not reach that.
//!
//! Sources are looked at again when they change. Every value that is known is masked, and one that was replaced stays
//! so: see [`crate::base::Masker`].

mod age_store;
mod credentials;
mod env_file;
mod error;
mod files;
mod openbao;
mod options;
mod service;
mod setting;
mod source;

#[cfg(test)]
mod openbao_tests;
#[cfg(test)]
mod tests;

pub use age_store::{AgeStore, Created};
pub use error::SecretError;
pub use openbao::OpenBaoOptions;
pub use options::{Options, SecretsConfig};
pub use service::{Found, Listed, Vault};
pub use setting::{ProcessSecrets, Secrets, Setting, is_name};
pub use source::SourceKind;
