//! What survives a gateway, and how one stops.

use crate::primitives::nfs::Limits;
use crate::primitives::nfs::testing::*;

#[tokio::test(flavor = "multi_thread")]
async fn handles_and_cookies_outlive_the_gateway_and_the_verifier_does_not() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let inner = client.mkdir(&root, b"inner").await.expect("made");
    let file = client.create(&inner, b"file").await.expect("made");
    let gone = client.create(&inner, b"gone").await.expect("made");
    let (_, verifier) = client.write(&file, 0, b"kept").await.expect("written");
    assert_eq!(client.rename((&root, b"inner"), (&root, b"moved")).await, OK);
    let (before, _) = client.readdir(&inner, 0, 4096).await;
    let folder = lab.stop().await;
    std::fs::remove_file(folder.path().join("volumes/data/moved/gone")).expect("removed");

    let lab = Lab::start_in(folder).await;
    lab.add("data", Limits::default());
    let mut client = lab.client().await;
    assert_eq!(client.read(&file, 0, 100).await, Ok((b"kept".to_vec(), true)));
    assert_eq!(client.lookup(&root, b"moved").await, Ok(inner.clone()));
    assert_eq!(client.nfs(1, &handle(&gone)).await.status(), STALE);
    let (after, _) = client.readdir(&inner, 0, 4096).await;
    assert!(after.iter().all(|entry| before.contains(entry)), "{before:?} {after:?}");
    let (_, renewed) = client.write(&file, 0, b"more").await.expect("written");
    assert_ne!(verifier, renewed);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_taken_are_answered_before_the_gateway_stops() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let file = client.create(&root, b"file").await.expect("made");
    let mut writes = Vec::new();
    for at in 0..20_u32 {
        let mut arguments = handle(&file);
        arguments.u64(u64::from(at) * 65_536);
        arguments.u32(65_536);
        arguments.u32(2);
        arguments.opaque(&vec![1; 65_536]);
        writes.push(message(1000 + at, 100_003, 7, &arguments));
    }
    for write in &writes {
        client.send(write).await.expect("sent");
    }
    client.receive().await.expect("the first answer");
    lab.stop().await;
    let mut answered = 1;
    while let Ok(answer) = client.receive().await {
        assert_eq!(answer[24..28], [0; 4]);
        answered += 1;
    }
    assert!((1..=writes.len()).contains(&answered));
}
