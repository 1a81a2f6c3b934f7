//! Notifications: a script names a route, the operator's configuration says where that leads.
//!
//! Scripts never see a destination's address. Webhook addresses are passwords: they are read when a message is sent,
//! never logged, and taken out of what receivers answer.

mod deliver;
mod destination;
mod error;
mod format;
mod message;
mod service;

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod receivers;
#[cfg(test)]
mod tests;

pub use crate::primitives::secrets::{ProcessSecrets, Secrets, Setting};
pub use destination::{Destination, Discord, Kind, Ntfy, Slack, Webhook};
pub use error::NotifyError;
pub use message::{Message, Severity};
pub use service::{Delivery, Notify, Options, Outcome};
