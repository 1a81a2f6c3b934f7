//! Prometheus metrics, in the OpenMetrics text format. Read from the parts at each scrape: nothing is counted twice.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::SignedDuration;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::error::{ApiError, ApiResult};
use super::parts::Parts;
use super::process::{self, Process};
use crate::base::clock::{earlier, since};
use crate::base::{Timestamp, limits};
use crate::jobs::Severity;
use crate::model::{OccurrenceState, RunState};
use crate::primitives::egress;
use crate::primitives::nfs::Statistics;
use crate::runner::{DURATION_BUCKETS_S, Numbers};
use crate::store::{OutboxCounts, SeriesRow, StoreMetrics};

/// What the web part counts itself. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Histogram,
    failures: Counter<u64, AtomicU64>,
    /// What other parts registered, and the above.
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Registry::with_prefix("aegis"))
    }
}

impl Metrics {
    /// Adds its own to what other parts have registered.
    pub fn new(mut registry: Registry) -> Self {
        let requests = Histogram::new(exponential_buckets(0.001, 4.0, 8));
        let failures = Counter::default();
        let seconds = Unit::Seconds;
        registry.register_with_unit(
            "http_request_duration",
            "Time to the head of an answer",
            seconds.clone(),
            requests.clone(),
        );
        registry.register("http_server_errors", "Answers with a status of 500 and above", failures.clone());
        Self { requests, failures, registry: Arc::new(registry) }
    }

    pub(super) fn request(&self, took: Duration, is_failure: bool) {
        self.requests.observe(took.as_secs_f64());
        if is_failure {
            self.failures.inc();
        }
    }

    pub(super) async fn scrape(&self, parts: &Parts) -> ApiResult<String> {
        let snapshot = Snapshot::read(parts).await?;
        let mut registry = Registry::with_prefix("aegis");
        registry.register_collector(Box::new(snapshot));
        let mut scripts = Registry::default();
        scripts.register_collector(Box::new(Recorded::read(parts).await?));
        let (mut own, mut recorded) = (String::new(), String::new());
        let mut shared = String::new();
        let all = encode(&mut own, &registry)
            .and_then(|()| encode(&mut recorded, &scripts))
            .and_then(|()| encode(&mut shared, &self.registry));
        all.map_err(|_| {
            ApiError::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "metrics.encode",
                "the metrics cannot be written",
            )
        })?;
        // One text has one end mark.
        let open = |text: &str| text.strip_suffix("# EOF\n").unwrap_or(text).to_owned();
        Ok(open(&own) + &open(&recorded) + &shared)
    }
}

/// The numbers of one moment.
#[derive(Debug)]
struct Snapshot {
    runs: Numbers,
    live: Vec<(RunState, u64)>,
    vms: usize,
    jobs: usize,
    disabled: usize,
    errors: usize,
    warnings: usize,
    event_seq: i64,
    outbox: OutboxCounts,
    store: StoreMetrics,
    lateness: Lateness,
    process: Process,
    /// What the gateway counted, the volumes and their bytes.
    volumes: Option<(Statistics, u64, u64)>,
    executions: Option<egress::Statistics>,
    now: Timestamp,
}

impl Snapshot {
    async fn read(parts: &Parts) -> ApiResult<Self> {
        let jobs = parts.jobs.snapshot();
        let live = parts.runner.live();
        let count = |state| live.iter().filter(|run| run.state == state).count() as u64;
        let severe = |severity| jobs.diagnostics.iter().filter(|found| found.severity == severity).count();
        let event_seq = parts.store.commits().borrow().event_seq;
        let stored = parts.store.run_counts().await?;
        let parked = stored.iter().find(|(state, _)| *state == RunState::Parked).map_or(0, |(_, count)| *count);
        Ok(Self {
            runs: parts.runner.metrics(),
            live: vec![
                (RunState::Queued, count(RunState::Queued)),
                (RunState::Running, count(RunState::Running)),
                // The dispatcher has let go of these.
                (RunState::Parked, parked),
            ],
            vms: parts.runner.vms(),
            jobs: jobs.jobs.len(),
            disabled: jobs.jobs.values().filter(|job| !job.is_enabled()).count(),
            errors: severe(Severity::Error),
            warnings: severe(Severity::Warning),
            event_seq,
            outbox: parts.store.outbox_counts().await?,
            store: parts.store.metrics(),
            lateness: Lateness::read(parts).await?,
            process: process::read(),
            volumes: parts.volumes.statistics(),
            executions: parts.egress.statistics(),
            now: parts.clock.now(),
        })
    }
}

/// What scripts and checks recorded lately.
#[derive(Debug)]
struct Recorded(Vec<SeriesRow>);

impl Recorded {
    async fn read(parts: &Parts) -> ApiResult<Self> {
        let since = earlier(parts.clock.now(), limits::METRIC_EXPOSED_AGE_MAX);
        let mut rows = parts.store.series(None, Some(since)).await?;
        rows.truncate(limits::METRIC_EXPOSED_SERIES_MAX);
        Ok(Self(rows))
    }
}

impl Collector for Recorded {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        // They come in the order of their names.
        for family in self.0.chunk_by(|one, other| one.series.name == other.series.name) {
            let Some(first) = family.first() else { continue };
            let name = first.series.name.as_str();
            // Whether it only grows is its script's business: the name says so to whoever reads it.
            let kind = if name.ends_with("_total") { MetricType::Unknown } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(name, "Recorded by a script or a check", None, kind)?;
            for row in family {
                let labels: Vec<(&str, &str)> =
                    row.series.labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
                ConstGauge::new(row.last_value).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// How late the due times of the last minute were decided; their jitter is part of it.
#[derive(Debug, Default)]
struct Lateness {
    fired: u64,
    mean_s: f64,
    max_s: f64,
}

impl Lateness {
    async fn read(parts: &Parts) -> ApiResult<Self> {
        let now = parts.clock.now();
        let from = now.checked_sub(SignedDuration::from_mins(1)).unwrap_or(now);
        let found = parts.store.occurrences(None, from, now, limits::STORE_PAGE_ROWS_MAX).await?;
        let fired =
            found.iter().filter(|found| matches!(found.state, OccurrenceState::Fired | OccurrenceState::DstShifted));
        let late: Vec<f64> = fired.map(|found| since(found.decided_at, found.scheduled_for).as_secs_f64()).collect();
        let count = late.len().max(1) as f64;
        let max_s = late.iter().copied().fold(0.0, f64::max);
        Ok(Self { fired: late.len() as u64, mean_s: late.iter().fold(0.0, |sum, late| sum + late) / count, max_s })
    }
}

type Encoded = Result<(), std::fmt::Error>;

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Encoded {
        let runs = &self.runs;
        let e = &mut encoder;
        labelled(
            e,
            "runs_finished",
            "Runs that ended, by state",
            "state",
            runs.finished.iter().map(|(k, v)| (*k, *v)),
            true,
        )?;
        counter(e, "runs_accepted", "Runs that were accepted", runs.accepted)?;
        counter(e, "runs_skipped", "Submissions refused by the overlap policy", runs.skipped)?;
        counter(e, "runs_coalesced", "Submissions for which a waiting run stands", runs.coalesced)?;
        counter(e, "runs_retried", "Attempts after the first", runs.retried)?;
        durations(e, runs)?;
        let live = self.live.iter().map(|(state, count)| (state.as_str(), *count));
        labelled(e, "runs_live", "Runs that have not ended, by state", "state", live, false)?;
        gauge(e, "queue_depth", "Runs that wait for a lane, a limit or their next attempt", runs.waiting as f64)?;
        gauge(e, "lua_vms", "Live Lua VMs, consoles included", self.vms as f64)?;
        counter(e, "log_lines_dropped", "Log lines beyond a run's limits", runs.log_lines_dropped)?;
        counter(e, "store_retries", "Outcomes whose commit had to be tried again", runs.store_retries)?;
        counter(e, "store_commits", "Transactions committed", self.store.commits)?;
        counter(e, "store_commands", "Commands answered out of those transactions", self.store.commands)?;
        counter(e, "store_failed_batches", "Batches answered with an error", self.store.failed_batches)?;
        gauge(e, "store_queue_depth", "Commands that wait for the writer", self.store.queue_commands as f64)?;
        let took = self.store.last_commit_micros as f64 / 1e6;
        gauge(e, "store_last_commit_seconds", "Time of the last transaction", took)?;
        gauge(e, "schedule_fired_last_minute", "Due times of the last minute that fired", self.lateness.fired as f64)?;
        gauge(
            e,
            "schedule_lateness_mean_seconds",
            "From due to decided, jitter included, over the last minute",
            self.lateness.mean_s,
        )?;
        gauge(e, "schedule_lateness_max_seconds", "The latest of the last minute", self.lateness.max_s)?;
        counter(e, "store_events", "Events that were ever committed", self.event_seq.max(0).cast_unsigned())?;
        gauge(e, "jobs", "Live jobs", self.jobs as f64)?;
        gauge(e, "jobs_disabled", "Live jobs whose schedules are held", self.disabled as f64)?;
        let outbox = [("waiting", self.outbox.waiting), ("dead", self.outbox.dead)];
        labelled(e, "notifications", "Messages that no receiver has taken", "state", outbox.into_iter(), false)?;
        let found = [("error", self.errors as u64), ("warning", self.warnings as u64)];
        labelled(e, "script_diagnostics", "Files with something wrong now", "severity", found.into_iter(), false)?;
        if let Some((statistics, volumes, bytes)) = &self.volumes {
            served(e, statistics, *volumes, *bytes)?;
        }
        if let Some(statistics) = &self.executions {
            let_out(e, statistics)?;
        }
        self.process.encode(e, self.now)
    }
}

/// Volumes, and the gateway that serves them.
fn served(e: &mut DescriptorEncoder<'_>, statistics: &Statistics, volumes: u64, bytes: u64) -> Encoded {
    gauge(e, "volumes", "Volumes that are served", volumes as f64)?;
    gauge(e, "volumes_used_bytes", "On disk, of all volumes, without their snapshots", bytes as f64)?;
    let operations = || statistics.operations.iter().filter(|operation| operation.calls > 0);
    let calls = operations().map(|operation| (operation.operation, operation.calls));
    labelled(e, "nfs_calls", "Calls of clients that were executed", "operation", calls, true)?;
    let failures = operations().map(|operation| (operation.operation, operation.failures));
    labelled(e, "nfs_failures", "Calls answered with another status than OK", "operation", failures, true)?;
    let took = operations().map(|operation| (operation.operation, operation.took.as_micros() as u64));
    labelled(e, "nfs_call_microseconds", "Time that calls took, added up", "operation", took, true)?;
    gauge(e, "nfs_connections", "Clients that are connected", statistics.connections_now as f64)?;
    counter(e, "nfs_connections_refused", "Clients beyond the bound", statistics.connections_refused)?;
    counter(e, "nfs_malformed", "What came and is no call", statistics.malformed)?;
    counter(e, "nfs_replays", "Calls that came again and were answered from memory", statistics.replays)?;
    counter(e, "nfs_panics", "Calls that ended without an answer, by a fault of the gateway", statistics.panics)?;
    counter(e, "nfs_read_bytes", "Data that clients were given", statistics.bytes_read)?;
    counter(e, "nfs_written_bytes", "Data that clients sent", statistics.bytes_written)
}

/// Executions, and what those that are let out ask for.
fn let_out(e: &mut DescriptorEncoder<'_>, statistics: &egress::Statistics) -> Encoded {
    let ended = statistics.ended.iter().map(|(outcome, count)| (*outcome, *count));
    labelled(e, "executions", "Iterations of executions that ended", "outcome", ended, true)?;
    gauge(e, "egress_gates", "Executions that are let out now", statistics.gates as f64)?;
    gauge(e, "egress_connections", "Connections that they have now", statistics.connections as f64)?;
    counter(e, "egress_sent_bytes", "That executions sent", statistics.sent_bytes)?;
    counter(e, "egress_received_bytes", "That executions received", statistics.received_bytes)?;
    let help = "What executions asked for, by what was decided";
    let mut family = e.encode_descriptor("egress_decisions", help, None, MetricType::Counter)?;
    for ((wish, outcome), count) in &statistics.decisions {
        let labels = [("wish", *wish), ("outcome", *outcome)];
        ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

pub(super) fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> Encoded {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Encoded {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn labelled<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: impl Iterator<Item = (&'a str, u64)>,
    counts: bool,
) -> Encoded {
    let kind = if counts { MetricType::Counter } else { MetricType::Gauge };
    let mut family: MetricEncoder<'_> = encoder.encode_descriptor(name, help, None, kind)?;
    for (value, count) in values {
        let labels = [(label, value)];
        let metric = family.encode_family(&labels)?;
        if counts { ConstCounter::new(count).encode(metric)? } else { ConstGauge::new(count as f64).encode(metric)? }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, runs: &Numbers) -> Encoded {
    let bounds = DURATION_BUCKETS_S.into_iter().chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(runs.durations).collect();
    let count = runs.durations.iter().sum();
    let help = "Time of the last attempt of runs that ended";
    let mut metric = encoder.encode_descriptor("run_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(runs.duration_sum_s, count, &buckets, None)
}
