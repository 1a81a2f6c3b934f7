//! How a failure of the store reads where it leaves the core.

use super::StoreError;
use crate::base::Fault;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Open { .. } => "store.open",
            StoreError::TooNew { .. } => "store.too_new",
            StoreError::DiskFull => "store.disk_full",
            StoreError::Locked => "store.locked",
            StoreError::Unavailable { .. } => "store.unavailable",
            StoreError::Overloaded { .. } => "store.overloaded",
            StoreError::Closed => "store.closed",
            StoreError::Refused { .. } => "store.refused",
            StoreError::Corrupt { .. } => "store.corrupt",
        };
        let retryable = matches!(
            error,
            StoreError::DiskFull | StoreError::Locked | StoreError::Unavailable { .. } | StoreError::Overloaded { .. }
        );
        let fault = Self::new(code, error.to_string());
        if retryable { fault.retryable() } else { fault }
    }
}
