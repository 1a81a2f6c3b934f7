//! The audit log and the rights that people have approved, as callers see them.

use super::StoreError;
use super::handle::Store;
use super::write::Command;
use crate::base::{JobName, Timestamp};
use crate::model::{NewAudit, NewEvent, Right};

type Result<T> = std::result::Result<T, StoreError>;

/// The rights of a job that a person has approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightsRow {
    pub job: JobName,
    pub rights: Vec<Right>,
    /// Of the rights alone, whatever else the file says.
    pub hash: String,
    pub approved_by: String,
    pub approved_at: Timestamp,
}

/// Which records to read.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub job: Option<String>,
    pub actor: Option<String>,
    /// The beginning of it.
    pub action: Option<String>,
    /// Only what did not go well.
    pub refused: bool,
    pub since: Option<Timestamp>,
}

/// What the writer does about trust.
#[derive(Debug)]
pub enum TrustWrite {
    Audit(Vec<NewAudit>),
    /// Takes the place of what was approved for the job before.
    Approve(Box<(RightsRow, NewAudit, NewEvent)>),
    /// Removes records up to this number, and notes what the rest continues.
    Prune {
        up_to: i64,
        at: Timestamp,
    },
}

impl Store {
    /// Appends records to the audit log, in the transaction of whatever else is written at this moment.
    pub async fn append_audit(&self, records: Vec<NewAudit>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.write(Command::Trust(Box::new(TrustWrite::Audit(records)))).await
    }

    /// As [`Store::append_audit`], without waiting for the commit: what this store is given later is committed with it
    /// or after it. A record that the database did not take is told in the daemon's log.
    ///
    /// # Errors
    /// The queue is full or closed; the record is not taken.
    pub fn queue_audit(&self, record: NewAudit) -> Result<()> {
        self.enqueue(Command::Trust(Box::new(TrustWrite::Audit(vec![record]))))
    }

    /// Keeps what a person has approved, with its record.
    pub async fn approve_rights(&self, row: RightsRow, record: NewAudit, event: NewEvent) -> Result<()> {
        self.write(Command::Trust(Box::new(TrustWrite::Approve(Box::new((row, record, event)))))).await
    }
}
