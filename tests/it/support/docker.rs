//! Real containers under names of their own, removed when the test ends.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The image that `tests/run` makes: busybox and nothing else.
pub const IMAGE: &str = "aegis-test/busybox:1";

/// Containers of one test, with a label and a prefix that no other test has.
#[derive(Debug)]
pub struct Containers {
    pub prefix: String,
}

impl Containers {
    #[track_caller]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let ready = docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]);
        assert!(ready.is_ok(), "Docker or the image {IMAGE} is not there ({ready:?}); tests/run prepares both");
        Self { prefix: format!("aegis-it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)) }
    }

    pub fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.prefix)
    }

    /// `docker run -d` with further options before the image, and a command after it.
    #[track_caller]
    pub fn start(&self, short: &str, options: &[&str], command: &[&str]) -> String {
        let name = self.name(short);
        let label = format!("aegis.test={}", self.prefix);
        let mut arguments = vec!["run", "-d", "--name", &name, "--label", &label, "--network", "none"];
        arguments.extend(options);
        arguments.push(IMAGE);
        arguments.extend(command);
        docker(&arguments).unwrap_or_else(|error| panic!("docker {arguments:?}: {error}"));
        name
    }

    /// One field of `docker inspect`, by its template.
    #[track_caller]
    pub fn inspect(&self, short: &str, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.name(short)]).expect("the container exists")
    }

    pub fn exists(&self, short: &str) -> bool {
        docker(&["inspect", "--format", "{{.Id}}", &self.name(short)]).is_ok()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let filter = format!("label=aegis.test={}", self.prefix);
        let Ok(ids) = docker(&["ps", "-aq", "--filter", &filter]) else { return };
        for id in ids.split_whitespace() {
            let _ = docker(&["rm", "-f", "-v", id]);
        }
    }
}

/// The trimmed standard output, or what went wrong.
pub fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
