//! Which addresses may be reached.
//!
//! A grant of `*` or of a public name opens the public internet only. Everything else (loopback, private, link-local,
//! carrier-grade NAT, metadata services, multicast, transition mechanisms that hide one of these) is reached only when
//! a pattern names the address, its range or an internal host name. The check is made three times: on the parsed URL,
//! on what its name resolves to, and on each redirect.

pub mod address;
pub mod pattern;
pub mod policy;
pub mod resolve;

pub use address::Kind;
pub use pattern::HostPattern;
pub use policy::{Blocked, Policy, Target};
