//! Outgoing HTTP for scripts: bounded, with the address policy checked before every connection.
//!
//! A client library's resolver hook is not asked about addresses in the URL, and its redirects are followed without
//! asking anyone. So there are three checks, and this folder makes all of them: [`client`] checks each URL before it is
//! sent, the first and those of redirects; [`guard`] filters what names resolve to, and the connection is made to
//! exactly those addresses; connections are pooled by policy, so that one job's rights never lend another a connection.

mod body;
mod client;
mod error;
mod guard;
mod hosts;
mod open;
mod reach;
mod receive;
mod redirect;
mod request;
mod response;
mod retry;
mod room;
mod stream;
mod tls;

#[cfg(test)]
pub mod authority;
#[cfg(test)]
mod evasion_tests;
#[cfg(test)]
mod flow_tests;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

pub use body::{Body, Part};
pub use client::{Http, Options};
pub(in crate::primitives) use error::tls_problem;
pub use error::{HttpError, Phase};
pub use hosts::HostOptions;
pub use open::Open;
pub(in crate::primitives) use reach::OnBehalf;
pub use receive::{Save, Saved};
pub use request::{Plan, Request};
pub use reqwest::Method;
pub use reqwest::header::HeaderMap;
pub use response::Response;
pub use retry::{Retry, retry_after};
pub use stream::{Cut, Piece, ServerEvent, Stream};
pub(in crate::primitives) use tls::roots;

/// TLS for other clients of ours, with the same roots; no application protocol is offered.
pub(in crate::primitives) fn client_tls(ca_file: Option<&std::path::Path>) -> Result<rustls::ClientConfig, HttpError> {
    let mut config = tls::config(ca_file, None)?;
    config.alpn_protocols.clear();
    Ok(config)
}
