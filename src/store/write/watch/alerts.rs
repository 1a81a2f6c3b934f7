//! Alerts: what the rules and the scripts say of them, what routes were told, who has seen them.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::limits::ALERTS_LIVE_MAX;
use crate::model::alerts::{Alert, Origin};
use crate::store::sql::{Conn, Rows, query};
use crate::store::text::{json_of, micros};
use crate::store::types::*;

type Result<T> = std::result::Result<T, StoreError>;

/// The alerts that a batch is about.
#[derive(Debug, Default)]
pub struct Book {
    by_id: BTreeMap<String, Alert>,
    changed: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// All that pend or fire, in this batch or not.
    live: usize,
}

impl Book {
    pub async fn read(conn: &mut Conn, list: &[(usize, &WatchWrite)]) -> Result<Self> {
        let (mut ids, mut prints) = (BTreeSet::new(), BTreeSet::new());
        for (_, write) in list {
            ids.extend(write.alerts.iter().map(|alert| alert.id.as_str()));
            ids.extend(write.acknowledged.iter().map(|(id, _)| id.as_str()));
            ids.extend(write.told.iter().map(|(id, _, _)| id.as_str()));
            let reported = write.reports.iter().map(|report| &report.alert);
            prints.extend(write.alerts.iter().chain(reported).map(|alert| alert.fingerprint.as_str()));
        }
        let mut book = Self::default();
        if ids.is_empty() && prints.is_empty() {
            return Ok(book);
        }
        let by_id = query("SELECT body FROM alerts WHERE id IN (SELECT value->>0 FROM {rows})");
        let by_print = query(
            "SELECT body FROM alerts WHERE resolved_at IS NULL AND fingerprint IN (SELECT value->>0 FROM {rows})",
        );
        for (select, words) in [(by_id, ids), (by_print, prints)] {
            for row in conn.fetch(select.bind(Rows::of(words.iter().map(|word| [word]))?)).await? {
                let alert: Alert = row.json("body")?;
                book.by_id.insert(alert.id.clone(), alert);
            }
        }
        let count = query("SELECT count(*) AS live FROM alerts WHERE resolved_at IS NULL");
        book.live = conn.fetch_one(count).await?.number("live")?;
        Ok(book)
    }

    /// Plays one write. True when a report or an acknowledgement changed something. An error means that nothing of the
    /// write was done.
    pub fn apply(&mut self, write: &WatchWrite) -> Result<bool> {
        let unknown = |report: &&Report| !report.ok && self.living(&report.alert.fingerprint).is_none();
        let new = write.reports.iter().filter(unknown).count();
        if new > 0 && self.live + new > ALERTS_LIVE_MAX {
            let name = write.reports.first().map_or("", |report| report.alert.name.as_str());
            return Err(StoreError::TooMany { what: format!("the alert {name:?}"), limit: ALERTS_LIVE_MAX });
        }
        self.live += new;
        let mut changed = false;
        for alert in &write.alerts {
            self.found(alert);
        }
        for report in &write.reports {
            changed |= self.report(report);
        }
        for (id, acknowledgement) in &write.acknowledged {
            if let Some(alert) = self.by_id.get_mut(id).filter(|alert| !alert.is_over()) {
                alert.acknowledged = Some(acknowledgement.clone());
                self.changed.insert(id.clone());
                changed = true;
            }
        }
        for (id, route, told) in &write.told {
            if let Some(alert) = self.by_id.get_mut(id) {
                alert.told.insert(route.clone(), *told);
                self.changed.insert(id.clone());
            }
        }
        Ok(changed)
    }

    fn living(&self, fingerprint: &str) -> Option<&Alert> {
        self.by_id.values().find(|alert| alert.fingerprint == fingerprint && !alert.is_over())
    }

    /// What a rule found takes the place of what it found before.
    fn found(&mut self, alert: &Alert) {
        if let Some(earlier) =
            self.living(&alert.fingerprint).filter(|other| other.id != alert.id).map(|it| it.id.clone())
        {
            self.remove(&earlier);
        }
        if alert.is_over() && alert.fired_at.is_none() {
            return self.remove(&alert.id);
        }
        let mut alert = alert.clone();
        if let Some(before) = self.by_id.get(&alert.id) {
            if alert.origin == Origin::Report && before.last_seen > alert.last_seen {
                // It was reported again while somebody thought that it was not.
                return;
            }
            alert.told.clone_from(&before.told);
            alert.acknowledged.clone_from(&before.acknowledged);
            if alert.is_over() {
                // What was wrong, not how it is now.
                alert.summary.clone_from(&before.summary);
            }
        }
        self.put(alert);
    }

    fn report(&mut self, report: &Report) -> bool {
        let said = &report.alert;
        let Some(known) = self.living(&said.fingerprint).cloned() else {
            if !report.ok {
                self.put(said.clone());
            }
            return !report.ok;
        };
        let mut known = known;
        if report.ok {
            known.resolve(said.last_seen, "it is reported to be fine");
        } else {
            known.summary.clone_from(&said.summary);
            known.severity = said.severity;
            known.routes.clone_from(&said.routes);
            (known.value, known.last_seen, known.expires_at) = (said.value, said.last_seen, said.expires_at);
        }
        self.put(known);
        report.ok
    }

    fn put(&mut self, alert: Alert) {
        self.removed.remove(&alert.id);
        self.changed.insert(alert.id.clone());
        self.by_id.insert(alert.id.clone(), alert);
    }

    fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
        self.changed.remove(id);
        self.removed.insert(id.to_owned());
    }

    pub async fn store(&self, conn: &mut Conn) -> Result<()> {
        if !self.removed.is_empty() {
            let delete = query("DELETE FROM alerts WHERE id IN (SELECT value->>0 FROM {rows})");
            conn.execute(delete.bind(Rows::of(self.removed.iter().map(|id| [id]))?)).await?;
        }
        let changed: Vec<&Alert> = self.changed.iter().filter_map(|id| self.by_id.get(id)).collect();
        // What is over first: of one fingerprint one row may live.
        for over in [true, false] {
            let mut rows = Rows::new();
            for alert in changed.iter().filter(|alert| alert.is_over() == over) {
                let (state, since) = (alert.state.as_str(), alert.since.as_microsecond());
                rows.push(&(&alert.id, &alert.fingerprint, state, since, micros(alert.resolved_at), json_of(alert)?))?;
            }
            if rows.is_empty() {
                continue;
            }
            let upsert = query(
                "INSERT INTO alerts (id, fingerprint, state, since, resolved_at, body)
                 SELECT value->>0, value->>1, value->>2, CAST(value->>3 AS BIGINT), CAST(value->>4 AS BIGINT), value->>5
                 FROM {rows} WHERE true
                 ON CONFLICT (id) DO UPDATE
                 SET state = excluded.state, resolved_at = excluded.resolved_at, body = excluded.body",
            );
            conn.execute(upsert.bind(rows)).await?;
        }
        Ok(())
    }
}
