//! How a live run is made to stop, and why.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::model::Actor;

/// Why a run was made to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    By {
        actor: Actor,
        reason: String,
    },
    /// The daemon is going down and its grace was over.
    Shutdown,
    /// Another daemon has the run now.
    Lost,
}

/// Shared by a run's entry and the lane that executes it.
#[derive(Debug, Default)]
pub struct Stop {
    /// The script shall end. What it did can still be undone.
    pub cancel: CancellationToken,
    /// The daemon is done with the run, undoing included.
    pub abort: CancellationToken,
    why: Mutex<Option<Stopped>>,
}

impl Stop {
    /// The first reason stands, unless the daemon itself has to let go.
    pub fn now(&self, stopped: Stopped) {
        let lets_go = !matches!(stopped, Stopped::By { .. });
        {
            let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
            if lets_go && !matches!(*why, Some(Stopped::By { .. })) {
                *why = Some(stopped);
            } else {
                why.get_or_insert(stopped);
            }
        }
        self.cancel.cancel();
        if lets_go {
            self.abort.cancel();
        }
    }

    pub fn why(&self) -> Option<Stopped> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
