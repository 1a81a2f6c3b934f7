//! Runs every `tests/luau/*_test.lua` in the runtime itself, with fakes in place of the world.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aegis::base::Clock;
use aegis::config::Config;
use aegis::lua::{Bundle, Engine, EngineOptions};

/// Every Lua file under a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if path.extension().is_some_and(|extension| extension == "lua" || extension == "luau") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn engine() -> Engine {
    let clock = Clock::system();
    let primitives = aegis::app::primitives(&Config::default(), &clock).expect("the primitives can be built");
    Engine::new(EngineOptions { io: tokio::runtime::Handle::current(), clock, primitives })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lua_test_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = root.join("scripts");
    let read = |path: &PathBuf, name: String| (name, fs::read_to_string(path).expect("a script"));
    let inside = |path: &PathBuf| path.strip_prefix(&scripts).expect("it is inside").to_string_lossy().into_owned();
    let shipped: Vec<_> = walk(&scripts).iter().map(|path| read(path, inside(path))).collect();
    let engine = engine();
    let (mut passed, mut failed) = (0, Vec::new());
    let own = root.join("tests/luau");
    // What tests share is no test.
    let (shared, tests): (Vec<_>, Vec<_>) = walk(&own).into_iter().partition(|path| path.starts_with(own.join("lib")));
    let shared: Vec<_> = shared.iter().map(|path| read(path, format!("lib/{}.lua", stem(path)))).collect();
    for path in tests {
        let mut files = vec![read(&path, format!("{}.lua", stem(&path)))];
        files.extend(shared.clone());
        files.extend(shipped.clone());
        let (engine, bundle) = (engine.clone(), Arc::new(Bundle::new(files)));
        let results = tokio::task::spawn_blocking(move || engine.run_tests(&bundle)).await.expect("they end");
        assert!(!results.is_empty(), "{} has no tests", path.display());
        for result in results {
            match result.outcome {
                Ok(()) => passed += 1,
                Err(fault) => failed.push(format!("{}: {}: {fault} {:?}", path.display(), result.name, fault.at)),
            }
        }
    }
    println!("{passed} Lua tests passed");
    assert!(failed.is_empty(), "{} Lua tests failed, {passed} passed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_shipped_script_has_a_lua_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests: Vec<String> = walk(&root.join("tests/luau")).iter().map(|path| stem(path)).collect();
    let is_untested = |name: &String| !tests.contains(&format!("{name}_test"));
    let untested: Vec<String> = walk(&root.join("scripts")).iter().map(|path| stem(path)).filter(is_untested).collect();
    assert_eq!(untested, Vec::<String>::new(), "these scripts have no Lua test");
}
