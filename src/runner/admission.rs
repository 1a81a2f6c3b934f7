//! Whether a run may come in, and when it may begin. Pure: what is alive goes in, a decision comes out.

use crate::base::{RunId, limits};
use crate::model::job::Overlap;
use crate::model::{JobSpec, TriggerKind};

/// What is alive at the moment of the decision.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// A run of the same job that holds a lane, or is about to; the oldest of them.
    pub job_running: Option<RunId>,
    /// A run of the same job that waits; the oldest of them.
    pub job_waiting: Option<RunId>,
    /// A waiting run of the same job that has begun before and goes on where it was.
    pub job_resuming: Option<RunId>,
    /// Runs of the same job that are parked.
    pub job_parked: u64,
    /// A run of the same job that its schedule set off, which waits and was not cancelled.
    pub scheduled_waiter: Option<RunId>,
    /// Runs, of any job, that hold the same concurrency key.
    pub key_running: u64,
    pub running: usize,
    pub running_max: usize,
    pub waiting: usize,
    /// Of the parameters of all live runs.
    pub waiting_bytes: usize,
    /// The run in question has begun before: only what runs is in its way.
    pub resumes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Now: a lane is free and nothing is in the way.
    Start,
    Queue,
    /// Queue, and once that is certain cancel every earlier run of the job.
    Replace,
    /// `run` waits already and will do for this one too.
    Coalesce {
        run: RunId,
    },
    Skip {
        /// None when it is parked.
        earlier: Option<RunId>,
        reason: String,
    },
    QueueFull {
        limit: usize,
    },
}

/// What to do with a new run of `spec` that `trigger` set off.
pub fn decide(spec: &JobSpec, trigger: TriggerKind, view: &View) -> Decision {
    if let Some(earlier) = earlier(view) {
        match spec.overlap {
            Overlap::Parallel => {}
            Overlap::Skip => {
                let reason = format!("{earlier}, and overlap is \"skip\"");
                return Decision::Skip { earlier: view.job_running.or(view.job_waiting), reason };
            }
            Overlap::Replace => return full(view).unwrap_or(Decision::Replace),
            Overlap::Queue if trigger == TriggerKind::Schedule => {
                if let Some(run) = view.scheduled_waiter {
                    return Decision::Coalesce { run };
                }
            }
            Overlap::Queue => {}
        }
    }
    if let Some(full) = full(view) {
        return full;
    }
    if has_room(view) && may_start(spec, view) { Decision::Start } else { Decision::Queue }
}

/// What is alive of the same job, as a clause.
fn earlier(view: &View) -> Option<String> {
    match (view.job_running, view.job_waiting, view.job_parked) {
        (Some(run), ..) => Some(format!("run {run} is still running")),
        (None, Some(run), _) => Some(format!("run {run} is still waiting")),
        (None, None, 0) => None,
        (None, None, 1) => Some("a run of it is parked".to_owned()),
        (None, None, parked) => Some(format!("{parked} runs of it are parked")),
    }
}

fn full(view: &View) -> Option<Decision> {
    if view.waiting >= limits::RUN_QUEUE_MAX {
        return Some(Decision::QueueFull { limit: limits::RUN_QUEUE_MAX });
    }
    (view.waiting_bytes >= limits::RUN_QUEUE_BYTES_MAX).then_some(Decision::QueueFull { limit: view.waiting })
}

fn has_room(view: &View) -> bool {
    view.running < view.running_max
}

/// Whether nothing but a full house keeps a waiting run of `spec` from beginning now.
pub fn may_start(spec: &JobSpec, view: &View) -> bool {
    let others_go_first = view.job_resuming.is_some() || view.job_parked > 0;
    let alone = spec.overlap == Overlap::Parallel || (view.job_running.is_none() && (view.resumes || !others_go_first));
    let key_free = spec.concurrency.as_ref().is_none_or(|limit| view.key_running < u64::from(limit.limit));
    alone && key_free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::Concurrency;

    fn spec(overlap: Overlap) -> JobSpec {
        JobSpec { overlap, ..JobSpec::named("backup".parse().expect("a good name")) }
    }

    fn idle() -> View {
        View { running_max: 4, ..View::default() }
    }

    #[test]
    fn an_idle_job_starts_under_every_policy() {
        for overlap in [Overlap::Skip, Overlap::Queue, Overlap::Replace, Overlap::Parallel] {
            assert_eq!(decide(&spec(overlap), TriggerKind::Schedule, &idle()), Decision::Start);
        }
    }

    #[test]
    fn overlap_decides_while_one_runs() {
        let earlier = RunId::generate();
        let view = View { job_running: Some(earlier), running: 1, ..idle() };
        let decision = |overlap| decide(&spec(overlap), TriggerKind::Schedule, &view);
        assert!(
            matches!(decision(Overlap::Skip), Decision::Skip { reason, .. } if reason.contains(&earlier.to_string()))
        );
        assert_eq!(decision(Overlap::Queue), Decision::Queue);
        assert_eq!(decision(Overlap::Replace), Decision::Replace);
        assert_eq!(decision(Overlap::Parallel), Decision::Start);
    }

    #[test]
    fn a_second_scheduled_waiter_coalesces_but_a_person_does_not() {
        let (running, waiting) = (RunId::generate(), RunId::generate());
        let view = View {
            job_running: Some(running),
            job_waiting: Some(waiting),
            scheduled_waiter: Some(waiting),
            running: 1,
            waiting: 1,
            ..idle()
        };
        let policy = spec(Overlap::Queue);
        assert_eq!(decide(&policy, TriggerKind::Schedule, &view), Decision::Coalesce { run: waiting });
        assert_eq!(decide(&policy, TriggerKind::Button, &view), Decision::Queue);
    }

    #[test]
    fn limits_hold() {
        let full = View { running: 4, ..idle() };
        assert_eq!(decide(&spec(Overlap::Parallel), TriggerKind::Api, &full), Decision::Queue);
        let flooded = View { running: 4, waiting: limits::RUN_QUEUE_MAX, ..idle() };
        assert!(matches!(decide(&spec(Overlap::Parallel), TriggerKind::Api, &flooded), Decision::QueueFull { .. }));
        let replacing = View { job_running: Some(RunId::generate()), ..flooded };
        let decision = decide(&spec(Overlap::Replace), TriggerKind::Api, &replacing);
        assert!(matches!(decision, Decision::QueueFull { .. }), "nothing is cancelled for a run that does not come in");
        let mut keyed = spec(Overlap::Parallel);
        keyed.concurrency = Some(Concurrency { key: "deploy".into(), limit: 2 });
        assert!(may_start(&keyed, &View { key_running: 1, ..idle() }));
        assert!(!may_start(&keyed, &View { key_running: 2, ..idle() }));
    }
}
