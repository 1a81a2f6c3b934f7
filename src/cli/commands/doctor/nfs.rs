//! Volumes and the gateway that serves them.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Finding;
use crate::base::{limits, quantity};
use crate::config::Config;
use crate::primitives::nfs;
use crate::primitives::volumes::reached_at;

const CHECK: &str = "nfs";
/// Less free space than this and volumes soon have none, whatever their quota.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// Nothing where the configuration has no address for it.
pub(super) async fn check(config: &Config, is_running: bool) -> Vec<Finding> {
    let Some(listen) = config.nfs.listen else { return Vec::new() };
    let mut findings = vec![folder(&config.nfs.root)];
    let address = reached_at(listen);
    let answer = nfs::ping(address, limits::VOLUMES_PING_WAIT).await;
    findings.push(match (answer, is_running) {
        (Ok(()), true) => Finding::ok(CHECK, format!("the gateway answers on {address}")),
        (Ok(()), false) => {
            let fix = "stop that server, or choose another address with nfs.listen";
            Finding::problem(CHECK, format!("another NFS server answers on {address}"), fix)
        }
        (Err(failure), true) => {
            let fix = "see the daemon's log; it does not serve volumes unless it was started with nfs.listen";
            Finding::problem(CHECK, format!("no gateway answers on {address}: {failure}"), fix)
        }
        (Err(_), false) => Finding::ok(CHECK, format!("{address} is free for the gateway")),
    });
    if !address.ip().is_loopback() {
        let found = format!("the gateway is reached from other machines on {listen}");
        let fix = "clients are told apart by their addresses alone: keep nfs.clients narrow, or listen on 127.0.0.1";
        findings.push(Finding::warning(CHECK, found, fix));
    }
    let kernel = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !kernel.lines().any(|line| line.trim_start_matches("nodev").trim() == "nfs") {
        let fix = "modprobe nfs on the machine whose containers mount volumes, or give those the volume's folder";
        findings.push(Finding::warning(CHECK, "this kernel has no NFS client loaded", fix));
    }
    findings
}

/// Whether the folder, or else the first above it that is there, can be written, and has room.
fn folder(root: &Path) -> Finding {
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let there: PathBuf = absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    if rustix::fs::access(&there, Access::WRITE_OK).is_err() {
        let fix = format!("chown it to the daemon's user, or set nfs.root; volumes lie in {}", root.display());
        return Finding::problem(CHECK, format!("{} cannot be written by this user", there.display()), fix);
    }
    let free = rustix::fs::statvfs(&there).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let found = format!("volumes in {}, {} free", root.display(), quantity::show_size(free));
    match free {
        ..FREE_BYTES_MIN => Finding::warning(CHECK, found, "free space on this disk, or delete volumes"),
        _ => Finding::ok(CHECK, found),
    }
}
