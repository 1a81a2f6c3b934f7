//! What the machine is doing, as the kernel tells it in `/proc`.
//!
//! Rates are those since the previous reading of the same kind, which the service keeps; without one that is recent it
//! reads twice. What a container's view of `/proc` leaves out is left out here.

mod cpu;
mod disks;
mod listeners;
mod network;
mod processes;
mod rates;
mod system;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use cpu::Cpu;
pub use disks::Mount;
pub use listeners::Listener;
pub use network::{Interface, Tcp};
pub use processes::{Process, Query, Sort};
pub use system::{Info, Memory, Pressure, Pressures};

use self::rates::Series;
use crate::base::{Clock, Fault, limits};
use crate::primitives::permit::HostPermit;

#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    #[error("{path} cannot be read: {problem}")]
    Unreadable { path: String, problem: String },
    #[error("{path} is not as this version of Aegis knows it")]
    Strange { path: String },
    #[error("reading the state of this machine was stopped")]
    Stopped,
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        let (code, hint) = match &error {
            HostError::Unreadable { .. } => ("host.unreadable", "is /proc mounted, and may the daemon's user read it?"),
            HostError::Strange { .. } => ("host.strange", "report it with the output of `uname -a` and the file"),
            HostError::Stopped => ("host.stopped", "the daemon is stopping"),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}

/// The service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Source,
    clock: Clock,
    cpu: Series<cpu::Times>,
    disks: Series<disks::Counters>,
    interfaces: Series<network::Counters>,
    tcp: Series<network::TcpCounters>,
    processes: Series<processes::Ticks>,
}

/// Where the kernel's files are: beneath `/`, or a folder of a test.
#[derive(Debug, Clone)]
struct Source(PathBuf);

impl Source {
    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn read(&self, path: &str) -> Result<String, HostError> {
        // Names of processes and mounts are any bytes.
        let bytes = std::fs::read(self.path(path))
            .map_err(|problem| HostError::Unreadable { path: format!("/{path}"), problem: problem.to_string() })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn maybe(&self, path: &str) -> Option<String> {
        self.read(path).ok()
    }
}

fn strange(path: &str) -> HostError {
    HostError::Strange { path: format!("/{path}") }
}

impl Host {
    pub fn new(clock: Clock) -> Self {
        Self::beneath(PathBuf::from("/"), clock)
    }

    fn beneath(root: PathBuf, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            files: Source(root),
            clock,
            cpu: Series::default(),
            disks: Series::default(),
            interfaces: Series::default(),
            tcp: Series::default(),
            processes: Series::default(),
        }))
    }

    pub async fn info(&self, _: &HostPermit) -> Result<Info, HostError> {
        self.look(|files| system::info(&files)).await
    }

    pub async fn memory(&self, _: &HostPermit) -> Result<Memory, HostError> {
        self.look(|files| system::memory(&files)).await
    }

    /// None where the kernel has no pressure information.
    pub async fn pressure(&self, _: &HostPermit) -> Result<Option<Pressures>, HostError> {
        self.look(|files| Ok(system::pressures(&files))).await
    }

    /// Over `interval`, or since the previous reading.
    pub async fn cpu(&self, _: &HostPermit, interval: Option<Duration>) -> Result<Cpu, HostError> {
        let read = || self.look(|files| cpu::times(&files));
        let pair = match interval {
            Some(interval) => {
                let first = read().await?;
                self.0.clock.sleep(interval.min(limits::HOST_INTERVAL_MAX)).await;
                rates::Pair { first, last: read().await?, apart: interval }
            }
            None => self.0.cpu.pair(&self.0.clock, read).await?,
        };
        let load = self.look(|files| cpu::load(&files)).await?;
        Ok(cpu::between(&pair, load))
    }

    pub async fn disks(&self, _: &HostPermit) -> Result<Vec<Mount>, HostError> {
        let counters = self.0.disks.pair(&self.0.clock, || self.look(|files| disks::counters(&files))).await?;
        let mounts = self.look(|files| disks::mounts(&files)).await?;
        let mut measured = Vec::with_capacity(mounts.len());
        for mut mount in mounts {
            disks::rate(&mut mount, &counters);
            measured.push(self.measure(mount).await);
        }
        Ok(measured)
    }

    /// A server that has gone makes its mounts hang: they are given up after a while, each by itself.
    async fn measure(&self, mount: Mount) -> Mount {
        let unmeasured = mount.clone();
        let measuring = tokio::task::spawn_blocking(move || disks::measure(mount));
        tokio::select! {
            measured = measuring => measured.unwrap_or(unmeasured),
            () = self.0.clock.sleep(limits::HOST_MOUNT_TIMEOUT) => {
                Mount { problem: Some("it does not answer".into()), ..unmeasured }
            }
        }
    }

    pub async fn interfaces(&self, _: &HostPermit) -> Result<Vec<Interface>, HostError> {
        let pair = self.0.interfaces.pair(&self.0.clock, || self.look(|files| network::counters(&files))).await?;
        self.look(move |files| Ok(network::interfaces(&files, &pair))).await
    }

    pub async fn tcp(&self, _: &HostPermit) -> Result<Tcp, HostError> {
        let pair = self.0.tcp.pair(&self.0.clock, || self.look(|files| network::tcp_counters(&files))).await?;
        Ok(network::tcp(&pair))
    }

    pub async fn processes(&self, _: &HostPermit, query: Query) -> Result<Vec<Process>, HostError> {
        let pair = self.0.processes.pair(&self.0.clock, || self.look(|files| processes::ticks(&files))).await?;
        self.look(move |files| processes::list(&files, &pair, &query)).await
    }

    pub async fn listeners(&self, _: &HostPermit) -> Result<Vec<Listener>, HostError> {
        self.look(|files| Ok(listeners::list(&files))).await
    }

    /// The files of `/proc` are made while they are read, and that can take long on a busy machine.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(Source) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let files = self.0.files.clone();
        tokio::task::spawn_blocking(move || work(files)).await.map_err(|_| HostError::Stopped)?
    }
}
