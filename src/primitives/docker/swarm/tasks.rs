//! Tasks: what a service runs as, each on one node.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{SwarmService, of_stack, text};
use crate::base::Timestamp;
use crate::model::grants::Access;
use crate::primitives::docker::containers::instant;
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::permit::DockerPermit;

/// A task as the swarm has it, of today or of before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SwarmTask {
    pub id: String,
    /// `shop_web.1`, or with the node's id where each node has one.
    pub name: String,
    pub service_id: String,
    /// Which of a service's places it has; None where each node has one.
    pub slot: Option<u64>,
    /// Empty before it is given one.
    pub node_id: String,
    /// Where it is on its way from `new` to `running`, or how it ended: `complete`, `failed`, `rejected`, `shutdown`.
    pub state: String,
    /// Where the swarm wants it: `running`, `shutdown`, `remove`.
    pub desired_state: String,
    pub message: String,
    pub error: String,
    pub exit_code: Option<i64>,
    /// Empty before there is one.
    pub container_id: String,
    pub image: String,
    pub created_at: Option<Timestamp>,
    /// Since when it is in its state.
    pub since: Option<Timestamp>,
    /// What it was made from.
    pub spec: Value,
}

impl SwarmTask {
    /// Whether it has ended, however.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "complete" | "shutdown" | "failed" | "rejected" | "remove" | "orphaned")
    }

    /// Whether it ended otherwise than it was meant to.
    pub fn has_failed(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "rejected")
    }

    /// Which place it has among the tasks of its service.
    pub fn place(&self) -> String {
        self.slot.map_or_else(|| self.node_id.clone(), |slot| slot.to_string())
    }

    /// The name of its container.
    pub fn container(&self) -> String {
        format!("{}.{}", self.name, self.id)
    }
}

impl Docker {
    /// Tasks of these services, the oldest of each place first.
    pub async fn swarm_tasks(
        &self,
        permit: &DockerPermit,
        namespace: &str,
        services: &[SwarmService],
    ) -> Result<Vec<SwarmTask>, DockerError> {
        permit.check_any(Access::Read, "listing tasks")?;
        let raw = self.read("listing tasks", "/tasks", &[of_stack(namespace)]).await?;
        let names: BTreeMap<&str, &str> = services.iter().map(|one| (one.id.as_str(), one.name.as_str())).collect();
        let mut found: Vec<_> = raw.as_array().into_iter().flatten().filter_map(|one| task(one, &names)).collect();
        found.sort_by(|a, b| (&a.name, a.created_at, &a.id).cmp(&(&b.name, b.created_at, &b.id)));
        Ok(found)
    }

    /// What the nodes are called, by their ids.
    pub async fn swarm_nodes(&self, permit: &DockerPermit) -> Result<BTreeMap<String, String>, DockerError> {
        permit.check_any(Access::Read, "listing nodes")?;
        let raw = self.read("listing nodes", "/nodes", &[]).await?;
        let nodes = raw.as_array().into_iter().flatten();
        Ok(nodes.map(|node| (text(node, "/ID"), text(node, "/Description/Hostname"))).collect())
    }
}

fn task(raw: &Value, names: &BTreeMap<&str, &str>) -> Option<SwarmTask> {
    let service_id = text(raw, "/ServiceID");
    let service = names.get(service_id.as_str())?;
    let slot = raw.get("Slot").and_then(Value::as_u64).filter(|slot| *slot > 0);
    let node_id = text(raw, "/NodeID");
    let container_id = text(raw, "/Status/ContainerStatus/ContainerID");
    let exit_code = raw.pointer("/Status/ContainerStatus/ExitCode").and_then(Value::as_i64);
    let mut task = SwarmTask {
        id: text(raw, "/ID"),
        slot,
        state: text(raw, "/Status/State"),
        desired_state: text(raw, "/DesiredState"),
        message: text(raw, "/Status/Message"),
        error: text(raw, "/Status/Err"),
        image: text(raw, "/Spec/ContainerSpec/Image"),
        created_at: instant(raw.get("CreatedAt")),
        since: instant(raw.pointer("/Status/Timestamp")),
        spec: raw.get("Spec").cloned().unwrap_or_default(),
        name: String::new(),
        exit_code: None,
        service_id,
        node_id,
        container_id,
    };
    task.name = format!("{service}.{}", task.place());
    task.exit_code = exit_code.filter(|_| task.has_ended() && !task.container_id.is_empty());
    Some(task)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tasks_are_called_as_their_containers_are() {
        let names = BTreeMap::from([("s1", "shop_web")]);
        let raw = json!({ "ID": "t1", "ServiceID": "s1", "Slot": 2, "NodeID": "n1", "DesiredState": "shutdown",
            "Status": { "State": "failed", "Err": "task: non-zero exit (3)", "Timestamp": "2026-01-01T00:00:00Z",
                        "ContainerStatus": { "ContainerID": "c1", "ExitCode": 3 } },
            "Spec": { "ContainerSpec": { "Image": "web:1" } } });
        let found = task(&raw, &names).expect("a task");
        assert_eq!((found.container().as_str(), found.exit_code), ("shop_web.2.t1", Some(3)));
        assert!(found.has_failed() && found.has_ended());
        let on_each_node = json!({ "ID": "t2", "ServiceID": "s1", "NodeID": "n1", "Status": { "State": "running",
            "ContainerStatus": { "ContainerID": "c2", "ExitCode": 0 } } });
        let found = task(&on_each_node, &names).expect("a task");
        assert_eq!((found.container().as_str(), found.exit_code), ("shop_web.n1.t2", None));
        assert_eq!(task(&json!({ "ID": "t3", "ServiceID": "other" }), &names), None);
    }
}
