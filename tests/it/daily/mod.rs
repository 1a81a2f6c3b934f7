//! The shipped scripts on real parts, set up the way an operator does it.

mod browser_pages;
mod docker_real_digests;
mod docker_real_ingest;
mod docker_real_sweep;
mod docker_real_updates;
mod transcripts;
mod watches;

use std::time::Duration;

use crate::support::{TestApp, Value, settles};

/// Waits for the end of a run that takes its time.
async fn ended(app: &TestApp, run: &str) -> Value {
    settles(Duration::from_secs(180), &format!("run {run} has ended"), || async {
        let found = app.api.run(run).await;
        found["finished_at"].is_string().then_some(found)
    })
    .await
}

#[track_caller]
fn succeeded(run: &Value) -> &Value {
    assert_eq!(run["state"], "succeeded", "{run:#}");
    &run["result"]
}
