//! Where `secret:NAME` in the configuration leads.

use std::fmt::Debug;

use crate::base::SecretString;

/// Looks a secret up by its name.
pub trait Secrets: Debug + Send + Sync {
    fn get(&self, name: &str) -> Option<SecretString>;
}

/// Secrets as variables of the process's environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvironmentSecrets;

impl Secrets for EnvironmentSecrets {
    fn get(&self, name: &str) -> Option<SecretString> {
        std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from)
    }
}
