//! Stacks: several containers that are one thing, described by Compose files.
//!
//! [`compose`] loads the files, [`desired`] puts them into the engine's terms, [`plan`] compares that with what the
//! engine has; all three are pure. [`Stacks`] looks, plans and carries plans out, through the Docker service and with
//! its permits. `swarm` does the same for stacks that a swarm runs.

mod actions;
mod apply;
mod build;
pub mod compose;
pub mod desired;
mod disk;
#[cfg(test)]
mod live;
mod observe;
mod order;
pub mod plan;
mod rollout;
mod service;
mod source;
mod swarm;

pub use actions::{ExecOptions, Line, LogOptions, Pulled, RestartOptions, ServicesOptions};
pub use apply::{Event, Stage, Told};
pub use disk::Disk;
pub use rollout::{Made, MakeOptions, PrepareOptions, PublishedTo, Standing, is_rolled_out, rollout_key};
pub use service::{DownOptions, Outcome, Stacks, UpOptions};
pub use source::{Orchestrator, Source, Sources, is_name};
pub use swarm::Member;
