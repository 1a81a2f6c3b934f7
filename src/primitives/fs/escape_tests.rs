//! Ways out of a root, each tried with every call that could take it. None leads anywhere.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::tests::{Bed, bed};
use super::*;

const SECRET: &str = "outside";

/// A folder beside the root with a file that must be neither read nor changed, and links that lead to it.
fn prepared() -> Bed {
    let bed = bed();
    let outside = bed.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    std::fs::write(outside.join("secret"), SECRET).expect("a file");
    let inside = bed.inside();
    std::fs::create_dir_all(inside.join("a/b")).expect("folders");
    let links: [(&Path, &str); 11] = [
        (&outside, "absolute"),
        (&outside.join("secret"), "file"),
        (Path::new("../outside"), "relative"),
        (Path::new("../outside/secret"), "relative_file"),
        (&outside, "a/deep"),
        (Path::new("../../../outside"), "a/b/deeper"),
        (Path::new("absolute"), "chain"),
        (Path::new("loop"), "loop"),
        (Path::new("/proc/self/root"), "magic"),
        (Path::new("/proc/self/cwd"), "cwd"),
        (Path::new("/"), "slash"),
    ];
    for (to, name) in links {
        symlink(to, inside.join(name)).expect("a link");
    }
    symlink(outside.join("new"), inside.join("dangling")).expect("a link");
    std::fs::hard_link(outside.join("secret"), inside.join("hard")).expect("a hard link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        inside.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    std::os::unix::net::UnixListener::bind(inside.join("socket")).expect("a socket");
    symlink("/dev/zero", inside.join("device")).expect("a link");
    bed
}

fn ways_out(bed: &Bed) -> Vec<String> {
    let secret = bed.dir.path().join("outside/secret");
    let mut ways: Vec<String> = [
        "..",
        "../outside/secret",
        "a/../../outside/secret",
        "./../outside/secret",
        "a/b/../../../outside/secret",
        "/etc/passwd",
        "//etc/passwd",
        "absolute/secret",
        "file",
        "file/",
        "relative/secret",
        "relative_file",
        "a/deep/secret",
        "a//deep///secret",
        "a/b/deeper/secret",
        "chain/secret",
        "loop",
        "loop/secret",
        "magic/etc/passwd",
        "cwd/Cargo.toml",
        "slash/etc/passwd",
        "slash/proc/self/fd/0",
        "slash/proc/self/environ",
        "hard",
        "pipe",
        "socket",
        "device",
        "slash/dev/null",
        "a\0/../../outside/secret",
        "file\0.txt",
        "pipe/x",
    ]
    .map(|way| format!("data:{way}"))
    .into();
    ways.push(format!("data:{}", secret.display()));
    ways.push(secret.display().to_string());
    ways.push(format!("data:{}", "x".repeat(256)));
    ways.push(format!("data:{}", "x/".repeat(2_500)));
    ways.push("data".into());
    ways.push(":x".into());
    ways.push("*:file".into());
    ways.push("data/../data:file".into());
    ways
}

async fn read(bed: &Bed, way: &str) -> Result<(), FsError> {
    let path: FsPath = way.parse()?;
    bed.files.read(&bed.permit, path.clone(), 1 << 20).await.map(drop)?;
    Ok(())
}

#[tokio::test]
async fn no_path_leads_out_of_its_root() {
    let bed = prepared();
    let ways = ways_out(&bed);
    assert!(ways.len() >= 20);
    for way in &ways {
        let refused = read(&bed, way).await.map_err(|error| error.code().to_owned());
        assert!(refused.is_err(), "{way:?} was read");
        let Ok(path) = way.parse::<FsPath>() else { continue };
        let hashed = bed.files.hash(&bed.permit, path.clone(), Algorithm::Blake3).await;
        assert!(hashed.is_err(), "{way:?} was hashed");
        let taken = (&bed.permit, "data:taken".parse::<FsPath>().expect("a path"));
        assert!(bed.files.copy((&bed.permit, path.clone()), taken, Replace::Yes).await.is_err(), "{way:?} was copied");
        assert!(bed.files.append(&bed.permit, path, b"x".to_vec()).await.is_err(), "{way:?} was appended to");
    }
    assert!(!bed.inside().join("taken").exists());
    intact(&bed);
}

/// Calls that may do something with the link itself, or refuse; what lies outside stays as it is.
#[tokio::test]
async fn nothing_outside_is_changed() {
    for turn in 0..4 {
        let bed = prepared();
        for way in ways_out(&bed) {
            let Ok(path) = way.parse::<FsPath>() else { continue };
            let (from, to) = ("data:a/given".parse::<FsPath>().expect("a path"), path.clone());
            // Refused or done inside: what counts is what stands outside afterwards.
            match turn {
                0 => drop(bed.files.write(&bed.permit, path, b"x".to_vec(), Replace::Yes).await),
                1 => drop(bed.files.remove(&bed.permit, path, true).await),
                2 => drop(bed.files.mkdir(&bed.permit, path, true).await),
                _ => {
                    std::fs::write(bed.inside().join("a/given"), "x").expect("a file");
                    drop(bed.files.rename((&bed.permit, from), (&bed.permit, to), Replace::Yes).await);
                }
            }
        }
        let dangling = "data:dangling".parse().expect("a path");
        drop(bed.files.append(&bed.permit, dangling, b"x".to_vec()).await);
        intact(&bed);
    }
}

fn intact(bed: &Bed) {
    let outside = bed.dir.path().join("outside");
    assert_eq!(std::fs::read_to_string(outside.join("secret")).expect("still there"), SECRET);
    assert_eq!(std::fs::read_dir(&outside).expect("a folder").count(), 1, "nothing was added outside");
    assert_eq!(std::fs::read_dir(bed.dir.path()).expect("a folder").count(), 2, "nor beside it");
}

#[tokio::test]
async fn without_openat2_no_link_is_followed_at_all() {
    let bed = prepared();
    symlink("a", bed.inside().join("good")).expect("a link");
    std::fs::write(bed.inside().join("a/file"), "x").expect("a file");
    let jail = |walks: bool| {
        let jail = Jail::open(&bed.inside()).expect("a root");
        if walks { jail.walking() } else { jail }
    };
    let parsed = |way: &str| way.parse::<FsPath>();
    for way in ways_out(&bed) {
        let Ok(path) = parsed(&way) else { continue };
        assert!(jail(true).file("read", &path).is_err(), "{way:?} was opened");
    }
    let (plain, linked) = (parsed("data:a/file").expect("a path"), parsed("data:good/file").expect("a path"));
    assert!(jail(true).file("read", &plain).is_ok() && jail(false).file("read", &plain).is_ok());
    assert!(jail(true).file("read", &linked).is_err() && jail(false).file("read", &linked).is_ok());
}

/// A name changes from a folder to a link that leads out and back, as fast as it can, while it is read and written.
#[tokio::test]
async fn a_link_that_is_exchanged_meanwhile_leads_nowhere() {
    const TRIES: usize = 2_000;
    let bed = prepared();
    let (inside, outside) = (bed.inside(), bed.dir.path().join("outside"));
    std::fs::create_dir(inside.join("real")).expect("a folder");
    std::fs::write(inside.join("real/secret"), "inside").expect("a file");
    symlink(&outside, inside.join("trap")).expect("a link");
    let over = Arc::new(AtomicBool::new(false));
    let exchange = {
        let (over, inside) = (over.clone(), inside.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let (cwd, real, trap) = (rustix::fs::CWD, inside.join("real"), inside.join("trap"));
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(cwd, &real, cwd, &trap, flags).expect("exchanged");
            }
        })
    };
    let path: FsPath = "data:real/secret".parse().expect("a path");
    let mut reached = 0;
    for walks in [false, true] {
        for _ in 0..TRIES {
            let jail = Jail::open(&inside).expect("a root");
            let jail = if walks { jail.walking() } else { jail };
            if let Ok((file, _)) = jail.file("read", &path) {
                reached += 1;
                assert_eq!(std::io::read_to_string(file).expect("read"), "inside");
            }
            if let Ok((pending, mut file)) = Pending::begin(&jail, &path) {
                std::io::Write::write_all(&mut file, b"inside").expect("written");
                // Its folder may have been exchanged away by now; it is written where it was opened.
                drop(pending);
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    exchange.join().expect("exchanged to the end");
    assert!(reached > 0, "the folder was never met");
    intact(&bed);
}

#[tokio::test]
async fn names_that_are_not_text_are_listed_and_removed() {
    use std::os::unix::ffi::OsStrExt;
    let bed = bed();
    let name = std::ffi::OsStr::from_bytes(b"bad\xff");
    std::fs::create_dir(bed.inside().join("d")).expect("a folder");
    std::fs::write(bed.inside().join("d").join(name), "x").expect("a file");
    let listing = Listing { limit: 10, ..Listing::default() };
    let found = bed.files.list(&bed.permit, "data:d".parse().expect("a path"), listing).await.expect("listed");
    assert_eq!(found[0].name, "bad\u{fffd}");
    assert_eq!(bed.files.remove(&bed.permit, "data:d".parse().expect("a path"), true).await, Ok(2));
}
