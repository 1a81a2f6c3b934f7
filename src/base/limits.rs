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
/// Computing without a chance to take turns (in a comparison of a sort, a callback of gsub, a metamethod) ends the run
/// after this long, because its lane stands still meanwhile.
pub const RUN_UNSLICED_MAX: Duration = Duration::from_secs(5);
pub const RUN_PARAMS_BYTES_MAX: usize = 256 * 1024;
pub const RUN_RESULT_BYTES_MAX: usize = 1 << 20;
pub const RUN_ATTEMPTS_MAX: u32 = 100;
pub const RUN_QUEUE_MAX: usize = 100_000;
/// Runs that a lane holds as live VMs at once.
pub const LANE_RUNS_MAX: usize = 256;
pub const LANES_MAX: usize = 64;
pub const VALUE_DEPTH_MAX: usize = 64;
/// Entries of one list or map that a script passes to a primitive.
pub const LIST_ITEMS_MAX: usize = 100_000;

/// Steps that one pattern match may take without a place to stop: text length times the longest set in the pattern.
pub const PATTERN_STEPS_MAX: usize = 128 << 20;
/// Input of one call of a function that computes on the lane: hashes, encodings, JSON.
pub const CODEC_INPUT_BYTES_MAX: usize = 16 << 20;
/// One file of Lua tests.
pub const TEST_FILE_TIMEOUT: Duration = Duration::from_secs(30);
pub const ERROR_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Lines and bytes of one console input.
pub const CONSOLE_INPUT_BYTES_MAX: usize = 64 * 1024;

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
