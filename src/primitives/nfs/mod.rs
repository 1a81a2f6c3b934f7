//! NFS volumes: a server of NFS version 3 over TCP inside the daemon.
//!
//! ```text
//! wire/       bytes to calls and back: XDR (RFC 4506), records and RPC (RFC 5531)
//! connection  one client: reads, has executed, writes; replay answers what comes twice
//! service     a call to its procedure, counted and audited
//! mount       MOUNT version 3: a path to a handle
//! v3/         NFS version 3 (RFC 1813): the procedures, handles, permissions
//! files       a volume's files by path, for the daemon itself
//! backend/    what holds the files: a directory of the host, or any file system of the nfsserve crate
//! ```
//!
//! Clients mount with `port=` and `mountport=`: there is no portmapper, and no locking (`nolock`).

pub mod audit;
pub mod backend;
mod connection;
mod counters;
mod error;
mod export;
mod files;
mod gateway;
mod mount;
mod ping;
mod replay;
mod service;
mod squash;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod v3;
mod wire;

pub use backend::dir::{Directory, DirectoryOptions, Limits, Still, Usage};
pub use connection::Waits;
pub use counters::{OperationCount, Statistics};
pub use error::Error;
pub use export::{ClientRule, ExportOptions};
pub use files::{FileEntry, Files, WriteOptions};
pub use gateway::{Gateway, Handle, Options};
pub use ping::ping;
pub use squash::Squash;
