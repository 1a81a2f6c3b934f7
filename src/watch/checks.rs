//! Asks what is to be checked, each at its interval: never two askings of one check at once, and not too many of all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Watch;
use crate::base::Timestamp;
use crate::base::clock::{Woken, later, since};
use crate::base::limits::CHECKS_AT_ONCE_MAX;
use crate::model::NewEvent;
use crate::model::checks::{Check, CheckState, Debounce};
use crate::model::metrics::{Sample, SeriesKey};
use crate::primitives::prober::{Answered, Probe};
use crate::store::{StoreError, WatchWrite};

/// One check of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckPlan {
    pub name: String,
    pub probe: Probe,
    pub interval: Duration,
    pub timeout: Duration,
    pub debounce: Debounce,
}

impl CheckPlan {
    /// How long after the beginning it is asked first, so that not all are asked at the same moment. The same each time.
    fn offset(&self) -> Duration {
        const SPREAD: Duration = Duration::from_secs(30);
        let hash = blake3::hash(self.name.as_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        let part = f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0);
        self.interval.min(SPREAD).mul_f64(part)
    }

    /// The due time after `due`, of which those that have passed are left out.
    fn after(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        // Later than now only if the clock was set back while it was asked.
        let due = due.min(now);
        let next = later(due, self.interval);
        if next > now {
            return next;
        }
        let missed = since(now, due).as_micros() / self.interval.as_micros().max(1);
        later(due, self.interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1)))
    }
}

/// Goes on until the store fails.
pub async fn keep(watch: &Watch) -> StoreError {
    match run(watch).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn run(watch: &Watch) -> Result<std::convert::Infallible, StoreError> {
    let plans = &watch.options.checks;
    let clock = &watch.clock;
    let mut known = begin(watch).await?;
    let mut counts = vec![Requests::default(); plans.len()];
    let began = clock.now();
    let offsets = plans.iter().enumerate().map(|(index, plan)| Reverse((later(began, plan.offset()), index)));
    let mut due: BinaryHeap<Reverse<(Timestamp, usize)>> = offsets.collect();
    let mut asking = JoinSet::new();
    let mut latest = began;
    loop {
        while asking.len() < CHECKS_AT_ONCE_MAX
            && let Some(Reverse((at, index))) = due.peek().copied().filter(|Reverse((at, _))| *at <= clock.now())
        {
            due.pop();
            let Some(plan) = plans.get(index) else { continue };
            let (prober, probe, timeout) = (watch.prober.clone(), plan.probe.clone(), plan.timeout);
            asking.spawn(async move { (index, at, prober.ask(&probe, timeout).await) });
        }
        let next = due.peek().filter(|_| asking.len() < CHECKS_AT_ONCE_MAX).map(|Reverse((at, _))| *at);
        tokio::select! {
            Some(done) = asking.join_next() => {
                // One that panicked is not asked again: the log has it.
                let Ok((index, at, answer)) = done else { continue };
                let (Some(plan), Some(check)) = (plans.get(index), known.get_mut(index)) else { continue };
                let Some(requests) = counts.get_mut(index) else { continue };
                let now = clock.now();
                watch.store.watch(answered(plan, check, answer, requests, now)).await?;
                due.push(Reverse((plan.after(at, now), index)));
            }
            woken = clock.wait_until(next.unwrap_or(Timestamp::MAX), &mut latest) => {
                if let Woken::SteppedBack { to } = woken {
                    let nearer = |Reverse((at, index))| Reverse((not_later(plans, index, at, to), index));
                    due = due.into_iter().map(nearer).collect();
                }
            }
        }
    }
}

/// When a check is due after the clock was set back to `now`: it would be silent for as long as the step otherwise.
fn not_later(plans: &[CheckPlan], index: usize, due: Timestamp, now: Timestamp) -> Timestamp {
    plans.get(index).map_or(due, |plan| due.min(later(now, plan.offset())))
}

/// What is known of each check, in the order of the plans. Checks that are not configured any more are forgotten.
async fn begin(watch: &Watch) -> Result<Vec<Check>, StoreError> {
    let (plans, now) = (&watch.options.checks, watch.clock.now());
    let kept = watch.store.checks().await?;
    let known: Vec<Check> = plans
        .iter()
        .map(|plan| {
            let new = Check::new(&plan.name, plan.probe.kind(), plan.probe.target(), plan.interval, now);
            let before =
                kept.iter().find(|kept| (&kept.name, &kept.kind, &kept.target) == (&new.name, &new.kind, &new.target));
            before.map_or(new.clone(), |before| Check { interval_ms: new.interval_ms, ..before.clone() })
        })
        .collect();
    let checks_only = Some(known.iter().map(|check| check.name.clone()).collect());
    watch.store.watch(WatchWrite { checks: known.clone(), checks_only, ..WatchWrite::default() }).await?;
    Ok(known)
}

/// What a check over HTTP was answered since this watch began.
#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    answered: u32,
    /// With a status of 500 and above.
    failed: u32,
}

fn answered(
    plan: &CheckPlan,
    check: &mut Check,
    answer: Answered,
    requests: &mut Requests,
    now: Timestamp,
) -> WatchWrite {
    let (is_good, status) = (answer.outcome.is_ok(), answer.status);
    let changed = check.answered(answer.outcome, plan.debounce, now);
    let sample = |name: &str, value: f64| Sample {
        series: SeriesKey::new(name, [("check", plan.name.as_str())]),
        at: now,
        value,
    };
    let mut samples = vec![sample("check_ok", f64::from(u8::from(is_good)))];
    if check.state != CheckState::Unknown {
        samples.push(sample("check_up", f64::from(u8::from(check.state == CheckState::Up))));
    }
    samples.extend(check.latency_ms.map(|latency| sample("check_latency_ms", latency)));
    if let Some(status) = status {
        requests.answered += 1;
        requests.failed += u32::from(status >= 500);
        samples.push(sample("http_requests_total", f64::from(requests.answered)));
        samples.push(sample("http_errors_total", f64::from(requests.failed)));
    }
    let event = || {
        let data = serde_json::json!({ "name": check.name, "target": check.target, "problem": check.problem });
        NewEvent::new(now, format!("check.{}", check.state.as_str())).data(data)
    };
    let events = if changed { vec![event()] } else { Vec::new() };
    WatchWrite { samples, checks: vec![check.clone()], events, ..WatchWrite::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::prober::TcpProbe;

    #[test]
    fn answers_over_http_are_counted_for_the_rule_on_errors() {
        let plan = CheckPlan {
            name: "web".into(),
            probe: Probe::Tcp(TcpProbe { address: "a:1".into() }),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            debounce: Debounce { up_after: 2, down_after: 3 },
        };
        let now = Timestamp::UNIX_EPOCH;
        let mut check = Check::new("web", "http", "a".to_owned(), plan.interval, now);
        let mut requests = Requests::default();
        let mut totals = |status: Option<u16>| {
            let outcome = status.filter(|status| *status < 500).map(|_| Duration::ZERO).ok_or("bad".to_owned());
            let write = answered(&plan, &mut check, Answered { outcome, status }, &mut requests, now);
            let of = |name: &str| write.samples.iter().find(|one| one.series.name == name).map(|one| one.value);
            (of("http_requests_total"), of("http_errors_total"))
        };
        // Who does not answer at all is down; that is another rule's business.
        assert_eq!(totals(None), (None, None));
        assert_eq!(totals(Some(200)), (Some(1.0), Some(0.0)));
        assert_eq!(totals(Some(503)), (Some(2.0), Some(1.0)));
        assert_eq!(totals(Some(404)), (Some(3.0), Some(1.0)));
    }

    #[test]
    fn checks_are_spread_and_leave_out_what_has_passed() {
        let plan = |name: &str| CheckPlan {
            name: name.into(),
            probe: Probe::Tcp(TcpProbe { address: "a:1".into() }),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            debounce: Debounce { up_after: 2, down_after: 3 },
        };
        let offsets: Vec<Duration> = (0..100).map(|number| plan(&format!("check {number}")).offset()).collect();
        assert!(offsets.iter().all(|offset| *offset < Duration::from_secs(10)));
        let early = offsets.iter().filter(|offset| **offset < Duration::from_secs(5)).count();
        assert!((30..70).contains(&early), "{early}");
        let at = |second| Timestamp::from_second(second).expect("a time");
        let next = |due, now| plan("a").after(at(due), at(now)).as_second();
        assert_eq!((next(0, 1), next(0, 10), next(0, 34), next(0, 40)), (10, 20, 40, 50));
        // The clock was set back by an hour: nothing waits for the hour to pass again.
        assert_eq!(next(3_600, 5), 15);
        let plans = [plan("a")];
        let soon = later(at(5), plans[0].offset());
        assert_eq!([3_600, 3].map(|due| not_later(&plans, 0, at(due), at(5))), [soon, at(3)]);
    }
}
