//! A due time of a schedule and what became of it. `(job, scheduled_for)` is unique: an occurrence fires once.

use serde::{Deserialize, Serialize};

use crate::base::{JobName, RunId, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OccurrenceState {
    /// A run was accepted for it.
    Fired,
    /// An earlier run that had not begun yet stands for it too.
    Coalesced,
    /// The job was still running and its overlap policy is `skip`.
    SkippedOverlap,
    /// Due while no daemon was there to fire it.
    Missed,
    /// Fired at another moment, because the local time did not exist.
    DstShifted,
    /// The job was paused or disabled, or a calendar said no.
    Held,
    /// The run could not be accepted; the reason says why.
    Refused,
}

impl OccurrenceState {
    pub const ALL: [Self; 7] =
        [Self::Fired, Self::Coalesced, Self::SkippedOverlap, Self::Missed, Self::DstShifted, Self::Held, Self::Refused];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Coalesced => "coalesced",
            Self::SkippedOverlap => "skipped_overlap",
            Self::Missed => "missed",
            Self::DstShifted => "dst_shifted",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Occurrence {
    pub job: JobName,
    pub scheduled_for: Timestamp,
    pub state: OccurrenceState,
    pub reason: Option<String>,
    pub run: Option<RunId>,
    pub decided_at: Timestamp,
}
