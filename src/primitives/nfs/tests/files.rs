//! What files and directories do.

use std::collections::HashSet;

use crate::primitives::nfs::Limits;
use crate::primitives::nfs::testing::*;
use crate::primitives::nfs::wire::xdr::{Decoder, Encoder};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_read_with_its_holes() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let file = client.create(&root, b"sparse").await.expect("made");
    let far = 5 << 32;
    assert_eq!(client.write(&file, far, b"end").await.map(|written| written.0), Ok(3));
    assert_eq!(client.read(&file, far - 2, 100).await, Ok((b"\0\0end".to_vec(), true)));
    assert_eq!(client.read(&file, 0, 4).await, Ok((vec![0; 4], false)));
    assert_eq!(client.read(&file, u64::MAX, 100).await, Ok((Vec::new(), true)));
    assert_eq!(client.write(&file, u64::MAX, b"x").await, Err(27));
    let on_disk = std::fs::metadata(lab.path("data").join("sparse")).expect("there");
    assert_eq!(on_disk.len(), far + 3);
    assert!(std::os::unix::fs::MetadataExt::blocks(&on_disk) < 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_entries_come_once_each_and_then_it_ends() {
    let lab = Lab::start().await;
    std::fs::create_dir_all(lab.path("data")).expect("made");
    for number in 0..10_000 {
        std::fs::write(lab.path("data").join(format!("file{number}")), b"").expect("written");
    }
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    for count in [4096, 65_536] {
        let (mut seen, mut cookie, mut calls) = (HashSet::new(), 0, 0);
        loop {
            let (entries, end) = client.readdir(&root, cookie, count).await;
            calls += 1;
            for (name, at) in entries {
                assert!(seen.insert(name), "an entry came twice");
                cookie = at;
            }
            if end || calls > 1000 {
                break;
            }
        }
        assert_eq!(seen.len(), 10_002);
        assert!(seen.contains(&b".."[..]) && seen.contains(&b"."[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_survives_the_removal_of_what_it_lists() {
    let lab = Lab::start().await;
    std::fs::create_dir_all(lab.path("data")).expect("made");
    for number in 0..500 {
        std::fs::write(lab.path("data").join(number.to_string()), b"").expect("written");
    }
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let (mut cookie, mut end, mut removed) = (0, false, 0);
    while !end {
        let entries;
        (entries, end) = client.readdir(&root, cookie, 1024).await;
        for (name, at) in entries {
            cookie = at;
            if name != b"." && name != b".." {
                assert_eq!(client.remove(&root, &name).await, OK);
                removed += 1;
            }
        }
    }
    assert_eq!(removed, 500);
    assert_eq!(std::fs::read_dir(lab.path("data")).expect("readable").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_on_the_host_is_seen() {
    let lab = Lab::start().await;
    let backend = lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    client.create(&root, b"ours").await.expect("made");
    // Directories' times have the grain of the kernel's clock.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    std::fs::create_dir_all(lab.path("data").join("deep/er")).expect("made");
    std::fs::write(lab.path("data").join("deep/er/file"), vec![1; 5000]).expect("written");
    let deep = client.lookup(&root, b"deep").await.expect("found");
    let deeper = client.lookup(&deep, b"er").await.expect("found");
    let file = client.lookup(&deeper, b"file").await.expect("found");
    assert_eq!(client.read(&file, 0, 1).await, Ok((vec![1], false)));
    assert_eq!(backend.usage().inodes, 4);
    std::fs::rename(lab.path("data").join("deep/er"), lab.path("data").join("moved")).expect("renamed");
    let (names, _) = client.readdir(&root, 0, 4096).await;
    assert!(names.iter().any(|(name, _)| name == b"moved"));
    assert_eq!(client.lookup(&root, b"moved").await, Ok(deeper));
    std::fs::remove_dir_all(lab.path("data").join("moved")).expect("removed");
    assert_eq!(client.lookup(&root, b"moved").await, Err(NOENT));
    assert_eq!(backend.usage().inodes, 2);
    assert_eq!(client.nfs(1, &handle(&file)).await.status(), STALE);
}

fn exclusive(root: &[u8], verifier: &[u8; 8]) -> Encoder {
    let mut arguments = entry(root, b"lock");
    arguments.u32(2);
    arguments.fixed(verifier);
    arguments
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusive_create_knows_its_own_retransmission() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let first = client.make(8, &exclusive(&root, b"verifier")).await.expect("made");
    assert_eq!(client.make(8, &exclusive(&root, b"verifier")).await, Ok(first));
    assert_eq!(client.make(8, &exclusive(&root, b"another!")).await, Err(EXIST));
    assert_eq!(client.create(&root, b"lock").await, Err(EXIST), "guarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_does_not_hold_changes_nothing() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let file = client.create(&root, b"file").await.expect("made");
    let results = client.nfs(1, &handle(&file)).await;
    let ctime = Decoder::new(&results.0[80..]).u64().expect("a time");
    let set = |guard: u64| {
        let mut arguments = handle(&file);
        arguments.u64(1 << 32 | 0o600);
        (0..5).for_each(|_| arguments.u32(0));
        arguments.u32(1);
        arguments.u64(guard);
        arguments
    };
    assert_eq!(client.nfs(2, &set(ctime + 1)).await.status(), NOT_SYNC);
    assert_eq!(client.nfs(2, &set(ctime)).await.status(), OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn renaming_over_a_file_ends_it_and_keeps_the_other() {
    let lab = Lab::start().await;
    let backend = lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let new = client.create(&root, b"new").await.expect("made");
    let old = client.create(&root, b"old").await.expect("made");
    client.write(&new, 0, b"new").await.expect("written");
    client.write(&old, 0, &[7; 9000]).await.expect("written");
    assert_eq!(client.rename((&root, b"new"), (&root, b"old")).await, OK);
    assert_eq!(client.lookup(&root, b"old").await, Ok(new.clone()));
    assert_eq!(client.read(&new, 0, 10).await, Ok((b"new".to_vec(), true)));
    assert_eq!(client.read(&old, 0, 10).await, Err(STALE));
    assert_eq!(backend.usage().inodes, 1);
    assert!(backend.usage().bytes <= 8192);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_sent_twice_is_executed_once() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    client.create(&root, b"file").await.expect("made");
    let twice = message(7777, 100_003, 12, &entry(&root, b"file"));
    let mut answers = Vec::new();
    for _ in 0..2 {
        client.send(&twice).await.expect("sent");
        answers.push(client.receive().await.expect("answered"));
    }
    // Over another connection of the same client, too.
    let mut again = lab.client().await;
    again.send(&twice).await.expect("sent");
    answers.push(again.receive().await.expect("answered"));
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(Decoder::new(&answers[0][24..]).u32(), Ok(OK));
    assert_eq!(lab.handle.statistics().replays, 2);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "the gateway's threads try for it, and none waits")]
async fn what_is_held_still_puts_changes_off_and_is_read() {
    let lab = Lab::start().await;
    let backend = lab.add("data", Limits::default());
    lab.add("other", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let (mut neighbour, other) = lab.mounted("other").await;
    let file = client.create(&root, b"file").await.expect("made");
    client.write(&file, 0, b"text").await.expect("written");
    let still = backend.hold_still();
    assert_eq!(client.create(&root, b"new").await, Err(JUKEBOX));
    assert_eq!(client.write(&file, 0, b"late").await.err(), Some(JUKEBOX));
    assert_eq!(client.read(&file, 0, 10).await, Ok((b"text".to_vec(), true)));
    neighbour.create(&other, b"new").await.expect("another volume goes on");
    drop(still);
    client.create(&root, b"new").await.expect("made");
    client.write(&file, 0, b"late").await.expect("written");
    lab.stop().await;
}
