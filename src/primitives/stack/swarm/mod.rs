//! Stacks whose containers a swarm runs: the same files, put into services instead of containers.
//!
//! [`desired`] puts the loaded files into a swarm's terms, [`plan`] compares that with what the swarm has, and
//! [`settle`] judges what its tasks say; all three are pure. What is to run where, and what takes the place of what
//! failed, is for the swarm to decide. So nothing here touches a container: services are described, and watched until
//! they are so.

mod apply;
pub mod desired;
#[cfg(test)]
mod live;
mod members;
mod observe;
mod plan;
#[cfg(test)]
mod plan_tests;
mod refused;
mod settle;
mod verbs;

pub use members::Member;
pub(super) use refused::Asked;
pub(super) use verbs::Way;
