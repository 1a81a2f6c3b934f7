//! File systems that are mounted, and the devices below them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rates::{Pair, per_second, percent, round};
use super::{HostError, Source};
use crate::base::limits;

/// `/proc/diskstats` counts in these, whatever the device has.
const SECTOR_BYTES: u64 = 512;

/// File systems of the kernel's own, in which nothing is kept.
const KERNELS: [&str; 24] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Mount {
    pub mount: String,
    pub source: String,
    /// Such as `ext4`.
    pub kind: String,
    pub read_only: bool,
    pub total_bytes: u64,
    pub used_bytes: u64,
    /// To users other than root.
    pub available_bytes: u64,
    /// As `df` counts it: of what users can have.
    pub used_percent: f64,
    pub inodes: u64,
    pub inodes_used: u64,
    pub inodes_free: u64,
    /// Absent where the file system is not on a device of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<Io>,
    /// Why it could not be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    #[serde(skip)]
    pub(super) number: String,
}

/// Of the device, since the previous reading.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Io {
    pub device: String,
    pub read_bytes_per_second: f64,
    pub written_bytes_per_second: f64,
    pub reads_per_second: f64,
    pub writes_per_second: f64,
    /// How long one transfer took on average, its waiting included.
    pub wait_ms: f64,
    /// Of the time in which something was under way.
    pub busy_percent: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    name: String,
    reads: u64,
    read_sectors: u64,
    read_ms: u64,
    writes: u64,
    written_sectors: u64,
    write_ms: u64,
    busy_ms: u64,
}

/// By device number, `8:0`.
pub(super) type Counters = BTreeMap<String, Counter>;

pub(super) fn counters(files: &Source) -> Result<Counters, HostError> {
    // Absent in some containers.
    let text = files.maybe("proc/diskstats").unwrap_or_default();
    let counter = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let counter = Counter {
            name: (*fields.get(2)?).to_owned(),
            reads: number(3)?,
            read_sectors: number(5)?,
            read_ms: number(6)?,
            writes: number(7)?,
            written_sectors: number(9)?,
            write_ms: number(10)?,
            busy_ms: number(12)?,
        };
        Some((format!("{}:{}", fields[0], fields[1]), counter))
    };
    Ok(text.lines().filter_map(counter).collect())
}

pub(super) fn mounts(files: &Source) -> Result<Vec<Mount>, HostError> {
    let text = files.read("proc/self/mountinfo")?;
    let mut seen = BTreeSet::new();
    let mut mounts: Vec<Mount> = text.lines().filter_map(mount).collect();
    // Of a file system that is mounted in several places, the one highest up.
    mounts.sort_by_key(|mount| mount.mount.len());
    mounts.retain(|mount| seen.insert(mount.number.clone()));
    mounts.sort_by(|one, other| one.mount.cmp(&other.mount));
    mounts.truncate(limits::HOST_MOUNTS_MAX);
    Ok(mounts)
}

/// id, parent, device number, root, mount point, options, then a list that ends with `-`, type, source, further options.
fn mount(line: &str) -> Option<Mount> {
    let (head, tail) = line.split_once(" - ")?;
    let head: Vec<&str> = head.split(' ').collect();
    let mut tail = tail.split(' ');
    let (kind, source) = (tail.next()?, tail.next()?);
    let options = [head.get(5).copied().unwrap_or_default(), tail.next().unwrap_or_default()];
    if KERNELS.contains(&kind) {
        return None;
    }
    Some(Mount {
        mount: unescaped(head.get(4)?),
        source: unescaped(source),
        kind: kind.to_owned(),
        read_only: options.iter().any(|options| options.split(',').any(|option| option == "ro")),
        number: (*head.get(2)?).to_owned(),
        ..Mount::default()
    })
}

/// Blanks stand as `\040`.
fn unescaped(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

pub(super) fn rate(mount: &mut Mount, counters: &Pair<Counters>) {
    let (Some(last), Some(first)) = (counters.last.get(&mount.number), counters.first.get(&mount.number)) else {
        return;
    };
    let rate = |of: fn(&Counter) -> u64| per_second(of(first), of(last), counters.apart);
    let grown = |of: fn(&Counter) -> u64| of(last).saturating_sub(of(first));
    let (transfers, waited) = (grown(|c| c.reads + c.writes), grown(|c| c.read_ms + c.write_ms));
    let elapsed_ms = u64::try_from(counters.apart.as_millis()).unwrap_or(u64::MAX);
    mount.io = Some(Io {
        device: last.name.clone(),
        read_bytes_per_second: rate(|c| c.read_sectors.saturating_mul(SECTOR_BYTES)),
        written_bytes_per_second: rate(|c| c.written_sectors.saturating_mul(SECTOR_BYTES)),
        reads_per_second: rate(|c| c.reads),
        writes_per_second: rate(|c| c.writes),
        wait_ms: if transfers == 0 { 0.0 } else { round(waited as f64 / transfers as f64) },
        busy_percent: percent(grown(|c| c.busy_ms), elapsed_ms).min(100.0),
    });
}

/// Asks the file system itself; a server that has gone makes this wait.
pub(super) fn measure(mount: Mount) -> Mount {
    let stat = match rustix::fs::statvfs(mount.mount.as_str()) {
        Ok(stat) => stat,
        Err(problem) => {
            let problem = std::io::Error::from(problem).to_string();
            return Mount { problem: Some(problem), ..mount };
        }
    };
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    Mount {
        total_bytes: bytes(stat.f_blocks),
        used_bytes: bytes(used),
        available_bytes: bytes(stat.f_bavail),
        used_percent: percent(used, used.saturating_add(stat.f_bavail)),
        inodes: stat.f_files,
        inodes_used: stat.f_files.saturating_sub(stat.f_ffree),
        inodes_free: stat.f_ffree,
        ..mount
    }
}
