//! What the drivers' errors mean to the store.

use sqlx::Error;

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Database(failure) => {
                let code = failure.code().unwrap_or_default();
                match failure.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                    Some(_) => from_sqlite(code.parse().unwrap_or(0), failure.message()),
                    None => from_postgres(&code, failure.message()),
                }
            }
            Error::ColumnDecode { .. } | Error::ColumnNotFound(_) | Error::Decode(_) => {
                Self::Corrupt { reason: error.to_string() }
            }
            Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Self::DiskFull,
            Error::PoolTimedOut => Self::Unavailable { reason: "no connection became free in time".into() },
            Error::PoolClosed => Self::Closed,
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => {
                Self::Unavailable { reason: error.to_string() }
            }
            _ => Self::Refused { reason: error.to_string() },
        }
    }
}

/// By primary result code; see <https://www.sqlite.org/rescode.html>.
fn from_sqlite(code: i32, message: &str) -> StoreError {
    /// `SQLITE_IOERR_FSYNC`: what a file system says that runs out of space only when it flushes.
    const IOERR_FSYNC: i32 = 1034;
    match code & 0xff {
        13 => StoreError::DiskFull,
        5 | 6 => StoreError::Locked,
        10 if code == IOERR_FSYNC => StoreError::Unavailable { reason: format!("the disk does not flush: {message}") },
        8 | 10 | 14 => StoreError::Unavailable { reason: message.to_owned() },
        11 | 26 => StoreError::Corrupt { reason: message.to_owned() },
        _ => StoreError::Refused { reason: message.to_owned() },
    }
}

/// By SQLSTATE.
fn from_postgres(code: &str, message: &str) -> StoreError {
    match code {
        "53100" => StoreError::DiskFull,
        // Serialisation failure, deadlock, lock not available: the same statements can succeed later.
        "40001" | "40P01" | "55P03" => StoreError::Locked,
        _ if code.starts_with("08") || code.starts_with("57P") || matches!(code, "53300" | "25006" | "25P03") => {
            StoreError::Unavailable { reason: message.to_owned() }
        }
        "XX001" | "XX002" => StoreError::Corrupt { reason: message.to_owned() },
        _ => StoreError::Refused { reason: message.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disks_and_locks_are_told_apart() {
        assert!(matches!(from_sqlite(13, ""), StoreError::DiskFull));
        assert!(matches!(from_sqlite(5 | 2 << 8, ""), StoreError::Locked));
        assert!(matches!(from_sqlite(778, ""), StoreError::Unavailable { .. }));
        assert!(matches!(from_sqlite(19, ""), StoreError::Refused { .. }));
        assert!(matches!(from_postgres("53100", ""), StoreError::DiskFull));
        assert!(matches!(from_postgres("57P01", ""), StoreError::Unavailable { .. }));
        assert!(matches!(from_postgres("23505", ""), StoreError::Refused { .. }));
    }
}
