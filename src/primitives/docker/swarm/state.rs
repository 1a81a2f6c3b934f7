//! Whether this engine manages a swarm.

use super::{number, text};
use crate::base::Fault;
use crate::model::grants::Access;
use crate::primitives::docker::engine::{ApiVersion, Docker};
use crate::primitives::docker::error::DockerError;
use crate::primitives::permit::DockerPermit;

/// Docker 20.10: the first whose services have limits of processes and of open files, and capabilities.
const API_MIN: ApiVersion = ApiVersion(1, 41);

/// What an engine is to a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    host: String,
    api: ApiVersion,
    /// `inactive`, `pending`, `active`, `error` or `locked`.
    pub state: String,
    pub is_manager: bool,
    pub node_id: String,
    pub nodes: u64,
    /// Why it is in the state `error`.
    pub error: String,
}

impl Docker {
    pub async fn swarm(&self, permit: &DockerPermit) -> Result<Swarm, DockerError> {
        permit.check_any(Access::Read, "looking at the swarm")?;
        let api = self.connected().await?.api;
        let raw = self.read("looking at the swarm", "/info", &[]).await?;
        Ok(Swarm {
            host: self.host().to_owned(),
            api,
            state: text(&raw, "/Swarm/LocalNodeState"),
            is_manager: raw.pointer("/Swarm/ControlAvailable").and_then(serde_json::Value::as_bool) == Some(true),
            node_id: text(&raw, "/Swarm/NodeID"),
            nodes: number(&raw, "/Swarm/Nodes"),
            error: text(&raw, "/Swarm/Error"),
        })
    }
}

impl Swarm {
    /// Whether services can be asked of this engine.
    pub fn check(&self) -> Result<(), Fault> {
        let host = &self.host;
        let fault = |code, message: String, hint| Err(Fault::new(code, message).hint(hint));
        match self.state.as_str() {
            "active" if !self.is_manager => {
                let message = format!("Docker at {host} is a worker of its swarm, which takes no orders");
                fault(
                    "swarm.worker",
                    message,
                    "set docker.host to a manager, or promote this node: docker node promote",
                )
            }
            "active" if self.api < API_MIN => {
                let message = format!("Docker at {host} speaks the API {}; a swarm's stacks need {API_MIN}", self.api);
                fault("swarm.engine_too_old", message, "upgrade Docker to 20.10 or later")
            }
            "active" => Ok(()),
            "locked" => {
                let message = format!("the swarm of Docker at {host} is locked");
                fault("swarm.locked", message, "open it with its key: docker swarm unlock")
            }
            "pending" | "error" => {
                let why = if self.error.is_empty() { String::new() } else { format!(": {}", self.error) };
                let message = format!("Docker at {host} has not joined its swarm yet{why}");
                fault("swarm.not_ready", message, "look with `docker info`, and at the log of the engine")
            }
            _ => {
                let message = format!("Docker at {host} is in no swarm");
                fault("swarm.inactive", message, "make one (docker swarm init), or join one as a manager")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(state: &str, is_manager: bool, api: ApiVersion) -> Swarm {
        let host = "unix:///d.sock".to_owned();
        Swarm { host, api, state: state.into(), is_manager, node_id: "n".into(), nodes: 1, error: "no route".into() }
    }

    #[test]
    fn what_keeps_an_engine_from_a_swarm_is_told_with_its_remedy() {
        assert_eq!(swarm("active", true, API_MIN).check(), Ok(()));
        for (state, is_manager, api, code, word) in [
            ("inactive", false, API_MIN, "swarm.inactive", "docker swarm init"),
            ("", false, API_MIN, "swarm.inactive", "docker swarm init"),
            ("active", false, API_MIN, "swarm.worker", "docker node promote"),
            ("active", true, ApiVersion(1, 40), "swarm.engine_too_old", "upgrade"),
            ("locked", false, API_MIN, "swarm.locked", "docker swarm unlock"),
            ("error", false, API_MIN, "swarm.not_ready", "docker info"),
        ] {
            let fault = swarm(state, is_manager, api).check().expect_err("it is refused");
            assert_eq!(fault.code, code);
            assert!(fault.message.contains("unix:///d.sock"), "{fault}");
            assert!(fault.hint.as_ref().is_some_and(|hint| hint.contains(word)), "{fault}");
        }
    }
}
