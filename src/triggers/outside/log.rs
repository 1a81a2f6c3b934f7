//! What happened inside: runs of other jobs that ended, alerts that fire or are over. The event log tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tracing::warn;

use super::submit::Heard;
use super::{Beginnings, Outside, RETRY, Seen, declared};
use crate::base::clock::earlier;
use crate::base::{JobName, limits};
use crate::jobs::Job;
use crate::model::triggers::{AlertTrigger, JobTrigger};
use crate::model::{Event, TriggerKind};
use crate::primitives::permit;
use crate::store::StoreError;

/// Where the log was read up to, and since when each job listens.
struct Place {
    /// None before the first event: then the log is looked at from its end backwards.
    after: Option<i64>,
    seen: Seen<i64>,
    beginnings: Beginnings,
}

impl Outside {
    /// Never returns. Nothing is lost while the store is away: the log is read on from where it was.
    pub(super) async fn follow_log(&self, versions: Beginnings) {
        let mut changes = self.registry.changes();
        let mut place = Place { after: None, seen: Seen::new(), beginnings: versions };
        loop {
            changes.borrow_and_update();
            let mut wanted: Vec<(Arc<Job>, Wanted)> = Vec::new();
            wanted
                .extend(declared(&self.registry, JobTrigger::KIND).into_iter().map(|(job, on)| (job, Wanted::Job(on))));
            let alerts = declared(&self.registry, AlertTrigger::KIND).into_iter();
            wanted.extend(alerts.map(|(job, on)| (job, Wanted::Alert(on))));
            for (job, _) in &wanted {
                place.beginnings.entry(job.spec.name.clone()).or_insert(job.loaded_at);
            }
            let following = async {
                match wanted.is_empty() {
                    true => std::future::pending().await,
                    false => self.read_log(&wanted, &mut place).await,
                }
            };
            tokio::select! {
                outcome = following => {
                    if let Err(error) = outcome {
                        warn!(%error, "the event log cannot be read yet; trying again");
                    }
                    self.clock.sleep(RETRY).await;
                }
                _ = changes.changed() => {}
            }
        }
    }

    /// Until the log cannot be read.
    async fn read_log(&self, wanted: &[(Arc<Job>, Wanted)], place: &mut Place) -> Result<(), StoreError> {
        // Begun before looking back, so that nothing falls in between.
        let mut coming = self.desk.events(place.after);
        if place.after.is_none() {
            let since = earlier(self.clock.now(), limits::TRIGGER_LOOK_BACK);
            let mut past = self.desk.past_events(limits::TRIGGER_EVENTS_SEEN_MAX).await?;
            past.reverse();
            for event in past.into_iter().filter(|event| event.body.at >= since) {
                self.tell_event(wanted, &event, place).await;
            }
        }
        while let Some(event) = coming.next().await {
            let event = event?;
            self.tell_event(wanted, &event, place).await;
        }
        Ok(())
    }

    async fn tell_event(&self, wanted: &[(Arc<Job>, Wanted)], event: &Event, place: &mut Place) {
        if place.seen.has(&event.seq) {
            return;
        }
        let mut jobs = BTreeSet::new();
        for (job, on) in wanted {
            let name = &job.spec.name;
            let Some((kind, payload)) = on.payload(event) else { continue };
            let is_own = event.body.job.as_ref() == Some(name);
            let is_meant = !is_own
                && self.may_know(job, on, event)
                && place.beginnings.get(name).is_none_or(|begin| event.body.at >= *begin);
            if is_meant && jobs.insert(name) {
                let key = Some(format!("event:{}", event.seq));
                self.submit(Heard { job: name.clone(), kind, payload, key }).await;
            }
        }
        // Only now: while the store is away this one is not done with, and a reload may break it off. What was asked for
        // already has its key.
        place.seen.note(event.seq);
        place.after = place.after.max(Some(event.seq));
    }
}

impl Outside {
    /// Whether the job may look at runs of the one whose end is told. Alerts are for everybody.
    fn may_know(&self, job: &Job, on: &Wanted, event: &Event) -> bool {
        let of = event.body.job.as_ref().map(JobName::as_str);
        matches!(on, Wanted::Alert(_)) || permit::runs(&self.grants(job), job.spec.name.as_str(), of).is_ok()
    }
}

/// What a job listens for.
enum Wanted {
    Job(JobTrigger),
    Alert(AlertTrigger),
}

impl Wanted {
    /// None when the event is not meant.
    fn payload(&self, event: &Event) -> Option<(TriggerKind, Value)> {
        let (area, state) = event.body.kind.split_once('.')?;
        let text = |key: &str| event.body.data.get(key).and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::Job(on) => {
                let job = event.body.job.as_ref()?;
                let fits = area == "run" && on.fits(job.as_str(), state);
                let said = json!({
                    "job": job, "run": event.body.run, "state": state, "at": event.body.at,
                    "error": event.body.data.get("error"), "reason": event.body.data.get("reason"),
                });
                fits.then_some((TriggerKind::Job, said))
            }
            Self::Alert(on) => {
                let fits = area == "alert" && on.fits(text("name"), state);
                let mut said = event.body.data.clone();
                if let Value::Object(said) = &mut said {
                    said.insert("state".to_owned(), state.into());
                    said.insert("at".to_owned(), json!(event.body.at));
                }
                fits.then_some((TriggerKind::Alert, said))
            }
        }
    }
}
