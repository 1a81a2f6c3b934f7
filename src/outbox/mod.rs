//! Rank 3: messages on their way to people. They are kept in the store until their receivers have them, across
//! restarts; a receiver that is not well is tried again with growing patience, and what is given up is told.
//!
//! [`Outbox`] is where messages are put, by whoever sends one; [`Courier`] is the task that carries them. Of several
//! daemons on one database the leader's carries. A message is delivered at least once: when a daemon ends between a
//! receiver's answer and the note of it, the next one sends it again under the same id.

mod courier;
mod plan;

#[cfg(test)]
mod tests;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

pub use courier::Courier;

use crate::base::clock::later;
use crate::base::{Clock, Fault, limits};
use crate::model::NewEvent;
use crate::primitives::notify::{self, Message, Parcel};
use crate::store::{OutboxWrite, ParcelRow, ParcelState, Store};

/// Keeps messages in the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub store: Store,
    pub clock: Clock,
}

impl notify::Outbox for Outbox {
    fn keep(&self, parcels: Vec<Parcel>) -> BoxFuture<'_, Result<(), Fault>> {
        async move {
            let counts = self.store.outbox_counts().await?;
            if counts.waiting >= limits::OUTBOX_PARCELS_MAX {
                let message = format!("{} messages wait to be sent, and no more are kept", counts.waiting);
                let fault = Fault::new("notify.queue_full", message);
                return Err(fault.retryable().hint("`aegis notify queue` shows why they are not taken"));
            }
            let now = self.clock.now();
            let of = |parcel: &Parcel| json!({ "destination": parcel.destination, "id": parcel.id });
            let data = json!({
                "route": parcels.first().map(|parcel| &parcel.route),
                "to": parcels.iter().map(of).collect::<Vec<_>>(),
            });
            let events = vec![NewEvent::new(now, "notification.queued").data(data)];
            let add = parcels.into_iter().map(|parcel| row(parcel, now)).collect();
            self.store.outbox(OutboxWrite { add, events, ..OutboxWrite::default() }).await?;
            Ok(())
        }
        .boxed()
    }
}

fn row(parcel: Parcel, now: crate::base::Timestamp) -> ParcelRow {
    let (state, due_at) = match parcel.hold {
        Some(window) => (ParcelState::Gathering, later(now, window)),
        None => (ParcelState::Waiting, now),
    };
    ParcelRow {
        id: parcel.id,
        route: parcel.route,
        destination: parcel.destination,
        state,
        group_key: parcel.key,
        count: 1,
        attempts: 0,
        created_at: now,
        due_at,
        body: json!(parcel.message),
        error: None,
    }
}

fn parcel(row: &ParcelRow) -> Parcel {
    // What another version wrote is told as far as it is understood.
    let message: Message = serde_json::from_value(row.body.clone()).unwrap_or_else(|_| Message {
        title: "a message that this version of Aegis cannot read".into(),
        ..Message::default()
    });
    Parcel {
        id: row.id.clone(),
        route: row.route.clone(),
        destination: row.destination.clone(),
        message,
        key: row.group_key.clone(),
        hold: None,
    }
}
