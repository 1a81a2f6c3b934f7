//! Owns the daemon's long-lived tasks: names them, notices when one ends, and stops them last-started-first.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, warn};

use super::limits;

/// A part of the daemon came to an end that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {task} stopped: {reason}")]
pub struct Escalation {
    pub task: &'static str,
    pub reason: String,
}

/// Tasks are registered in the order in which they depend on each other and stopped in the reverse order.
#[derive(Debug)]
pub struct Supervisor {
    tasks: Vec<Task>,
    escalate: mpsc::UnboundedSender<Escalation>,
    escalations: mpsc::UnboundedReceiver<Escalation>,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<()>,
    /// How long it may take to stop.
    allowance: Duration,
}

impl Default for Supervisor {
    fn default() -> Self {
        let (escalate, escalations) = mpsc::unbounded_channel();
        Self { tasks: Vec::new(), escalate, escalations }
    }
}

impl Supervisor {
    /// Runs `make(stop)` as a task called `name`. It must return within `SHUTDOWN_PART_WAIT` after `stop` is cancelled;
    /// returning earlier, failing or panicking is an [`Escalation`].
    pub fn spawn<F, E>(&mut self, name: &'static str, make: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        self.spawn_within(name, limits::SHUTDOWN_PART_WAIT, make);
    }

    /// Like [`Self::spawn`], for a task that has more to do before it stops.
    #[expect(clippy::disallowed_methods, reason = "this is the place that owns tasks")]
    pub fn spawn_within<F, E>(
        &mut self,
        name: &'static str,
        allowance: Duration,
        make: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let stop = CancellationToken::new();
        let inner = tokio::spawn(make(stop.clone()).instrument(tracing::info_span!("task", name)));
        let (escalate, watched) = (self.escalate.clone(), stop.clone());
        let abort = inner.abort_handle();
        let handle = tokio::spawn(async move {
            // Aborting the watcher must not leave the task itself behind.
            let _abort_on_drop = scopeguard(move || abort.abort());
            let reason = match inner.await {
                Ok(Ok(())) if watched.is_cancelled() => return,
                Ok(Ok(())) => "it returned without being asked to".to_owned(),
                Ok(Err(failure)) => failure.to_string(),
                Err(join) if join.is_cancelled() => return,
                Err(join) => format!("it panicked: {}", panic_text(join)),
            };
            if watched.is_cancelled() {
                warn!(task = name, %reason, "failed while stopping");
            } else {
                error!(task = name, %reason, "stopped unexpectedly");
                let _ = escalate.send(Escalation { task: name, reason });
            }
        });
        self.tasks.push(Task { name, stop, handle, allowance });
    }

    /// Waits for the first task that ends by itself. Pending for ever while all is well.
    pub async fn escalation(&mut self) -> Escalation {
        match self.escalations.recv().await {
            Some(escalation) => escalation,
            None => std::future::pending().await,
        }
    }

    /// Stops every task, the last started first, each within its own allowance; then aborts it. One that hangs takes
    /// nothing from those that stop after it.
    pub async fn shutdown(mut self) {
        while let Some(mut task) = self.tasks.pop() {
            task.stop.cancel();
            match tokio::time::timeout(task.allowance, &mut task.handle).await {
                Ok(_) => info!(task = task.name, "stopped"),
                Err(_) => {
                    warn!(task = task.name, "did not stop in time and was aborted");
                    task.handle.abort();
                }
            }
        }
    }
}

fn panic_text(join: tokio::task::JoinError) -> String {
    let payload = join.into_panic();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

fn scopeguard<F: FnOnce()>(action: F) -> impl Drop {
    struct Guard<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Guard<F> {
        fn drop(&mut self) {
            if let Some(action) = self.0.take() {
                action();
            }
        }
    }
    Guard(Some(action))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn tasks_stop_in_reverse_order() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut supervisor = Supervisor::default();
        for name in ["store", "runner", "web"] {
            let order = order.clone();
            supervisor.spawn(name, |stop| async move {
                stop.cancelled().await;
                order.lock().map(|mut list| list.push(name)).ok();
                Ok::<(), Escalation>(())
            });
        }
        supervisor.shutdown().await;
        assert_eq!(order.lock().expect("not poisoned").as_slice(), ["web", "runner", "store"]);
    }

    #[tokio::test]
    async fn a_panic_escalates_with_its_message() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn("web", |_| async {
            if true {
                panic!("no more sockets");
            }
            Ok::<(), Escalation>(())
        });
        let escalation = supervisor.escalation().await;
        assert_eq!((escalation.task, escalation.reason.as_str()), ("web", "it panicked: no more sockets"));
    }

    #[tokio::test]
    async fn a_task_that_hangs_is_aborted_and_the_others_keep_their_time() {
        let wrote = Arc::new(Mutex::new(false));
        let mut supervisor = Supervisor::default();
        supervisor.spawn("store", |stop| {
            let wrote = wrote.clone();
            async move {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                wrote.lock().map(|mut wrote| *wrote = true).ok();
                Ok::<(), Escalation>(())
            }
        });
        supervisor
            .spawn_within("deaf", Duration::from_millis(10), |_| std::future::pending::<Result<(), Escalation>>());
        supervisor.shutdown().await;
        assert!(*wrote.lock().expect("not poisoned"));
    }
}
