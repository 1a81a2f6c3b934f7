//! What PostgreSQL is told with NOTIFY.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use tracing::{info, warn};

use super::submit::Heard;
use super::{Outside, RETRY, declared, task_for_each};
use crate::base::limits;
use crate::jobs::Job;
use crate::model::TriggerKind;
use crate::model::triggers::SqlTrigger;
use crate::primitives::permit;
use crate::primitives::sql::{Notice, SqlError};

const CHANNELS: &str = "channels of PostgreSQL";

impl Outside {
    /// Never returns: one task a channel.
    pub(super) async fn listen_to_sql(&self) {
        let follow = |channel: SqlTrigger| {
            let outside = self.clone();
            async move { outside.follow_channel(&channel).await }
        };
        let forget = |channel: &SqlTrigger| {
            self.health.well(&shown(channel));
        };
        task_for_each(&self.registry, || self.channels(), follow, forget).await;
    }

    /// What jobs listen to, as many as are kept open at most.
    fn channels(&self) -> BTreeSet<SqlTrigger> {
        let all: Vec<(Arc<Job>, SqlTrigger)> = declared(&self.registry, SqlTrigger::KIND);
        let may = all.into_iter().filter(|(job, channel)| permit::sql(&self.grants(job), &channel.source).is_ok());
        let most = limits::TRIGGER_CHANNELS_MAX;
        let too_many = |wanted| format!("jobs listen to {wanted} channels, and {most} are heard at most");
        self.at_most(most, CHANNELS, may.map(|(_, channel)| channel).collect(), too_many)
    }

    /// Never returns. What is told between two connections is lost, and said to be.
    async fn follow_channel(&self, channel: &SqlTrigger) {
        let what = shown(channel);
        let mut away_since = None;
        loop {
            let error = match self.hear_channel(channel, &what, &mut away_since).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            away_since.get_or_insert_with(|| self.clock.now());
            if self.health.wrong(&what, error.to_string()) {
                warn!(%error, "{what} is not heard; it is tried again");
            }
            self.clock.sleep(RETRY).await;
        }
    }

    async fn hear_channel(
        &self,
        channel: &SqlTrigger,
        what: &str,
        away_since: &mut Option<crate::base::Timestamp>,
    ) -> Result<std::convert::Infallible, SqlError> {
        let jobs = self.jobs_on(channel);
        // Any of them may listen there; each was asked when its file was loaded.
        let permit = jobs.iter().find_map(|job| permit::sql(&self.grants(job), &channel.source).ok());
        let unknown = || SqlError::UnknownSource { source_name: channel.source.clone(), known: Vec::new() };
        let mut listening = self.sql.listen(&permit.ok_or_else(unknown)?, &channel.channel).await?;
        if self.health.well(what) {
            info!("{what} is heard again");
        }
        if let Some(from) = away_since.take() {
            let data = json!({
                "source": channel.source, "channel": channel.channel, "from": from, "until": self.clock.now(),
            });
            for job in self.jobs_on(channel) {
                self.report("trigger.gap", Some(&job.spec.name), data.clone()).await;
            }
        }
        loop {
            let notice = listening.next().await?;
            self.tell(channel, &notice).await;
        }
    }

    async fn tell(&self, channel: &SqlTrigger, notice: &Notice) {
        let payload = json!({
            "source": channel.source,
            "channel": channel.channel,
            "payload": notice.payload,
            "process_id": notice.process_id,
            "at": self.clock.now(),
        });
        for job in self.jobs_on(channel) {
            let job = job.spec.name.clone();
            self.submit(Heard { job, kind: TriggerKind::Sql, payload: payload.clone(), key: None }).await;
        }
    }

    /// Jobs that listen to `channel` now and may.
    fn jobs_on(&self, channel: &SqlTrigger) -> Vec<Arc<Job>> {
        let all: Vec<(Arc<Job>, SqlTrigger)> = declared(&self.registry, SqlTrigger::KIND);
        let mut seen = BTreeSet::new();
        let own = all.into_iter().filter(|(job, wanted)| {
            let may = permit::sql(&self.grants(job), &channel.source).is_ok();
            wanted == channel && may && seen.insert(job.spec.name.clone())
        });
        own.map(|(job, _)| job).collect()
    }
}

fn shown(channel: &SqlTrigger) -> String {
    format!("the channel {:?} of {:?}", channel.channel, channel.source)
}
