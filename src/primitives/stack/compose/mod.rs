//! The Compose specification as people use it: files in, a typed stack out.
//!
//! [`load()`] reads the files through [`Files`], fills variables in, extends, includes and merges, holds the result to
//! the specification and completes it with the defaults that Compose fills in. [`Project::to_json`] shows it as
//! `docker-compose config --format json` of 2.26 does. Nothing here reads a file by itself, knows the time or keeps
//! anything between two loads; every bound is in [`crate::base::limits`].
//!
//! The way of a document, each step in the file of its name:
//! `yaml` (positions, aliases, `!reset`) → `interpolate` → `extends` → `include` → `merge`, `unique` → `shape` (types,
//! unknown keys) → `canonical` (short syntaxes) → `defaults` → `resolve_paths` → `environment` → `normalise` →
//! `decode` (into `model`) → `consistency` → `outside` (environment files).

mod canonical;
mod consistency;
mod decode;
mod defaults;
mod dotenv;
mod environment;
mod extends;
mod files;
mod files_path;
mod include;
mod interpolate;
mod load;
mod merge;
pub mod model;
mod name;
mod node;
mod normalise;
mod number;
mod options;
mod outside;
mod path;
mod problem;
mod resolve_paths;
mod session;
mod shape;
mod short;
mod stack;
#[cfg(test)]
mod tests;
mod unique;
mod yaml;

pub use files::{Entry, FileProblem, Files};
pub use interpolate::Environment;
pub use model::Project;
pub use options::Options;
pub use problem::{Kind, Place, Problem, Warning};
pub use stack::{Loaded, load};
