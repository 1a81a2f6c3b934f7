//! What is at the other end of the standard streams.

use std::io::{BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::failure::Failure;
use crate::base::SecretString;

pub(super) fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

pub(super) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

pub(super) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether to write colour to standard error: a terminal, and nobody said no.
pub(super) fn stderr_has_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

pub(super) fn stdout_has_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// One line that is not shown while it is typed.
pub(super) fn ask_secretly(question: &str) -> Result<SecretString, Failure> {
    let input = std::io::stdin();
    let shown = tcgetattr(&input).map_err(std::io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &hidden).map_err(std::io::Error::from)?;
    let _back = Shown(shown);
    let mut err = anstream::stderr();
    write!(err, "{question}")?;
    err.flush()?;
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    writeln!(err)?;
    Ok(line.trim_end_matches(['\n', '\r']).into())
}

/// Puts the terminal back as it was.
struct Shown(Termios);

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Asks before something that cannot be undone. Without a terminal, only `--yes` is a yes.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !stdin_is_terminal() || !stderr_is_terminal() {
        return Err(Failure::usage(format!("there is no terminal to ask on: {question}?"))
            .hint("repeat the command with --yes"));
    }
    let mut err = anstream::stderr();
    write!(err, "{question}? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new("nothing was done")),
    }
}
