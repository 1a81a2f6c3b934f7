//! `aegis.volumes`, from Lua to folders.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use tempfile::TempDir;

use super::support::Bed;
use crate::base::Clock;
use crate::lua::{Engine, EngineOptions};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::{self, Primitives, nfs, volumes};

/// A gateway that nobody runs: files are reached without it.
fn bed() -> (Bed, nfs::Gateway, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bed = Bed::default();
    let level = |name: &str, access| (name.to_owned(), access);
    let levels = BTreeMap::from([level("agents/*", Access::Admin), level("shared/*", Access::Read)]);
    bed.grants = Grants { volumes: levels, ..Grants::default() };
    let volumes = volumes::Options {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        root: folder.path().to_owned(),
        ..volumes::Options::default()
    };
    let primitives = Primitives::new(primitives::Options { volumes, ..primitives::Options::default() });
    let primitives = primitives.expect("nothing can be wrong");
    let gateway = bed.io.block_on(primitives.volumes.open()).expect("opened").expect("configured");
    bed.engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    (bed, gateway, folder)
}

#[test]
fn a_volume_lives_from_lua() {
    let (bed, _gateway, _folder) = bed();
    let body = r#"local v = aegis.volumes
        local made = v.create("agents/one", { quota_bytes = "1MiB", expires = "7d", clients = { "10.0.0.0/8" } }).volume
        local out = { made.name, made.quota_bytes, made.expires_at ~= nil, made.device, #v.list() }
        local bytes = "\0\255text"
        v.write("agents/one", "deep/file", bytes, { parents = true, mode = "640" })
        table.insert(out, v.read("agents/one", "deep/file") == bytes)
        table.insert(out, v.stat("agents/one", "deep/file").mode)
        table.insert(out, v.stat("agents/one", "none") == nil)
        table.insert(out, v.files("agents/one")[1].path)
        table.insert(out, v.snapshot("agents/one", "first").snapshot.entries)
        v.remove("agents/one", "deep/file")
        table.insert(out, v.clone("agents/one", "agents/two", { snapshot = "first" }).volume.used_inodes)
        table.insert(out, v.restore("agents/one", "first").volume.used_inodes)
        table.insert(out, v.resize("agents/one", { quota_bytes = "2MiB" }).volume.quota_bytes)
        table.insert(out, v.expire("agents/one").volume.expires_at == nil)
        v.remove_snapshot("agents/one", "first")
        table.insert(out, #v.get("agents/one").snapshots)
        local deleted = v.delete("agents/one").deleted
        table.insert(out, v.get("agents/one") == nil)
        table.insert(out, v.deleted()[1].id == deleted.id)
        table.insert(out, v.recover(deleted.id).volume.name)
        v.delete("agents/two", { now = true })
        table.insert(out, #v.deleted())
        return out"#;
    let expected = json!([
        "agents/one",
        1 << 20,
        true,
        ":/agents/one",
        1,
        true,
        "0640",
        true,
        "deep",
        2,
        2,
        2,
        2 << 20,
        true,
        0,
        true,
        true,
        "agents/one",
        0
    ]);
    assert_eq!(bed.value(body), expected);
}

#[test]
fn a_dry_run_changes_nothing() {
    let (bed, _gateway, folder) = bed();
    let body = r#"local v, dry = aegis.volumes, { dry_run = true }
        local out = { v.create("agents/a", dry).plan, #v.list() }
        v.create("agents/a")
        v.write("agents/a", "file", "text")
        v.snapshot("agents/a", "s")
        for _, done in {
          v.clone("agents/a", "agents/b", dry), v.resize("agents/a", { quota_inodes = 5, dry_run = true }),
          v.expire("agents/a", "1h", dry), v.snapshot("agents/a", "t", dry), v.remove_snapshot("agents/a", "s", dry),
          v.restore("agents/a", "s", dry), v.write("agents/a", "file", "other", dry), v.remove("agents/a", "file", dry),
          v.delete("agents/a", dry),
        } do
          assert(done.plan, "a call without a plan")
        end
        local now = v.get("agents/a")
        table.insert(out, v.read("agents/a", "file"))
        table.insert(out, #now.snapshots) table.insert(out, now.quota_inodes) table.insert(out, #v.list())
        return out"#;
    assert_eq!(bed.value(body), json!(["make the volume agents/a", 0, "text", 1, 1_000_000, 1]));
    assert!(!folder.path().join("volumes/agents/b").exists());
}

#[test]
fn wrong_uses_name_the_remedy() {
    let (bed, _gateway, _folder) = bed();
    bed.value(r#"return aegis.volumes.create("agents/a").name"#);
    for (body, code) in [
        (r#"aegis.volumes.create("other/a")"#, "permission.denied"),
        (r#"aegis.volumes.create("shared/a")"#, "permission.denied"),
        (r#"aegis.volumes.get("other/a")"#, "permission.denied"),
        (r#"aegis.volumes.create("agents")"#, "volumes.name.invalid"),
        (r#"aegis.volumes.create("agents/a")"#, "volumes.conflict"),
        (r#"aegis.volumes.create("agents/b", { quota_bytes = -1 })"#, "args.type"),
        (r#"aegis.volumes.create("agents/b", { quota_inodes = -1 })"#, "args.value"),
        (r#"aegis.volumes.create("agents/b", { uid = 2 ^ 40 })"#, "args.value"),
        (r#"aegis.volumes.create("agents/b", { clients = { "all" } })"#, "args.value"),
        (r#"aegis.volumes.create("agents/b", { squash = "some" })"#, "args.type"),
        (r#"aegis.volumes.create("agents/b", { quota = "1MiB" })"#, "args.unknown"),
        (r#"aegis.volumes.resize("agents/a", {})"#, "args.value"),
        (r#"aegis.volumes.write("agents/a", "file", "x", { mode = "888" })"#, "args.value"),
        (r#"aegis.volumes.read("agents/a", "none")"#, "volumes.file.not_found"),
        (r#"aegis.volumes.restore("agents/a", "none")"#, "volumes.snapshot.not_found"),
        (r#"aegis.volumes.recover("none")"#, "volumes.not_found"),
    ] {
        let found = bed.value(&format!("local ok, err = aegis.try(function() {body} end) return err and err.code"));
        assert_eq!(found, json!(code), "{body}");
    }
    let off = Bed { grants: Grants::all(), ..Bed::default() };
    let found = off.value("local ok, err = aegis.try(aegis.volumes.list) return { err.code, err.hint ~= nil }");
    assert_eq!(found, json!(["volumes.unavailable", true]));
}
