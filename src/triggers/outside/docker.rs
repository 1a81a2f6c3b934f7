//! Events of the Docker Engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use tracing::{info, warn};

use super::submit::Heard;
use super::{Beginnings, Outside, RETRY, Seen, declared};
use crate::base::clock::earlier;
use crate::base::{Timestamp, limits};
use crate::jobs::Job;
use crate::model::grants::{Access, DockerGrant};
use crate::model::triggers::DockerTrigger;
use crate::model::{Grants, TriggerKind};
use crate::primitives::docker::{EngineEvent, EventItem, EventOptions};
use crate::primitives::option::Texts;
use crate::primitives::permit;

const WHAT: &str = "events of Docker";

type Wanted = Vec<(Arc<Job>, DockerTrigger)>;

/// Where the engine's events were read up to.
struct Reading {
    since: Timestamp,
    seen: Seen<String>,
    /// Since when each job listens.
    beginnings: Beginnings,
}

impl Reading {
    /// Its runs are asked for.
    fn note(&mut self, event: &EngineEvent, key: String) {
        self.since = self.since.max(event.at);
        self.seen.note(key);
    }
}

impl Outside {
    /// Never returns. `versions` says since when jobs have been as they are: earlier events are none of theirs.
    pub(super) async fn follow_docker(&self, versions: Beginnings) {
        let mut changes = self.registry.changes();
        let since = earlier(self.clock.now(), limits::TRIGGER_LOOK_BACK);
        let mut reading = Reading { since, seen: Seen::new(), beginnings: versions };
        loop {
            changes.borrow_and_update();
            let wanted: Wanted = declared(&self.registry, DockerTrigger::KIND);
            for (job, _) in &wanted {
                reading.beginnings.entry(job.spec.name.clone()).or_insert(job.loaded_at);
            }
            let following = async {
                match wanted.is_empty() {
                    true => {
                        self.health.well(WHAT);
                        std::future::pending().await
                    }
                    false => self.follow_for(&wanted, &mut reading).await,
                }
            };
            tokio::select! {
                () = following => self.clock.sleep(RETRY).await,
                // Others may be wanted now; what was read is not read again.
                _ = changes.changed() => {}
            }
        }
    }

    /// Returns when the events are to be asked for anew, from where they were read up to.
    async fn follow_for(&self, wanted: &Wanted, reading: &mut Reading) {
        let everything = Grants { docker: Some(DockerGrant::Everything(Access::Read)), ..Grants::default() };
        let types: BTreeSet<String> = wanted.iter().map(|(_, trigger)| trigger.kind.clone()).collect();
        let actions = wanted.iter().flat_map(|(_, trigger)| &trigger.event);
        let actions: BTreeSet<String> =
            actions.map(|event| event.split(": ").next().unwrap_or(event).to_owned()).collect();
        let options = EventOptions {
            types: Texts(types.into_iter().collect()),
            actions: Texts(actions.into_iter().collect()),
            since: Some(reading.since.to_string()),
            ..EventOptions::default()
        };
        let events = match permit::docker(&everything, Access::Read, None) {
            Ok(permit) => self.docker.events(&permit, options).await.map_err(|error| error.to_string()),
            Err(denied) => Err(denied.to_string()),
        };
        let mut events = match events {
            Ok(events) => events,
            Err(problem) => return self.unheard(problem),
        };
        while let Some(item) = events.next().await {
            match item {
                EventItem::Event(event) => {
                    self.heard();
                    // While the store was away the engine may have given up waiting for us.
                    if self.fire(wanted, &event, reading).await {
                        return;
                    }
                }
                EventItem::Resumed => self.heard(),
                EventItem::Interrupted(error) => self.unheard(error.to_string()),
            }
        }
    }

    fn heard(&self) {
        if self.health.well(WHAT) {
            info!("events of Docker are heard again");
        }
    }

    fn unheard(&self, problem: String) {
        if self.health.wrong(WHAT, problem.clone()) {
            warn!(%problem, "events of Docker are not heard; it is tried again");
        }
    }

    /// Starts the runs that an event is for. Whether that took a while.
    async fn fire(&self, wanted: &Wanted, event: &EngineEvent, reading: &mut Reading) -> bool {
        // The moment has nanoseconds, and an id is of one object: no two events have both in common but by their action.
        let detail = event.detail.as_deref().unwrap_or_default();
        let key = format!("docker:{}:{}:{}{detail}", event.at.as_nanosecond(), event.id, event.action);
        if reading.seen.has(&key) {
            return false;
        }
        let action = (event.action.as_str(), event.detail.as_deref());
        let mut jobs = BTreeSet::new();
        let mut has_waited = false;
        for (job, trigger) in wanted {
            let name = &job.spec.name;
            let is_meant = trigger.fits(&event.kind, action, &event.name, &event.attributes)
                && self.may_hear(job, event)
                && reading.beginnings.get(name).is_none_or(|begin| event.at >= *begin);
            // Two triggers of one job may fit.
            if is_meant && jobs.insert(name) {
                let payload = serde_json::to_value(event).unwrap_or_default();
                let heard = Heard { job: name.clone(), kind: TriggerKind::Docker, payload, key: Some(key.clone()) };
                has_waited |= self.submit(heard).await;
            }
        }
        // Only now: a reload may break it off, and what was asked for already has its key.
        reading.note(event, key);
        has_waited
    }

    /// As the job's grants have it: what is nobody's may be heard of by all who may look.
    pub(super) fn may_hear(&self, job: &Job, event: &EngineEvent) -> bool {
        let name = matches!(event.kind.as_str(), "container" | "network" | "volume").then_some(event.name.as_str());
        permit::docker(&self.grants(job), Access::Read, name).is_ok()
    }
}
