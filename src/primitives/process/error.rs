//! Why a program did not run to its end.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::output::Captured;
use crate::base::quantity::{show_duration, show_size};
use crate::base::{Fault, limits};
use crate::primitives::fs::FsError;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProcessError {
    #[error("process.programs.{name}: {} is not an absolute path", path.display())]
    Setup { name: String, path: PathBuf },
    #[error("{program:?} is not the name of a program")]
    BadName { program: String },
    #[error("the program {program:?} is not installed")]
    NotFound { program: String },
    #[error("the program {program:?} cannot be started from {}: {problem}", path.display())]
    NotStarted { program: String, path: PathBuf, problem: String },
    #[error("{program}: {problem}")]
    BadArguments { program: String, problem: String },
    #[error("{program}: the environment variable {name:?} cannot be set")]
    Environment { program: String, name: String },
    #[error("{program} did not end within {}", show_duration(*after))]
    Timeout { program: String, after: Duration, stdout: Captured, stderr: Captured },
    #[error("{program}: too many programs run, and its turn did not come within {}", show_duration(*after))]
    NoTurn { program: String, after: Duration },
    #[error("{program} printed more than {} into a file", show_size(limits::PROCESS_FILE_BYTES_MAX))]
    FileTooLarge { program: String },
    #[error("{program}: its output cannot be written: {problem}")]
    File { program: String, problem: String },
    #[error(transparent)]
    Files(#[from] FsError),
}

impl ProcessError {
    /// Stable and dotted.
    pub fn code(&self) -> &str {
        match self {
            Self::Setup { .. } => "process.setup",
            Self::BadName { .. } => "process.bad_program",
            Self::NotFound { .. } => "process.not_found",
            Self::NotStarted { .. } => "process.not_started",
            Self::BadArguments { .. } => "process.bad_arguments",
            Self::Environment { .. } => "process.environment",
            Self::Timeout { .. } => "process.timeout",
            Self::NoTurn { .. } => "process.busy",
            Self::FileTooLarge { .. } | Self::File { .. } => "process.output_file",
            Self::Files(error) => error.code(),
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Setup { .. } => "write it from the top, such as /usr/bin/pg_dump",
            Self::BadName { .. } => {
                "write the bare name; a program elsewhere is named in the configuration's process.programs"
            }
            Self::NotFound { .. } => "install it, or name its file in the configuration's process.programs",
            Self::NotStarted { .. } => "is it an executable for this machine, and may the daemon's user run it?",
            Self::BadArguments { .. } => "longer data goes in through the option stdin",
            Self::Environment { .. } => {
                "variables that make a program load other code are refused, and so are bad names"
            }
            Self::Timeout { .. } => "raise the option timeout if it may take longer; what it printed is in the details",
            Self::NoTurn { .. } => "let fewer programs run at once",
            Self::FileTooLarge { .. } => "let it write less, or compress what it writes",
            Self::File { .. } => "is there room? aegis.fs.space tells",
            Self::Files(_) => "",
        }
    }
}

impl From<ProcessError> for Fault {
    fn from(error: ProcessError) -> Self {
        let fault = Self::new(error.code().to_owned(), error.to_string()).hint(error.hint());
        match error {
            ProcessError::Files(error) => error.into(),
            ProcessError::Timeout { stdout, stderr, .. } => {
                fault.details(json!({ "stdout": stdout.text(), "stderr": stderr.text() }))
            }
            ProcessError::NoTurn { .. } => fault.retryable(),
            _ => fault,
        }
    }
}
