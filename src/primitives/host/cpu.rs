//! What the processors did, from `/proc/stat` and `/proc/loadavg`.

use serde::Serialize;

use super::rates::{Pair, percent};
use super::{HostError, Source, strange};

/// Shares are percent of the time of all processors together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cpu {
    pub percent: f64,
    pub user_percent: f64,
    pub system_percent: f64,
    pub iowait_percent: f64,
    pub steal_percent: f64,
    /// Of each processor.
    pub cores: Vec<f64>,
    pub load_1: f64,
    pub load_5: f64,
    pub load_15: f64,
    /// Between the two readings.
    pub seconds: f64,
}

/// Time of one processor by what it was spent on, in ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Core {
    user: u64,
    system: u64,
    idle: u64,
    iowait: u64,
    steal: u64,
}

/// Of all together, and of each.
#[derive(Debug, Clone)]
pub(super) struct Times {
    all: Core,
    cores: Vec<Core>,
}

impl Core {
    /// user, nice, system, idle, iowait, irq, softirq, steal. What guests take is in user and nice already.
    fn parse(fields: &str) -> Option<Self> {
        let ticks: Vec<u64> = fields.split_whitespace().map_while(|field| field.parse().ok()).collect();
        let at = |place: usize| ticks.get(place).copied().unwrap_or(0);
        (ticks.len() >= 4).then(|| Self {
            user: at(0) + at(1),
            system: at(2) + at(5) + at(6),
            idle: at(3),
            iowait: at(4),
            steal: at(7),
        })
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            // The kernel lets these two go back at times.
            idle: self.idle.saturating_sub(earlier.idle),
            iowait: self.iowait.saturating_sub(earlier.iowait),
            steal: self.steal.saturating_sub(earlier.steal),
        }
    }

    fn whole(self) -> u64 {
        self.user + self.system + self.idle + self.iowait + self.steal
    }

    fn busy(self) -> u64 {
        self.user + self.system + self.steal
    }
}

pub(super) fn times(files: &Source) -> Result<Times, HostError> {
    const PATH: &str = "proc/stat";
    let text = files.read(PATH)?;
    let mut all = None;
    let mut cores = Vec::new();
    for line in text.lines() {
        let Some((name, fields)) = line.split_once(' ') else { continue };
        match name.strip_prefix("cpu") {
            Some("") => all = Core::parse(fields),
            Some(_) => cores.extend(Core::parse(fields)),
            None => {}
        }
    }
    all.map(|all| Times { all, cores }).ok_or_else(|| strange(PATH))
}

pub(super) fn load(files: &Source) -> Result<[f64; 3], HostError> {
    const PATH: &str = "proc/loadavg";
    let text = files.read(PATH)?;
    let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(one), Some(five), Some(fifteen)) => Ok([one, five, fifteen]),
        _ => Err(strange(PATH)),
    }
}

pub(super) fn between(pair: &Pair<Times>, [load_1, load_5, load_15]: [f64; 3]) -> Cpu {
    let all = pair.last.all.since(pair.first.all);
    let share = |part| percent(part, all.whole());
    // A processor that came or went meanwhile has no other reading.
    let cores = pair.last.cores.iter().zip(&pair.first.cores).map(|(last, first)| last.since(*first));
    Cpu {
        percent: share(all.busy()),
        user_percent: share(all.user),
        system_percent: share(all.system),
        iowait_percent: share(all.iowait),
        steal_percent: share(all.steal),
        cores: cores.map(|core| percent(core.busy(), core.whole())).collect(),
        load_1,
        load_5,
        load_15,
        seconds: pair.apart.as_secs_f64(),
    }
}
