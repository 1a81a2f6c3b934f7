//! YAML as Compose reads it: positions, anchors, merge keys, several documents, `!reset` and `!override`.
//!
//! The events come from `granit-parser`, which `serde-saphyr` rests on: it has spans, tags and limits on nesting, where
//! a deserializer would have unfolded aliases and dropped tags before anybody could look at them.

mod raw;
mod resolve;
mod scalar;

pub(super) use resolve::{Resets, parse};
