//! Holds every sample against the rules, in the order in which they were committed.

use crate::base::Timestamp;
use crate::base::clock::{earlier, later};
use crate::base::limits::{WATCH_LAG, WATCH_MARK_EVERY, WATCH_POLL_EVERY, WATCH_SAMPLES_AT_ONCE};
use crate::model::NewEvent;
use crate::model::alerts::{Alert, Condition, Engine, Measure, Origin, Rule};
use crate::store::{Store, StoreError, WatchWrite};

use super::Watch;

/// Goes on until the store fails.
pub async fn keep(watch: &Watch) -> StoreError {
    match run(watch).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn run(watch: &Watch) -> Result<std::convert::Infallible, StoreError> {
    let (store, clock) = (&watch.store, &watch.clock);
    let mut sampled = store.sampled();
    let mut commits = store.commits();
    let mut keeper = Keeper::begin(watch).await?;
    let mut marked = clock.now();
    loop {
        sampled.mark_unchanged();
        commits.mark_unchanged();
        let now = clock.now();
        let is_mark = later(marked, WATCH_MARK_EVERY) <= now;
        let is_behind = keeper.step(store, now, is_mark).await?;
        if is_mark {
            marked = now;
        }
        if is_behind {
            continue;
        }
        let mut wake = later(marked, WATCH_MARK_EVERY);
        if let Some(due) = keeper.next {
            wake = wake.min(later(due, WATCH_LAG));
        }
        if store.is_shared() {
            wake = wake.min(later(now, WATCH_POLL_EVERY));
        }
        // Reports come with events.
        tokio::select! {
            () = clock.sleep_until(wake) => {}
            Ok(()) = sampled.changed() => {}
            Ok(()) = commits.changed() => clock.sleep(WATCH_LAG / 4).await,
        }
    }
}

struct Keeper {
    engine: Engine,
    /// The number of the last sample that was looked at.
    seen: i64,
    /// When something is due, if no sample comes.
    next: Option<Timestamp>,
}

impl Keeper {
    /// Goes on from what the store has.
    async fn begin(watch: &Watch) -> Result<Self, StoreError> {
        let (store, now) = (&watch.store, watch.clock.now());
        let (seen, _) = store.watch_marks().await?;
        let kept = store.alerts(None).await?;
        let mut engine = Engine::new(watch.options.rules.clone());
        let over = engine.restore(&kept, now);
        for rule in &watch.options.rules {
            remember(store, rule, &mut engine, seen, now).await?;
        }
        store.watch(written(over, Vec::new(), None)).await?;
        Ok(Self { engine, seen, next: None })
    }

    /// Looks at what is new, and lets time pass. True when there is more to look at.
    async fn step(&mut self, store: &Store, now: Timestamp, is_mark: bool) -> Result<bool, StoreError> {
        let page = store.samples_after(self.seen, WATCH_SAMPLES_AT_ONCE).await?;
        // What fails to be written is found again by an engine that begins anew.
        let mut changed: Vec<Alert> = page.iter().flat_map(|(_, sample)| self.engine.observe(sample)).collect();
        self.seen = page.last().map_or(self.seen, |(seq, _)| *seq);
        let is_behind = page.len() == WATCH_SAMPLES_AT_ONCE;
        if !is_behind {
            changed.extend(self.engine.advance(earlier(now, WATCH_LAG)));
        }
        let mut next = self.engine.deadline();
        let mut expired = Vec::new();
        for alert in store.alerts(None).await?.into_iter().filter(|alert| alert.origin == Origin::Report) {
            match alert.expires_at {
                Some(end) if end <= now => expired.push(Alert {
                    state: crate::model::alerts::AlertState::Resolved,
                    resolved_at: Some(end),
                    reason: Some("it is not reported any more".to_owned()),
                    ..alert
                }),
                Some(end) => next = Some(next.map_or(end, |next| next.min(end))),
                None => {}
            }
        }
        self.next = next;
        let touched = if is_mark { self.engine.live() } else { Vec::new() };
        if !changed.is_empty() || !expired.is_empty() || is_mark {
            changed.extend(expired);
            store.watch(written(changed, touched, Some(self.seen))).await?;
        }
        Ok(is_behind)
    }
}

/// What a rule needs from the time before: samples of its window, and which series it expects.
async fn remember(
    store: &Store,
    rule: &Rule,
    engine: &mut Engine,
    seen: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(window) = rule.window() {
        let mut names = vec![rule.metric.as_str()];
        if let Measure::Percent { of, .. } = &rule.measure {
            names.push(of);
        }
        for name in names {
            for sample in store.samples_of(name, earlier(now, 2 * window), seen).await? {
                engine.prime(&sample);
            }
        }
    }
    if let Condition::Absent { after } = rule.condition {
        // While nobody was there to record, nothing was absent: there is a while for it to come back.
        let least = earlier(now, after.saturating_sub(rule.stale));
        for row in store.series(Some(&rule.metric), None).await? {
            engine.expect(&row.series, row.last_at.max(least));
        }
    }
    Ok(())
}

/// Alerts that changed, with their events, and those that are only seen again.
fn written(changed: Vec<Alert>, touched: Vec<Alert>, seen: Option<i64>) -> WatchWrite {
    let events = changed.iter().filter_map(event).collect();
    let alerts = changed.into_iter().chain(touched).collect();
    WatchWrite { alerts, events, seen, ..WatchWrite::default() }
}

/// That something fires, or does no more. What only pends is no news.
pub fn event(alert: &Alert) -> Option<NewEvent> {
    let at = if alert.is_over() { alert.resolved_at } else { alert.fired_at }?;
    alert.fired_at?;
    let data = serde_json::json!({
        "id": alert.id, "name": alert.name, "severity": alert.severity, "labels": alert.labels,
        "summary": alert.summary, "reason": alert.reason,
    });
    Some(NewEvent::new(at, format!("alert.{}", alert.state)).data(data))
}
