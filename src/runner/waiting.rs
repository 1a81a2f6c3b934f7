//! Why a queued run does not begin, for people.

use super::handle::Handle;
use super::live::LiveRun;
use crate::model::job::Overlap;
use crate::model::{JobSpec, Run, RunState};
use crate::store::StoreError;

impl Handle {
    /// What a queued run waits for besides its turn, as far as this daemon can see it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn waits_for(&self, run: &Run) -> Result<Option<String>, StoreError> {
        if run.state != RunState::Queued || run.not_before.is_some_and(|moment| moment > self.shared.clock.now()) {
            return Ok(None);
        }
        let job = self.shared.registry.snapshot().jobs.get(&run.job).cloned();
        let Some(job) = job else { return Ok(None) };
        let here = Here { live: &self.live(), labels: &self.shared.labels, running_max: self.shared.running_max };
        match here.obstacle(&job.spec, run) {
            Some(obstacle) => Ok(Some(obstacle)),
            None => self.in_progress_before(&job.spec, run).await,
        }
    }

    /// Who is parked, woken or with another daemon has begun, and keeps its job's place and its key. One that goes on
    /// waits for no other.
    async fn in_progress_before(&self, spec: &JobSpec, run: &Run) -> Result<Option<String>, StoreError> {
        if run.deadline_at.is_some() {
            return Ok(None);
        }
        let store = &self.shared.store;
        if spec.overlap != Overlap::Parallel
            && let Some((earlier, state)) = store.in_progress_of_job(&run.job, run.id).await?
        {
            return Ok(Some(format!("waits for run {earlier} of the same job to end, which is {state}")));
        }
        let (Some(limit), Some(key)) = (&spec.concurrency, &run.concurrency_key) else { return Ok(None) };
        let is_full = store.in_progress_with_key(key, run.id).await? >= u64::from(limit.limit);
        Ok(is_full.then(|| used_up(key, limit.limit)))
    }
}

/// What a daemon knows.
struct Here<'a> {
    live: &'a [LiveRun],
    labels: &'a [String],
    running_max: usize,
}

impl Here<'_> {
    fn obstacle(&self, spec: &JobSpec, run: &Run) -> Option<String> {
        let lacks: Vec<&str> =
            spec.runs_on.iter().filter(|label| !self.labels.contains(label)).map(String::as_str).collect();
        if !lacks.is_empty() {
            return Some(format!(
                "waits for a daemon with the label {}; this one does not have it",
                lacks.join(" and ")
            ));
        }
        let running = || self.live.iter().filter(|other| other.state == RunState::Running && other.run != run.id);
        if spec.overlap != Overlap::Parallel
            && let Some(earlier) = running().find(|other| other.job == run.job)
        {
            return Some(format!("waits for run {} of the same job to end", earlier.run));
        }
        if let (Some(limit), Some(key)) = (&spec.concurrency, &run.concurrency_key) {
            let holders = running().filter(|other| other.key.as_ref() == Some(key)).count();
            if holders >= limit.limit as usize {
                return Some(used_up(key, limit.limit));
            }
        }
        let (count, most) = (running().count(), self.running_max);
        (count >= most).then(|| format!("waits for room: {count} runs are running, and runner.max_running is {most}"))
    }
}

fn used_up(key: &str, limit: u32) -> String {
    format!("waits for the concurrency key {key:?}, whose limit of {limit} is used up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{RunId, Timestamp};
    use crate::model::job::Concurrency;
    use crate::model::{Trigger, TriggerKind};

    fn run(job: &str, state: RunState, key: Option<&str>) -> Run {
        let trigger = Trigger::new(TriggerKind::Api, "test");
        let name = job.parse().expect("a good name");
        Run {
            state,
            concurrency_key: key.map(str::to_owned),
            ..Run::new(RunId::generate(), name, trigger, Timestamp::UNIX_EPOCH)
        }
    }

    fn live(run: &Run) -> LiveRun {
        LiveRun::of(run)
    }

    #[test]
    fn what_stands_in_the_way_is_named_the_hardest_first() {
        let queued = run("backup", RunState::Queued, Some("disk"));
        let (same, other) = (run("backup", RunState::Running, None), run("copy", RunState::Running, Some("disk")));
        let mut spec = JobSpec {
            runs_on: vec!["gpu".into(), "eu".into()],
            concurrency: Some(Concurrency { key: "disk".into(), limit: 1 }),
            ..JobSpec::named(queued.job.clone())
        };
        let all = [live(&queued), live(&same), live(&other)];
        let told = |spec: &JobSpec, live: &[LiveRun]| {
            Here { live, labels: &["eu".into()], running_max: 2 }.obstacle(spec, &queued).unwrap_or_default()
        };
        assert!(told(&spec, &all).contains("label gpu;"), "{}", told(&spec, &all));
        spec.runs_on.clear();
        assert_eq!(told(&spec, &all), format!("waits for run {} of the same job to end", same.id));
        spec.overlap = Overlap::Parallel;
        assert!(told(&spec, &all).contains("the concurrency key \"disk\""), "{}", told(&spec, &all));
        spec.concurrency = None;
        assert!(told(&spec, &all).contains("2 runs are running"), "{}", told(&spec, &all));
        assert_eq!(told(&spec, &all[..2]), "", "nothing but its turn is missing");
    }
}
