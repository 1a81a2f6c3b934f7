//! A Docker Engine of the test's own, with a small disk: it may be filled, killed and started again, which the one that
//! all tests share may not. It lives in a network of its own, where it changes no bridge and no rule of the machine's.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::docker::IMAGE;

/// A machine that is busy has to have it answer by then.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub struct OwnDocker {
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl OwnDocker {
    /// With the image that tests share, on a disk of so many MiB.
    pub fn start(disk: u32) -> Self {
        assert!(rustix::process::getuid().is_root(), "a Docker Engine of a test's own needs root");
        let dir = tempfile::Builder::new().prefix("aegis-dockerd-").tempdir().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("data")).expect("a folder");
        let mut own = Self { dir, child: None };
        let size = format!("size={disk}m");
        own.run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(own.path("data")));
        own.up();
        let archive = own.path("image.tar");
        own.run(Command::new("docker").args(["save", "-o"]).arg(&archive).arg(IMAGE));
        own.docker(&["load", "-i", &archive.to_string_lossy()]).expect("the image is loaded");
        own
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The trimmed standard output, or what went wrong.
    pub fn docker(&self, arguments: &[&str]) -> Result<String, String> {
        super::docker::docker(&[&["-H", &self.host()], arguments].concat())
    }

    /// Starts it, and waits until it answers.
    pub fn up(&mut self) {
        let log = File::create(self.path("log")).expect("a file");
        let child = Command::new("unshare")
            .args(["--net", "dockerd", "--log-level", "error", "--iptables=false", "--ip6tables=false", "--host"])
            .arg(self.host())
            .arg("--data-root")
            .arg(self.path("data"))
            .arg("--exec-root")
            .arg(self.path("exec"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd is installed; tests/run does that");
        self.child = Some(child);
        let began = Instant::now();
        while self.docker(&["version"]).is_err() {
            let said = || std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(began.elapsed() < START_TIMEOUT, "dockerd does not answer: {}", said());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it as a restart of its service does: the containers end with it.
    pub fn down(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        child.wait().expect("it ends");
    }

    /// Leaves no room on its disk, until the answer goes.
    pub fn fill(&self) -> Filler {
        let path = self.path("data/filler");
        let mut file = File::create(&path).expect("the disk can be reached");
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        Filler(path)
    }

    fn run(&self, command: &mut Command) {
        let status = command.status().expect("it can be run");
        assert!(status.success(), "{command:?} in {}", self.dir.path().display());
    }
}

/// What a disk is full of.
pub struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for OwnDocker {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path("data/filler"));
        if let Ok(found) = self.docker(&["ps", "-aq"]) {
            let ids: Vec<&str> = found.split_whitespace().collect();
            if !ids.is_empty() {
                let _ = self.docker(&[&["rm", "-fv"], ids.as_slice()].concat());
            }
        }
        self.down();
        let _ = Command::new("umount").arg("-l").arg(self.path("data")).status();
    }
}
