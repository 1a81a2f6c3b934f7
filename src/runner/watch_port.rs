//! Metrics, alerts and checks as scripts reach them: in the store, where the watch finds them.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use super::ports::Ports;
use crate::base::{Fault, Timestamp};
use crate::lua::WatchPort;
use crate::model::NewEvent;
use crate::model::alerts::{Acknowledgement, Alert, Silence};
use crate::model::checks::Check;
use crate::model::metrics::Sample;
use crate::store::{MetricQuery, Report, SeriesPoints, SeriesRow, Store, WatchWrite};

impl Ports {
    fn store(&self) -> &Store {
        &self.0.shared.store
    }
}

impl WatchPort for Ports {
    fn record(&self, samples: Vec<Sample>) -> BoxFuture<'_, Result<(), Fault>> {
        async move { Ok(self.store().watch(WatchWrite { samples, ..WatchWrite::default() }).await.map(drop)?) }.boxed()
    }

    fn query(&self, asked: MetricQuery) -> BoxFuture<'_, Result<Vec<SeriesPoints>, Fault>> {
        async move { Ok(self.store().measured(&asked).await?) }.boxed()
    }

    fn series(&self, name: Option<String>) -> BoxFuture<'_, Result<Vec<SeriesRow>, Fault>> {
        async move { Ok(self.store().series(name.as_deref(), None).await?) }.boxed()
    }

    fn alerts(&self, over_since: Option<Timestamp>) -> BoxFuture<'_, Result<Vec<Alert>, Fault>> {
        async move { Ok(self.store().alerts(over_since).await?) }.boxed()
    }

    fn report(&self, report: Report) -> BoxFuture<'_, Result<bool, Fault>> {
        async move {
            let alert = &report.alert;
            let data = json!({ "name": alert.name, "severity": alert.severity, "labels": alert.labels,
                "summary": alert.summary, "ok": report.ok });
            let (at, is_over) = (alert.last_seen, report.ok);
            let changed = self.store().watch(WatchWrite { reports: vec![report], ..WatchWrite::default() }).await?;
            if changed {
                // What wakes the watch, so that people are told, and sets off jobs; the alert itself is on disk.
                let kind = if is_over { "alert.resolved" } else { "alert.firing" };
                self.store().append_events(vec![NewEvent::new(at, kind).data(data)]).await?;
            }
            Ok(changed)
        }
        .boxed()
    }

    fn acknowledge(&self, id: String, seen: Acknowledgement) -> BoxFuture<'_, Result<bool, Fault>> {
        async move {
            let data = json!({ "id": id, "by": seen.by, "note": seen.note });
            let events = vec![NewEvent::new(seen.at, "alert.acknowledged").data(data)];
            Ok(self
                .store()
                .watch(WatchWrite { acknowledged: vec![(id, seen)], events, ..WatchWrite::default() })
                .await?)
        }
        .boxed()
    }

    fn silence(&self, silence: Silence) -> BoxFuture<'_, Result<(), Fault>> {
        async move {
            let events = vec![NewEvent::new(silence.starts_at, "alert.silenced").data(json!(silence))];
            let write = WatchWrite { silences: vec![silence], events, ..WatchWrite::default() };
            Ok(self.store().watch(write).await.map(drop)?)
        }
        .boxed()
    }

    fn checks(&self) -> BoxFuture<'_, Result<Vec<Check>, Fault>> {
        async move { Ok(self.store().checks().await?) }.boxed()
    }
}
