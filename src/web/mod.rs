//! Rank 7: HTTP API, dashboard, live streams, metrics, health.
//!
//! [`Web`] holds what requests need and makes two routers: [`Web::router`] trusts the [`crate::model::Identity`] that a
//! door put into the request (the admin socket does), [`Web::public_router`] is the same behind the checks that a
//! TCP listener needs: Host and Origin, bearer tokens and sessions, request forgery, counted failures, headers.

mod api;
mod assets;
mod audit;
pub mod auth;
mod error;
mod extract;
mod guard;
pub mod health;
mod mask;
mod metrics;
mod page;
mod parts;
mod patience;
mod process;
mod read;
mod serve;
mod stream;
#[cfg(test)]
mod tests;
mod unread;

pub use error::ApiError;
pub use guard::Peer;
pub use health::Probe;
pub use metrics::Metrics;
pub use parts::{Forecast, Options, Parts, Upcoming, Web};
pub use serve::{ServeError, serve};
