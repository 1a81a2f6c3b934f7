//! Every bound in Aegis, each with its unit last in its name. A part that needs a new bound adds it here.

use std::time::Duration;

// Scripts
pub const SCRIPT_SOURCE_BYTES_MAX: usize = 256 * 1024;
pub const SCRIPT_FILES_MAX: usize = 10_000;
pub const SCRIPT_REQUIRES_MAX: usize = 64;
pub const JOB_NAME_BYTES_MAX: usize = 100;
pub const JOB_PARAMS_MAX: usize = 64;
pub const JOB_SCHEDULES_MAX: usize = 32;
/// Running a file's body to learn its job table may take this long.
pub const LOAD_CPU_MAX: Duration = Duration::from_millis(250);
pub const LOAD_MEMORY_BYTES_MAX: usize = 32 << 20;

// Runs
pub const RUN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
pub const RUN_TIMEOUT_MAX: Duration = Duration::from_secs(7 * 86_400);
pub const RUN_CPU_DEFAULT: Duration = Duration::from_secs(60);
pub const RUN_MEMORY_BYTES_DEFAULT: usize = 64 << 20;
/// Luau has no emergency collection: below this, scripts run out of memory they are not using.
pub const RUN_MEMORY_BYTES_MIN: usize = 32 << 20;
pub const RUN_MEMORY_BYTES_MAX: usize = 2 << 30;
/// A script that computes for this long without waiting is made to take turns.
pub const RUN_SLICE: Duration = Duration::from_millis(5);
pub const RUN_PARAMS_BYTES_MAX: usize = 256 * 1024;
pub const RUN_RESULT_BYTES_MAX: usize = 1 << 20;
pub const RUN_ATTEMPTS_MAX: u32 = 100;
pub const RUN_QUEUE_MAX: usize = 100_000;
/// Runs that a lane holds as live VMs at once.
pub const LANE_RUNS_MAX: usize = 256;
pub const LANES_MAX: usize = 64;
pub const VALUE_DEPTH_MAX: usize = 64;

// Logs and events
pub const LOG_LINE_BYTES_MAX: usize = 16 * 1024;
pub const LOG_LINES_PER_RUN_MAX: u64 = 100_000;
pub const LOG_BYTES_PER_RUN_MAX: usize = 16 << 20;
pub const LOG_BUFFER_LINES_MAX: usize = 4_096;
pub const EVENT_DATA_BYTES_MAX: usize = 64 * 1024;

// Store
pub const STORE_BATCH_COMMANDS_MAX: usize = 512;
pub const STORE_QUEUE_COMMANDS_MAX: usize = 8_192;
pub const STORE_READERS_MAX: u32 = 4;
pub const STORE_PAGE_ROWS_DEFAULT: usize = 50;
pub const STORE_PAGE_ROWS_MAX: usize = 1_000;
pub const KV_KEY_BYTES_MAX: usize = 512;
pub const KV_VALUE_BYTES_MAX: usize = 256 * 1024;

// Outgoing calls
pub const HTTP_BODY_BYTES_DEFAULT: usize = 8 << 20;
pub const HTTP_BODY_BYTES_MAX: usize = 64 << 20;
pub const HTTP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
pub const HTTP_REDIRECTS_MAX: usize = 10;
pub const DOCKER_CALL_TIMEOUT: Duration = Duration::from_secs(30);
pub const DOCKER_PULL_TIMEOUT: Duration = Duration::from_secs(1_800);
pub const DOCKER_LOG_BYTES_MAX: usize = 8 << 20;
pub const DOCKER_EXEC_OUTPUT_BYTES_MAX: usize = 8 << 20;
pub const HTTP_HEADERS_MAX: usize = 128;
pub const HTTP_RETRIES_MAX: u32 = 10;
pub const HTTP_RETRY_DELAY_MAX: Duration = Duration::from_secs(60);
pub const HTTP_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connection pools that are kept at once, one for each set of grants in use.
pub const HTTP_POOLS_MAX: usize = 64;
pub const DOCKER_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub const DOCKER_HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
pub const DOCKER_EXEC_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
pub const DOCKER_WAIT_TIMEOUT_MAX: Duration = Duration::from_secs(7 * 86_400);
pub const DOCKER_STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
pub const DOCKER_STOP_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// One answer of the engine's API, a list of a busy host included.
pub const DOCKER_ANSWER_BYTES_MAX: usize = 64 << 20;
pub const DOCKER_LOG_LINES_DEFAULT: u32 = 1_000;
pub const DOCKER_CALLS_AT_ONCE_MAX: usize = 8;
/// Containers whose last CPU reading is remembered.
pub const DOCKER_STATS_SAMPLES_MAX: usize = 4_096;
/// Between the two readings that a first CPU percentage needs.
pub const DOCKER_STATS_INTERVAL: Duration = Duration::from_millis(250);
pub const DOCKER_STATS_SAMPLE_AGE_MAX: Duration = Duration::from_secs(120);
pub const DOCKER_STREAM_RETRY_DELAY_MAX: Duration = Duration::from_secs(10);
pub const DOCKER_EVENT_BYTES_MAX: usize = 256 * 1024;
pub const DOCKER_OPTION_ITEMS_MAX: usize = 1_024;
pub const DOCKER_ENV_FILE_BYTES_MAX: u64 = 1 << 20;
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(15);
pub const NOTIFY_ATTEMPTS_MAX: u32 = 4;
pub const NOTIFY_RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
pub const NOTIFY_DESTINATIONS_MAX: usize = 32;
pub const NOTIFY_FIELDS_MAX: usize = 25;
pub const NOTIFY_TEXT_BYTES_MAX: usize = 16 * 1024;
pub const BLOCKING_CALLS_PER_RUN_MAX: usize = 64;

// Doors
pub const API_BODY_BYTES_MAX: usize = 1 << 20;
pub const API_STREAMS_MAX: usize = 256;
pub const ADMIN_FRAME_BYTES_MAX: usize = 1 << 20;
pub const ADMIN_SESSIONS_MAX: usize = 32;
pub const CONSOLE_LINE_TIMEOUT: Duration = Duration::from_secs(3_600);
pub const LOGIN_LINK_LIFETIME: Duration = Duration::from_secs(15 * 60);
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

// Reload and shutdown
pub const RELOAD_DEBOUNCE: Duration = Duration::from_millis(40);
pub const SHUTDOWN_GRACE_DEFAULT: Duration = Duration::from_secs(20);
