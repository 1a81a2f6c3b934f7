//! Why something is done.

use std::fmt;

/// Reads on from what is done: `recreate shop-web-1: environment is another`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Missing,
    Policy(&'static str),
    /// Names of options.
    Changed(Vec<String>),
    /// Of a network, for which the engine tells no parts.
    Settings,
    Foreign,
    Image(String),
    Network(String),
    Detached(String),
    Shares(String),
    Dependency(String),
    Stopped(String),
    Surplus(u32),
    Orphan,
    Interrupted,
    Forced,
    Down,
    /// What somebody else changed, by the names of the options.
    Drifted(Vec<String>),
    /// How the last update of a service ended, if not well.
    Stuck(String),
    /// From and to which mode a service would have to go.
    Mode(String),
    Unused,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is none"),
            Self::Policy(policy) => write!(f, "pull_policy is {policy}"),
            Self::Changed(parts) if parts.is_empty() => f.write_str("its settings are others"),
            Self::Changed(parts) => write!(f, "other settings: {}", parts.join(", ")),
            Self::Settings => f.write_str("its settings are others"),
            Self::Foreign => f.write_str("it was not made by Aegis"),
            Self::Image(image) => write!(f, "{image} is another image now"),
            Self::Network(network) => write!(f, "the network {network} is made anew"),
            Self::Detached(network) => write!(f, "it is not on the network {network}"),
            Self::Shares(service) => write!(f, "it is part of {service}, which is made anew"),
            Self::Dependency(service) => write!(f, "it depends on {service}, which is made anew"),
            Self::Stopped(state) => write!(f, "it is {state}"),
            Self::Surplus(0) => f.write_str("none is wanted"),
            Self::Surplus(replicas) => write!(f, "{replicas} are enough"),
            Self::Orphan => f.write_str("the files have no such service"),
            Self::Interrupted => f.write_str("it is left over from a change that was interrupted"),
            Self::Forced => f.write_str("as asked"),
            Self::Down => f.write_str("the stack goes down"),
            Self::Drifted(parts) => write!(f, "somebody else changed {}", parts.join(", ")),
            Self::Stuck(state) => write!(f, "its last update is {state}"),
            Self::Mode(mode) => write!(f, "it is to be {mode}, which a service never becomes"),
            Self::Unused => f.write_str("no service uses it any more"),
        }
    }
}
