//! Nobody gets at what is not theirs.

use crate::primitives::nfs::testing::*;
use crate::primitives::nfs::wire::xdr::Encoder;
use crate::primitives::nfs::{ClientRule, Limits};

/// Every procedure that changes something, on this file or directory.
fn changing(target: &[u8]) -> Vec<(u32, Encoder)> {
    let with = |arguments: Encoder, rest: &dyn Fn(&mut Encoder)| {
        let mut arguments = arguments;
        rest(&mut arguments);
        arguments
    };
    let made = |arguments: &mut Encoder| no_changes(arguments);
    vec![
        (
            2,
            with(handle(target), &|arguments| {
                no_changes(arguments);
                arguments.u32(0);
            }),
        ),
        (
            7,
            with(handle(target), &|arguments| {
                arguments.u64(0);
                arguments.u32(1);
                arguments.u32(2);
                arguments.opaque(b"x");
            }),
        ),
        (
            8,
            with(entry(target, b"made"), &|arguments| {
                arguments.u32(0);
                no_changes(arguments);
            }),
        ),
        (9, with(entry(target, b"made"), &made)),
        (
            10,
            with(entry(target, b"made"), &|arguments| {
                no_changes(arguments);
                arguments.opaque(b"target");
            }),
        ),
        (
            11,
            with(entry(target, b"made"), &|arguments| {
                arguments.u32(7);
                no_changes(arguments);
            }),
        ),
        (12, entry(target, b"kept")),
        (13, entry(target, b"kept")),
        (
            14,
            with(entry(target, b"kept"), &|arguments| {
                arguments.opaque(target);
                arguments.opaque(b"moved");
            }),
        ),
        (
            15,
            with(handle(target), &|arguments| {
                arguments.opaque(target);
                arguments.opaque(b"linked");
            }),
        ),
        (
            21,
            with(handle(target), &|arguments| {
                arguments.u64(0);
                arguments.u32(0);
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_that_are_not_ours_open_nothing() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    let mut forged: Vec<Vec<u8>> = (0..root.len()).map(|length| root[..length].to_vec()).collect();
    for at in 0..root.len() {
        let mut other = root.clone();
        other[at] ^= 1;
        forged.push(other);
    }
    forged.push([&root[..], &[0; 12]].concat());
    forged.push(vec![0xff; 64]);
    for forged in &forged {
        assert_eq!(client.nfs(1, &handle(forged)).await.status(), BADHANDLE, "{forged:?}");
        assert_eq!(client.lookup(forged, b"x").await, Err(BADHANDLE));
    }
    for (procedure, arguments) in changing(&forged[60]) {
        assert_eq!(client.nfs(procedure, &arguments).await.status(), BADHANDLE, "procedure {procedure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateways_handles_are_worthless_and_an_ended_exports_stale() {
    let (lab, other) = (Lab::start().await, Lab::start().await);
    lab.add("data", Limits::default());
    other.add("data", Limits::default());
    let (_, foreign) = other.mounted("data").await;
    let (mut client, root) = lab.mounted("data").await;
    assert_eq!(client.nfs(1, &handle(&foreign)).await.status(), BADHANDLE);
    lab.handle.remove_export("/acme/data").expect("exported");
    assert_eq!(client.nfs(1, &handle(&root)).await.status(), STALE);
    assert!(client.mount("/acme/data").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_no_rule_holds_gets_nothing_even_with_a_handle() {
    let lab = Lab::start().await;
    lab.add("mine", Limits::default());
    let elsewhere = ClientRule { addresses: "10.0.0.0/8".parse().expect("a network"), read_only: false };
    let theirs = lab.add_with("theirs", Limits::default(), |options| options.clients = vec![elsewhere]);
    let (mut client, _) = lab.mounted("mine").await;
    let refused = client.mount("/acme/theirs").await;
    assert_eq!(refused, client.mount("/acme/nothing").await, "nobody learns what there is");
    // A handle that was genuine once, as from another client.
    let key = crate::primitives::nfs::v3::handle::HandleKey::load_or_create(&lab.folder.path().join("nfs.key"))
        .expect("the key");
    let tag = crate::primitives::nfs::v3::handle::VolumeTag::of("/acme/theirs");
    let stolen = key.seal(tag, crate::primitives::nfs::backend::Backend::root(&*theirs));
    assert_eq!(client.nfs(1, &handle(&stolen)).await.status(), 13);
    for (procedure, arguments) in changing(&stolen) {
        assert_eq!(client.nfs(procedure, &arguments).await.status(), 13, "procedure {procedure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_export_refuses_whatever_would_change_it() {
    let lab = Lab::start().await;
    lab.add_with("data", Limits::default(), |options| options.read_only = true);
    std::fs::write(lab.path("data").join("kept"), b"as it was").expect("written");
    let (mut client, root) = lab.mounted("data").await;
    let file = client.lookup(&root, b"kept").await.expect("there");
    let before = snapshot(lab.folder.path());
    for target in [&root, &file] {
        for (procedure, arguments) in changing(target) {
            assert_eq!(client.nfs(procedure, &arguments).await.status(), ROFS, "procedure {procedure}");
        }
    }
    assert_eq!(snapshot(lab.folder.path()), before);
    assert_eq!(client.read(&file, 0, 100).await, Ok((b"as it was".to_vec(), true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_paths_lead_nowhere() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    std::fs::write(lab.path("").join("outside"), b"as it was").expect("written");
    let (mut client, root) = lab.mounted("data").await;
    let own = client.create(&root, b"own").await.expect("made");
    let before = snapshot(lab.folder.path());
    let outside = lab.path("").join("outside").into_os_string().into_encoded_bytes();
    for name in [&b".."[..], b".", b"", b"../outside", b"a/../../outside", b"x\0y", &outside] {
        assert_eq!(client.create(&root, name).await, Err(INVAL), "{name:?}");
        assert_eq!(client.mkdir(&root, name).await, Err(INVAL), "{name:?}");
        assert_eq!(client.symlink(&root, name, b"x").await, Err(INVAL), "{name:?}");
        assert_eq!(client.remove(&root, name).await, INVAL, "{name:?}");
        assert_eq!(client.nfs(13, &entry(&root, name)).await.status(), INVAL, "{name:?}");
        assert_eq!(client.rename((&root, b"own"), (&root, name)).await, INVAL, "{name:?}");
        assert_eq!(client.rename((&root, name), (&root, b"taken")).await, INVAL, "{name:?}");
        assert_eq!(client.link(&own, &root, name).await, INVAL, "{name:?}");
        if name != b".." && name != b"." {
            assert_eq!(client.lookup(&root, name).await, Err(INVAL), "{name:?}");
        }
    }
    assert_eq!(client.lookup(&root, b"..").await, Ok(root.clone()), "above the root is the root");
    assert_eq!(snapshot(lab.folder.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_kept_and_never_followed() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    std::fs::create_dir(lab.path("").join("secret")).expect("made");
    std::fs::write(lab.path("").join("secret/file"), b"secret").expect("written");
    let (mut client, root) = lab.mounted("data").await;
    let link = client.symlink(&root, b"out", b"../secret").await.expect("made");
    assert_eq!(client.lookup(&link, b"file").await, Err(NOTDIR));
    assert_eq!(client.create(&link, b"file").await, Err(NOTDIR));
    let to_file = client.symlink(&root, b"file", b"../secret/file").await.expect("made");
    assert_eq!(client.read(&to_file, 0, 100).await, Err(INVAL));
    assert_eq!(client.write(&to_file, 0, b"x").await, Err(INVAL));
    // A directory that somebody on the host exchanges for a link, before its handle is used.
    let inner = client.mkdir(&root, b"inner").await.expect("made");
    client.create(&inner, b"file").await.expect("made");
    std::fs::remove_dir_all(lab.path("data").join("inner")).expect("removed");
    std::os::unix::fs::symlink("../secret", lab.path("data").join("inner")).expect("linked");
    assert!(client.lookup(&inner, b"file").await.is_err());
    assert!(client.create(&inner, b"more").await.is_err());
    assert_eq!(std::fs::read(lab.path("").join("secret/file")).expect("there"), b"secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_do_not_mix() {
    let lab = Lab::start().await;
    lab.add("one", Limits::default());
    lab.add("two", Limits::default());
    let (mut client, one) = lab.mounted("one").await;
    let two = client.mount("/acme/two").await.expect("mounted");
    let file = client.create(&one, b"file").await.expect("made");
    assert_eq!(client.link(&file, &two, b"file").await, XDEV);
    assert_eq!(client.rename((&one, b"file"), (&two, b"file")).await, XDEV);
    assert_eq!(client.lookup(&two, b"file").await, Err(NOENT));
    assert_eq!(client.link(&file, &one, b"again").await, OK);
    assert_eq!(client.lookup(&one, b"again").await, Ok(file));
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_refused() {
    let lab = Lab::start().await;
    lab.add("data", Limits::default());
    let (mut client, root) = lab.mounted("data").await;
    for kind in [3, 4] {
        let mut arguments = entry(&root, b"device");
        arguments.u32(kind);
        no_changes(&mut arguments);
        arguments.u64(0x0000_0001_0000_0003);
        assert_eq!(client.nfs(11, &arguments).await.status(), 1);
    }
    assert_eq!(client.lookup(&root, b"device").await, Err(NOENT));
}
