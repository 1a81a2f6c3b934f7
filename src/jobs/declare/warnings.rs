//! What is legal and yet probably not meant. Derived from the spec alone, so that a job known from before a restart
//! has its warnings too.

use crate::base::quantity::show_duration;
use crate::base::{Fault, Timestamp};
use crate::model::JobSpec;

pub fn warnings(spec: &JobSpec) -> Vec<Fault> {
    let jitters = spec.schedules.iter().filter_map(|schedule| {
        let mut dues =
            schedule.plan(&spec.name).ok()?.iter(Timestamp::UNIX_EPOCH).take(2).collect::<Vec<_>>().into_iter();
        let (first, second) = (dues.next()?, dues.next()?);
        let apart = second.scheduled_for.duration_since(first.scheduled_for).unsigned_abs();
        (schedule.jitter >= apart).then(|| {
            let (jitter, apart) = (show_duration(schedule.jitter), show_duration(apart));
            let message = format!("schedule: the jitter {jitter} is as long as the time between due times, {apart}");
            Fault::new("job.jitter_long", message).hint("due times can overtake each other; shorten the jitter")
        })
    });
    jitters.chain(unanswered(spec)).collect()
}

/// Neither a schedule nor an event gives parameters.
fn unanswered(spec: &JobSpec) -> Option<Fault> {
    let (name, _) = spec.params.iter().find(|(_, param)| param.required && param.default.is_none())?;
    let what = match (spec.schedules.is_empty(), spec.on.is_empty()) {
        (false, _) => "a schedule",
        (true, false) => "an event",
        (true, true) => return None,
    };
    let message = format!("params.{name} is required, but {what} gives no parameters: its runs will be refused");
    Some(Fault::new("job.schedule_params", message).hint("give it a default"))
}
