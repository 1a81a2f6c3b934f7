//! Carries what is due to its destinations, and notes what became of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::plan::{Load, Sent, loads, patience};
use crate::base::clock::{later, since};
use crate::base::{Clock, Timestamp, limits};
use crate::model::NewEvent;
use crate::primitives::notify::{Failure, Notify};
use crate::store::{Leadership, OutboxWrite, ParcelChange, ParcelRow, ParcelState, Store, StoreError};

/// Before something that failed is begun again.
const RETRY: Duration = Duration::from_secs(1);

/// The task; run it under the supervisor.
#[derive(Debug)]
pub struct Courier {
    pub store: Store,
    pub notify: Notify,
    pub clock: Clock,
}

/// When messages went to each destination of each route.
type Books = HashMap<(String, String), Sent>;

impl Courier {
    /// Carries whenever this daemon leads, until `stop`.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub async fn serve(self, mut leadership: Leadership, stop: CancellationToken) -> Result<(), StoreError> {
        let mut books = Books::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.term(&mut leadership, &mut books) => {}
            }
        }
    }

    /// From when this daemon leads until it leads no more.
    async fn term(&self, leadership: &mut Leadership, books: &mut Books) {
        while !leadership.leads() {
            leadership.changed().await;
            if !leadership.leads() {
                // After the candidate's end nothing changes any more: this must not become a busy wait.
                self.clock.sleep(RETRY).await;
            }
        }
        let deposed = async { while leadership.changed().await {} };
        let carried = async {
            loop {
                let error = self.carry(books).await;
                if error != StoreError::Closed {
                    warn!(%error, "notifications cannot go out yet; trying again");
                }
                self.clock.sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = deposed => {}
            () = carried => {}
        }
    }

    /// Goes on until the store fails.
    async fn carry(&self, books: &mut Books) -> StoreError {
        match self.rounds(books).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn rounds(&self, books: &mut Books) -> Result<std::convert::Infallible, StoreError> {
        let mut commits = self.store.commits();
        loop {
            commits.mark_unchanged();
            if self.round(books).await? {
                continue;
            }
            let latest = later(self.clock.now(), limits::OUTBOX_LOOK_EVERY);
            let wake = self.store.next_parcel().await?.map_or(latest, |next| next.min(latest));
            tokio::select! {
                () = self.clock.sleep_until(wake) => {}
                // Whatever is committed in the same breath is looked at together.
                Ok(()) = commits.changed() => self.clock.sleep(limits::OUTBOX_LAG).await,
            }
        }
    }

    /// Carries what is due. False when nothing was.
    pub(super) async fn round(&self, books: &mut Books) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let due = self.store.parcels_due(now, limits::OUTBOX_AT_ONCE).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let gathered = |row: &&ParcelRow| row.state == ParcelState::Gathering;
        let closing: Vec<_> = due.iter().filter(gathered).map(|row| (row.id.clone(), ParcelChange::Close)).collect();
        if !closing.is_empty() {
            // From now on nothing joins them; what they are by then is read again.
            self.store.outbox(OutboxWrite { changes: closing, ..OutboxWrite::default() }).await?;
            return Ok(true);
        }
        let mut stacks: BTreeMap<(String, String), Vec<ParcelRow>> = BTreeMap::new();
        for row in due {
            stacks.entry((row.route.clone(), row.destination.clone())).or_default().push(row);
        }
        let rounds = stacks.into_iter().map(|(place, rows)| {
            let mut sent = books.remove(&place).unwrap_or_default();
            async move {
                let outcome = self.stack(&place, rows, &mut sent, now).await;
                (place, sent, outcome)
            }
        });
        let mut outcome = Ok(true);
        for (place, sent, done) in join_all(rounds).await {
            books.insert(place, sent);
            outcome = outcome.and_then(|is_due| done.map(|()| is_due));
        }
        outcome
    }

    /// One destination's mail. A failure that may pass holds up what comes after it, so that order is kept and a receiver
    /// that is not well is left in peace. What became of a message is noted before the next one is sent.
    async fn stack(
        &self,
        (route, destination): &(String, String),
        rows: Vec<ParcelRow>,
        sent: &mut Sent,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = OutboxWrite::default();
        let wait = |row: &ParcelRow, due_at| {
            (row.id.clone(), ParcelChange::Later { due_at, attempts: row.attempts, error: None })
        };
        let mut known: HashMap<String, ParcelRow> = HashMap::new();
        let mut ready = Vec::new();
        for row in rows {
            let parcel = super::parcel(&row);
            if let Some(end) = self.notify.quiet_until(route, parcel.message.severity, now) {
                write.changes.push(wait(&row, end));
                continue;
            }
            ready.push((parcel, row.count));
            known.insert(row.id.clone(), row);
        }
        let rate = self.notify.rate(route, destination);
        let free = sent.free(rate, now);
        if free == 0 {
            let next = sent.next(rate, now);
            write.changes.extend(known.values().map(|row| wait(row, next)));
        }
        let mut held_until = None;
        for load in loads(ready, free) {
            // Others wait for the end of this round: one that is slow goes on in the next.
            if held_until.is_none() && since(self.clock.now(), now) > limits::OUTBOX_ROUND {
                held_until = Some(self.clock.now());
            }
            if let Some(until) = held_until {
                write.changes.extend(load.ids.iter().filter_map(|id| known.get(id)).map(|row| wait(row, until)));
                continue;
            }
            let outcome = self.notify.attempt(&load.parcel, load.count).await;
            let at = self.clock.now();
            if outcome.as_ref().map_or_else(|failure| failure.is_sent, |()| true) {
                sent.note(at);
            }
            match outcome {
                Ok(()) => write.changes.extend(load.ids.into_iter().map(|id| (id, ParcelChange::Delivered))),
                Err(failure) => held_until = self.failed(&load, &known, failure, at, &mut write),
            }
            self.store.outbox(std::mem::take(&mut write)).await?;
        }
        self.store.outbox(write).await.map(drop)
    }

    /// Until when the destination is left in peace; None when the message is given up.
    fn failed(
        &self,
        load: &Load,
        known: &HashMap<String, ParcelRow>,
        failure: Failure,
        at: Timestamp,
        write: &mut OutboxWrite,
    ) -> Option<Timestamp> {
        let rows: Vec<&ParcelRow> = load.ids.iter().filter_map(|id| known.get(id)).collect();
        let attempts = rows.iter().map(|row| row.attempts).max().unwrap_or(0).saturating_add(1);
        let wait = later(at, patience(attempts, failure.asked));
        let mut until = None;
        for row in rows {
            let error = failure.fault.clone();
            let is_old = since(wait, row.created_at) > limits::OUTBOX_AGE_MAX;
            if failure.fault.retryable && !is_old {
                info!(route = row.route, problem = %failure.fault, again = %wait, "a notification is tried again");
                until = Some(wait);
                let later = ParcelChange::Later { due_at: wait, attempts, error: Some(error) };
                write.changes.push((row.id.clone(), later));
                continue;
            }
            warn!(route = row.route, id = row.id, problem = %failure.fault, "a notification is given up");
            let data = json!({
                "id": row.id, "route": row.route, "destination": row.destination, "attempts": attempts,
                "messages": row.count, "error": { "code": error.code, "message": error.message },
            });
            write.events.push(NewEvent::new(at, "notification.dead").data(data));
            write.changes.push((row.id.clone(), ParcelChange::Dead { attempts, error }));
        }
        until
    }
}
