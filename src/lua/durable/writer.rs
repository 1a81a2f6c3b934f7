//! Puts entries on disk, those of several strands together.

use std::future::pending;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};

use super::course::Course;
use super::halt::Halt;
use super::turns::Standing;
use crate::base::Fault;
use crate::model::Entry;

/// Resolves to the number of the last entry that is on disk.
type Flight = Shared<LocalBoxFuture<'static, Result<u64, Fault>>>;

#[derive(Debug, Default)]
pub struct Writer {
    /// In their order; the last has the number `taken`.
    pending: Vec<Entry>,
    taken: u64,
    written: u64,
    /// One at a time, so that entries reach the disk in their order.
    flight: Option<(u64, Flight)>,
}

impl Course {
    /// An entry that is written together with the next one that somebody waits for.
    pub(super) fn buffer(&self, entry: Entry) -> u64 {
        self.note_bytes(&entry);
        let mut writer = self.writer.borrow_mut();
        writer.pending.push(entry);
        writer.taken += 1;
        writer.taken
    }

    /// Returns when the entry is on disk and everything before it.
    pub(super) async fn write(&self, entry: Entry) {
        let number = self.buffer(entry);
        self.written(number).await;
    }

    /// Writes an entry that is an answer, and returns when it is its strand's turn to go on.
    pub(super) async fn commit(&self, entry: Entry) {
        let ticket = self.ticket(&entry.key);
        self.write(entry).await;
        self.take_turn(Some(ticket.turn())).await;
    }

    /// The same without waiting for the disk: for what may happen again if nothing after it is recorded.
    pub(super) async fn commit_later(&self, entry: Entry) {
        let ticket = self.ticket(&entry.key);
        self.buffer(entry);
        self.take_turn(Some(ticket.turn())).await;
    }

    pub(super) async fn flush(&self) {
        let number = self.writer.borrow().taken;
        self.written(number).await;
    }

    /// For when the script has ended: everything that was done is on disk, or the journal takes it no more.
    pub async fn settle(&self) -> Result<(), Fault> {
        let number = self.writer.borrow().taken;
        self.land(number).await
    }

    async fn written(&self, number: u64) {
        let _stand = self.stand(Standing::Away);
        if let Err(fault) = self.land(number).await {
            self.lose::<()>(fault).await;
        }
    }

    /// The VM is given up, for the journal is not its own any more.
    pub(super) async fn lose<T>(&self, fault: Fault) -> T {
        self.halt(Halt::Lost(fault));
        pending().await
    }

    async fn land(&self, number: u64) -> Result<(), Fault> {
        while let Some((upto, flight)) = self.flight(number) {
            let written = flight.await?;
            let mut writer = self.writer.borrow_mut();
            writer.written = writer.written.max(written);
            if writer.flight.as_ref().is_some_and(|(current, _)| *current == upto) {
                writer.flight = None;
            }
        }
        Ok(())
    }

    /// What has to end before entry `number` can be on disk; None when it is.
    fn flight(&self, number: u64) -> Option<(u64, Flight)> {
        let mut writer = self.writer.borrow_mut();
        if writer.written >= number {
            return None;
        }
        if writer.flight.is_none() {
            let (batch, upto, port) = (std::mem::take(&mut writer.pending), writer.taken, self.port.clone());
            let flight = async move { port.record(batch).await.map(|()| upto) }.boxed_local().shared();
            writer.flight = Some((upto, flight));
        }
        writer.flight.clone()
    }
}
