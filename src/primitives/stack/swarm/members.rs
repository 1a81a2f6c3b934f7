//! The tasks of a stack, as its containers are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::base::Timestamp;
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::primitives::docker::{Container, SwarmTask};
use crate::primitives::stack::desired::Label;

/// A container of a stack, or a task of a swarm's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    #[serde(flatten)]
    pub container: Container,
    /// Its service's name in the files; empty for one that Compose did not make.
    pub service: String,
    /// The node of the swarm that it is on.
    pub node: Option<String>,
    /// Why it does not run, or why the one before it in its place ended.
    pub error: Option<String>,
}

impl From<Container> for Member {
    fn from(container: Container) -> Self {
        let service = Label::Service.of(&container.labels).unwrap_or_default().to_owned();
        Self { container, service, node: None, error: None }
    }
}

/// The last task of each place of these, which are sorted by place and age.
pub(super) fn of(
    tasks: &[SwarmTask],
    services: &BTreeMap<String, String>,
    nodes: &BTreeMap<String, String>,
    now: Timestamp,
) -> Vec<Member> {
    let places = tasks.chunk_by(|a, b| a.name == b.name);
    let newest = places.filter_map(|place| {
        let last = place.last().filter(|last| last.desired_state != "remove")?;
        let told = |task: &SwarmTask| Some(task.error.clone()).filter(|error| !error.is_empty());
        let is_up = last.state == "running";
        let error = told(last).or_else(|| place.iter().rev().find_map(told)).filter(|_| !is_up);
        Some(member(last, services, nodes, now, error))
    });
    newest.collect()
}

fn member(
    task: &SwarmTask,
    services: &BTreeMap<String, String>,
    nodes: &BTreeMap<String, String>,
    now: Timestamp,
    error: Option<String>,
) -> Member {
    let node = nodes.get(&task.node_id).cloned().or_else(|| Some(task.node_id.clone()));
    let node = node.filter(|node| !node.is_empty());
    let age = task.since.map(|at| since(now, at));
    let is_running = task.state == "running";
    let place = node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
    let status = format!("{}{place} for {}", task.state, age.map(show_duration).unwrap_or_default());
    Member {
        service: services.get(&task.service_id).cloned().unwrap_or_default(),
        node,
        container: Container {
            id: if task.container_id.is_empty() { task.id.clone() } else { task.container_id.clone() },
            name: task.container(),
            image: task.image.clone(),
            image_id: String::new(),
            command: String::new(),
            status: error.as_ref().map_or_else(|| status.clone(), |error| format!("{status}: {error}")),
            state: task.state.clone(),
            health: None,
            created_at: task.created_at,
            started_at: task.since.filter(|_| is_running),
            finished_at: task.since.filter(|_| task.has_ended()),
            uptime_seconds: age.filter(|_| is_running).map(|age| age.as_secs()),
            exit_code: task.exit_code,
            oom_killed: false,
            restart_count: 0,
            purpose: None,
            ports: Vec::new(),
            networks: Vec::new(),
            mounts: Vec::new(),
            labels: labels(task),
        },
        error,
    }
}

fn labels(task: &SwarmTask) -> BTreeMap<String, String> {
    let labels = task.spec.pointer("/ContainerSpec/Labels").and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_shows_its_last_task_and_why_the_one_before_ended() {
        let task = |id: &str, slot: u64, state: &str, desired: &str, error: &str| SwarmTask {
            id: id.into(),
            name: format!("shop_web.{slot}"),
            service_id: "s".into(),
            slot: Some(slot),
            node_id: "n1".into(),
            state: state.into(),
            desired_state: desired.into(),
            error: error.into(),
            since: Some(Timestamp::UNIX_EPOCH),
            ..SwarmTask::default()
        };
        let tasks = [
            task("a", 1, "failed", "shutdown", "non-zero exit (3)"),
            task("b", 1, "ready", "ready", ""),
            task("c", 2, "failed", "shutdown", "gone"),
            task("d", 2, "running", "running", ""),
            task("e", 3, "running", "remove", ""),
        ];
        let services = BTreeMap::from([("s".to_owned(), "web".to_owned())]);
        let nodes = BTreeMap::from([("n1".to_owned(), "vm".to_owned())]);
        let now = "1970-01-01T00:01:00Z".parse().expect("a time");
        let shown: Vec<String> = of(&tasks, &services, &nodes, now)
            .iter()
            .map(|one| format!("{} {} {}", one.container.name, one.service, one.container.status))
            .collect();
        assert_eq!(
            shown,
            ["shop_web.1.b web ready on vm for 1m: non-zero exit (3)", "shop_web.2.d web running on vm for 1m",]
        );
    }
}
