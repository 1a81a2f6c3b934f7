//! Why a durable run's VM is given up though its script has not ended. No `pcall` sees any of it.

use crate::base::{Fault, Timestamp};

#[derive(Debug, Clone, PartialEq)]
pub enum Halt {
    /// All strands wait for longer than a VM is held.
    Parked { wake_at: Option<Timestamp>, waits_for: String },
    /// The script does something else than its journal says.
    Diverged(Fault),
    /// The journal cannot be written, for another daemon has taken the run over, say.
    Lost(Fault),
    /// All that is to be undone has been come to.
    Replayed,
}

impl Halt {
    /// For what can only end with a fault.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::Diverged(fault) | Self::Lost(fault) => fault,
            Self::Parked { waits_for, .. } => {
                Fault::new("run.parked", format!("it waits for {waits_for}, which cannot be waited for here"))
            }
            Self::Replayed => Fault::new("run.replayed", "it was replayed to the end of its journal"),
        }
    }
}
