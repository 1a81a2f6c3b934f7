//! What tests against the real engine share: an image, and containers that do not outlive their test.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use super::{CreateOptions, Docker, Options};
use crate::base::{Clock, RunId};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::permit::{self, DockerPermit};

pub(crate) const IMAGE: &str = "aegis-test/busybox:1";

/// One test's containers, networks and volumes; whatever has its mark in its name is removed when it ends, however it ends.
pub(crate) struct Lab {
    pub(crate) docker: Docker,
    pub(crate) permit: DockerPermit,
    /// Unique; the beginning of every name.
    pub(crate) mark: String,
}

impl Lab {
    pub(crate) fn open() -> Self {
        make_image();
        let docker = Docker::new(Options { host: String::new(), clock: Clock::system() });
        let permit = permit::docker(&Grants::all(), Access::Admin, None).expect("all is granted");
        Self { docker, permit, mark: format!("aegis-test-{}", RunId::generate()) }
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.mark)
    }

    pub(crate) fn options(&self, name: &str, more: Value) -> CreateOptions {
        let mut all = json!({
            "name": self.name(name), "image": IMAGE, "command": ["sleep", "600"], "stop_grace_period": "1s", "init": true,
            "labels": { "aegis.test": self.mark }
        });
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            all[key] = value;
        }
        options(all)
    }

    /// Creates a container, and its name.
    pub(crate) async fn create(&self, name: &str, more: Value) -> String {
        self.docker.create(&self.permit, self.options(name, more)).await.expect("created");
        self.name(name)
    }

    pub(crate) async fn run(&self, name: &str, more: Value) -> String {
        let name = self.create(name, more).await;
        self.docker.start(&self.permit, &name, options(json!({}))).await.expect("started");
        name
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let named = format!("name={}", self.mark);
        for (list, remove) in [
            (vec!["ps", "-aq", "--filter", &named], vec!["rm", "-fv"]),
            (vec!["network", "ls", "-q", "--filter", &named], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q", "--filter", &named], vec!["volume", "rm", "-f"]),
        ] {
            let found = docker(&list);
            let ids: Vec<&str> = found.split_whitespace().collect();
            if !ids.is_empty() {
                docker(&[remove, ids].concat());
            }
        }
    }
}

/// The engine as the one manager of a swarm, for one test at a time; it leaves the swarm when that ends.
pub(crate) struct LabSwarm {
    _turn: std::fs::File,
    is_made: bool,
}

impl LabSwarm {
    /// Waits for its turn. The engine is in no swarm then.
    pub(crate) fn turn() -> Self {
        let turn = std::fs::File::create(std::env::temp_dir().join("aegis-test-swarm.lock")).expect("a lock file");
        turn.lock().expect("the lock");
        let state = docker(&["info", "--format", "{{.Swarm.LocalNodeState}}"]);
        if state == "active" {
            let mark = docker(&["node", "inspect", "self", "--format", "{{index .Spec.Labels \"aegis.test\"}}"]);
            assert_eq!(mark, "yes", "this engine is in a swarm that no test has made");
            docker(&["swarm", "leave", "--force"]);
        } else {
            assert_eq!(state, "inactive", "this engine is in a swarm that no test has made");
        }
        Self { _turn: turn, is_made: false }
    }

    pub(crate) fn open() -> Self {
        let mut swarm = Self::turn();
        swarm.is_made = true;
        docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
        let node = docker(&["info", "--format", "{{.Swarm.NodeID}}"]);
        docker(&["node", "update", "--label-add", "aegis.test=yes", &node]);
        swarm
    }
}

impl Drop for LabSwarm {
    fn drop(&mut self) {
        if self.is_made {
            docker(&["swarm", "leave", "--force"]);
        }
    }
}

/// A container as its inspection has it.
pub(crate) fn container_of(raw: &Value) -> super::Container {
    super::containers::container(&json!({}), raw, Clock::system().now())
}

pub(crate) fn options<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("options")
}

/// The command line client, for what a test compares with.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the docker command");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A socket that stands for an engine which goes and comes: forwards to the real one while it is up.
pub(crate) struct Relay {
    socket: PathBuf,
    task: JoinHandle<()>,
}

#[expect(clippy::disallowed_methods, reason = "a test owns its one task")]
pub(crate) fn relay(socket: &Path) -> Relay {
    let listener = UnixListener::bind(socket).expect("a socket");
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            connections.spawn(async move {
                let Ok(mut far) = UnixStream::connect("/var/run/docker.sock").await else { return };
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    Relay { socket: socket.to_owned(), task }
}

impl Relay {
    /// Cuts every connection, as an engine that is killed does.
    pub(crate) async fn cut(self) {
        self.task.abort();
        let _ = self.task.await;
        std::fs::remove_file(&self.socket).expect("the socket");
    }
}

/// Nothing can be pulled here: the image is the host's static busybox in an otherwise empty file system.
fn make_image() {
    // Tests run in parallel, in several processes too.
    let lock = std::fs::File::create(std::env::temp_dir().join("aegis-test-image.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    if !docker(&["image", "ls", "-q", IMAGE]).is_empty() {
        return;
    }
    let root = tempfile::tempdir().expect("a folder");
    for folder in ["bin", "tmp", "etc", "proc", "dev"] {
        std::fs::create_dir(root.path().join(folder)).expect("a folder");
    }
    let busybox = root.path().join("bin/busybox");
    std::fs::copy("/bin/busybox", &busybox).expect("busybox-static is installed");
    std::fs::set_permissions(&busybox, std::fs::Permissions::from_mode(0o755)).expect("executable");
    for applet in
        ["sh", "sleep", "echo", "true", "false", "cat", "kill", "nc", "id", "env", "touch", "ls", "printf", "seq"]
    {
        std::os::unix::fs::symlink("busybox", root.path().join("bin").join(applet)).expect("a link");
    }
    let tar = Command::new("tar").args(["-C", &root.path().to_string_lossy(), "-c", "."]).output().expect("tar");
    let mut import = Command::new("docker")
        .args(["import", "-c", "ENV PATH=/bin", "-", IMAGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the docker command");
    import.stdin.take().expect("piped").write_all(&tar.stdout).expect("sent");
    assert!(import.wait().expect("ended").success(), "docker import: is dockerd running? tests/run starts it");
}
