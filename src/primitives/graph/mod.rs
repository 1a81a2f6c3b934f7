//! FalkorDB for scripts: openCypher over Redis's protocol.
//!
//! A read grant goes out as `GRAPH.RO_QUERY`, so that the server refuses what writes. Parameters travel in the prefix
//! that the server reads before the query (`CYPHER name=value …`), and are encoded as literals by [`params`]. Answers
//! come in the compact form, the only one that says which type a value has; names of labels, types and properties are
//! looked up when an answer holds nodes or edges, each time anew: a graph that was deleted and made again numbers them
//! otherwise.

mod decode;
mod params;
mod service;

#[cfg(test)]
mod live;
#[cfg(test)]
pub mod testing;

pub use service::{Answer, Graph, GraphError, Query};
