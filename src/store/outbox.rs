//! Messages that wait until their receivers have them.

use serde_json::Value;

use super::Store;
use super::sql::{Row, query};
use super::text::limit_rows;
use super::types::StoreError;
use super::write::Command;
use crate::base::limits::{OUTBOX_DEAD_KEPT, STORE_PAGE_ROWS_MAX};
use crate::base::{Fault, Timestamp};
use crate::model::NewEvent;

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParcelState {
    /// More of the same join it until it is due.
    Gathering,
    Waiting,
    /// It is tried no more.
    Dead,
}

impl ParcelState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gathering => "gathering",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gathering, Self::Waiting, Self::Dead].into_iter().find(|state| state.as_str() == text)
    }
}

/// One message to one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct ParcelRow {
    pub id: String,
    pub route: String,
    pub destination: String,
    pub state: ParcelState,
    pub group_key: String,
    /// How many messages it stands for.
    pub count: u64,
    pub attempts: u32,
    pub created_at: Timestamp,
    pub due_at: Timestamp,
    /// The message, as whoever keeps it wrote it.
    pub body: Value,
    /// Of the last attempt.
    pub error: Option<Fault>,
}

/// What has become of a parcel.
#[derive(Debug, Clone, PartialEq)]
pub enum ParcelChange {
    /// Nothing joins it any more.
    Close,
    Delivered,
    Later {
        due_at: Timestamp,
        attempts: u32,
        error: Option<Fault>,
    },
    Dead {
        attempts: u32,
        error: Fault,
    },
    /// One that was dead is tried again, as if for the first time.
    Again {
        at: Timestamp,
    },
}

/// In one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutboxWrite {
    /// One that gathers is joined by what has its key.
    pub add: Vec<ParcelRow>,
    pub changes: Vec<(String, ParcelChange)>,
    pub events: Vec<NewEvent>,
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    pub waiting: u64,
    pub dead: u64,
}

fn parcel(row: &Row) -> Result<ParcelRow> {
    Ok(ParcelRow {
        id: row.text("id")?,
        route: row.text("route")?,
        destination: row.text("destination")?,
        state: row.word("state", ParcelState::parse)?,
        group_key: row.text("group_key")?,
        count: row.number("count")?,
        attempts: row.number("attempts")?,
        created_at: row.time("created_at")?,
        due_at: row.time("due_at")?,
        body: row.value("body")?,
        error: row.maybe_json("error")?,
    })
}

impl Store {
    /// How many parcels it changed; one that is gone is not counted.
    pub async fn outbox(&self, write: OutboxWrite) -> Result<u64> {
        if write.add.is_empty() && write.changes.is_empty() && write.events.is_empty() {
            return Ok(0);
        }
        self.write(Command::Outbox(Box::new(write))).await
    }

    /// Parcels whose time has come, the earliest first.
    pub async fn parcels_due(&self, now: Timestamp, limit: usize) -> Result<Vec<ParcelRow>> {
        let select = query("SELECT * FROM outbox WHERE state <> 'dead' AND due_at <= $1 ORDER BY due_at, id LIMIT $2");
        self.readers().fetch(select.bind(now).bind(limit_rows(limit))).await?.iter().map(parcel).collect()
    }

    /// When the next one is due.
    pub async fn next_parcel(&self) -> Result<Option<Timestamp>> {
        let select = query("SELECT due_at FROM outbox WHERE state <> 'dead' ORDER BY due_at LIMIT 1");
        self.readers().fetch(select).await?.first().map(|row| row.time("due_at")).transpose()
    }

    /// Those that are dead, the newest first, then those that wait, the earliest first.
    pub async fn parcels(&self) -> Result<Vec<ParcelRow>> {
        let dead = query("SELECT * FROM outbox WHERE state = 'dead' ORDER BY created_at DESC, id LIMIT $1");
        let mut found = self.readers().fetch(dead.bind(OUTBOX_DEAD_KEPT)).await?;
        let waiting = query("SELECT * FROM outbox WHERE state <> 'dead' ORDER BY due_at, id LIMIT $1");
        found.extend(self.readers().fetch(waiting.bind(STORE_PAGE_ROWS_MAX)).await?);
        found.iter().map(parcel).collect()
    }

    pub async fn parcel(&self, id: &str) -> Result<Option<ParcelRow>> {
        let select = query("SELECT * FROM outbox WHERE id = $1").bind(id.to_owned());
        self.readers().fetch(select).await?.first().map(parcel).transpose()
    }

    pub async fn outbox_counts(&self) -> Result<OutboxCounts> {
        let select = query("SELECT state, count(*) AS parcels FROM outbox GROUP BY state");
        let mut counts = OutboxCounts::default();
        for row in self.readers().fetch(select).await? {
            let parcels: u64 = row.number("parcels")?;
            match row.word("state", ParcelState::parse)? {
                ParcelState::Dead => counts.dead += parcels,
                ParcelState::Gathering | ParcelState::Waiting => counts.waiting += parcels,
            }
        }
        Ok(counts)
    }
}
