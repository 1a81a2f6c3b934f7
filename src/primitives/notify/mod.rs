//! Notifications: a script names a route, the operator's configuration says where that leads.
//!
//! Scripts never see a destination's address. Webhook addresses are passwords: they are read when a message is sent,
//! never logged, and taken out of what receivers answer.

mod deliver;
mod destination;
mod error;
mod format;
mod mail;
mod message;
mod outbox;
mod prepare;
mod quiet;
mod route;
mod service;
mod smtp;
mod telegram;
mod text;
mod whatsapp;

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod receivers;
#[cfg(test)]
mod smtp_tests;
#[cfg(test)]
mod tests;

pub use crate::primitives::secrets::{ProcessSecrets, Secrets, Setting};
pub use deliver::Failure;
pub use destination::{
    Destination, Discord, Kind, Ntfy, Rate, Resend, Security, Slack, Smtp, Telegram, Webhook, Whatsapp,
};
pub use error::NotifyError;
pub use message::{Message, Severity};
pub use outbox::{Outbox, Parcel};
pub use quiet::Quiet;
pub use route::Route;
pub use service::{Delivery, Notify, Options, Outcome};
