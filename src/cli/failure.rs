//! How a command ends when it does not end well: one line what, one line what to do, and the exit code.

use std::io::Write;
use std::process::ExitCode;

use owo_colors::OwoColorize;

use crate::base::Fault;
use crate::config::ConfigError;

/// Exit codes, stable once shipped. 0 is success, 2 wrong usage (clap's own too).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Failure = 1,
    Usage = 2,
    /// The run that was waited for did not succeed.
    RunFailed = 3,
    NotAuthorised = 4,
    NotFound = 5,
    /// Nobody answers on the daemon's socket.
    Unreachable = 6,
    Interrupted = 130,
}

/// Boxed, since it travels through every `Result` of the command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone, PartialEq)]
struct Parts {
    exit: Exit,
    /// Empty when all has been said already.
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Parts { exit: Exit::Failure, message: message.into(), hint: None }))
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(message).exit(Exit::Usage)
    }

    /// Nothing more to say, but not a success.
    pub fn silent(exit: Exit) -> Self {
        Self::new("").exit(exit)
    }

    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.0.exit = exit;
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn code(&self) -> u8 {
        self.0.exit as u8
    }

    /// Prints it to standard error, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let mut err = anstream::stderr();
        if !self.0.message.is_empty() {
            let _ = writeln!(err, "{} {}", "error:".red().bold(), self.0.message);
        }
        if let Some(hint) = &self.0.hint {
            let _ = writeln!(err, "{} {hint}", " hint:".cyan());
        }
        ExitCode::from(self.code())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Setting { name, .. } if name.starts_with("--") => Self::usage(error.to_string()),
            _ => Self::new(error.to_string()),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let exit = match fault.code.as_ref() {
            "permission.denied" | "auth.required" => Exit::NotAuthorised,
            "params.invalid" | "request.invalid" => Exit::Usage,
            code if code.ends_with(".not_found") => Exit::NotFound,
            _ => Exit::Failure,
        };
        let failure = Self::new(fault.message).exit(exit);
        match fault.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// A reader that went away (`aegis logs | head`) is no failure worth a word.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::silent(Exit::Failure),
            _ => Self::new(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_keep_their_hint_and_choose_the_exit_code() {
        let cases = [("job.not_found", 5), ("permission.denied", 4), ("params.invalid", 2), ("store.unavailable", 1)];
        for (code, exit) in cases {
            let failure = Failure::from(Fault::new(code, "what").hint("do this"));
            assert_eq!((failure.code(), failure.message(), failure.hint_text()), (exit, "what", Some("do this")));
        }
    }
}
