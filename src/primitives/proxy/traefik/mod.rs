//! Traefik through its file provider: each set of services is a file in the folder that Traefik watches.
//!
//! A set is a weighted service over one service for each entry, with a router where a rule is given, and routers before
//! that one for requests that a header or a cookie sends to a certain entry. The provider fills files in as templates
//! of Go before it reads them, so no text of a script may open one.

mod build;
mod document;
mod folder;
mod options;

#[cfg(test)]
mod tests;

pub use folder::{Folder, Services, Written};
pub use options::{Entry, Health, Route, SetOptions, Sticky};
