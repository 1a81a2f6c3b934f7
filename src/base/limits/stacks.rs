//! Bounds of stacks.

use std::time::Duration;

// Compose files
/// One file: Compose, environment or labels.
pub const COMPOSE_FILE_BYTES_MAX: usize = 4 << 20;
/// Files that one load may read, each inclusion counted.
pub const COMPOSE_FILES_MAX: usize = 512;
/// Values that a load may make out of YAML once aliases are unfolded, and how deep they may lie.
pub const COMPOSE_VALUES_MAX: usize = 500_000;
pub const COMPOSE_DEPTH_MAX: usize = 128;
/// Inclusions within inclusions, and services that extend services.
pub const COMPOSE_INCLUDE_DEPTH_MAX: usize = 32;
pub const COMPOSE_EXTENDS_DEPTH_MAX: usize = 64;
pub const COMPOSE_SERVICES_MAX: usize = 2_000;
/// Ports of one list, once ranges are unfolded.
pub const COMPOSE_PORTS_MAX: usize = 10_000;
/// Variables within the defaults of variables.
pub const COMPOSE_VARIABLE_DEPTH_MAX: usize = 32;
/// What one text may come to once its variables are filled in, and what all texts of a load may.
pub const COMPOSE_TEXT_BYTES_MAX: usize = 4 << 20;
pub const COMPOSE_TEXTS_BYTES_MAX: usize = 64 << 20;
/// Warnings that are kept; of more it is told that there were more.
pub const COMPOSE_WARNINGS_MAX: usize = 500;

// Stacks
/// Containers of one service.
pub const STACK_REPLICAS_MAX: u32 = 1_000;
/// Services that are worked on at once.
pub const STACK_SERVICES_AT_ONCE: usize = 8;
pub const STACK_UP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
pub const STACK_DOWN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
pub const STACK_TIMEOUT_MAX: Duration = Duration::from_secs(4 * 3_600);
/// How often a container that is waited for is looked at.
pub const STACK_LOOK_EVERY: Duration = Duration::from_millis(250);
/// Last lines of a container that a failure shows.
pub const STACK_FAILURE_LOG_LINES: u32 = 5;
/// Lines of all containers together that one call gives.
pub const STACK_LOG_LINES_MAX: usize = 50_000;
/// Steps that a reader has not taken yet.
pub const STACK_EVENTS_WAITING_MAX: usize = 1_024;
/// Files together that are put into a container at once.
pub const DOCKER_PUT_BYTES_MAX: usize = 16 << 20;

// Swarms
/// What a swarm takes as one secret, and as one config.
pub const SWARM_SECRET_BYTES_MAX: usize = 500 * 1024 - 1;
pub const SWARM_CONFIG_BYTES_MAX: usize = 1_000 * 1024 - 1;
/// Of the name of a secret or a config.
pub const SWARM_NAME_BYTES_MAX: usize = 64;
/// How often a change of a service is tried anew that somebody else changed meanwhile.
pub const SWARM_UPDATE_TRIES_MAX: u32 = 5;
/// How long the tasks of a service must go on running before they count as up, where the files do not say it.
pub const SWARM_STEADY_FOR: Duration = Duration::from_secs(5);
/// Tasks that may fail one after the other in one place before the service is given up.
pub const SWARM_TASK_FAILURES_MAX: usize = 5;
/// A registry is asked what the name of an image stands for.
pub const SWARM_DIGEST_TIMEOUT: Duration = Duration::from_secs(10);
