//! Everything a client can send. `AEGIS_NFS_FUZZ_SECONDS` says for how long; without it, a fixed number of calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::mangle::{Dice, mangled, well_formed};
use crate::primitives::nfs::Limits;
use crate::primitives::nfs::testing::*;
use crate::primitives::nfs::wire::xdr::Encoder;

const CONNECTIONS: u64 = 4;

/// Calls of each connection unless a time is given.
const CALLS: u64 = 2_500;

/// When an attack is over.
#[derive(Clone, Copy)]
enum Until {
    Sent(u64),
    Reached(Instant),
}

impl Until {
    fn is_over(self, sent: u64) -> bool {
        match self {
            Self::Sent(calls) => sent >= calls * CONNECTIONS,
            Self::Reached(end) => Instant::now() >= end,
        }
    }
}

/// A call whose arguments are of the right kinds, on files that are there.
fn plausible(dice: &mut Dice, handles: &[Vec<u8>]) -> Vec<u8> {
    let names: [&[u8]; 6] = [b"a", b"b", b"folder", b"..", b".", b"link"];
    let mut arguments = Encoder::default();
    let procedure = dice.roll(22) as u32;
    arguments.opaque(&handles[dice.roll(handles.len())]);
    if matches!(procedure, 3 | 8..=14) {
        arguments.opaque(names[dice.roll(names.len())]);
    }
    match procedure {
        2 => {
            no_changes(&mut arguments);
            arguments.u32(0);
        }
        4 => arguments.u32(0x3f),
        6 | 21 => {
            arguments.u64(dice.roll(1 << 16) as u64);
            arguments.u32(dice.roll(1 << 21) as u32);
        }
        7 => {
            let bytes = dice.roll(5000);
            arguments.u64(dice.roll(1 << 16) as u64);
            arguments.u32(bytes as u32);
            arguments.u32(dice.roll(2) as u32);
            arguments.opaque(&vec![7; bytes]);
        }
        8 => {
            arguments.u32(dice.roll(2) as u32);
            no_changes(&mut arguments);
        }
        9 => no_changes(&mut arguments),
        10 => {
            no_changes(&mut arguments);
            arguments.opaque(b"../../outside");
        }
        11 => {
            arguments.u32(6 + dice.roll(2) as u32);
            no_changes(&mut arguments);
        }
        14 | 15 => {
            arguments.opaque(&handles[dice.roll(handles.len())]);
            arguments.opaque(names[dice.roll(names.len())]);
        }
        16 | 17 => {
            arguments.u64(dice.roll(4) as u64);
            arguments.u64(0);
            arguments.u32(dice.roll(1 << 16) as u32);
            if procedure == 17 {
                arguments.u32(dice.roll(1 << 20) as u32);
            }
        }
        _ => {}
    }
    message(dice.roll(1 << 30) as u32, 100_003, procedure, &arguments)
}

async fn attack(seed: u64, address: std::net::SocketAddr, handles: Vec<Vec<u8>>, until: Until, sent: Arc<AtomicU64>) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed << 32));
    while !until.is_over(sent.load(Ordering::Relaxed)) {
        let Ok(stream) = TcpStream::connect(address).await else { continue };
        let (mut answers, mut calls) = stream.into_split();
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let mut bytes = vec![0; 1 << 16];
            while answers.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
        });
        for _ in 0..dice.roll(200) {
            let mut call = match dice.roll(4) {
                0 => well_formed(&mut dice, &handles[0]),
                _ => plausible(&mut dice, &handles),
            };
            if dice.roll(3) == 0 {
                call = mangled(&mut dice, call);
            }
            let last = if dice.roll(200) == 0 { 0 } else { 1_u32 << 31 };
            let mark = last | if dice.roll(300) == 0 { 0x10_0000 } else { call.len() as u32 };
            let framed = [&mark.to_be_bytes()[..], &call].concat();
            if calls.write_all(&framed).await.is_err() {
                break;
            }
            sent.fetch_add(1, Ordering::Relaxed);
        }
        reader.shutdown().await;
    }
}

fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("there");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_harms_nobody() {
    let seconds = std::env::var("AEGIS_NFS_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until =
        seconds.map_or(Until::Sent(CALLS), |seconds| Until::Reached(Instant::now() + Duration::from_secs(seconds)));
    let lab = Lab::start().await;
    lab.add("data", Limits { bytes: Some(64 << 20), inodes: Some(1000) });
    lab.add("other", Limits::default());
    std::fs::write(lab.path("").join("outside"), b"as it was").expect("written");
    let (mut bystander, other) = lab.mounted("other").await;
    let file = bystander.create(&other, b"file").await.expect("made");
    let root = bystander.mount("/acme/data").await.expect("mounted");
    let folder = bystander.mkdir(&root, b"folder").await.expect("made");
    let inner = bystander.create(&folder, b"a").await.expect("made");
    let sent = Arc::new(AtomicU64::new(0));
    let mut attackers = JoinSet::new();
    for seed in 1..=CONNECTIONS {
        let handles = vec![root.clone(), folder.clone(), inner.clone()];
        attackers.spawn(attack(seed, lab.handle.address(), handles, until, sent.clone()));
    }
    let mut rounds = 0_u32;
    while !until.is_over(sent.load(Ordering::Relaxed)) {
        rounds += 1;
        let data = rounds.to_be_bytes();
        bystander.write(&file, 0, &data).await.expect("written");
        assert_eq!(bystander.read(&file, 0, 100).await, Ok((data.to_vec(), true)));
    }
    while let Some(ended) = attackers.join_next().await {
        ended.expect("no panic");
    }
    assert_eq!(bystander.readdir(&other, 0, 4096).await.0.len(), 3);
    assert_eq!(std::fs::read(lab.path("").join("outside")).expect("there"), b"as it was");
    assert_eq!(std::fs::read_dir(lab.path("")).expect("readable").count(), 3);
    let statistics = lab.handle.statistics();
    let (memory, sent) = (peak_memory_kib(), sent.load(Ordering::Relaxed));
    // Of this process: nothing else runs in it when a time is given.
    assert!(seconds.is_none() || memory < 512 << 10, "{memory} KiB");
    assert!(statistics.malformed > 0 && rounds > 0);
    assert_eq!(statistics.panics, 0);
    eprintln!("{sent} calls, {} malformed, {rounds} undisturbed rounds, {memory} KiB", statistics.malformed);
    lab.stop().await;
}
