//! Files on a real disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::model::Grants;
use crate::primitives::permit;

pub struct Bed {
    pub dir: tempfile::TempDir,
    pub files: Files,
    pub permit: FsPermit,
}

pub fn bed() -> Bed {
    let dir = tempfile::tempdir().expect("a folder");
    let inside = dir.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder");
    let roots = BTreeMap::from([("data".to_owned(), inside)]);
    let files = Files::new(Options { roots }).expect("roots");
    let grants = Grants { fs: BTreeMap::from([("data".to_owned(), Access::Write)]), ..Grants::default() };
    let permit = permit::fs(&grants, "data", Access::Write).expect("a permit");
    Bed { dir, files, permit }
}

impl Bed {
    pub fn inside(&self) -> std::path::PathBuf {
        self.dir.path().join("inside")
    }

    async fn put(&self, path: &str, content: &str) -> Result<(), FsError> {
        self.files.write(&self.permit, path.parse()?, content.as_bytes().to_vec(), Replace::Yes).await
    }

    async fn get(&self, path: &str) -> Result<String, FsError> {
        let read = self.files.read(&self.permit, path.parse()?, limits::FS_READ_BYTES_MAX).await?;
        Ok(String::from_utf8(read).expect("text"))
    }
}

fn path(text: &str) -> FsPath {
    text.parse().expect("a path")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_written_is_read_and_nothing_else_is_left() {
    let bed = bed();
    bed.put("data:a.txt", "one").await.expect("written");
    assert_eq!(bed.get("data:a.txt").await.as_deref(), Ok("one"));
    std::fs::set_permissions(bed.inside().join("a.txt"), std::fs::Permissions::from_mode(0o600)).expect("a mode");
    bed.put("data:./a.txt", "two").await.expect("replaced");
    bed.files.append(&bed.permit, path("data:a.txt"), b" three".to_vec()).await.expect("appended");
    bed.files.append(&bed.permit, path("data:new"), b"x".to_vec()).await.expect("made");
    assert_eq!(bed.get("data:a.txt").await.as_deref(), Ok("two three"));
    let kept = bed.files.stat(&bed.permit, path("data:a.txt")).await.expect("looked").expect("there");
    assert_eq!((kept.mode, kept.bytes, kept.kind), (0o600, 9, Kind::File));
    let refused = bed.files.write(&bed.permit, path("data:a.txt"), vec![], Replace::No).await;
    assert_eq!(refused.map_err(|error| error.code().to_owned()), Err("fs.exists".to_owned()));
    assert_eq!(names(&bed.inside()), ["a.txt", "new"]);
    let missing = bed.get("data:none").await.expect_err("not there");
    assert_eq!(missing.code(), "fs.not_found");
    assert_eq!(bed.files.stat(&bed.permit, path("data:none")).await, Ok(None));
    let large = bed.files.read(&bed.permit, path("data:a.txt"), 8).await.expect_err("too large");
    assert_eq!(large.code(), "fs.too_large");
}

#[tokio::test]
async fn folders_are_made_listed_and_removed() {
    let bed = bed();
    bed.files.mkdir(&bed.permit, path("data:a/b/c"), true).await.expect("made");
    bed.files.mkdir(&bed.permit, path("data:a/b/c"), true).await.expect("made again");
    let again = bed.files.mkdir(&bed.permit, path("data:a"), false).await.expect_err("there");
    assert_eq!(again.code(), "fs.exists");
    for name in ["a/1.sql", "a/b/2.sql", "a/b/c/3.txt"] {
        bed.put(&format!("data:{name}"), name).await.expect("written");
    }
    std::os::unix::fs::symlink("b", bed.inside().join("a/link")).expect("a link");
    let listing = Listing { recursive: true, limit: 10, ..Listing::default() };
    let all = bed.files.list(&bed.permit, path("data:"), listing.clone()).await.expect("listed");
    let shown: Vec<_> = all.iter().map(|entry| (entry.path.as_str(), entry.kind.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("data:a", "directory"),
            ("data:a/1.sql", "file"),
            ("data:a/b", "directory"),
            ("data:a/b/2.sql", "file"),
            ("data:a/b/c", "directory"),
            ("data:a/b/c/3.txt", "file"),
            ("data:a/link", "symlink"),
        ]
    );
    let glob = Listing { glob: Some("*.sql".into()), ..listing.clone() };
    assert_eq!(bed.files.list(&bed.permit, path("data:a"), glob).await.map(|found| found.len()), Ok(2));
    let few = bed.files.list(&bed.permit, path("data:"), Listing { limit: 3, ..listing }).await;
    assert_eq!(few.expect_err("more").code(), "fs.too_many");
    let full = bed.files.remove(&bed.permit, path("data:a"), false).await.expect_err("not empty");
    assert_eq!(full.code(), "fs.not_empty");
    assert_eq!(bed.files.remove(&bed.permit, path("data:a"), true).await, Ok(7));
    assert!(names(&bed.inside()).is_empty());
    assert_eq!(bed.files.remove(&bed.permit, path("data:"), true).await.expect_err("the root").code(), "fs.bad_path");
}

#[tokio::test]
async fn files_are_copied_moved_and_hashed() {
    let bed = bed();
    bed.put("data:a", "hello").await.expect("written");
    let here = |name: &str| (&bed.permit, path(name));
    assert_eq!(bed.files.copy(here("data:a"), here("data:b"), Replace::No).await, Ok(5));
    let refused = bed.files.copy(here("data:a"), here("data:b"), Replace::No).await.expect_err("there");
    assert_eq!(refused.code(), "fs.exists");
    bed.files.rename(here("data:b"), here("data:c"), Replace::No).await.expect("moved");
    assert_eq!(
        bed.files.rename(here("data:a"), here("data:c"), Replace::No).await.expect_err("there").code(),
        "fs.exists"
    );
    bed.files.rename(here("data:a"), here("data:c"), Replace::Yes).await.expect("moved over it");
    assert_eq!(names(&bed.inside()), ["c"]);
    let hashed = |algorithm| bed.files.hash(&bed.permit, path("data:c"), algorithm);
    assert_eq!(hashed(Algorithm::Blake3).await, Ok(blake3::hash(b"hello").to_hex().to_string()));
    assert_eq!(
        hashed(Algorithm::Sha256).await.as_deref(),
        Ok("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    );
}

#[tokio::test]
async fn room_is_what_df_says() {
    let bed = bed();
    let space = bed.files.space(&bed.permit, path("data:")).await.expect("measured");
    let arguments = ["--output=size,itotal", "-B1"];
    let said = std::process::Command::new("df").args(arguments).arg(bed.inside()).output().expect("df");
    let said = String::from_utf8(said.stdout).expect("text");
    let numbers: Vec<&str> = said.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(space.total_bytes.to_string(), numbers[0]);
    assert!(numbers[1] == "-" || numbers[1] == space.inodes.to_string(), "{said}");
    assert!(space.available_bytes <= space.free_bytes && space.free_bytes <= space.total_bytes);
}

#[tokio::test]
async fn a_permit_is_for_its_root_and_its_access() {
    let bed = bed();
    let grants = Grants { fs: BTreeMap::from([("data".to_owned(), Access::Read)]), ..Grants::default() };
    let denied = permit::fs(&grants, "data", Access::Write).expect_err("read only");
    assert_eq!(denied.line, r#"permissions = { fs = { ["data"] = "write" } }"#);
    assert!(permit::fs(&grants, "other", Access::Read).is_err());
    let reading = permit::fs(&grants, "data", Access::Read).expect("a permit");
    let written = bed.files.write(&reading, path("data:a"), vec![], Replace::Yes).await;
    assert_eq!(written.expect_err("no permit").code(), "permission.denied");
    let other = bed.files.read(&bed.permit, path("other:a"), 1).await;
    assert_eq!(other.expect_err("no permit").code(), "permission.denied");
    let everything = permit::fs(&Grants::all(), "dat", Access::Read).expect("a permit");
    let fault = bed.files.read(&everything, path("dat:a"), 1).await.expect_err("unknown");
    assert_eq!(fault.code(), "fs.unknown_root");
    assert!(fault.to_string().contains("did you mean \"data\"?"), "{fault}");
    let roots = BTreeMap::from([("x".to_owned(), "relative".into())]);
    assert_eq!(Files::new(Options { roots }).expect_err("relative").code(), "fs.setup");
}
