//! Redis for scripts: named sources of the configuration, each with its own bounded set of connections.
//!
//! What a command may do is not decided by a list of ours: the server that carries it out is asked (`COMMAND INFO`) for
//! its flags, once per connection, and the grant is held against the answer. A connection serves one call at a time, so
//! that a reply's bytes can be counted while they arrive, a call that is dropped takes its connection with it, and a
//! transaction has no strangers in it. Commands that would change what a connection is (`SELECT`, `SUBSCRIBE`, `MULTI`)
//! are refused: the next call would find it so. The graph database speaks the same protocol and shares [`Pools`].

mod address;
mod class;
mod connection;
mod error;
mod pool;
mod pools;
mod reply;
mod service;
mod source;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use error::{Place, Problem, RedisError};
pub use pool::{Lease, Pool, PoolOptions};
pub use pools::Pools;
pub use reply::Reply;
pub use service::{CallOptions, Command, Done, Redis};
pub use source::{Source, Sources};
