//! How late runs begin when very many are due at the same moment.

use std::time::Duration;

use aegis::base::Timestamp;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::numbers::{Table, spread};

/// All jobs are due together this often, counted from the Unix epoch.
const EVERY_SECONDS: i64 = 20;

pub async fn of_schedules(count: usize, table: &mut Table) {
    let source =
        format!("return aegis.job {{ schedule = {{ every = \"{EVERY_SECONDS}s\" }}, run = function() end }}\n");
    let (daemon, _) = Daemon::start((0..count).map(|number| (format!("due_{number:05}"), source.clone()))).await;
    daemon.await_jobs(count).await;
    let now = Timestamp::now().as_second();
    // A whole period ahead at least, so that everything is armed.
    let due = (now / EVERY_SECONDS + 1) * EVERY_SECONDS;
    let due = Timestamp::from_second(if due - now < 2 { due + EVERY_SECONDS } else { due }).expect("a time");
    let wait = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(wait + Duration::from_secs(15)).await;
    let mut samples = started(&daemon, due).await;
    let found = samples.len();
    table.row(
        format!("lateness of {count} schedules due at one moment"),
        format!("{} ({found} of {count} began within 15 s)", spread(&mut samples, &[0.5, 0.99])),
    );
    daemon.stop().await;
}

/// How long after the due time each of its runs began.
async fn started(daemon: &Daemon, due: Timestamp) -> Vec<Duration> {
    let mut samples = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = daemon.get(&format!("/api/v1/runs?limit=1000{cursor}")).await;
        for run in page["runs"].as_array().expect("runs") {
            let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            let is_its = time(&run["trigger"]["scheduled_for"]) == Some(due);
            if let (true, Some(began)) = (is_its, time(&run["started_at"])) {
                samples.push(Duration::try_from(began.duration_since(due)).unwrap_or_default());
            }
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&before={next}"),
            None => return samples,
        }
    }
}
