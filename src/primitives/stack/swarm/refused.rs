//! What has no meaning for a stack of a swarm.

use crate::base::Fault;

/// What is asked of a stack of containers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Build,
    Pull,
    Rollout,
    RestartTimeout,
}

impl Asked {
    pub fn refused(self, stack: &str) -> Fault {
        let (what, hint) = match self {
            Self::Build => (
                "an image that is built here is not on the other nodes",
                "build and push it with aegis.docker, then `aegis stack up`".to_owned(),
            ),
            Self::Pull => (
                "each node fetches an image when it starts a task",
                format!("begin all tasks anew, which fetches their images: aegis stack up {stack} --force"),
            ),
            Self::Rollout => (
                "the swarm itself replaces tasks one after the other, as deploy.update_config says",
                format!("bring it up, which is its rollout: aegis stack up {stack}"),
            ),
            Self::RestartTimeout => (
                "how long a task may take to end is part of its service",
                "say stop_grace_period in the files".to_owned(),
            ),
        };
        super::desired::unsupported(format!("the stack {stack:?} is run by a swarm: {what}")).hint(hint)
    }
}
