//! What can go wrong outside of a call.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::base::Fault;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address} for NFS: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot read or make the key of file handles at {}: {source}", path.display())]
    Key { path: PathBuf, source: io::Error },
    #[error("`{name}` cannot be part of an export's path: only letters, digits, `-`, `_` and `.` can")]
    ExportName { name: String },
    #[error("{path} is exported already")]
    ExportExists { path: String },
    #[error("{path} is not exported")]
    NoExport { path: String },
    #[error("no more volumes can be exported")]
    TooManyExports,
    #[error("cannot open the volume at {}: {source}", path.display())]
    Volume { path: PathBuf, source: io::Error },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::Listen { .. } => ("nfs.listen", "choose another address with nfs.listen, or stop what holds it"),
            Error::Key { .. } => ("nfs.key", "make nfs.root the daemon's own"),
            Error::ExportName { .. } => ("volumes.name.invalid", "write tenant/volume"),
            Error::ExportExists { .. } => ("volumes.conflict", "choose another name"),
            Error::NoExport { .. } => ("volumes.not_found", "aegis.volumes.list shows those that are there"),
            Error::TooManyExports => ("volumes.too_many", "delete some"),
            Error::Volume { .. } => ("volumes.io", "look at the disk under nfs.root"),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}
