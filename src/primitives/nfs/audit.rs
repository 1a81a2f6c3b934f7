//! Who did what to which file, told to whoever wants to know.

use std::net::IpAddr;
use std::time::Duration;

/// One call that was executed. Retransmissions that were answered from memory are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub peer: IpAddr,
    /// As the call claims; `None` without credentials.
    pub claimed_uid: Option<u32>,
    /// The export's path, as far as the call got to one.
    pub export: Option<String>,
    /// Such as `write` or `mount.mnt`.
    pub operation: &'static str,
    /// Whether it would change something.
    pub changes: bool,
    /// The number of the file or directory whose handle came first.
    pub file: Option<u64>,
    /// The name that the call gave, in whatever bytes the client has names.
    pub name: Option<Vec<u8>>,
    /// `nfsstat3` or `mountstat3`; 0 is OK.
    pub status: u32,
    pub took: Duration,
}

/// Told of every call on the thread that executed it, before the answer goes out: it must not wait for anything.
pub trait Audit: Send + Sync {
    fn record(&self, event: AuditEvent);
}
