//! Waiting for something to become true, with an end and a name.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long most things may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(20);

/// Asks until the answer is `Some`, for [`PATIENCE`] at most.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    settles(PATIENCE, what, ask).await
}

/// Asks until the answer is `Some`, for `patience` at most.
pub async fn settles<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < patience, "waited {patience:?} for this and it did not come about: {what}");
        tokio::time::sleep(POLL).await;
    }
}
