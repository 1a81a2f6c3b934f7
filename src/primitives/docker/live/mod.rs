//! Tests against the real engine of this machine. They fail when there is none: `tests/run` starts it.

mod audit;
mod builds;
mod changes;
mod diagnose;
mod images;
mod lifecycle;
mod output;
mod permissions;
mod streams;
mod surroundings;

use super::testing::{IMAGE, Lab, docker, options};
