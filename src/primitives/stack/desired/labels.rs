//! The labels by which Compose knows what belongs to a stack, and ours.

use std::collections::BTreeMap;

/// A label that Compose or Aegis gives what it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Project,
    Service,
    Number,
    OneOff,
    /// Without it Compose does not see a container. It holds our hash: what Compose would compute is its own affair.
    ConfigHash,
    DependsOn,
    Image,
    Version,
    WorkingDir,
    ConfigFiles,
    Network,
    Volume,
    /// The container that one is to take the place of.
    Replace,
    /// Our hash, which says that Aegis made it.
    OwnHash,
    /// A short hash of each option.
    OwnParts,
    /// The stack, on what belongs to a swarm.
    Namespace,
    /// The image of a swarm's service, as the files name it.
    StackImage,
}

impl Label {
    pub fn key(self) -> &'static str {
        match self {
            Self::Project => "com.docker.compose.project",
            Self::Service => "com.docker.compose.service",
            Self::Number => "com.docker.compose.container-number",
            Self::OneOff => "com.docker.compose.oneoff",
            Self::ConfigHash => "com.docker.compose.config-hash",
            Self::DependsOn => "com.docker.compose.depends_on",
            Self::Image => "com.docker.compose.image",
            Self::Version => "com.docker.compose.version",
            Self::WorkingDir => "com.docker.compose.project.working_dir",
            Self::ConfigFiles => "com.docker.compose.project.config_files",
            Self::Network => "com.docker.compose.network",
            Self::Volume => "com.docker.compose.volume",
            Self::Replace => "com.docker.compose.replace",
            Self::OwnHash => "aegis.config-hash",
            Self::OwnParts => "aegis.config-parts",
            Self::Namespace => "com.docker.stack.namespace",
            Self::StackImage => "com.docker.stack.image",
        }
    }

    pub fn of(self, labels: &BTreeMap<String, String>) -> Option<&str> {
        labels.get(self.key()).map(String::as_str)
    }
}

/// Who made it, where Compose writes its version.
pub(super) const MAKER: &str = concat!("aegis-", env!("CARGO_PKG_VERSION"));

/// `name=hash` by name.
pub fn parts_text(parts: &BTreeMap<String, String>) -> String {
    parts.iter().map(|(name, hash)| format!("{name}={hash}")).collect::<Vec<_>>().join(" ")
}

/// The names of the options that differ between a label and what is wanted.
pub fn changed_parts(label: &str, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let had: BTreeMap<&str, &str> = label.split(' ').filter_map(|part| part.split_once('=')).collect();
    let mut names: Vec<String> = wanted
        .iter()
        .filter(|(name, hash)| had.get(name.as_str()) != Some(&hash.as_str()))
        .map(|(name, _)| name.clone())
        .chain(had.keys().filter(|name| !wanted.contains_key(**name)).map(|name| (*name).to_owned()))
        .collect();
    names.sort();
    names
}
