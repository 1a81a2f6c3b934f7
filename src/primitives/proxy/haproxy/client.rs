//! Commands to a runtime API and what it answers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use super::records::{self, Backend, Server, State};
use super::table::Table;
use crate::base::clock::later;
use crate::base::{Clock, Timestamp, limits};
use crate::primitives::proxy::error::{Phase, Problem};
use crate::primitives::proxy::service::Info;
use crate::primitives::proxy::source::Place;

/// Prefixes answers that are no data with their severity, so that a refusal is known without knowing its words.
const SEVERITIES: &str = "set severity-output number";
/// Of backends and of servers, as `show stat` counts them.
const BACKENDS: u8 = 2;
const SERVERS: u8 = 4;

/// The commands of one HAProxy. It serves few connections at once, and each call takes one for as long as it lasts.
#[derive(Debug)]
pub struct Client {
    place: Place,
    clock: Clock,
    turns: Semaphore,
}

/// An answer that is no data: its severity, as syslog counts, and the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said<'a> {
    severity: u8,
    text: &'a str,
}

impl Client {
    pub fn new(place: Place, clock: Clock) -> Self {
        Self { place, clock, turns: Semaphore::new(limits::PROXY_CALLS_AT_ONCE_MAX) }
    }

    pub async fn info(&self, timeout: Duration) -> Result<Info, Problem> {
        let answers = self.ask(&["show info".to_owned()], timeout).await?;
        records::info(data(&answers[0])?)
    }

    /// Every backend, with its servers counted.
    pub async fn backends(&self, timeout: Duration) -> Result<Vec<Backend>, Problem> {
        let answers = self.ask(&[format!("show stat -1 {} -1", BACKENDS | SERVERS)], timeout).await?;
        records::backends(&stat(&answers[0])?)
    }

    /// The servers of one backend, which has none if there is no such backend, or of all.
    pub async fn servers(&self, backend: Option<&str>, timeout: Duration) -> Result<Vec<Server>, Problem> {
        let (all, state) = (backend.unwrap_or("-1"), backend.unwrap_or_default());
        let commands = [format!("show stat {all} {SERVERS} -1"), format!("show servers state {state}")];
        let answers = self.ask(&commands, timeout).await?;
        if backend.is_some() && [&answers[0], &answers[1]].iter().any(|answer| said(answer).is_some_and(Said::is_bad)) {
            return Ok(Vec::new());
        }
        let state = state_table(&answers[1])?;
        let mut servers = records::servers(&stat(&answers[0])?, &state)?;
        servers.retain(|server| backend.is_none_or(|name| server.backend == name));
        Ok(servers)
    }

    /// Tells a server something and looks what it is then. Its word on what it did, if it had one, and the server.
    pub async fn set(
        &self,
        (backend, server): (&str, &str),
        what: &str,
        timeout: Duration,
    ) -> Result<(String, Option<State>), Problem> {
        let commands = [format!("set server {backend}/{server} {what}"), format!("show servers state {backend}")];
        let answers = self.ask(&commands, timeout).await?;
        let word = match said(&answers[0]) {
            Some(said) if said.text.starts_with("Permission denied") => return Err(Problem::Level),
            Some(said) if said.is_bad() => return Err(Problem::Refused(said.text.to_owned())),
            Some(said) => said.text.to_owned(),
            None => answers[0].trim().to_owned(),
        };
        let state = state_table(&answers[1])?;
        Ok((word, records::state(&state, backend, server)))
    }

    /// Sends commands in one go; as many answers come back. `timeout` is of everything.
    async fn ask(&self, commands: &[String], timeout: Duration) -> Result<Vec<String>, Problem> {
        let deadline = later(self.clock.now(), timeout);
        let late = |phase| Problem::Timeout { phase, after: timeout };
        let _turn = tokio::select! {
            turn = self.turns.acquire() => turn.map_err(|_| Problem::Lost("it is shut down".into()))?,
            () = self.clock.sleep_until(deadline) => return Err(late(Phase::Turn)),
        };
        let line = format!("{SEVERITIES}; {}\n", commands.join("; "));
        let text = match &self.place {
            Place::Socket(path) => self.exchange(UnixStream::connect(path), &line, deadline, &late).await?,
            Place::Address(address) => self.exchange(TcpStream::connect(address), &line, deadline, &late).await?,
        };
        let mut answers = cut(&text);
        if answers.len() <= commands.len() {
            return Err(match answers.len() {
                0 => Problem::Lost("it was closed without an answer".into()),
                _ => Problem::Protocol(format!("{} answers to {} commands", answers.len(), commands.len() + 1)),
            });
        }
        answers.remove(0);
        Ok(answers)
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        connect: impl Future<Output = io::Result<S>>,
        line: &str,
        deadline: Timestamp,
        late: &impl Fn(Phase) -> Problem,
    ) -> Result<String, Problem> {
        let mut stream = tokio::select! {
            stream = connect => stream.map_err(|problem| Problem::Connect {
                to: self.place.to_string(),
                forbidden: problem.kind() == io::ErrorKind::PermissionDenied,
                problem: problem.to_string(),
            })?,
            () = self.clock.sleep_until(deadline) => return Err(late(Phase::Connect)),
        };
        tokio::select! {
            text = converse(&mut stream, line) => text,
            () = self.clock.sleep_until(deadline) => Err(late(Phase::Answer)),
        }
    }
}

/// Sends a line and reads until the other side closes, which it does after the last answer.
async fn converse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), line: &str) -> Result<String, Problem> {
    const BYTES_MAX: usize = limits::PROXY_ANSWER_BYTES_MAX;
    let lost = |problem: io::Error| Problem::Lost(problem.to_string());
    stream.write_all(line.as_bytes()).await.map_err(lost)?;
    let mut bytes = Vec::new();
    stream.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await.map_err(lost)?;
    if bytes.len() > BYTES_MAX {
        return Err(Problem::TooLarge { bytes_max: BYTES_MAX });
    }
    String::from_utf8(bytes).map_err(|_| Problem::Protocol("it is not text".into()))
}

/// The answers in a text: an empty line ends each, and one that says nothing is that line alone.
fn cut(text: &str) -> Vec<String> {
    let (mut answers, mut answer) = (Vec::new(), String::new());
    for line in text.lines() {
        if line.is_empty() {
            answers.push(std::mem::take(&mut answer));
        } else {
            answer.push_str(line);
            answer.push('\n');
        }
    }
    answers
}

/// The words of an answer that is no data.
fn said(answer: &str) -> Option<Said<'_>> {
    let (severity, text) = answer.strip_prefix('[')?.split_once("]: ")?;
    Some(Said { severity: severity.parse().ok()?, text: text.trim_end() })
}

impl Said<'_> {
    /// An error or worse: warnings and notices are about what was done.
    fn is_bad(self) -> bool {
        const ERROR: u8 = 3;
        self.severity <= ERROR
    }
}

/// An answer that is data, or what was said instead.
fn data(answer: &str) -> Result<&str, Problem> {
    match said(answer) {
        Some(said) if said.text.starts_with("Permission denied") => Err(Problem::Level),
        Some(said) => Err(Problem::Refused(said.text.to_owned())),
        None => Ok(answer),
    }
}

fn stat(answer: &str) -> Result<Table, Problem> {
    Table::of_commas(data(answer)?).ok_or_else(|| Problem::Protocol("statistics without a header".into()))
}

fn state_table(answer: &str) -> Result<Table, Problem> {
    Table::of_blanks(data(answer)?).ok_or_else(|| Problem::Protocol("a state of servers without a header".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_with_an_empty_line() {
        assert_eq!(
            cut("\n# a,b\n1,2\n\n\n[3]: No such server.\n\n"),
            ["", "# a,b\n1,2\n", "", "[3]: No such server.\n"]
        );
        assert_eq!(cut("\n\n"), ["", ""]);
        assert_eq!(cut("half an ans"), [""; 0]);
    }

    #[test]
    fn words_are_told_from_data_by_their_severity() {
        let bad = said("[3]: No such server.\n").expect("words");
        assert!(bad.is_bad() && bad.text == "No such server.");
        assert!(said("[4]: no need to change the addr\n").is_some_and(|said| !said.is_bad()));
        assert_eq!(said("# pxname,svname\n"), None);
        assert_eq!(data("[3]: Permission denied\n"), Err(Problem::Level));
    }
}
