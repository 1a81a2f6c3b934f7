//! Which file a program's name stands for, and what may be handed to it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Request;
use super::error::ProcessError;
use crate::base::limits;

/// Where only the administrator installs programs. Also what programs are given as their PATH.
pub const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Names by which the linker and interpreters load code of somebody else's choice.
const LOADERS: [&str; 12] = [
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "GCONV_PATH",
    "NODE_OPTIONS",
    "PERL5LIB",
    "PERL5OPT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
];

pub fn find(program: &str, programs: &BTreeMap<String, PathBuf>) -> Result<PathBuf, ProcessError> {
    if let Some(path) = programs.get(program) {
        let problem = || ProcessError::NotStarted {
            program: program.to_owned(),
            path: path.clone(),
            problem: "it is not an executable file".into(),
        };
        return if is_executable(path) { Ok(path.clone()) } else { Err(problem()) };
    }
    if program.is_empty() || program.starts_with('.') || program.contains(['/', '\0']) {
        return Err(ProcessError::BadName { program: program.to_owned() });
    }
    let found = FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| is_executable(path));
    found.ok_or_else(|| ProcessError::NotFound { program: program.to_owned() })
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What the system would refuse less clearly, or should not be asked for.
pub fn check(program: &str, request: &Request) -> Result<(), ProcessError> {
    let bad = |problem: String| ProcessError::BadArguments { program: program.to_owned(), problem };
    let (count, bytes) = (request.arguments.len(), request.arguments.iter().map(String::len).sum::<usize>());
    if count > limits::PROCESS_ARGUMENTS_MAX || bytes > limits::PROCESS_ARGUMENTS_BYTES_MAX {
        return Err(bad(format!("{count} arguments with {bytes} bytes are too many")));
    }
    if request.arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(bad("an argument holds a zero byte".into()));
    }
    for (name, value) in &request.environment {
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let loads = name.starts_with("LD_") || LOADERS.contains(&name.as_str());
        if !fits || loads || value.contains('\0') {
            return Err(ProcessError::Environment { program: program.to_owned(), name: name.clone() });
        }
    }
    if request.environment.len() > limits::PROCESS_ENVIRONMENT_MAX {
        return Err(bad("there are too many environment variables".into()));
    }
    Ok(())
}
