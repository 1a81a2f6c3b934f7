//! What a script holds open: transactions and streams, by number. It goes away with the script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;

use super::error::SqlError;
use super::stream::Stream;
use super::transaction::Transaction;
use crate::base::limits;

/// One for each virtual machine. Dropped, everything in it is rolled back or closed.
#[derive(Debug, Default)]
pub struct Open(Mutex<Numbered>);

#[derive(Debug, Default)]
struct Numbered {
    last: i64,
    entries: BTreeMap<i64, Entry>,
}

impl Numbered {
    fn room(&self) -> Result<(), SqlError> {
        let max = limits::SQL_OPEN_MAX;
        if self.entries.len() < max {
            return Ok(());
        }
        Err(SqlError::Over(format!("{max} transactions and streams are open in this run, and no more may be")))
    }
}

#[derive(Debug, Clone)]
enum Entry {
    Transaction(Arc<Transaction>),
    Stream(Arc<AsyncMutex<Stream>>),
}

impl Open {
    /// Whether there is room for one more, before a connection is taken for it.
    pub fn room(&self) -> Result<(), SqlError> {
        self.with(|numbered| numbered.room())
    }

    pub fn add_transaction(&self, transaction: Transaction) -> Result<i64, SqlError> {
        self.add(Entry::Transaction(Arc::new(transaction)))
    }

    pub fn add_stream(&self, stream: Stream) -> Result<i64, SqlError> {
        self.add(Entry::Stream(Arc::new(AsyncMutex::new(stream))))
    }

    pub fn transaction(&self, number: i64) -> Result<Arc<Transaction>, SqlError> {
        match self.with(|numbered| numbered.entries.get(&number).cloned()) {
            Some(Entry::Transaction(transaction)) => Ok(transaction),
            _ => Err(SqlError::Over(format!("there is no open transaction {number}: it was ended"))),
        }
    }

    pub fn stream(&self, number: i64) -> Result<Arc<AsyncMutex<Stream>>, SqlError> {
        match self.with(|numbered| numbered.entries.get(&number).cloned()) {
            Some(Entry::Stream(stream)) => Ok(stream),
            _ => Err(SqlError::Over(format!("there is no open stream {number}: it was closed"))),
        }
    }

    /// Forgets a transaction or a stream; whoever uses it at the moment goes on.
    pub fn remove(&self, number: i64) {
        let gone = self.with(|numbered| numbered.entries.remove(&number));
        // Outside of the lock.
        drop(gone);
    }

    fn add(&self, entry: Entry) -> Result<i64, SqlError> {
        self.with(|numbered| {
            numbered.room()?;
            numbered.last += 1;
            numbered.entries.insert(numbered.last, entry);
            Ok(numbered.last)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Numbered) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
