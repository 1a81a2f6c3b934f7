//! Waiting until a service is there.

use super::{Apply, Stage};
use crate::base::Fault;
use crate::base::limits::{STACK_FAILURE_LOG_LINES, STACK_LOOK_EVERY};
use crate::primitives::docker::{Container, ListOptions, LogOptions};
use crate::primitives::option::Texts;
use crate::primitives::stack::desired::{Condition, Label, Need};
use crate::primitives::stack::rollout::is_kept;

/// What one look tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Met,
    /// Not yet, and what it is now.
    Waits(String),
    /// It will not be met: why, and what helps.
    Never(String, &'static str),
}

impl Apply<'_> {
    /// Returns when `other` is as `service` needs it.
    pub(super) async fn await_need(&self, service: &str, other: &str, need: &Need) -> Result<(), Fault> {
        if need.condition == Condition::Started || !self.desired.services.contains_key(other) {
            return Ok(());
        }
        let what = format!("{service} waits for {other} ({})", need.condition.as_str());
        match self.await_condition(&what, other, |one| seen(one, need.condition)).await {
            Err(fault) if !need.required => {
                self.told.tell(Stage::Failed, what, Some(format!("{}; it is not required", fault.message)));
                Ok(())
            }
            other => other,
        }
    }

    /// Returns when a service runs, and is healthy where it says how that is seen, or has done its work.
    pub(super) async fn await_ready(&self, service: &str) -> Result<(), Fault> {
        self.await_condition(&format!("waiting for {service}"), service, ready).await
    }

    async fn await_condition(&self, what: &str, service: &str, look: impl Fn(&Container) -> Seen) -> Result<(), Fault> {
        let mut told = String::new();
        loop {
            let mut waits = None;
            for found in self.containers_of(service).await? {
                match look(&found) {
                    Seen::Met => {}
                    Seen::Waits(why) => waits = Some(format!("{} {why}", found.name)),
                    Seen::Never(why, hint) => return Err(self.never(what, &found, &why, hint).await),
                }
            }
            let Some(why) = waits else { return Ok(()) };
            if told != why {
                self.told.tell(Stage::Waiting, what, Some(why.clone()));
                told = why;
            }
            self.stacks.clock.sleep(STACK_LOOK_EVERY).await;
        }
    }

    async fn never(&self, what: &str, found: &Container, why: &str, hint: &str) -> Fault {
        let mut message = format!("{what}, but {} {why}", found.name);
        let last = LogOptions { tail: STACK_FAILURE_LOG_LINES, timestamps: false, ..LogOptions::default() };
        // The reason stands without them too.
        if let Ok(logs) = self.docker().logs(self.permit, &found.id, last).await
            && !logs.lines.is_empty()
        {
            let lines: Vec<&str> = logs.lines.iter().map(|line| line.text.trim_end()).collect();
            message = format!("{message}; it said: {}", lines.join(" | "));
        }
        Fault::new("stack.dependency", message).hint(hint)
    }

    /// The containers of a service as they are now, by number.
    pub(super) async fn containers_of(&self, service: &str) -> Result<Vec<Container>, Fault> {
        let labels =
            Texts(vec![format!("{}={service}", Label::Service.key()), format!("{}=False", Label::OneOff.key())]);
        let stack = Some(self.desired.project.clone());
        let mut found =
            self.docker().list(self.permit, ListOptions { labels, stack, ..ListOptions::default() }).await?;
        found.retain(|one| !is_kept(&one.name));
        let number = |one: &Container| Label::Number.of(&one.labels).and_then(|text| text.parse::<u32>().ok());
        found.sort_by_key(number);
        Ok(found)
    }
}

fn seen(found: &Container, condition: Condition) -> Seen {
    match condition {
        Condition::Started => Seen::Met,
        Condition::Healthy => healthy(found),
        Condition::Completed => completed(found),
    }
}

fn healthy(found: &Container) -> Seen {
    match (found.state.as_str(), found.health.as_deref()) {
        ("exited" | "dead", _) => ended(found),
        (_, Some("healthy")) => Seen::Met,
        (_, Some("unhealthy")) => Seen::Never("is unhealthy".into(), "look at its log and at its health check"),
        ("running", None) => {
            Seen::Never("has no health check".into(), "give the service a healthcheck, or wait for service_started")
        }
        (state, health) => Seen::Waits(format!("is {}", health.unwrap_or(state))),
    }
}

fn completed(found: &Container) -> Seen {
    match (found.state.as_str(), found.exit_code) {
        ("exited", Some(0)) => Seen::Met,
        ("exited" | "dead", _) => ended(found),
        (state, _) => Seen::Waits(format!("is {state}")),
    }
}

fn ready(found: &Container) -> Seen {
    match (found.state.as_str(), found.health.as_deref(), found.exit_code) {
        ("exited", _, Some(0)) | ("running", None, _) => Seen::Met,
        _ => healthy(found),
    }
}

fn ended(found: &Container) -> Seen {
    let hint = "look at its log; run it by itself to see what it needs";
    match (found.exit_code, found.oom_killed) {
        (_, true) => Seen::Never("was ended for want of memory".into(), "give it a larger mem_limit"),
        (Some(code), _) => Seen::Never(format!("ended with exit code {code}"), hint),
        (None, _) => Seen::Never("ended".into(), hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(state: &str, health: Option<&str>, exit_code: Option<i64>) -> Container {
        let raw = serde_json::json!({});
        let mut found = crate::primitives::docker::testing::container_of(&raw);
        (found.state, found.health, found.exit_code) = (state.into(), health.map(str::to_owned), exit_code);
        found
    }

    #[test]
    fn conditions_are_met_wait_or_never_come() {
        let met = |one: &Container, condition| seen(one, condition);
        let waits = |text: &str| Seen::Waits(text.into());
        assert_eq!(met(&container("running", Some("healthy"), None), Condition::Healthy), Seen::Met);
        assert_eq!(met(&container("running", Some("starting"), None), Condition::Healthy), waits("is starting"));
        assert_eq!(met(&container("created", None, None), Condition::Healthy), waits("is created"));
        assert_eq!(met(&container("exited", None, Some(0)), Condition::Completed), Seen::Met);
        assert_eq!(met(&container("running", None, None), Condition::Completed), waits("is running"));
        assert_eq!(ready(&container("running", None, None)), Seen::Met);
        assert_eq!(ready(&container("exited", None, Some(0))), Seen::Met);
        assert_eq!(ready(&container("running", Some("starting"), None)), waits("is starting"));
        for never in [
            met(&container("running", None, None), Condition::Healthy),
            met(&container("running", Some("unhealthy"), None), Condition::Healthy),
            met(&container("exited", None, Some(0)), Condition::Healthy),
            met(&container("exited", None, Some(3)), Condition::Completed),
            ready(&container("exited", None, Some(1))),
        ] {
            assert!(matches!(never, Seen::Never(..)), "{never:?}");
        }
    }
}
