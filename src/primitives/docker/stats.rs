//! CPU, memory, network and disk use of running containers.

use std::sync::PoisonError;

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptions as StatsParameters;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::containers::name_of;
use super::cpu::{Sample, block_bytes, memory_used, online_cpus, percent};
use super::engine::Docker;
use super::error::DockerError;
use super::names::Found;
use crate::base::clock::{later, since};
use crate::base::limits;
use crate::base::quantity::show_duration;
use crate::model::grants::Access;
use crate::primitives::option::Span;
use crate::primitives::permit::DockerPermit;

/// None where the container does not run or the kernel does not say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    pub id: String,
    pub name: String,
    pub running: bool,
    /// Of one CPU: 200 is two CPUs busy. Over the time since the previous reading, or over a quarter of a second.
    pub cpu_percent: Option<f64>,
    pub online_cpus: Option<u32>,
    /// Without the page cache that can be dropped.
    pub memory_bytes: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
    pub memory_percent: Option<f64>,
    pub pids: Option<u64>,
    pub network_rx_bytes: u64,
    pub network_tx_bytes: u64,
    pub block_read_bytes: u64,
    pub block_write_bytes: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatsOptions {
    /// Waits so long first: a loop over this is a stream of readings, of which one is in memory.
    pub wait: Option<Span>,
}

impl Docker {
    /// A reading after `options.wait`, or as soon as the container ends.
    pub async fn stats_after(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: StatsOptions,
    ) -> Result<Stats, DockerError> {
        let Some(Span(wait)) = options.wait.filter(|wait| !wait.0.is_zero()) else {
            return self.stats(permit, container).await;
        };
        if wait > limits::DOCKER_WAIT_TIMEOUT_MAX {
            let most = show_duration(limits::DOCKER_WAIT_TIMEOUT_MAX);
            return Err(DockerError::invalid("wait", format!("at most {most} are possible")));
        }
        let found = self.find(permit, Access::Read, container).await?;
        if found.running {
            tokio::select! {
                ended = self.wait(permit, &found.id, super::WaitOptions::default()) => drop(ended?),
                () = self.clock().sleep(wait) => {}
            }
        }
        self.stats(permit, &found.id).await
    }

    pub async fn stats(&self, permit: &DockerPermit, container: &str) -> Result<Stats, DockerError> {
        let found = self.find(permit, Access::Read, container).await?;
        self.stats_of(found).await
    }

    /// Of all running containers that the permit covers, sorted by name. The engine answers at its next reading, up to a
    /// second later, so many are asked at once.
    pub async fn stats_all(&self, permit: &DockerPermit) -> Result<Vec<Stats>, DockerError> {
        permit.check_any(Access::Read, "reading statistics")?;
        let running = self.read("listing containers", "/containers/json", &[]).await?;
        let running = running.as_array().cloned().unwrap_or_default().into_iter().map(|raw| Found {
            id: raw.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            name: name_of(&raw),
            running: true,
            paused: raw.get("State").and_then(Value::as_str) == Some("paused"),
            raw,
        });
        let granted = running.filter(|found| permit.covers(Access::Read, &found.name));
        let mut readings = futures_util::stream::iter(granted)
            .map(async |found: Found| self.stats_of(found).await)
            .buffer_unordered(limits::DOCKER_STATS_AT_ONCE_MAX);
        let mut all = Vec::new();
        while let Some(reading) = readings.next().await {
            match reading {
                Ok(stats) => all.push(stats),
                Err(DockerError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn stats_of(&self, found: Found) -> Result<Stats, DockerError> {
        if !found.running {
            return Ok(idle(found));
        }
        let earlier = match self.remembered(&found.id) {
            Some(sample) => Some(sample),
            None => {
                let first = self.reading(&found).await?;
                let sample = Sample::of(&first, self.clock().now());
                self.clock().sleep(limits::DOCKER_STATS_INTERVAL).await;
                sample
            }
        };
        let raw = self.reading(&found).await?;
        let now = Sample::of(&raw, self.clock().now());
        if let Some(sample) = now {
            self.remember(&found.id, sample);
        }
        let cpu_percent = earlier.zip(now).and_then(|(earlier, now)| percent(earlier, now, online_cpus(&raw)));
        Ok(summary(found, &raw, cpu_percent))
    }

    /// One reading without the engine's own second one, which would take it two seconds.
    async fn reading(&self, found: &Found) -> Result<ContainerStatsResponse, DockerError> {
        let action = format!("reading statistics of {:?}", found.name);
        let id = found.id.clone();
        self.call(&action, |client| async move {
            let mut answers = client.stats(&id, Some(StatsParameters { stream: false, one_shot: true }));
            answers.next().await.unwrap_or_else(|| Ok(ContainerStatsResponse::default()))
        })
        .await
    }

    fn remembered(&self, id: &str) -> Option<Sample> {
        let now = self.clock().now();
        let samples = self.shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |sample: &Sample| {
            let age = since(now, sample.at);
            age >= limits::DOCKER_STATS_INTERVAL && age <= limits::DOCKER_STATS_SAMPLE_AGE_MAX
        };
        samples.get(id).copied().filter(fits)
    }

    fn remember(&self, id: &str, sample: Sample) {
        let mut samples = self.shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= limits::DOCKER_STATS_SAMPLES_MAX {
            samples.retain(|_, old| later(old.at, limits::DOCKER_STATS_SAMPLE_AGE_MAX) >= sample.at);
        }
        if samples.len() < limits::DOCKER_STATS_SAMPLES_MAX {
            samples.insert(id.to_owned(), sample);
        }
    }
}

fn idle(found: Found) -> Stats {
    Stats {
        id: found.id,
        name: found.name,
        running: found.running,
        cpu_percent: None,
        online_cpus: None,
        memory_bytes: None,
        memory_limit_bytes: None,
        memory_percent: None,
        pids: None,
        network_rx_bytes: 0,
        network_tx_bytes: 0,
        block_read_bytes: 0,
        block_write_bytes: 0,
    }
}

fn summary(found: Found, raw: &ContainerStatsResponse, cpu_percent: Option<f64>) -> Stats {
    let memory = raw.memory_stats.as_ref();
    let used = memory.and_then(memory_used);
    let limit = memory.and_then(|memory| memory.limit).filter(|limit| *limit > 0);
    let networks = || raw.networks.iter().flatten();
    let block =
        raw.blkio_stats.as_ref().and_then(|blkio| blkio.io_service_bytes_recursive.as_deref()).unwrap_or_default();
    let (block_read_bytes, block_write_bytes) = block_bytes(block);
    Stats {
        cpu_percent,
        online_cpus: Some(online_cpus(raw)),
        memory_bytes: used,
        memory_limit_bytes: limit,
        memory_percent: used.zip(limit).map(|(used, limit)| (used as f64 / limit as f64 * 10_000.0).round() / 100.0),
        pids: raw.pids_stats.as_ref().and_then(|pids| pids.current),
        network_rx_bytes: networks().filter_map(|(_, network)| network.rx_bytes).sum(),
        network_tx_bytes: networks().filter_map(|(_, network)| network.tx_bytes).sum(),
        block_read_bytes,
        block_write_bytes,
        ..idle(found)
    }
}
