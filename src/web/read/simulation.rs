//! What the overlap policies would make of the due times to come, if runs take as long as they usually did.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schedule::forecast;
use crate::base::clock::{later, since};
use crate::base::{JobName, Timestamp, limits, quantity};
use crate::model::job::Overlap;
use crate::model::{Identity, RunState};
use crate::store::RunFilter;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::parse_moment;
use crate::web::parts::{Upcoming, Web};

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SimulationQuery {
    /// Only this job.
    pub job: Option<String>,
    /// Begin of the period: RFC 3339 or `+2h` from now; now unless told, and not before it.
    pub from: Option<String>,
    /// End of the period: RFC 3339 or `+24h` from now; a day after `from` unless told.
    pub to: Option<String>,
    /// How long runs of jobs take that have not succeeded yet, such as `30s`; no time at all unless told.
    pub assume: Option<String>,
}

/// A period of the schedule, played through.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Simulation {
    pub from: Timestamp,
    pub to: Timestamp,
    pub jobs: Vec<SimulatedJob>,
    /// The most runs of all jobs that are alive at once.
    pub alive_max: usize,
    /// When that is so for the first time.
    pub alive_max_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SimulatedJob {
    #[schema(value_type = String)]
    pub job: JobName,
    /// `skip`, `queue`, `replace` or `parallel`.
    #[schema(value_type = String, example = "skip")]
    pub overlap: Overlap,
    /// Due times in the period.
    pub due: usize,
    /// There are more than were played through.
    pub more: bool,
    /// Median of the latest runs that succeeded, in milliseconds; null when none did.
    pub median_ms: Option<u64>,
    /// Of how many runs that is the median.
    pub sampled: usize,
    #[serde(flatten)]
    pub tally: Tally,
}

/// What becomes of a job's due times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tally {
    /// Runs that begin.
    pub runs: usize,
    /// Not fired: the job is disabled, or a calendar says no.
    pub held: usize,
    /// Not accepted because the run before goes on.
    pub skipped: usize,
    /// For which a run that waits already stands.
    pub coalesced: usize,
    /// Runs that a later one cancels.
    pub replaced: usize,
    /// The most that wait at once.
    pub queue_max: usize,
    /// The most that are alive at once.
    pub alive_max: usize,
}

/// When each run begins and ends, and the numbers.
#[derive(Debug, Default)]
struct Played {
    runs: Vec<(Timestamp, Timestamp)>,
    tally: Tally,
}

/// Plays `due` (soonest first) through the policy; every run takes `took`.
fn play(overlap: Overlap, took: Duration, due: &[Upcoming]) -> Played {
    let mut played = Played::default();
    // Ends of runs that are alive, and what waits behind the only one of a queue.
    let mut alive: VecDeque<Timestamp> = VecDeque::new();
    let mut waiting = false;
    for next in due {
        let now = next.fire_at;
        while let Some(end) = alive.front().copied().filter(|end| *end <= now) {
            alive.pop_front();
            if std::mem::take(&mut waiting) {
                alive.push_back(played.begin(end, took));
            }
        }
        if next.held.is_some() {
            played.tally.held += 1;
            continue;
        }
        match (overlap, alive.is_empty()) {
            (_, true) | (Overlap::Parallel, false) => alive.push_back(played.begin(now, took)),
            (Overlap::Skip, false) => played.tally.skipped += 1,
            (Overlap::Queue, false) if waiting => played.tally.coalesced += 1,
            (Overlap::Queue, false) => {
                waiting = true;
                played.tally.queue_max = 1;
            }
            (Overlap::Replace, false) => {
                played.tally.replaced += 1;
                alive.clear();
                if let Some((_, end)) = played.runs.last_mut() {
                    *end = now;
                }
                alive.push_back(played.begin(now, took));
            }
        }
        played.tally.alive_max = played.tally.alive_max.max(alive.len());
    }
    if let Some(end) = alive.back().copied().filter(|_| waiting) {
        played.begin(end, took);
    }
    played
}

impl Played {
    fn begin(&mut self, at: Timestamp, took: Duration) -> Timestamp {
        let end = later(at, took);
        self.tally.runs += 1;
        self.runs.push((at, end));
        end
    }
}

/// The most of these that are alive at once, and since when.
fn together(runs: &[(Timestamp, Timestamp)]) -> (usize, Option<Timestamp>) {
    // An end comes before a begin at the same moment; a run that takes no time is alive at it all the same.
    let mut turns: Vec<(Timestamp, bool)> = Vec::new();
    for (begin, end) in runs {
        turns.push((*begin, true));
        turns.push((later(*end, Duration::from_nanos(u64::from(begin == end))), false));
    }
    turns.sort_unstable();
    let (mut alive, mut most, mut when) = (0_usize, 0, None);
    for (at, begins) in turns {
        alive = if begins { alive + 1 } else { alive.saturating_sub(1) };
        if alive > most {
            (most, when) = (alive, Some(at));
        }
    }
    (most, when)
}

/// How long the job's latest successful runs took, the shortest first.
async fn durations(web: &Web, job: &JobName) -> ApiResult<Vec<Duration>> {
    let filter = RunFilter {
        job: Some(job.clone()),
        states: vec![RunState::Succeeded],
        limit: limits::STORE_PAGE_ROWS_DEFAULT,
        ..RunFilter::default()
    };
    let runs = web.parts.store.runs(&filter).await?;
    let mut took: Vec<Duration> =
        runs.iter().filter_map(|run| Some(since(run.finished_at?, run.started_at?))).collect();
    took.sort_unstable();
    Ok(took)
}

pub async fn simulate(web: &Web, who: &Identity, query: &SimulationQuery) -> ApiResult<Simulation> {
    let now = web.now();
    let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    let from = given(&query.from).map_or(Ok(now), |text| parse_moment("from", &text, now))?.max(now);
    let to = given(&query.to).map_or(Ok(later(from, DAY)), |text| parse_moment("to", &text, now))?;
    if to <= from {
        return Err(ApiError::bad_request(format!("the period ends ({to}) before it begins ({from})")));
    }
    let assume = given(&query.assume).map(|text| quantity::parse_duration(&text)).transpose();
    let assume = assume.map_err(|bad| ApiError::bad_request(format!("assume: {bad}")))?.unwrap_or_default();
    let only = given(&query.job).map(|job| job.parse::<JobName>()).transpose();
    let only = only.map_err(|bad| ApiError::bad_request(format!("job: {bad}")))?;
    let snapshot = web.parts.jobs.snapshot();
    let wanted = snapshot.jobs.values().filter(|job| {
        let name = &job.spec.name;
        !job.spec.schedules.is_empty() && who.covers(name) && only.as_ref().is_none_or(|only| only == name)
    });
    let mut made = Simulation { from, to, jobs: Vec::new(), alive_max: 0, alive_max_at: None };
    let mut every = Vec::new();
    for job in wanted {
        let name = &job.spec.name;
        let due = forecast(web, Some(name.clone()), from, to, limits::SCHEDULE_SIMULATED_MAX).await?;
        let took = durations(web, name).await?;
        let median = took.get(took.len() / 2).copied();
        let played = play(job.spec.overlap, median.unwrap_or(assume), &due);
        made.jobs.push(SimulatedJob {
            job: name.clone(),
            overlap: job.spec.overlap,
            due: due.len(),
            more: due.len() >= limits::SCHEDULE_SIMULATED_MAX,
            median_ms: median.map(|median| u64::try_from(median.as_millis()).unwrap_or(u64::MAX)),
            sampled: took.len(),
            tally: played.tally,
        });
        every.extend(played.runs);
    }
    (made.alive_max, made.alive_max_at) = together(&every);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(seconds: impl IntoIterator<Item = i64>) -> Vec<Upcoming> {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let due = |second| Upcoming {
            job: "backup".parse().expect("a name"),
            scheduled_for: at(second),
            fire_at: at(second),
            dst_shifted: false,
            held: None,
        };
        seconds.into_iter().map(due).collect()
    }

    #[test]
    fn each_policy_makes_something_else_of_runs_that_take_too_long() {
        let due = due([0, 10, 20, 30, 40, 50]);
        let tally = |overlap| play(overlap, Duration::from_secs(25), &due).tally;
        let skip = Tally { runs: 2, skipped: 4, alive_max: 1, ..Tally::default() };
        assert_eq!(tally(Overlap::Skip), skip);
        // 0 runs until 25, 10 waits and 20 coalesces into it; it runs until 50, with 30 waiting and 40 coalesced; and so on.
        let queue = Tally { runs: 4, coalesced: 2, queue_max: 1, alive_max: 1, ..Tally::default() };
        assert_eq!(tally(Overlap::Queue), queue);
        assert_eq!(tally(Overlap::Replace), Tally { runs: 6, replaced: 5, alive_max: 1, ..Tally::default() });
        assert_eq!(tally(Overlap::Parallel), Tally { runs: 6, alive_max: 3, ..Tally::default() });
    }

    #[test]
    fn runs_that_fit_between_their_due_times_are_let_alone() {
        let mut due = due([0, 10, 20]);
        due[1].held = Some("disabled".into());
        for overlap in [Overlap::Skip, Overlap::Queue, Overlap::Replace, Overlap::Parallel] {
            let tally = play(overlap, Duration::from_secs(10), &due).tally;
            assert_eq!(tally, Tally { runs: 2, held: 1, alive_max: 1, ..Tally::default() }, "{overlap:?}");
        }
    }

    #[test]
    fn the_most_at_once_is_counted_over_all_jobs() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let span = |from, to| (at(from), at(to));
        assert_eq!(together(&[span(0, 10), span(10, 20), span(5, 12)]), (2, Some(at(5))));
        assert_eq!(together(&[span(7, 7), span(7, 7)]), (2, Some(at(7))));
        assert_eq!(together(&[]), (0, None));
    }
}
