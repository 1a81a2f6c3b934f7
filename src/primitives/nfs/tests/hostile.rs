//! Clients that mean harm or know no better.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::mangle::{Dice, mangled, well_formed};
use crate::primitives::nfs::testing::*;
use crate::primitives::nfs::wire::xdr::Encoder;
use crate::primitives::nfs::{Limits, Options};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_malformed_messages_hurt_nobody() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut bystander, root) = lab.mounted("data").await;
    let file = bystander.create(&root, b"bystander").await.expect("made");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut client = lab.client().await;
    for round in 0..10_000 {
        let call = well_formed(&mut dice, &root);
        let call = mangled(&mut dice, call);
        if client.send(&call).await.is_err() || round % 50 == 49 {
            client = lab.client().await;
        }
        if round % 500 == 0 {
            let data = round.to_string().into_bytes();
            bystander.write(&file, 0, &data).await.expect("written");
            assert_eq!(bystander.read(&file, 0, data.len() as u32).await.map(|read| read.0), Ok(data));
        }
    }
    drop(client);
    assert!(lab.handle.statistics().malformed > 0);
    let outside: Vec<_> = std::fs::read_dir(lab.folder.path()).expect("readable").collect();
    assert_eq!(outside.len(), 2, "the key and the volumes");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn announced_lengths_end_the_connection_or_the_call_and_cost_nothing() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    // A fragment of two gigabytes.
    let mut client = lab.client().await;
    client.stream.write_all(&[0x7f, 0xff, 0xff, 0xff]).await.expect("sent");
    assert_eq!(client.stream.read(&mut [0; 8]).await.expect("closed"), 0);
    // A path of four gigabytes in 44 bytes, which ends other servers.
    let mut client = lab.client().await;
    let mut call = message(1, 100_005, 1, &Encoder::default());
    call.extend_from_slice(&0xffff_fff0_u32.to_be_bytes());
    client.send(&call).await.expect("sent");
    let reply = client.receive().await.expect("answered");
    assert_eq!(reply[20..24], [0, 0, 0, 4], "garbage arguments");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_silent_are_closed_and_too_many_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = Options::new(([127, 0, 0, 1], 0).into(), folder.path().join("nfs.key"));
    options.connections_max = 2;
    options.waits.handshake = Duration::from_millis(100);
    let lab = Lab::start_with(folder, options).await;
    let mut silent = lab.client().await;
    let mut slow = lab.client().await;
    slow.stream.write_all(&[0x80, 0, 0]).await.expect("sent");
    let mut third = lab.client().await;
    for stream in [&mut third.stream, &mut silent.stream, &mut slow.stream] {
        let read = timeout(Duration::from_secs(5), stream.read(&mut [0; 8])).await.expect("closed in time");
        assert!(matches!(read, Ok(0) | Err(_)));
    }
    assert_eq!(lab.handle.statistics().connections_refused, 1);
    lab.add("data", Limits::default());
    assert!(lab.client().await.mount("/acme/data").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_stops_being_read() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let file = client.create(&root, b"file").await.expect("made");
    client.write(&file, 0, &vec![1; 1 << 20]).await.expect("written");
    let mut arguments = handle(&file);
    arguments.u64(0);
    arguments.u32(1 << 20);
    let read = message(5, 100_003, 6, &arguments);
    let mut sent = 0;
    // What is not taken fills the buffers on both sides and then stops us, long before this.
    while sent < 1_000_000 && timeout(Duration::from_millis(500), client.send(&read)).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 1_000_000);
    let calls = lab.handle.statistics().operations[6].calls;
    assert!(calls < 64, "{calls} answers of a megabyte were made for nobody");
    // Others do not notice.
    let (mut other, root) = lab.mounted("data").await;
    assert!(other.lookup(&root, b"file").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset_at_once_do_not_stop_the_gateway() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    for _ in 0..200 {
        let stream = TcpStream::connect(lab.handle.address()).await.expect("connected");
        stream.set_zero_linger().expect("set");
        drop(stream);
    }
    assert!(lab.client().await.mount("/acme/data").await.is_ok());
}
