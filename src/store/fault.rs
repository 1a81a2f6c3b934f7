//! How a failure of the store reaches a person or a script.

use super::StoreError;
use crate::base::Fault;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Open { .. } => Self::new("store.open", message),
            StoreError::TooNew { .. } => Self::new("store.too_new", message),
            StoreError::DiskFull => Self::new("store.disk_full", message).retryable(),
            StoreError::Locked => Self::new("store.locked", message)
                .hint("end what holds the lock, such as a sqlite3 or psql shell in an open transaction")
                .retryable(),
            StoreError::Unavailable { .. } => Self::new("store.unavailable", message).retryable(),
            StoreError::Overloaded { .. } => Self::new("store.overloaded", message).retryable(),
            StoreError::Closed => Self::new("store.closed", message).retryable(),
            StoreError::Refused { .. } => Self::new("store.refused", message),
            StoreError::Corrupt { .. } => {
                Self::new("store.corrupt", message).hint("restore a backup, and keep the damaged file for diagnosis")
            }
            StoreError::ScopeFull { .. } => Self::new("kv.full", message)
                .hint("delete what is not needed any more, or let it go by itself with ttl"),
            StoreError::TooMany { .. } => Self::new("store.too_many", message)
                .hint("a label whose values never end, such as an id, makes a series of each; leave it out"),
            StoreError::TooLarge { .. } => Self::new("store.too_large", message),
        }
    }
}
