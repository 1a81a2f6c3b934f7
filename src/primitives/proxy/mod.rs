//! Load balancers: which server gets how much of the traffic, changed while it flows.
//!
//! HAProxy is told through the runtime API behind its `stats socket` ([`haproxy`]): what is changed there holds until
//! it is reloaded. Traefik is told by files that it watches ([`traefik`]): each is written whole or not at all. Names of
//! backends and servers become words of commands and of rules, so they are checked against what such a word may hold
//! before anything is sent or written.

mod change;
mod error;
mod haproxy;
mod service;
mod source;
mod traefik;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use change::{Change, Changed, Drained, Spot};
pub use error::{Problem, ProxyError};
pub use haproxy::{Backend, Mode, Server};
pub use service::{How, Info, Proxies};
pub use source::{Kind, Source, Sources};
pub use traefik::{Entry, Health, Route, Services, SetOptions, Sticky, Written};
