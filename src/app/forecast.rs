//! What the dashboard asks about the future, answered from the live registry.

use std::sync::Arc;

use crate::base::{JobName, Timestamp};
use crate::jobs::Registry;
use crate::model::Calendars;
use crate::triggers::schedule;
use crate::web::{Forecast, Upcoming};

#[derive(Debug)]
pub struct LiveForecast {
    pub registry: Registry,
    pub calendars: Arc<Calendars>,
}

impl Forecast for LiveForecast {
    fn due(&self, job: Option<&JobName>, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Upcoming> {
        let found = schedule::forecast((&self.registry.snapshot(), &self.calendars), job, from, Some(to), limit);
        found.into_iter().map(upcoming).collect()
    }

    fn next(&self, job: &JobName, from: Timestamp, count: usize) -> Vec<Upcoming> {
        let found = schedule::forecast((&self.registry.snapshot(), &self.calendars), Some(job), from, None, count);
        found.into_iter().map(upcoming).collect()
    }
}

fn upcoming(found: schedule::Forecast) -> Upcoming {
    Upcoming {
        job: found.job,
        scheduled_for: found.due.scheduled_for,
        fire_at: found.due.fire_at,
        dst_shifted: found.due.dst_shifted,
        held: found.held,
    }
}
