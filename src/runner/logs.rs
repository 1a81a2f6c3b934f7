//! From `print` to the store: a bounded buffer a run, and one flusher that batches them.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::metrics::Metrics;
use crate::base::{Clock, RunId, Timestamp, limits};
use crate::lua::LogSink;
use crate::model::run::Progress;
use crate::model::{LogLevel, LogLine};
use crate::store::{ProgressUpdate, Store, StoreError};

/// Lines wait this long for company, so that a short run's lines go into its last commit.
const LINGER: Duration = Duration::from_millis(10);

/// The log of one run across its attempts.
#[derive(Debug)]
pub struct RunLog {
    run: RunId,
    clock: Clock,
    buffer: Mutex<Buffer>,
    /// Held while lines are on their way to the store, so that the last commit cannot overtake them.
    in_flight: AsyncMutex<()>,
    flusher: mpsc::UnboundedSender<Arc<RunLog>>,
    itself: std::sync::Weak<Self>,
}

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<LogLine>,
    progress: Option<Progress>,
    attempt: u32,
    next_seq: u64,
    bytes: usize,
    dropped: u64,
    full: bool,
    announced: bool,
}

impl RunLog {
    pub fn new(run: RunId, clock: Clock, flusher: &Flusher, last_seq: u64) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            run,
            clock,
            buffer: Mutex::new(Buffer { next_seq: last_seq + 1, ..Buffer::default() }),
            in_flight: AsyncMutex::new(()),
            flusher: flusher.0.clone(),
            itself: itself.clone(),
        })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn begin_attempt(&self, attempt: u32) {
        self.lock().attempt = attempt;
    }

    /// What is left, once nothing is in flight any more.
    pub async fn drain(&self) -> (Vec<LogLine>, u64) {
        let _nothing_in_flight = self.in_flight.lock().await;
        self.lock().take()
    }

    /// Gives lines back that a failed commit did not take.
    pub fn restore(&self, mut lines: Vec<LogLine>) {
        let mut buffer = self.lock();
        lines.append(&mut buffer.lines);
        buffer.lines = lines;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, buffer: &mut Buffer) {
        if !mem::replace(&mut buffer.announced, true)
            && let Some(log) = self.itself.upgrade()
        {
            let _ = self.flusher.send(log);
        }
    }

    async fn flush(self: Arc<Self>, store: &Store, metrics: &Metrics) -> Result<(), StoreError> {
        let _in_flight = self.in_flight.lock().await;
        let ((lines, dropped), progress) = {
            let mut buffer = self.lock();
            buffer.announced = false;
            (buffer.take(), buffer.progress.take())
        };
        metrics.update(|numbers| numbers.log_lines_dropped += dropped);
        if let Some(progress) = progress {
            store.set_progress(ProgressUpdate { run: self.run, progress }).await?;
        }
        if lines.is_empty() {
            return Ok(());
        }
        let written = store.append_logs(lines.clone()).await;
        if written.is_err() {
            self.restore(lines);
        }
        written
    }
}

impl Buffer {
    fn take(&mut self) -> (Vec<LogLine>, u64) {
        (mem::take(&mut self.lines), mem::take(&mut self.dropped))
    }
}

impl LogSink for RunLog {
    fn line(&self, level: LogLevel, text: String, fields: Value) {
        let mut buffer = self.lock();
        if buffer.full {
            return;
        }
        let crowded = buffer.lines.len() >= limits::LOG_BUFFER_LINES_MAX;
        if crowded {
            buffer.dropped += 1;
            return;
        }
        let text = clip(text);
        buffer.bytes += text.len() + length(&fields);
        let seq = buffer.next_seq;
        buffer.full = seq >= limits::LOG_LINES_PER_RUN_MAX || buffer.bytes > limits::LOG_BYTES_PER_RUN_MAX;
        let (level, text, fields) = if buffer.full {
            (LogLevel::Warn, "the log of this run is full; what follows is not kept".to_owned(), Value::Null)
        } else if buffer.dropped > 0 && buffer.lines.is_empty() {
            (
                LogLevel::Warn,
                format!("{} lines came faster than they could be written and were dropped", buffer.dropped),
                fields,
            )
        } else {
            (level, text, fields)
        };
        let line = LogLine { run: self.run, seq, at: self.clock.now(), attempt: buffer.attempt, level, text, fields };
        buffer.next_seq += 1;
        buffer.lines.push(line);
        self.announce(&mut buffer);
    }

    fn progress(&self, progress: Progress) {
        let mut buffer = self.lock();
        buffer.progress = Some(progress);
        self.announce(&mut buffer);
    }
}

/// As it is stored.
fn length(fields: &Value) -> usize {
    if fields.is_null() { 0 } else { fields.to_string().len() }
}

/// `text` within [`limits::LOG_LINE_BYTES_MAX`], saying how long it was.
fn clip(mut text: String) -> String {
    let length = text.len();
    if length > limits::LOG_LINE_BYTES_MAX {
        let mut end = limits::LOG_LINE_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(&format!(" … [cut: the line had {length} bytes]"));
        text.shrink_to_fit();
    }
    text
}

/// Where logs announce that they hold lines.
#[derive(Debug, Clone)]
pub struct Flusher(mpsc::UnboundedSender<Arc<RunLog>>);

impl Flusher {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Arc<RunLog>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

/// Writes what the logs hold until `stop`; each log is announced at most once at a time, so the queue is as long as
/// there are live runs.
pub async fn flush_all(
    mut announced: mpsc::UnboundedReceiver<Arc<RunLog>>,
    store: Store,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = announced.recv_many(&mut batch, limits::LANE_RUNS_MAX) => if taken == 0 { return },
            () = stop.cancelled() => return,
        }
        tokio::time::sleep(LINGER).await;
        let writes = batch.drain(..).map(|log| log.flush(&store, &metrics));
        let failed = futures_util::future::join_all(writes).await.into_iter().find_map(Result::err);
        if let Some(error) = failed {
            // The lines are back in their buffers; the run's next line or its end brings them here again.
            warn!(%error, "log lines could not be written yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (Arc<RunLog>, mpsc::UnboundedReceiver<Arc<RunLog>>) {
        let (flusher, announced) = Flusher::new();
        (RunLog::new(RunId::generate(), Clock::system(), &flusher, 0), announced)
    }

    #[tokio::test]
    async fn a_hundred_megabyte_line_is_cut_and_says_so() {
        let (log, _announced) = log();
        log.line(LogLevel::Info, "é".repeat(50_000_000), Value::Null);
        let (lines, _) = log.drain().await;
        assert!(lines[0].text.len() < limits::LOG_LINE_BYTES_MAX + 100);
        assert!(lines[0].text.ends_with("[cut: the line had 100000000 bytes]"));
    }

    #[tokio::test]
    async fn a_flood_is_counted_and_numbers_have_no_gaps() {
        let (log, _announced) = log();
        for n in 0..limits::LOG_BUFFER_LINES_MAX + 10 {
            log.line(LogLevel::Info, n.to_string(), Value::Null);
        }
        let (first, dropped) = log.drain().await;
        assert_eq!((first.len(), dropped), (limits::LOG_BUFFER_LINES_MAX, 10));
        log.line(LogLevel::Info, "on".into(), Value::Null);
        let (next, _) = log.drain().await;
        assert_eq!(next[0].seq, first.last().expect("lines").seq + 1);
    }

    #[tokio::test]
    async fn particulars_count_as_the_text_does() {
        let (log, _announced) = log();
        let fields = Value::from("x".repeat(limits::LOG_LINE_BYTES_MAX));
        let fits = limits::LOG_BYTES_PER_RUN_MAX / limits::LOG_LINE_BYTES_MAX;
        for _ in 0..fits + 10 {
            log.line(LogLevel::Info, "x".into(), fields.clone());
        }
        let (lines, _) = log.drain().await;
        assert!(lines.len() <= fits + 1, "{} lines", lines.len());
        assert!(lines.last().is_some_and(|line| line.text.contains("is full") && line.fields.is_null()));
    }

    #[tokio::test]
    async fn a_log_is_announced_once_until_it_was_written() {
        let (log, mut announced) = log();
        log.line(LogLevel::Info, "a".into(), Value::Null);
        log.line(LogLevel::Info, "b".into(), Value::Null);
        assert!(announced.try_recv().is_ok());
        assert!(announced.try_recv().is_err());
    }
}
