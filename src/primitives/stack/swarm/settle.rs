//! Whether a service runs as it is to run: what its tasks and its last update say. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::Fault;
use crate::base::limits::{SWARM_STEADY_FOR, SWARM_TASK_FAILURES_MAX};
use crate::primitives::docker::{SwarmService, SwarmTask};

/// How a service stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Its update has ended well: the swarm itself has watched the tasks long enough.
    Done,
    /// Its tasks are as they are to be; whether they stay so is to be seen.
    Steady,
    /// What is still to come, for people.
    Underway(String),
    Failed(Fault),
}

/// What was seen of a service's tasks so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Tasks that were there before anything was changed: what became of them counts no more.
    before: BTreeSet<String>,
    /// Those that failed since, by their places; the swarm itself forgets tasks.
    failed: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    pub fn since(before: &BTreeSet<String>) -> Self {
        Self { before: before.clone(), ..Self::default() }
    }
}

/// A service, its tasks, and what the nodes are called.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    pub service: &'a SwarmService,
    /// The oldest of each place first.
    pub tasks: &'a [&'a SwarmTask],
    pub nodes: &'a BTreeMap<String, String>,
}

/// How long the tasks of a service must go on running before they count as up.
pub fn steady_for(service: &SwarmService) -> Duration {
    let said = service.spec.pointer("/UpdateConfig/Monitor").and_then(Value::as_u64).filter(|nanos| *nanos > 0);
    said.map_or(SWARM_STEADY_FOR, Duration::from_nanos)
}

impl<'a> Look<'a> {
    pub fn judge(self, seen: &mut Seen) -> Standing {
        let failures: Vec<&SwarmTask> = self.failures(seen).collect();
        for task in failures {
            seen.failed.entry(task.place()).or_default().insert(task.id.clone());
        }
        let (code, what, hint) = match self.service.update_state.as_str() {
            "updating" => return Standing::Underway(self.progress(seen)),
            "rollback_started" => {
                return Standing::Underway(format!("goes back to what it was; {}", self.progress(seen)));
            }
            "paused" => (
                "swarm.update_paused",
                "its update failed and is paused",
                "correct the files and bring it up again, or go back: docker service rollback",
            ),
            "rollback_completed" => (
                "swarm.rolled_back",
                "its update failed and was taken back",
                "it runs as before: correct the files and bring it up again",
            ),
            "rollback_paused" => (
                "swarm.rollback_paused",
                "its update failed, and so did the way back",
                "look with `aegis stack ps`, correct the files and bring it up again",
            ),
            state => return self.of_tasks(seen, state == "completed"),
        };
        let last = self.failures(seen).max_by_key(|task| task.since);
        Standing::Failed(self.fault(last, code, what).hint(hint))
    }

    fn of_tasks(self, seen: &Seen, is_updated: bool) -> Standing {
        if let Some(task) = self.given_up(seen) {
            let hint = "look at what it printed with `aegis stack logs`, correct the files and bring it up again";
            return Standing::Failed(self.fault(Some(task), "swarm.task_failed", "it does not run").hint(hint));
        }
        // Where each node is to do a job, nobody knows how many there will be before the first.
        let has_begun = !self.tasks.is_empty() || !self.is_global_job();
        if !has_begun || self.there() < self.wanted() {
            return Standing::Underway(self.progress(seen));
        }
        if is_updated || self.is_job() { Standing::Done } else { Standing::Steady }
    }

    /// How many tasks are to be there. Where each node has one, those that the swarm has made.
    fn wanted(self) -> usize {
        let of = |place: &str| self.service.spec.pointer(place).and_then(Value::as_u64);
        let said = of("/Mode/Replicated/Replicas").or_else(|| of("/Mode/ReplicatedJob/TotalCompletions"));
        let made = || {
            let is_meant = |task: &&&SwarmTask| !matches!(task.desired_state.as_str(), "shutdown" | "remove");
            self.newest().values().filter(is_meant).count()
        };
        said.and_then(|count| usize::try_from(count).ok()).unwrap_or_else(made)
    }

    fn is_job(self) -> bool {
        self.has_mode("ReplicatedJob") || self.is_global_job()
    }

    fn is_global_job(self) -> bool {
        self.has_mode("GlobalJob")
    }

    fn has_mode(self, mode: &str) -> bool {
        self.service.spec.get("Mode").is_some_and(|said| said.get(mode).is_some())
    }

    /// The last task of each place.
    fn newest(self) -> BTreeMap<&'a str, &'a SwarmTask> {
        self.tasks.iter().map(|task| (task.name.as_str(), *task)).collect()
    }

    /// How many places have a task that is made from what the service is now, and runs or has done its work.
    fn there(self) -> usize {
        let newest = self.newest();
        let is_there = |task: &&&SwarmTask| match task.state.as_str() {
            "running" => task.desired_state == "running" && self.is_fresh(task),
            "complete" => self.is_fresh(task),
            _ => false,
        };
        newest.values().filter(is_there).count()
    }

    /// Whether a task was made from what the service is now. Where it may be placed makes no other task of it.
    fn is_fresh(self, task: &SwarmTask) -> bool {
        const COMPARED: [&str; 6] =
            ["ContainerSpec", "ForceUpdate", "LogDriver", "Networks", "Resources", "RestartPolicy"];
        let template = self.service.spec.get("TaskTemplate");
        COMPARED.into_iter().all(|key| template.and_then(|of| of.get(key)) == task.spec.get(key))
    }

    fn failures(self, seen: &Seen) -> impl Iterator<Item = &'a SwarmTask> {
        self.tasks.iter().copied().filter(move |task| task.has_failed() && !seen.before.contains(&task.id))
    }

    /// A task that failed and that the swarm does not replace, or has replaced often enough.
    fn given_up(self, seen: &Seen) -> Option<&'a SwarmTask> {
        let newest = self.newest();
        let is_last = |task: &SwarmTask| {
            newest.get(task.name.as_str()).is_some_and(|last| last.id == task.id) && task.desired_state == "shutdown"
        };
        let often = |task: &SwarmTask| {
            seen.failed.get(&task.place()).is_some_and(|failed| failed.len() >= SWARM_TASK_FAILURES_MAX)
        };
        self.failures(seen).filter(|task| self.is_fresh(task)).filter(|task| is_last(task) || often(task)).last()
    }

    /// `1 of 2 run; shop_web.2 on vm: No such image`.
    fn progress(self, seen: &Seen) -> String {
        let newest = self.newest();
        let waits = newest.values().copied().filter(|task| !task.has_ended() && !task.error.is_empty());
        let problem = waits.chain(self.failures(seen)).max_by_key(|task| task.since);
        let problem = problem.map(|task| format!("; {}", self.problem(task))).unwrap_or_default();
        format!("{} of {} run{problem}", self.there(), self.wanted())
    }

    fn problem(self, task: &SwarmTask) -> String {
        let why = if task.error.is_empty() { &task.message } else { &task.error };
        match self.node(task) {
            "" => format!("{}: {why}", task.name),
            node => format!("{} on {node}: {why}", task.name),
        }
    }

    fn node(self, task: &'a SwarmTask) -> &'a str {
        self.nodes.get(&task.node_id).map_or(task.node_id.as_str(), String::as_str)
    }

    fn fault(self, task: Option<&'a SwarmTask>, code: &'static str, what: &str) -> Fault {
        let name = &self.service.name;
        let Some(task) = task else {
            let said = &self.service.update_message;
            let details = json!({ "service": name, "message": said });
            return Fault::new(code, format!("the service {name:?}: {what}: {said}")).details(details);
        };
        let details = json!({
            "service": name, "task": task.name, "task_id": task.id, "node": self.node(task), "state": task.state,
            "error": task.error, "exit_code": task.exit_code, "image": task.image,
        });
        Fault::new(code, format!("the service {name:?}: {what}: {}", self.problem(task))).details(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(mode: &Value, update_state: &str) -> SwarmService {
        let spec = json!({ "Name": "shop_web", "Mode": mode, "TaskTemplate": { "ContainerSpec": { "Image": "new" } } });
        SwarmService {
            name: "shop_web".into(),
            spec,
            update_state: update_state.into(),
            update_message: "update paused due to failure or early termination of task t9".into(),
            ..SwarmService::default()
        }
    }

    /// `id slot image state desired`.
    fn task(text: &str) -> SwarmTask {
        let words: Vec<&str> = text.split(' ').collect();
        SwarmTask {
            id: words[0].into(),
            name: format!("shop_web.{}", words[1]),
            slot: words[1].parse().ok(),
            node_id: "n1".into(),
            state: words[3].into(),
            desired_state: words[4].into(),
            error: if matches!(words[3], "failed" | "rejected") {
                "task: non-zero exit (3)".into()
            } else {
                String::new()
            },
            spec: json!({ "ContainerSpec": { "Image": words[2] } }),
            ..SwarmTask::default()
        }
    }

    fn judge(service: &SwarmService, tasks: &[&str], seen: &mut Seen) -> Standing {
        let tasks: Vec<SwarmTask> = tasks.iter().map(|text| task(text)).collect();
        let tasks: Vec<&SwarmTask> = tasks.iter().collect();
        let nodes = BTreeMap::from([("n1".to_owned(), "vm".to_owned())]);
        Look { service, tasks: &tasks, nodes: &nodes }.judge(seen)
    }

    fn shown(standing: Standing) -> String {
        match standing {
            Standing::Done => "done".into(),
            Standing::Steady => "steady".into(),
            Standing::Underway(text) => text,
            Standing::Failed(fault) => format!("{}: {}", fault.code, fault.message),
        }
    }

    #[test]
    fn a_service_stands_as_its_tasks_and_its_update_say() {
        let two = json!({ "Replicated": { "Replicas": 2 } });
        let (global, job) = (json!({ "Global": {} }), json!({ "ReplicatedJob": { "TotalCompletions": 1 } }));
        let everywhere = json!({ "GlobalJob": {} });
        let failed = "it does not run: shop_web.1 on vm: task: non-zero exit (3)";
        for (mode, state, tasks, expected) in [
            (&two, "", vec![], "0 of 2 run"),
            (&two, "", vec!["a 1 new running running"], "1 of 2 run"),
            (&two, "", vec!["a 1 new running running", "b 2 new running running"], "steady"),
            // Tasks of before do not count, nor do those that are on their way.
            (&two, "", vec!["a 1 old running running", "b 2 old running running"], "0 of 2 run"),
            (&two, "", vec!["a 1 new running running", "b 2 new starting running"], "1 of 2 run"),
            (&two, "updating", vec!["a 1 new running running", "b 2 old running running"], "1 of 2 run"),
            (&two, "completed", vec!["a 1 new running running", "b 2 new running running"], "done"),
            (&two, "", vec!["a 1 new complete shutdown", "b 2 new complete shutdown"], "steady"),
            (&global, "", vec![], "steady"),
            (&everywhere, "", vec![], "0 of 0 run"),
            (&everywhere, "", vec!["a n1 new complete shutdown", "b n2 new complete shutdown"], "done"),
            (&global, "", vec!["a n1 new running running", "b n2 new preparing running"], "1 of 2 run"),
            (&job, "", vec!["a 1 new running complete"], "0 of 1 run"),
            (&job, "", vec!["a 1 new complete complete"], "done"),
            (
                &two,
                "",
                vec!["a 1 new failed shutdown", "b 1 new ready ready"],
                "0 of 2 run; shop_web.1 on vm: task: non-zero exit (3)",
            ),
            (
                &two,
                "",
                vec!["a 1 new failed shutdown"],
                &format!("swarm.task_failed: the service \"shop_web\": {failed}"),
            ),
            (
                &two,
                "paused",
                vec!["a 1 new failed shutdown"],
                "swarm.update_paused: the service \"shop_web\": its update failed and is paused: shop_web.1 on vm: \
                 task: non-zero exit (3)",
            ),
            (
                &two,
                "rollback_completed",
                vec![],
                "swarm.rolled_back: the service \"shop_web\": its update failed and was taken back: \
                 update paused due to failure or early termination of task t9",
            ),
        ] {
            let found = judge(&service(mode, state), &tasks, &mut Seen::default());
            assert_eq!(shown(found), expected, "{mode} {state} {tasks:?}");
        }
    }

    #[test]
    fn a_task_may_fail_some_times_before_its_service_is_given_up() {
        let one = service(&json!({ "Replicated": { "Replicas": 1 } }), "");
        let mut seen = Seen::since(&BTreeSet::from(["t0".to_owned()]));
        for turn in 0..SWARM_TASK_FAILURES_MAX {
            let (failed, next) = (format!("t{turn} 1 new failed shutdown"), format!("t{} 1 new ready ready", turn + 1));
            let found = judge(&one, &[&failed, &next], &mut seen);
            assert!(matches!(found, Standing::Underway(_)), "{turn}: {found:?}");
        }
        let last = format!("t{SWARM_TASK_FAILURES_MAX} 1 new rejected shutdown");
        let Standing::Failed(fault) = judge(&one, &[&last, "t99 1 new ready ready"], &mut seen) else { panic!("up") };
        assert_eq!((fault.details["node"].as_str(), fault.details["state"].as_str()), (Some("vm"), Some("rejected")));
    }

    #[test]
    fn how_long_tasks_are_watched_is_said_by_the_files() {
        let mut one = service(&json!({}), "");
        assert_eq!(steady_for(&one), SWARM_STEADY_FOR);
        one.spec["UpdateConfig"] = json!({ "Monitor": 1_500_000_000 });
        assert_eq!(steady_for(&one), Duration::from_millis(1_500));
    }
}
