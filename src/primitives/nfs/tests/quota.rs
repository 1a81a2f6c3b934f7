//! Quotas hold, and what they count is what there is.

use std::os::unix::fs::MetadataExt;

use tokio::task::JoinSet;

use crate::primitives::nfs::Limits;
use crate::primitives::nfs::testing::*;

const QUOTA_BYTES: u64 = 2 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn eight_writers_at_once_fill_a_volume_to_its_brim_and_no_further() {
    let lab = Lab::start().await;
    let backend = lab.add("data", Limits { bytes: Some(QUOTA_BYTES), inodes: None });
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (mut client, root) = lab.mounted("data").await;
        writers.spawn(async move {
            let file = client.create(&root, format!("file{writer}").as_bytes()).await.expect("made");
            let mut offset = 0;
            loop {
                match client.write(&file, offset, &[writer; 10_000]).await {
                    Ok((count, _)) => offset += u64::from(count),
                    Err(status) => return status,
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        assert_eq!(ended.expect("no panic"), DQUOT);
    }
    let on_disk: u64 = std::fs::read_dir(lab.path("data"))
        .expect("readable")
        .map(|entry| entry.expect("readable").metadata().expect("there").blocks() * 512)
        .sum();
    assert_eq!(backend.usage().bytes, on_disk);
    assert!(on_disk <= QUOTA_BYTES, "{on_disk}");
    assert!(on_disk > QUOTA_BYTES - 9 * 4096, "{on_disk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_takes_changes_that_need_no_room() {
    let lab = Lab::start().await;
    let backend = lab.add("data", Limits { bytes: Some(8192), inodes: Some(2) });
    let (mut client, root) = lab.mounted("data").await;
    let file = client.create(&root, b"file").await.expect("made");
    assert_eq!(client.write(&file, 0, &[1; 10_000]).await.map(|written| written.0), Ok(8192));
    assert_eq!(client.write(&file, 8192, &[1]).await.map(|written| written.0), Err(DQUOT));
    assert_eq!(client.write(&file, 100, &[2; 4096]).await.map(|written| written.0), Ok(4096));
    client.create(&root, b"second").await.expect("made");
    assert_eq!(client.create(&root, b"third").await, Err(DQUOT));
    assert_eq!(client.mkdir(&root, b"third").await, Err(DQUOT));
    assert_eq!(client.link(&file, &root, b"same").await, OK, "a name is no file");
    assert_eq!(client.remove(&root, b"file").await, OK);
    assert_eq!(backend.usage().bytes, 8192, "it has a name left");
    assert_eq!(client.remove(&root, b"same").await, OK);
    assert_eq!(backend.usage().bytes, 0);
    assert_eq!(backend.usage().inodes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_counted_when_a_volume_is_opened() {
    let lab = Lab::start().await;
    std::fs::create_dir_all(lab.path("data").join("a/b")).expect("made");
    std::fs::write(lab.path("data").join("a/b/file"), vec![1; 10_000]).expect("written");
    std::fs::hard_link(lab.path("data").join("a/b/file"), lab.path("data").join("same")).expect("linked");
    let usage = lab.add("data", Limits::default()).usage();
    assert_eq!((usage.bytes, usage.inodes), (12_288, 3));
}
