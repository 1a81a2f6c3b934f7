//! The Docker Engine over its socket.
//!
//! Building a [`Docker`] never fails and connects to nothing: each call connects by itself, so the service is back as
//! soon as the engine is. Every function takes a permit and checks it against the object's real name.

mod audit;
mod build;
mod call;
mod client;
mod clone;
mod containers;
mod cpu;
mod create;
mod diagnose;
mod done;
mod engine;
mod error;
mod events;
mod exec;
mod executions;
mod frames;
mod images;
mod info;
mod inspect;
mod lifecycle;
#[cfg(test)]
mod live;
mod logs;
mod names;
mod networks;
mod ports;
mod prune;
mod pull;
mod push;
mod put;
mod stats;
mod swarm;
#[cfg(test)]
pub(crate) mod testing;
mod top;
mod usage;
mod volumes;
mod wait;

pub use audit::{Audit, AuditCheck, AuditObject, AuditOptions, Verdict};
pub use build::{BuildContext, BuildOptions, BuildStep, Built, Folder};
pub use clone::CloneOptions;
pub use containers::{Container, ListOptions};
pub use create::{CreateOptions, Created, UpdateOptions};
pub use diagnose::{Diagnosis, Finding, Listening};
pub use done::Done;
pub use engine::{Docker, Health, HealthState, Options};
pub use error::{Cause, DockerError};
pub use events::{EngineEvent, EventItem, EventOptions};
pub use exec::{ExecOptions, ExecOutcome};
pub use executions::{EXECUTION_PREFIX, GATE_LABEL, QUARANTINE_PREFIX, RUN_LABEL};
pub use frames::Stream;
pub use images::{Image, ImageListOptions, RemoveImageOptions};
pub use info::{Info, Version};
pub use inspect::Inspection;
pub use lifecycle::{ChangeOptions, KillOptions, RemoveOptions, StopOptions};
pub use logs::{FollowItem, LogOptions, LogRecord, Logs};
pub use networks::{ConnectOptions, CreateNetworkOptions, DisconnectOptions, Network, NetworkListOptions};
pub use ports::PublishedPort;
pub use prune::{PruneOptions, PruneOutcome, PruneTarget};
pub use pull::{PullOptions, PullOutcome, PullPolicy, PullProgress};
pub use push::PushOptions;
pub use put::PutFile;
pub use stats::{Stats, StatsOptions};
pub use swarm::{NewObject, ObjectKind, ServiceLine, Swarm, SwarmObject, SwarmService, SwarmTask};
pub use top::Top;
pub use usage::{DiskUsage, UsageOfKind};
pub use volumes::{CreateVolumeOptions, RemoveVolumeOptions, Volume, VolumeListOptions};
pub use wait::{WaitOptions, WaitOutcome};
