//! What is at the other end of the standard streams.

use std::io::{BufRead, IsTerminal, Write};

use super::failure::Failure;

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
