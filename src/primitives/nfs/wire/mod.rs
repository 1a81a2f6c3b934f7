//! From bytes to calls and back: XDR (RFC 4506), records and remote procedure calls (RFC 5531).
//!
//! Whatever comes from a client passes here first. No length that a client names sets memory aside before it was
//! compared with a bound.

pub mod auth;
pub mod record;
pub mod rpc;
pub mod xdr;
