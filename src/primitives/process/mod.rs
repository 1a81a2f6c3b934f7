//! Programs of this machine: an argument vector, never a shell.
//!
//! A program is one that the job was granted by name; the name is looked up where only the administrator installs
//! things, or stands in the configuration. It is given no environment but what the call says and a few harmless
//! variables. What it prints is read as it comes and bounded. A [`keeper`] stands between it and the daemon, so that
//! nothing that it starts outlives the call, the run or the daemon.

pub mod capabilities;
mod error;
pub mod keeper;
mod output;
mod program;
mod running;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub use error::ProcessError;
pub use output::{Captured, Stream};
pub use running::Ended;

use self::output::Pump;
use crate::base::clock::since;
use crate::base::{Clock, Masker, limits};
use crate::primitives::fs::{Files, FsPath, Pending, Replace};
use crate::primitives::permit::{FsPermit, ProcessPermit};

/// A program of the machine's, where only the administrator installs them.
pub(in crate::primitives) fn find_program(name: &str) -> Option<PathBuf> {
    program::find(name, &BTreeMap::new()).ok()
}

/// As the configuration has it, in `process`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Absolute paths by the name that scripts call them.
    pub programs: BTreeMap<String, PathBuf>,
    /// Aegis's own binary, which stands over each program. Without one, programs end with the call and the run all the
    /// same, but not with a daemon that is killed.
    pub keeper: Option<PathBuf>,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Request {
    pub arguments: Vec<String>,
    /// A folder beneath a root that the job may read; the top of the file system when left out.
    pub folder: Option<(FsPermit, FsPath)>,
    pub environment: BTreeMap<String, String>,
    pub input: Vec<u8>,
    pub timeout: Duration,
    /// Between being asked to end and being ended.
    pub kill_after: Duration,
    /// Of each stream that is kept: the end of it.
    pub output_bytes_max: usize,
    /// Where the standard output goes instead of into memory.
    pub output_file: Option<(FsPermit, FsPath)>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            arguments: Vec::new(),
            folder: None,
            environment: BTreeMap::new(),
            input: Vec::new(),
            timeout: limits::PROCESS_TIMEOUT_DEFAULT,
            kill_after: limits::PROCESS_KILL_AFTER_DEFAULT,
            output_bytes_max: limits::PROCESS_OUTPUT_BYTES_DEFAULT,
            output_file: None,
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub ended: Ended,
    pub stdout: Captured,
    pub stderr: Captured,
    pub took: Duration,
}

/// Is told each line as it is printed.
pub type Lines = Arc<dyn Fn(Stream, &str) + Send + Sync>;

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Processes(Arc<Shared>);

struct Shared {
    options: Options,
    files: Files,
    clock: Clock,
    masker: Masker,
    slots: Semaphore,
}

impl fmt::Debug for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Processes {
    pub fn new(options: Options, files: Files, clock: Clock, masker: Masker) -> Result<Self, ProcessError> {
        if let Some((name, path)) = options.programs.iter().find(|(_, path)| !path.is_absolute()) {
            return Err(ProcessError::Setup { name: name.clone(), path: path.clone() });
        }
        let slots = Semaphore::new(limits::PROCESSES_AT_ONCE_MAX);
        Ok(Self(Arc::new(Shared { options, files, clock, masker, slots })))
    }

    /// Checks what can be checked without starting anything; gives the program's file.
    pub fn plan(&self, permit: &ProcessPermit, request: &Request) -> Result<PathBuf, ProcessError> {
        program::check(permit.program(), request)?;
        program::find(permit.program(), &self.0.options.programs)
    }

    /// Starts the program and waits for its end. Whatever exit code it has is a result; that it could not be started,
    /// or took too long, is an error.
    pub async fn run(
        &self,
        permit: &ProcessPermit,
        request: Request,
        lines: Option<Lines>,
    ) -> Result<Finished, ProcessError> {
        let path = self.plan(permit, &request)?;
        let shared = &*self.0;
        let mut time = pin!(shared.clock.sleep(request.timeout));
        let late = || ProcessError::NoTurn { program: permit.program().to_owned(), after: request.timeout };
        let _slot = tokio::select! {
            slot = shared.slots.acquire() => slot.map_err(|_| late())?,
            () = &mut time => return Err(late()),
        };
        let started = shared.clock.now();
        let folder = match &request.folder {
            Some((permit, path)) => Some(shared.files.folder(permit, path.clone()).await?),
            None => None,
        };
        let (pending, file) = match &request.output_file {
            Some((permit, path)) => {
                let (pending, file) = shared.files.begin(permit, path.clone()).await?;
                (Some(pending), Some(tokio::fs::File::from_std(file)))
            }
            None => (None, None),
        };
        let keeper = shared.options.keeper.as_deref();
        let (leash, child) = running::start(permit.program(), &path, keeper, &request, folder.as_ref())?;
        let pump = Pump::new(request.output_bytes_max, lines, shared.masker.clone());
        let mut talk = pin!(running::talk(child, &leash, &request.input, &pump, file, &shared.clock));
        let ended = tokio::select! {
            ended = &mut talk => Some(ended),
            () = &mut time => None,
        };
        let Some(ended) = ended else {
            running::put_down(&mut talk, &leash, &shared.clock, request.kill_after).await;
            let (stdout, stderr) = pump.captured();
            let (program, after) = (permit.program().to_owned(), request.timeout);
            return Err(ProcessError::Timeout { program, after, stdout, stderr });
        };
        let (ended, file) = ended?;
        match (pending, file) {
            (Some(pending), Some(file)) => self.keep(pending, file, ended).await?,
            (Some(_), None) => {
                let problem = "its output did not end with it".to_owned();
                return Err(ProcessError::File { program: permit.program().to_owned(), problem });
            }
            (None, _) => {}
        }
        let (stdout, stderr) = pump.captured();
        Ok(Finished { ended, stdout, stderr, took: since(shared.clock.now(), started) })
    }

    /// What a program that failed wrote is no result.
    async fn keep(&self, pending: Pending, file: tokio::fs::File, ended: Ended) -> Result<(), ProcessError> {
        if ended != Ended::Code(0) {
            return Ok(());
        }
        let file = file.into_std().await;
        Ok(self.0.files.commit(pending, file, Replace::Yes).await?)
    }
}
