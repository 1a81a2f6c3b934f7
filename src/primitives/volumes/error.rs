//! What can go wrong with a volume, in words.

use std::fmt::Display;
use std::io;
use std::path::Path;

use super::name::VolumeName;
use crate::base::Fault;

pub fn off(is_configured: bool) -> Fault {
    let fault = Fault::new("volumes.unavailable", "volumes are not served here");
    fault.hint(match is_configured {
        true => "only the daemon serves them: run this as a job of it",
        false => "the operator gives the NFS gateway an address under nfs.listen",
    })
}

pub fn not_found(name: impl Display) -> Fault {
    let hint = "`aegis volume list` and aegis.volumes.list() show those that are there";
    Fault::new("volumes.not_found", format!("there is no volume {name}")).hint(hint)
}

pub fn exists(name: &VolumeName) -> Fault {
    Fault::new("volumes.conflict", format!("there is a volume {name} already")).hint("choose another name")
}

pub fn no_snapshot(name: &VolumeName, snapshot: &str) -> Fault {
    let message = format!("the volume {name} has no snapshot {snapshot:?}");
    Fault::new("volumes.snapshot.not_found", message).hint("aegis.volumes.get(name).snapshots has their names")
}

pub fn snapshot_exists(name: &VolumeName, snapshot: &str) -> Fault {
    let message = format!("the volume {name} has a snapshot {snapshot:?} already");
    Fault::new("volumes.conflict", message).hint("choose another name, or remove that one first")
}

/// Something that must be more than nothing, or not so much.
pub fn value(message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault::new("volumes.value.invalid", message).hint(hint)
}

pub fn io(what: impl Display, path: &Path, failure: &io::Error) -> Fault {
    let fault = Fault::new("volumes.io", format!("{what}: {}: {failure}", path.display()));
    match failure.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => fault.hint("make room on the host's disk"),
        io::ErrorKind::PermissionDenied => fault.hint("make the folder under nfs.root the daemon's own"),
        _ => fault.hint("look at the disk under nfs.root"),
    }
}
