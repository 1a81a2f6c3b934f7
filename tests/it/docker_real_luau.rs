//! Runs every `tests/luau/*_test.lua`: each is a job that fails when the script it is about does not keep its word.
//! They run in a daemon with the shipped scripts, on a real Docker Engine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::docker::{self, Containers};
use crate::support::{TestApp, Value, json};

/// Every file of a folder whose name ends so, by relative path.
fn walk(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// An image without a name, removed when it is dropped.
struct UnusedImage(String);

impl UnusedImage {
    fn make(containers: &Containers) -> Self {
        let name = containers.start("image", &[], &["true"]);
        let id = docker::docker(&["commit", &name]).expect("an image is made");
        docker::docker(&["rm", "-f", &name]).expect("its container goes");
        Self(id)
    }
}

impl Drop for UnusedImage {
    fn drop(&mut self) {
        let _ = docker::docker(&["rmi", &self.0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shipped_script_passes_its_lua_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let containers = super::docker_real::three().await;
    let image = UnusedImage::make(&containers);
    let mut builder = TestApp::builder().real_docker();
    let scripts = root.join("scripts");
    let shipped = walk(&scripts, ".lua");
    for path in &shipped {
        let inside = path.strip_prefix(&scripts).expect("it is inside").to_string_lossy().into_owned();
        builder = builder.script(&inside, fs::read_to_string(path).expect("a script"));
    }
    let tests = walk(&root.join("tests/luau"), "_test.lua");
    let name_of = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    for path in &tests {
        builder = builder.script(&format!("{}.lua", name_of(path)), fs::read_to_string(path).expect("a test"));
    }
    let app = builder.start().await;

    app.api.job_appears("health_sweep").await;
    // Its own schedule would get into its test's way.
    app.cli.ok(&["disable", "health_sweep"]).await;

    let mut failed = Vec::new();
    for path in &tests {
        let name = name_of(path);
        app.api.job_appears(&name).await;
        let declared = app.api.get(&format!("/api/v1/jobs/{name}")).await.body["params_schema"]["properties"].clone();
        let mut params = json!({});
        for (key, value) in [("prefix", &containers.prefix), ("unused_image", &image.0)] {
            if declared[key].is_object() {
                params[key] = json!(value);
            }
        }
        let run = app.api.run_to_end(&name, params).await;
        if run["state"] != "succeeded" {
            failed.push(format!("{}: {:#}", path.display(), run["error"]));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));

    let untested: Vec<String> = shipped
        .iter()
        .map(|path| name_of(path))
        .filter(|name| !tests.iter().any(|test| name_of(test) == format!("{name}_test")))
        .collect();
    assert_eq!(untested, Vec::<String>::new(), "these scripts have no Lua test");
    assert_eq!(app.api.diagnostics().await, Vec::<Value>::new());
}
