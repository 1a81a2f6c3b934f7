//! The command line, run as a person runs it: arguments in; exit code, standard output and standard error out.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A command that has not come back by then hangs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `aegis …` in one folder against one socket.
#[derive(Debug, Clone)]
pub struct Cli {
    pub dir: PathBuf,
    pub socket: PathBuf,
}

#[derive(Debug)]
pub struct Output {
    pub command: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Cli {
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "").await
    }

    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let command = format!("aegis {}", arguments.join(" "));
        let mut child = Command::new(env!("CARGO_BIN_EXE_aegis"))
            .args(arguments)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.dir)
            .env("AEGIS_SOCKET", &self.socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the aegis binary starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A command that does not read closes the pipe: that is its right.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(COMMAND_TIMEOUT, child.wait_with_output())
            .await
            .unwrap_or_else(|_| panic!("{command} did not end within {COMMAND_TIMEOUT:?}"))
            .expect("the output can be read");
        Output {
            command,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it, expects exit code 0 and gives its standard output.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).await.expect_code(0).stdout
    }

    /// Runs it with `--json` and parses what it printed.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let mut with_json = arguments.to_vec();
        with_json.push("--json");
        self.run(&with_json).await.expect_code(0).json()
    }
}

impl Output {
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Everything that it said, on either stream.
    pub fn said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn expect_said(&self, words: &[&str]) {
        let said = self.said();
        for word in words {
            assert!(said.contains(word), "{word:?} was not said\n{self}");
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error})\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "$ {}\nexit code {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}
