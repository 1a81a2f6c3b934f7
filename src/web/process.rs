//! What the operating system says of this process.

use prometheus_client::encoding::DescriptorEncoder;

use super::metrics::gauge;
use crate::base::Timestamp;

/// Numbers of `/proc/self`; those that cannot be read are absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    pub resident_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_files: Option<u64>,
    /// User and system time of all threads.
    pub cpu_s: f64,
}

pub fn read() -> Process {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Process {
        resident_bytes: field("VmRSS").map(|kib| kib * 1024),
        threads: field("Threads"),
        // One of them is the reading of the folder itself.
        open_files: std::fs::read_dir("/proc/self/fd").ok().map(|found| (found.count() as u64).saturating_sub(1)),
        cpu_s: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
    }
}

impl Process {
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>, now: Timestamp) -> Result<(), std::fmt::Error> {
        let known = [
            ("process_resident_memory_bytes", "Resident memory", self.resident_bytes),
            ("process_threads", "Threads", self.threads),
            ("process_open_fds", "Open file descriptors", self.open_files),
        ];
        for (name, help, value) in known {
            if let Some(value) = value {
                gauge(encoder, name, help, value as f64)?;
            }
        }
        gauge(encoder, "process_cpu_seconds", "Processor time used so far", self.cpu_s)?;
        gauge(encoder, "clock_seconds", "The daemon's clock", now.as_millisecond() as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_files() {
        let process = read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.open_files.is_some_and(|files| files >= 3), "{process:?}");
        assert!(process.threads.is_some_and(|threads| threads >= 1) && process.cpu_s > 0.0, "{process:?}");
    }
}
