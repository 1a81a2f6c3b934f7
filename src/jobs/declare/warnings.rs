//! What is legal and yet probably not meant. Derived from the spec alone, so that a job known from before a restart
//! has its warnings too.

use crate::base::quantity::show_duration;
use crate::base::{Fault, Timestamp};
use crate::model::JobSpec;

pub fn warnings(spec: &JobSpec) -> Vec<Fault> {
    let inactive = spec.on.iter().filter(|trigger| !super::triggers::ACTIVE.contains(&trigger.kind.as_str()));
    let triggers = inactive.map(|trigger| {
        let kind = &trigger.kind;
        Fault::new("job.trigger_inactive", format!("on.{kind}: this version starts no runs for it"))
            .hint("the job still runs by its schedule, by its button and by hand")
    });
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
    triggers.chain(jitters).chain(unanswered(spec)).collect()
}

/// Neither a schedule nor an event gives parameters.
fn unanswered(spec: &JobSpec) -> Option<Fault> {
    let (name, _) = spec.params.iter().find(|(_, param)| param.required && param.default.is_none())?;
    let is_active = |kind: &str| super::triggers::ACTIVE.contains(&kind);
    let what = match (spec.schedules.is_empty(), spec.on.iter().find(|trigger| is_active(&trigger.kind))) {
        (false, _) => "a schedule",
        (true, Some(_)) => "an event",
        (true, None) => return None,
    };
    let message = format!("params.{name} is required, but {what} gives no parameters: its runs will be refused");
    Some(Fault::new("job.schedule_params", message).hint("give it a default"))
}
