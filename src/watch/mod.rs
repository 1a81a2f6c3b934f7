//! Rank 7: the watch. It asks what the configuration says is to be checked, holds what is measured against the rules,
//! and tells people.
//!
//! Of several daemons on one database the leader keeps the watch. What it knows is in the store (samples with their
//! numbers, alerts with what was told of them, checks with their answers), so that the next one goes on from there.

mod checks;
mod rules;
mod tell;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use checks::CheckPlan;

use crate::base::Clock;
use crate::model::alerts::{Policy, Rule};
use crate::primitives::notify::Notify;
use crate::primitives::prober::Prober;
use crate::store::{Leadership, Store, StoreError};

/// Before something that failed is begun again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct Options {
    pub rules: Vec<Rule>,
    pub checks: Vec<CheckPlan>,
    pub policy: Policy,
}

/// The task; run it under the supervisor.
#[derive(Debug, Clone)]
pub struct Watch {
    pub options: Options,
    pub store: Store,
    pub notify: Notify,
    pub prober: Prober,
    pub clock: Clock,
}

impl Watch {
    /// Keeps the watch whenever this daemon leads, until `stop`.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub async fn serve(self, mut leadership: Leadership, stop: CancellationToken) -> Result<(), StoreError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.term(&mut leadership) => {}
            }
        }
    }

    /// From when this daemon leads until it leads no more.
    async fn term(&self, leadership: &mut Leadership) {
        while !leadership.leads() {
            leadership.changed().await;
            if !leadership.leads() {
                // After the candidate's end nothing changes any more: this must not become a busy wait.
                self.clock.sleep(RETRY).await;
            }
        }
        let deposed = async { while leadership.changed().await {} };
        tokio::select! {
            () = deposed => {}
            () = self.again("the rules", || rules::keep(self)) => {}
            () = self.again("the checks", || checks::keep(self)) => {}
            () = self.again("the notifications", || tell::keep(self)) => {}
        }
    }

    /// A part of the watch, begun anew whenever the store fails it.
    async fn again<F: Future<Output = StoreError>>(&self, what: &str, part: impl Fn() -> F) {
        loop {
            let error = part().await;
            if error != StoreError::Closed {
                warn!(%error, "{what} cannot go on yet; trying again");
            }
            self.clock.sleep(RETRY).await;
        }
    }
}
