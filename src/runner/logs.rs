//! From `print` to the store: a bounded buffer a run, and one flusher that batches them.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::metrics::Metrics;
use super::settle::RETRY_PAUSE;
use crate::base::{Clock, Masker, RunId, Timestamp, limits};
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
    flusher: Flusher,
    itself: std::sync::Weak<Self>,
}

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<LogLine>,
    /// Lines on their way to the store, which come back if it does not take them.
    in_flight: usize,
    progress: Option<Progress>,
    attempt: u32,
    fence: Option<i64>,
    next_seq: u64,
    bytes: usize,
    /// Lines that were dropped and that no line tells of yet.
    dropped: u64,
    /// The same for the metrics.
    uncounted: u64,
    full: bool,
    /// The flusher knows of it, so that whatever is here will be written.
    announced: bool,
}

impl RunLog {
    pub fn new(run: RunId, clock: Clock, flusher: &Flusher, last_seq: u64) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            run,
            clock,
            buffer: Mutex::new(Buffer { next_seq: last_seq + 1, ..Buffer::default() }),
            in_flight: AsyncMutex::new(()),
            flusher: flusher.clone(),
            itself: itself.clone(),
        })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `fence` is that at which the run is held, where others may take it over.
    pub fn begin_attempt(&self, attempt: u32, fence: Option<i64>) {
        let mut buffer = self.lock();
        (buffer.attempt, buffer.fence) = (attempt, fence);
    }

    /// What is left, once nothing is in flight any more. The last progress is written on the way: it needs a commit
    /// before the one that ends the run.
    pub async fn finish(&self, store: &Store) -> (Vec<LogLine>, u64) {
        let _nothing_in_flight = self.in_flight.lock().await;
        let (progress, fence) = {
            let mut buffer = self.lock();
            (buffer.progress.take(), buffer.fence)
        };
        if let Some(progress) = progress
            && let Err(error) = store.set_progress(ProgressUpdate { run: self.run, fence, progress }).await
        {
            warn!(run = %self.run, %error, "the last progress of a run was not stored");
        }
        self.take(&mut self.lock())
    }

    /// All lines that wait, and how many were dropped since the last time.
    fn take(&self, buffer: &mut Buffer) -> (Vec<LogLine>, u64) {
        self.tell_of_dropped(buffer);
        (mem::take(&mut buffer.lines), mem::take(&mut buffer.uncounted))
    }

    /// Says in the log itself that lines are missing here.
    fn tell_of_dropped(&self, buffer: &mut Buffer) {
        let dropped = mem::take(&mut buffer.dropped);
        if dropped > 0 {
            let text = format!("{dropped} lines came faster than they could be written and were dropped");
            self.push(buffer, LogLevel::Warn, text, Value::Null);
        }
    }

    fn push(&self, buffer: &mut Buffer, level: LogLevel, text: String, fields: Value) {
        let (seq, attempt) = (buffer.next_seq, buffer.attempt);
        buffer.lines.push(LogLine { run: self.run, seq, at: self.clock.now(), attempt, level, text, fields });
        buffer.next_seq += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, buffer: &mut Buffer) {
        if !mem::replace(&mut buffer.announced, true)
            && let Some(log) = self.itself.upgrade()
        {
            let _ = self.flusher.announced.send(log);
        }
    }

    /// Writes what waits. What the store does not take is here again afterwards, and still counts as announced: the
    /// caller has to come back for it.
    async fn flush(self: Arc<Self>, store: &Store, metrics: &Metrics) -> Result<(), StoreError> {
        let _in_flight = self.in_flight.lock().await;
        let ((lines, dropped), progress, fence) = {
            let mut buffer = self.lock();
            let taken = (self.take(&mut buffer), buffer.progress.take(), buffer.fence);
            buffer.in_flight = taken.0.0.len();
            taken
        };
        metrics.update(|numbers| numbers.log_lines_dropped += dropped);
        let progressed = async {
            match progress.clone() {
                Some(progress) => store.set_progress(ProgressUpdate { run: self.run, fence, progress }).await,
                None => Ok(()),
            }
        };
        let (logged, progressed) = futures_util::join!(store.append_logs_at(fence, lines.clone()), progressed);
        let mut buffer = self.lock();
        buffer.in_flight = 0;
        if logged.is_err() {
            let later = mem::replace(&mut buffer.lines, lines);
            buffer.lines.extend(later);
        }
        if progressed.is_err() {
            buffer.progress = buffer.progress.take().or(progress);
        }
        let outcome = logged.and(progressed);
        if outcome.is_ok() {
            buffer.announced = false;
            if !buffer.lines.is_empty() || buffer.progress.is_some() || buffer.dropped > 0 {
                self.announce(&mut buffer);
            }
        }
        outcome
    }
}

impl Buffer {
    /// Whether there is no room for another line. While the store is away what is in flight comes back.
    fn is_crowded(&self) -> bool {
        let most = limits::LOG_BUFFER_LINES_MAX;
        self.lines.len() >= most || self.lines.len() + self.in_flight >= 2 * most
    }
}

impl LogSink for RunLog {
    fn line(&self, level: LogLevel, mut text: String, mut fields: Value) {
        let mut buffer = self.lock();
        if buffer.full {
            return;
        }
        if buffer.is_crowded() {
            buffer.dropped += 1;
            buffer.uncounted += 1;
            return;
        }
        self.tell_of_dropped(&mut buffer);
        // Before it is cut: half of a secret is not known as one.
        self.flusher.masker.string(&mut text);
        self.flusher.masker.json(&mut fields);
        let text = clip(text);
        buffer.bytes += text.len() + weight(&fields);
        buffer.full = buffer.next_seq >= limits::LOG_LINES_PER_RUN_MAX || buffer.bytes > limits::LOG_BYTES_PER_RUN_MAX;
        if buffer.full {
            let text = "the log of this run is full; what follows is not kept".to_owned();
            self.push(&mut buffer, LogLevel::Warn, text, Value::Null);
        } else {
            self.push(&mut buffer, level, text, fields);
        }
        self.announce(&mut buffer);
    }

    fn progress(&self, progress: Progress) {
        let mut buffer = self.lock();
        buffer.progress = Some(progress);
        self.announce(&mut buffer);
    }
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

/// About how many bytes a line's fields take.
fn weight(fields: &Value) -> usize {
    match fields {
        Value::Null => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| 1 + weight(item)).sum(),
        Value::Object(entries) => entries.iter().map(|(key, value)| 1 + key.len() + weight(value)).sum(),
        Value::Bool(_) | Value::Number(_) => size_of::<Value>(),
    }
}

/// Where logs announce that they hold lines.
#[derive(Debug, Clone)]
pub struct Flusher {
    announced: mpsc::UnboundedSender<Arc<RunLog>>,
    /// What takes secrets out of their lines.
    masker: Masker,
}

impl Flusher {
    pub fn new(masker: Masker) -> (Self, mpsc::UnboundedReceiver<Arc<RunLog>>) {
        let (announced, receiver) = mpsc::unbounded_channel();
        (Self { announced, masker }, receiver)
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
    let (mut batch, mut refused) = (Vec::new(), Vec::new());
    let (mut pause, mut retry_at) = (RETRY_PAUSE.0, Instant::now());
    loop {
        tokio::select! {
            taken = announced.recv_many(&mut batch, limits::LANE_RUNS_MAX) => if taken == 0 { return },
            () = tokio::time::sleep_until(retry_at), if !refused.is_empty() => batch.append(&mut refused),
            () = stop.cancelled() => return,
        }
        tokio::time::sleep(LINGER).await;
        let writes = batch.drain(..).map(async |log: Arc<RunLog>| (log.clone(), log.flush(&store, &metrics).await));
        let mut failure = None;
        for (log, written) in futures_util::future::join_all(writes).await {
            if let Err(error) = written {
                refused.push(log);
                failure = Some(error);
            }
        }
        match failure {
            Some(error) => {
                warn!(%error, runs = refused.len(), "log lines could not be written yet; trying again");
                retry_at = Instant::now() + pause;
                pause = (pause * 2).min(RETRY_PAUSE.1);
            }
            None if refused.is_empty() => pause = RETRY_PAUSE.0,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::JoinSet;

    use super::*;
    use crate::store::Options;

    fn log() -> (Arc<RunLog>, mpsc::UnboundedReceiver<Arc<RunLog>>) {
        let (flusher, announced) = Flusher::new(Masker::default());
        (RunLog::new(RunId::generate(), Clock::system(), &flusher, 0), announced)
    }

    fn drain(log: &RunLog) -> (Vec<LogLine>, u64) {
        log.take(&mut log.lock())
    }

    /// A store whose writer is there, or is gone.
    async fn store(works: bool) -> (Store, JoinSet<()>) {
        let options = Options { url: "sqlite::memory:".into(), node: "test".into() };
        let (store, writer) = Store::open(options, Clock::system()).await.expect("opens");
        let mut tasks = JoinSet::new();
        if works {
            tasks.spawn(async move { writer.run(CancellationToken::new()).await.expect("the writer goes on") });
        }
        (store, tasks)
    }

    fn fill(log: &RunLog, lines: usize) {
        (0..lines).for_each(|n| log.line(LogLevel::Info, n.to_string(), Value::Null));
    }

    #[test]
    fn a_hundred_megabyte_line_is_cut_and_says_so() {
        let (log, _announced) = log();
        log.line(LogLevel::Info, "é".repeat(50_000_000), Value::Null);
        let (lines, _) = drain(&log);
        assert!(lines[0].text.len() < limits::LOG_LINE_BYTES_MAX + 100);
        assert!(lines[0].text.ends_with("[cut: the line had 100000000 bytes]"));
    }

    #[test]
    fn a_secret_is_masked_before_its_line_is_cut() {
        let masker = Masker::default();
        assert!(masker.set(["hunter2-hunter2"]));
        let (flusher, _announced) = Flusher::new(masker);
        let log = RunLog::new(RunId::generate(), Clock::system(), &flusher, 0);
        let long = "x".repeat(limits::LOG_LINE_BYTES_MAX - 8);
        let fields = serde_json::json!({ "k": "hunter2-hunter2" });
        log.line(LogLevel::Info, format!("{long}hunter2-hunter2 and more"), fields);
        let (lines, _) = drain(&log);
        assert!(lines[0].text.contains("x*** an") && !lines[0].text.contains("hunter"), "{}", lines[0].text.len());
        assert_eq!(lines[0].fields, serde_json::json!({ "k": "***" }));
    }

    #[test]
    fn a_flood_is_counted_and_told_and_numbers_have_no_gaps() {
        let (log, _announced) = log();
        fill(&log, limits::LOG_BUFFER_LINES_MAX + 10);
        let (first, dropped) = drain(&log);
        assert_eq!((first.len(), dropped), (limits::LOG_BUFFER_LINES_MAX + 1, 10));
        let note = first.last().expect("lines");
        assert!(note.level == LogLevel::Warn && note.text.starts_with("10 lines came faster"), "{note:?}");
        log.line(LogLevel::Info, "on".into(), Value::Null);
        let (next, dropped) = drain(&log);
        assert_eq!((next.len(), next[0].seq, dropped), (1, note.seq + 1, 0));
    }

    #[test]
    fn a_log_is_announced_once_until_it_was_written() {
        let (log, mut announced) = log();
        log.line(LogLevel::Info, "a".into(), Value::Null);
        log.line(LogLevel::Info, "b".into(), Value::Null);
        assert!(announced.try_recv().is_ok());
        assert!(announced.try_recv().is_err());
    }

    #[test]
    fn fields_count_towards_the_size_of_a_log() {
        let (log, _announced) = log();
        let fields = serde_json::json!({ "body": "x".repeat(1 << 20) });
        (0..20).for_each(|_| log.line(LogLevel::Info, "short".into(), fields.clone()));
        let (lines, _) = drain(&log);
        assert!(lines.len() <= 17 && lines[lines.len() - 1].text.contains("is full"), "{} lines", lines.len());
    }

    #[tokio::test]
    async fn nothing_is_lost_while_the_store_is_away() {
        let ((away, _), (back, _tasks)) = (store(false).await, store(true).await);
        let (log, mut announced) = log();
        let metrics = Metrics::default();
        log.progress(Progress { done: 1.0, total: Some(2.0), text: None });
        fill(&log, limits::LOG_BUFFER_LINES_MAX);
        let flushed = announced.try_recv().expect("announced");
        flushed.flush(&away, &metrics).await.expect_err("the store is away");
        // The buffer is full, and what comes now is dropped, but told; nobody has to announce the log again.
        fill(&log, 3);
        assert!(announced.try_recv().is_err());
        assert!(log.lock().progress.is_some());
        log.clone().flush(&back, &metrics).await.expect("the store is back");
        let last = back.logs_tail(log.run, 1).await.expect("readable").remove(0);
        assert_eq!(last.seq, limits::LOG_BUFFER_LINES_MAX as u64 + 1);
        assert!(last.text.starts_with("3 lines came faster"), "{last:?}");
        log.line(LogLevel::Info, "on".into(), Value::Null);
        assert!(announced.try_recv().is_ok(), "the next line is announced as ever");
        assert!(log.lock().progress.is_none());
    }

    #[tokio::test]
    async fn an_outage_does_not_make_a_buffer_grow() {
        let (away, _) = store(false).await;
        let (log, _announced) = log();
        for _ in 0..5 {
            let flush = log.clone().flush(&away, &Metrics::default()).now_or_never();
            flush.expect("it fails at once").ok();
            fill(&log, 2 * limits::LOG_BUFFER_LINES_MAX);
        }
        assert!(log.lock().lines.len() <= 2 * limits::LOG_BUFFER_LINES_MAX + 1);
    }
}
