//! Building images and pushing them, with the real builder and a real registry.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{BuildContext, Built, DockerError, Folder, PullProgress};
use super::{IMAGE, Lab, docker, options};
use crate::base::Fault;
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::fs::{Files, Options as FileOptions};
use crate::primitives::permit;

fn files(of: &[(&str, &str)]) -> BuildContext {
    let files = of.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec()));
    BuildContext { files: files.collect(), folder: None }
}

/// The folder, under the name `src`.
fn folder(path: &Path, below: &str) -> Folder {
    let roots = BTreeMap::from([("src".to_owned(), path.to_owned())]);
    let grants = Grants { fs: [("src".to_owned(), Access::Read)].into(), ..Grants::default() };
    Folder {
        files: Files::new(FileOptions { roots }).expect("roots"),
        permit: permit::fs(&grants, "src", Access::Read).expect("a permit"),
        path: format!("src:{below}").parse().expect("a path"),
    }
}

async fn build(lab: &Lab, context: BuildContext, more: Value) -> (Result<Built, DockerError>, Vec<String>) {
    let mut lines = Vec::new();
    let built = lab.docker.build(&lab.permit, context, options(more), |step| lines.push(step.line)).await;
    (built, lines)
}

#[tokio::test]
async fn an_image_is_built_of_given_files_with_arguments_and_stages() {
    let lab = Lab::open();
    let tag = format!("{}/app:1", lab.mark);
    let text = format!(
        "FROM {IMAGE} AS base\nARG VERSION=none\nRUN echo version $VERSION > /version\nCOPY a/b.txt /b.txt\n\
         FROM base AS small\nLABEL stage=small\nFROM base AS large\nLABEL stage=large\n"
    );
    let context = || files(&[("build/Dockerfile", &text), ("a/b.txt", "hello")]);
    let more = json!({"tag": [tag, format!("{}/app:2", lab.mark)], "dockerfile": "build/Dockerfile",
        "args": {"VERSION": 7}, "target": "small", "labels": {"aegis.test": lab.mark}, "no_cache": true});
    let mut dry = more.clone();
    dry["dry_run"] = json!(true);
    let (plan, _) = build(&lab, context(), dry).await;
    let plan = plan.expect("a plan");
    assert_eq!((plan.dry_run, plan.id.is_none(), plan.files), (true, true, 2));
    assert_eq!(docker(&["image", "ls", "-q", &tag]), "");

    let (built, lines) = build(&lab, context(), more).await;
    let built = built.expect("built");
    assert!(lines.iter().any(|line| line.starts_with("Step 3/") && line.contains("RUN echo version")), "{lines:?}");
    assert_eq!(built.id.as_deref(), Some(docker(&["image", "inspect", "-f", "{{.Id}}", &tag]).as_str()));
    assert_eq!(docker(&["image", "inspect", "-f", "{{.Config.Labels.stage}}", &tag]), "small");
    let name = lab.run("app", json!({"image": tag, "command": ["cat", "/version", "/b.txt"]})).await;
    lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "20s"}))).await.expect("ended");
    let printed = lab.docker.logs(&lab.permit, &name, options(json!({}))).await.expect("logs").lines;
    let printed: Vec<_> = printed.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(printed, ["version 7", "hello"]);
    docker(&["rm", "-f", &name]);
    docker(&["rmi", "-f", &tag, &format!("{}/app:2", lab.mark)]);
}

#[tokio::test]
async fn a_folder_is_sent_without_what_it_ignores() {
    let lab = Lab::open();
    let root = tempfile::tempdir().expect("a folder");
    let put = |path: &str, content: &[u8]| {
        let path = root.path().join("app").join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("written");
    };
    put("Dockerfile", format!("FROM {IMAGE}\nCOPY . /app\n").as_bytes());
    put(".dockerignore", b"**/node_modules\n*.log\n!keep.log\nDockerfile\n");
    put("src/main.js", b"x");
    put("src/node_modules/a.js", b"x");
    put("noise.log", b"x");
    put("keep.log", b"x");
    // Larger than one piece, and not of whole blocks.
    put("data.bin", &vec![b'x'; 2_500_001]);
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("app/leak")).expect("a link");
    let tag = format!("{}/folder:1", lab.mark);
    let context = || BuildContext { files: BTreeMap::new(), folder: Some(folder(root.path(), "app")) };
    let (built, _) = build(&lab, context(), json!({"tag": tag})).await;
    let built = built.expect("built");
    assert_eq!(built.warnings, ["leak is a symlink and was left out"]);
    let name = lab.run("list", json!({"image": tag, "command": ["ls", "-R", "/app"]})).await;
    lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "20s"}))).await.expect("ended");
    let printed = lab.docker.logs(&lab.permit, &name, options(json!({}))).await.expect("logs").lines;
    let text: String = printed.iter().map(|line| format!("{} ", line.text)).collect();
    for there in ["main.js", "keep.log", "data.bin"] {
        assert!(text.contains(there), "{text}");
    }
    for left_out in ["node_modules", "noise.log", "leak", "Dockerfile"] {
        assert!(!text.contains(left_out), "{text}");
    }
    // The same context again is all in the cache.
    let (again, lines) = build(&lab, context(), json!({"tag": tag})).await;
    assert_eq!(again.expect("built").id, built.id);
    assert!(lines.iter().any(|line| line.contains("Using cache")), "{lines:?}");
    docker(&["rm", "-f", &name]);
    docker(&["rmi", "-f", &tag]);
}

#[tokio::test]
async fn a_build_that_fails_says_at_which_step() {
    let lab = Lab::open();
    let text = format!("FROM {IMAGE}\nRUN echo before; exit 3\n");
    let (failed, lines) = build(&lab, files(&[("Dockerfile", &text)]), json!({})).await;
    let fault = Fault::from(failed.expect_err("it fails"));
    assert_eq!(fault.code, "docker.build_failed");
    assert!(fault.message.contains("step 2 of 2") && fault.message.contains("code: 3"), "{}", fault.message);
    assert!(lines.iter().any(|line| line == "before"), "{lines:?}");
    let (absent, _) = build(&lab, files(&[("x", "")]), json!({})).await;
    assert_eq!(absent.expect_err("no Dockerfile").code(), "docker.invalid");
    let (bad, _) = build(&lab, files(&[("Dockerfile", "FROM x")]), json!({"tag": ["a b"]})).await;
    assert_eq!(bad.expect_err("no such name").code(), "docker.invalid");
    let late = json!({"timeout": "300ms", "no_cache": true});
    let slow = format!("FROM {IMAGE}\nRUN sleep 20\n");
    let (late, _) = build(&lab, files(&[("Dockerfile", &slow)]), late).await;
    assert_eq!(late.expect_err("it takes too long").code(), "docker.timeout");
}

#[tokio::test]
async fn building_needs_write_on_everything() {
    let lab = Lab::open();
    let some = crate::model::grants::DockerGrant::Named([(Access::Write, vec!["web-*".to_owned()])].into());
    let grants = Grants { docker: Some(some), ..Grants::default() };
    let permit = permit::docker(&grants, Access::Write, None).expect("a permit");
    let context = files(&[("Dockerfile", "FROM scratch")]);
    let denied = lab.docker.build(&permit, context, options(json!({})), |_| {}).await.expect_err("not on everything");
    assert_eq!(denied.code(), "permission.denied");
    let all =
        Grants { docker: Some(crate::model::grants::DockerGrant::Everything(Access::Write)), ..Grants::default() };
    let permit = permit::docker(&all, Access::Write, None).expect("a permit");
    let context = files(&[("Dockerfile", "FROM scratch")]);
    let host = options(json!({"network": "host"}));
    let denied = lab.docker.build(&permit, context, host, |_| {}).await.expect_err("the host's network");
    assert_eq!(denied.code(), "permission.denied");
}

/// A registry on a free port of loopback, which the engine trusts without a certificate.
struct Registry {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Registry {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: 127.0.0.1:{port} }}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("config.yml"), config).expect("written");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need a registry: apt-get install docker-registry on Debian");
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Self { process, port, _folder: folder };
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        process.kill().expect("it is ours");
        process.wait().expect("it ends");
        panic!("docker-registry did not start");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it ends");
    }
}

#[tokio::test]
async fn an_image_goes_to_a_registry_and_comes_back() {
    let lab = Lab::open();
    let registry = Registry::start().await;
    let image = format!("127.0.0.1:{}/{}/web:1", registry.port, lab.mark);
    docker(&["tag", IMAGE, &image]);
    let dry = lab.docker.push(&lab.permit, &image, options(json!({"dry_run": true})), |_| {}).await.expect("a plan");
    assert!(dry.dry_run && dry.details.is_null());
    let mut steps: Vec<PullProgress> = Vec::new();
    let pushed = lab.docker.push(&lab.permit, &image, options(json!({})), |step| steps.push(step)).await;
    let pushed = pushed.expect("pushed");
    let digest = pushed.details["digest"].as_str().expect("a digest").to_owned();
    assert!(digest.contains("/web@sha256:") && !steps.is_empty(), "{digest}");
    docker(&["rmi", &image]);
    let pulled = lab.docker.pull(&lab.permit, &image, options(json!({})), |_| {}).await.expect("pulled");
    assert_eq!(pulled.digest.as_deref(), Some(digest.as_str()));
    docker(&["rmi", &image]);

    let absent = lab.docker.push(&lab.permit, &image, options(json!({})), |_| {}).await.expect_err("it is gone");
    assert_eq!(absent.code(), "docker.not_found");
    let nowhere = format!("127.0.0.1:1/{}/web:1", lab.mark);
    docker(&["tag", IMAGE, &nowhere]);
    let refused = lab.docker.push(&lab.permit, &nowhere, options(json!({})), |_| {}).await.expect_err("no registry");
    docker(&["rmi", &nowhere]);
    let fault = Fault::from(refused);
    assert!(fault.code == "docker.push_failed" && fault.message.contains("127.0.0.1:1"), "{fault:?}");
}
