//! Who listens where, from `/proc/net` and the descriptors of processes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::Source;
use crate::base::limits;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Listener {
    /// `tcp`, `tcp6`, `udp` or `udp6`.
    pub protocol: &'static str,
    pub port: u16,
    pub address: String,
    /// Absent where the daemon's user may not look at the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

const LISTENING: &str = "0A";
/// What the kernel calls a UDP socket without a peer.
const UNCONNECTED: &str = "07";

pub(super) fn list(files: &Source) -> Vec<Listener> {
    let owners = owners(files);
    let mut found = Vec::new();
    for (protocol, state) in [("tcp", LISTENING), ("tcp6", LISTENING), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)] {
        // Without IPv6 two of them are not there.
        let text = files.maybe(&format!("proc/net/{protocol}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(inode)) = (fields.get(1), fields.get(9)) else { continue };
            let Some((address, port)) = endpoint(local).filter(|_| fields.get(3) == Some(&state)) else { continue };
            let pid = owners.get(*inode).copied();
            let process = pid.and_then(|pid| files.maybe(&format!("proc/{pid}/comm")));
            let process = process.map(|name| name.trim_end().to_owned());
            found.push(Listener { protocol, port, address: address.to_string(), pid, process });
        }
    }
    found.sort();
    found.dedup();
    found.truncate(limits::HOST_LISTENERS_MAX);
    found
}

/// `0100007F:1F90`: each 32 bits in the machine's own order, the port in the usual one.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (place, piece) in bytes.chunks_exact_mut(4).enumerate() {
                piece.copy_from_slice(&word(place * 8)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((address, port))
}

/// Sockets by their number, and one process that has each open.
fn owners(files: &Source) -> HashMap<String, i32> {
    let mut owners = HashMap::new();
    let mut seen = 0;
    let processes = std::fs::read_dir(files.path("proc")).into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // Those of other users can only be read by root.
        let descriptors = std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for descriptor in descriptors {
            seen += 1;
            if seen > limits::HOST_DESCRIPTORS_SEEN_MAX {
                return owners;
            }
            let Ok(target) = std::fs::read_link(descriptor.path()) else { continue };
            let socket = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
            if let Some(inode) = socket {
                let owner = owners.entry(inode.to_owned()).or_insert(pid);
                // The one that was there first, when a socket was handed on.
                *owner = pid.min(*owner);
            }
        }
    }
    owners
}
