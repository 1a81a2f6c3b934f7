//! The arithmetic of container statistics.

use bollard::models::{ContainerBlkioStatEntry, ContainerMemoryStats, ContainerStatsResponse};

use crate::base::Timestamp;

/// The counters of one moment from which the next percentage is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    /// CPU time of the container, ns.
    pub(super) container: u64,
    /// CPU time of the whole host over all CPUs, ns.
    pub(super) system: u64,
}

impl Sample {
    /// None for a container that does not run.
    pub(super) fn of(stats: &ContainerStatsResponse, at: Timestamp) -> Option<Self> {
        let cpu = stats.cpu_stats.as_ref()?;
        let container = cpu.cpu_usage.as_ref()?.total_usage?;
        let system = cpu.system_cpu_usage.filter(|time| *time > 0)?;
        Some(Self { at, container, system })
    }
}

/// CPUs of the host that the counters are summed over.
pub(super) fn online_cpus(stats: &ContainerStatsResponse) -> u32 {
    let cpu = stats.cpu_stats.as_ref();
    let per_cpu = || cpu?.cpu_usage.as_ref()?.percpu_usage.as_ref().map(|list| list.len() as u32);
    cpu.and_then(|cpu| cpu.online_cpus).filter(|count| *count > 0).or_else(per_cpu).unwrap_or(1).max(1)
}

/// Percent of one CPU between two samples: 200 is two CPUs busy. None when the counters did not grow, as after a restart.
pub(super) fn percent(earlier: Sample, later: Sample, cpus: u32) -> Option<f64> {
    let container = later.container.checked_sub(earlier.container)?;
    let system = later.system.checked_sub(earlier.system).filter(|time| *time > 0)?;
    let percent = container as f64 / system as f64 * f64::from(cpus) * 100.0;
    Some((percent * 100.0).round() / 100.0)
}

/// What the container itself needs: the page cache that can be dropped is left out, as `docker stats` does it.
pub(super) fn memory_used(memory: &ContainerMemoryStats) -> Option<u64> {
    let usage = memory.usage?;
    let stats = memory.stats.as_ref();
    // cgroup v1 calls it total_inactive_file, v2 inactive_file.
    let cache = ["total_inactive_file", "inactive_file"].iter().find_map(|key| stats?.get(*key).copied());
    Some(usage.checked_sub(cache.unwrap_or_default()).unwrap_or(usage))
}

/// Bytes read and written on block devices.
pub(super) fn block_bytes(entries: &[ContainerBlkioStatEntry]) -> (u64, u64) {
    let sum = |wanted: &str| {
        let of_kind = entries.iter().filter(|e| e.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(wanted)));
        of_kind.filter_map(|entry| entry.value).sum()
    };
    (sum("read"), sum("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(container: u64, system: u64) -> Sample {
        Sample { at: Timestamp::UNIX_EPOCH, container, system }
    }

    #[test]
    fn percent_counts_cpus() {
        assert_eq!(percent(sample(0, 0), sample(500, 2_000), 2), Some(50.0));
        assert_eq!(percent(sample(0, 0), sample(2_000, 2_000), 2), Some(200.0));
        assert_eq!(percent(sample(10, 0), sample(10, 2_000), 2), Some(0.0));
    }

    #[test]
    fn counters_that_went_back_give_nothing() {
        assert_eq!(percent(sample(500, 0), sample(10, 2_000), 2), None);
        assert_eq!(percent(sample(0, 5), sample(10, 5), 2), None);
        assert_eq!(percent(sample(0, 5), sample(10, 4), 2), None);
    }

    #[test]
    fn reclaimable_cache_is_not_used_memory() {
        let memory = |stats: &[(&str, u64)]| ContainerMemoryStats {
            usage: Some(100),
            stats: Some(stats.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()),
            ..ContainerMemoryStats::default()
        };
        assert_eq!(memory_used(&memory(&[("inactive_file", 30)])), Some(70));
        assert_eq!(memory_used(&memory(&[("inactive_file", 10), ("total_inactive_file", 40)])), Some(60));
        assert_eq!(memory_used(&memory(&[("inactive_file", 300)])), Some(100));
        assert_eq!(memory_used(&ContainerMemoryStats::default()), None);
    }

    #[test]
    fn block_bytes_add_up_over_devices() {
        let entry = |op: &str, value| ContainerBlkioStatEntry {
            op: Some(op.into()),
            value: Some(value),
            ..ContainerBlkioStatEntry::default()
        };
        assert_eq!(block_bytes(&[entry("Read", 1), entry("read", 2), entry("Write", 4), entry("Sync", 8)]), (3, 4));
    }
}
