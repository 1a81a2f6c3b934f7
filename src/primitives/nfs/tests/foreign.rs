//! File systems that were written for the nfsserve crate are served as well.

use std::sync::Arc;

use crate::primitives::nfs::backend::foreign::Foreign;
use crate::primitives::nfs::backend::memory::Memory;
use crate::primitives::nfs::testing::*;
use crate::primitives::nfs::{ClientRule, ExportOptions, Squash};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_in_memory_is_a_volume() {
    let lab = Lab::start().await;
    let export = ExportOptions {
        tenant: "acme".into(),
        volume: "memory".into(),
        squash: Squash::All { uid: 1000, gid: 100 },
        read_only: false,
        clients: vec![ClientRule { addresses: "127.0.0.1/32".parse().expect("a network"), read_only: false }],
    };
    lab.handle.add_export(export, Arc::new(Foreign::new(Memory::default()))).expect("exported");
    let (mut client, root) = lab.mounted("memory").await;
    let folder = client.mkdir(&root, b"folder").await.expect("made");
    let file = client.create(&folder, b"file").await.expect("made");
    assert_eq!(client.create(&folder, b"file").await, Err(EXIST));
    client.write(&file, 2, b"data").await.expect("written");
    assert_eq!(client.read(&file, 0, 100).await, Ok((b"\0\0data".to_vec(), true)));
    assert_eq!(client.read(&file, u64::MAX, 100).await, Ok((Vec::new(), true)));
    assert_eq!(client.nfs(13, &entry(&root, b"folder")).await.status(), 66, "not empty");
    assert_eq!(client.rename((&folder, b"file"), (&root, b"moved")).await, OK);
    assert_eq!(client.lookup(&root, b"moved").await, Ok(file.clone()));
    assert_eq!(client.link(&file, &root, b"again").await, 10_004, "not supported");
    assert_eq!(client.lookup(&folder, b"..").await, Ok(root.clone()));
    for number in 0..100 {
        client.create(&folder, format!("file{number}").as_bytes()).await.expect("made");
    }
    let (mut cookie, mut names, mut end) = (0, 0, false);
    while !end {
        let entries;
        (entries, end) = client.readdir(&folder, cookie, 512).await;
        names += entries.len();
        cookie = entries.last().map_or(cookie, |(_, last)| *last);
    }
    assert_eq!(names, 102);
}
