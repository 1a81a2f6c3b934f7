//! Tells people, route by route: what is due is worked out from what the store has, and noted there when it was told.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tracing::warn;

use super::{Watch, words};
use crate::base::Timestamp;
use crate::base::clock::{earlier, later};
use crate::base::limits::{ALERT_NOTICE_RETRY, WATCH_LAG, WATCH_MARK_EVERY};
use crate::model::Grants;
use crate::model::alerts::{AlertState, Notice, Told, plan};
use crate::primitives::notify::Outcome;
use crate::primitives::permit;
use crate::store::{StoreError, WatchWrite};

/// An alert that is over is looked at for so long, besides the time in which its end is told.
const OVER_LOOKED_AT: Duration = Duration::from_secs(3_600);

/// Goes on until the store fails.
pub async fn keep(watch: &Watch) -> StoreError {
    match run(watch).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn run(watch: &Watch) -> Result<std::convert::Infallible, StoreError> {
    let (store, clock) = (&watch.store, &watch.clock);
    let mut commits = store.commits();
    // Routes and groups that could not be told, and when it is tried again.
    let mut failed: HashMap<(String, String), Timestamp> = HashMap::new();
    loop {
        commits.mark_unchanged();
        let now = clock.now();
        let over_since = earlier(now, watch.options.policy.group_interval + OVER_LOOKED_AT);
        let (alerts, silences) = (store.alerts(Some(over_since)).await?, store.silences(now).await?);
        let found = plan(&watch.options.policy, &alerts, &silences, now);
        failed.retain(|_, again| *again > now);
        let waits = |notice: &Notice| failed.contains_key(&(notice.route.clone(), notice.group.clone()));
        let due: Vec<Notice> = found.due.into_iter().filter(|notice| !waits(notice)).collect();
        let sent = join_all(due.iter().map(|notice| send(watch, notice))).await;
        let mut told = Vec::new();
        for (notice, is_told) in due.iter().zip(sent) {
            if is_told {
                told.extend(noted(notice, clock.now()));
            } else {
                failed.insert((notice.route.clone(), notice.group.clone()), later(clock.now(), ALERT_NOTICE_RETRY));
            }
        }
        if !told.is_empty() {
            store.watch(WatchWrite { told, ..WatchWrite::default() }).await?;
            continue;
        }
        let wake = failed.values().copied().chain(found.next).chain([later(now, WATCH_MARK_EVERY)]).min();
        tokio::select! {
            () = clock.sleep_until(wake.unwrap_or(now)) => {}
            // Whatever is committed in the same breath is looked at together.
            Ok(()) = commits.changed() => clock.sleep(WATCH_LAG).await,
        }
    }
}

fn noted(notice: &Notice, at: Timestamp) -> Vec<(String, String, Told)> {
    let of = |alerts: &[crate::model::alerts::Alert], state: AlertState| -> Vec<(String, String, Told)> {
        alerts.iter().map(|alert| (alert.id.clone(), notice.route.clone(), Told { state, at })).collect()
    };
    let mut told = of(&notice.firing, AlertState::Firing);
    told.extend(of(&notice.resolved, AlertState::Resolved));
    told
}

/// Whether the route took it: some destination has it, or all take only what is worse.
async fn send(watch: &Watch, notice: &Notice) -> bool {
    let route = notice.route.as_str();
    let grants = Grants { notify: vec![route.to_owned()], ..Grants::default() };
    let Ok(permit) = permit::notify(&grants, route) else { return false };
    match watch.notify.send(&permit, &words::message(notice, watch.clock.now())).await {
        Ok(deliveries) => {
            let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
            let taken = |outcome: &Outcome| matches!(outcome, Outcome::Delivered | Outcome::Queued);
            let delivered = deliveries.iter().any(|delivery| taken(&delivery.outcome));
            delivered || !deliveries.iter().any(|delivery| failed(&delivery.outcome))
        }
        Err(error) => {
            warn!(route, %error, "an alert cannot be told");
            false
        }
    }
}
