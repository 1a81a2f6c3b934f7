//! Alerts: rules over samples, what they find, and who is told when.
//!
//! Pure: samples and moments go in, changes come out. The same samples give the same changes at the same moments,
//! however often somebody looks in between, so a month of them can be replayed in a second.

mod alert;
mod defaults;
mod engine;
mod group;
mod restore;
mod rule;
mod silence;
mod track;
mod window;

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod month_tests;

pub use alert::{Acknowledgement, Alert, AlertState, Origin, Severity, Told, fingerprint};
pub use defaults::defaults;
pub use engine::Engine;
pub use group::{Notice, Plan, Policy, is_inhibited, plan};
pub use rule::{Condition, Measure, Rule, number};
pub use silence::Silence;
