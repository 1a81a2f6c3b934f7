//! What is told while a plan is carried out.

use serde::Serialize;

use crate::base::Fault;
use crate::primitives::stack::plan::Action;

/// Something that begins, ends or is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    pub stage: Stage,
    /// `create container shop-web-1`.
    pub what: String,
    /// Why it failed, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Begun,
    Waiting,
    Done,
    Failed,
}

/// Whoever wants to know.
#[derive(Clone, Copy)]
pub struct Told<'a>(pub &'a (dyn Fn(Event) + Send + Sync));

impl std::fmt::Debug for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

impl Told<'_> {
    pub fn tell(self, stage: Stage, what: impl Into<String>, detail: Option<String>) {
        (self.0)(Event { stage, what: what.into(), detail });
    }

    /// Tells of the beginning and the end of an action.
    pub(in crate::primitives::stack) async fn around(
        self,
        action: &Action,
        work: impl Future<Output = Result<(), Fault>>,
    ) -> Result<(), Fault> {
        let what = format!("{} {} {}", action.verb.as_str(), action.kind.as_str(), action.name);
        self.tell(Stage::Begun, &what, None);
        let outcome = work.await;
        match &outcome {
            Ok(()) => self.tell(Stage::Done, what, None),
            Err(fault) => self.tell(Stage::Failed, what, Some(fault.message.clone())),
        }
        outcome
    }
}
