//! Every bound in Aegis, each with its unit last in its name. A part that needs a new bound adds it here.

mod egress;
mod nfs;
mod primitives;
mod stacks;

use std::time::Duration;

pub use egress::*;
pub use nfs::*;
pub use primitives::*;
pub use stacks::*;

// Names
/// Longer names are nobody's slip of the fingers, and nothing like them is looked for.
pub const SUGGEST_NAME_BYTES_MAX: usize = 128;

// The process
/// That the daemon may have open, where its hard bound allows so many; programs that it starts may have as many.
pub const OPEN_FILES_WANTED: u64 = 65_536;

// Scripts
pub const SCRIPT_SOURCE_BYTES_MAX: usize = 256 * 1024;
pub const SCRIPT_FILES_MAX: usize = 10_000;
pub const SCRIPT_REQUIRES_MAX: usize = 64;
pub const JOB_NAME_BYTES_MAX: usize = 100;
pub const JOB_PARAMS_MAX: usize = 64;
pub const PARAM_NAME_BYTES_MAX: usize = 64;
pub const JOB_SCHEDULES_MAX: usize = 32;
/// Of a parameter's pattern, once compiled.
pub const PARAM_PATTERN_COMPILED_BYTES_MAX: usize = 64 * 1024;
/// Running a file's body to learn its job table may take this long.
pub const LOAD_CPU_MAX: Duration = Duration::from_millis(250);
pub const LOAD_MEMORY_BYTES_MAX: usize = 32 << 20;

// Schedules
pub const SCHEDULE_INTERVAL_MIN: Duration = Duration::from_secs(1);
pub const SCHEDULE_INTERVAL_MAX: Duration = Duration::from_secs(3_660 * 86_400);
/// A window of a calendar.
pub const CALENDAR_WINDOW_MAX: Duration = Duration::from_secs(366 * 86_400);
pub const CALENDAR_NAME_BYTES_MAX: usize = 64;

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
/// Priorities go from minus this to this.
pub const RUN_PRIORITY_MAX: i32 = 1_000;
pub const RUN_QUEUE_MAX: usize = 100_000;
/// Of the parameters of all runs that are queued or running.
pub const RUN_QUEUE_BYTES_MAX: usize = 256 << 20;
/// A durable run that waits for longer than this gives its VM back.
pub const RUN_HOLD: Duration = Duration::from_secs(2);
/// Parked runs that are woken by one commit.
pub const RUN_WAKE_MAX: usize = 500;
/// Undoing what a run did may take this long in all.
pub const RUN_UNWIND_MAX: Duration = Duration::from_secs(3_600);
pub const RUN_DURABLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
pub const RUN_DURABLE_TIMEOUT_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Tokens that a daemon remembers, where no other one can change them.
pub const STORE_TOKENS_KNOWN_MAX: usize = 256;
/// VMs that a lane keeps for the next runs.
pub const VM_SPARES_MAX: usize = 32;
/// Runs that a VM has before it is thrown away.
pub const VM_RUNS_MAX: u32 = 1_000;
/// A lane that is given nothing for this long keeps no VMs.
pub const VM_SPARES_KEPT: Duration = Duration::from_secs(10);
/// Runs that a lane holds as live VMs at once.
pub const LANE_RUNS_MAX: usize = 256;
pub const LANES_MAX: usize = 64;
pub const VALUE_DEPTH_MAX: usize = 64;
/// What the arguments of a run's calls take that are under way at once, the largest body of a request among them.
pub const CALL_ARGUMENTS_BYTES_MAX: usize = 96 << 20;
/// Entries in the journal of one durable run.
pub const RUN_STEPS_MAX: usize = 10_000;
/// What they come to, results included.
pub const RUN_JOURNAL_BYTES_MAX: usize = 64 << 20;
/// What one step returns, as JSON.
pub const STEP_RESULT_BYTES_MAX: usize = 1 << 20;
/// Names of steps, events, approvals and artifacts.
pub const STEP_NAME_BYTES_MAX: usize = 200;
/// The script's calls around the place where it parted from its journal that are shown.
pub const STEPS_SHOWN_MAX: usize = 20;
pub const STEP_RETRIES_MAX: i64 = 1_000;
pub const STEP_BACKOFF_DEFAULT: Duration = Duration::from_secs(1);
pub const STEP_BACKOFF_MAX: Duration = Duration::from_secs(300);
/// What an approval shows to whoever decides, and what an event carries, as JSON.
pub const STEP_SHOWN_BYTES_MAX: usize = 64 * 1024;
/// Entries of one list or map that a script passes to a primitive.
pub const LIST_ITEMS_MAX: usize = 100_000;

/// Steps that one pattern match may take without a place to stop: text length times the longest set in the pattern.
pub const PATTERN_STEPS_MAX: usize = 128 << 20;
/// Input of one call of a function that computes on the lane: hashes, encodings, JSON.
pub const CODEC_INPUT_BYTES_MAX: usize = 16 << 20;
/// YAML, TOML, texts that are compared or searched; and the values that a document may hold once aliases are unfolded.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
pub const DOCUMENT_VALUES_MAX: usize = 100_000;
pub const CSV_CELLS_MAX: usize = 100_000;
pub const TEMPLATE_BYTES_MAX: usize = 256 * 1024;
/// Words and signs between one pair of braces, and `elif`s of all: a template is read as deep as there are of either.
pub const TEMPLATE_TAG_TOKENS_MAX: usize = 512;
pub const TEMPLATE_ELIFS_MAX: usize = 64;
/// Instructions of a template; 64 bytes that it makes count as one.
pub const TEMPLATE_FUEL_MAX: u64 = 200_000;
pub const REGEX_PATTERN_BYTES_MAX: usize = 4 * 1024;
/// Of a compiled pattern: where one begins to be tried, and what it may have at most.
pub const REGEX_PROGRAM_BYTES_MIN: usize = 1024;
pub const REGEX_PROGRAM_BYTES_MAX: usize = 256 * 1024;
/// Of one search: states of the pattern times bytes of the text.
pub const REGEX_STEPS_MAX: usize = 64 << 20;
pub const REGEX_MATCHES_MAX: usize = 10_000;
/// How long a call that computes on the lane may go on where it can be stopped.
pub const CODEC_TIME_MAX: Duration = Duration::from_millis(250);
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
/// Of each text of an audit record, and of its particulars as JSON.
pub const AUDIT_TEXT_BYTES_MAX: usize = 512;
pub const AUDIT_DATA_BYTES_MAX: usize = 4 * 1024;

// Store
pub const STORE_BATCH_COMMANDS_MAX: usize = 512;
pub const STORE_QUEUE_COMMANDS_MAX: usize = 8_192;
pub const STORE_READERS_MAX: u32 = 4;
pub const STORE_PAGE_ROWS_DEFAULT: usize = 50;
pub const STORE_PAGE_ROWS_MAX: usize = 1_000;
/// A batch ends early when its values come to this much, so that no transaction holds the disk for long.
pub const STORE_BATCH_BYTES_MAX: usize = 8 << 20;
/// How long a caller waits for a place in the writer's queue.
pub const STORE_SEND_WAIT: Duration = Duration::from_secs(5);
/// How long SQLite waits for another process's lock, and how many such waits a batch is given.
pub const STORE_BUSY_WAIT: Duration = Duration::from_secs(2);
pub const STORE_WRITE_TRIES_MAX: u32 = 4;
pub const STORE_CONNECT_WAIT: Duration = Duration::from_secs(5);
/// A server that has not answered a transaction or a read within this is taken for gone.
pub const STORE_ANSWER_WAIT: Duration = Duration::from_secs(20);
pub const STORE_RECONNECT_BACKOFF_MAX: Duration = Duration::from_secs(5);
pub const STORE_WAL_BYTES_MAX: usize = 64 << 20;
/// Retention removes at most this many rows in one statement.
pub const STORE_PRUNE_ROWS_MAX: usize = 500;
pub const STORE_TAIL_PAGE_ROWS: usize = 500;
/// A concurrency key with its parameters filled in; of a longer one the beginning and a hash are kept.
pub const CONCURRENCY_KEY_BYTES_MAX: usize = 512;
pub const STORE_RECENT_RUNS_MAX: usize = 20;
/// Runs that are looked through for those that a caller may see: of one stored page, and of one answer.
pub const RUNS_LOOKED_THROUGH_AT_ONCE: usize = 200;
pub const RUNS_LOOKED_THROUGH_MAX: usize = 4_000;
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// What a run keeps for people: each, and how many.
pub const ARTIFACT_BYTES_MAX: usize = 4 << 20;
pub const ARTIFACTS_PER_RUN_MAX: usize = 64;
pub const ARTIFACT_NAME_BYTES_MAX: usize = 255;
/// Artifacts that retention removes in one statement: they are large.
pub const STORE_PRUNE_ARTIFACTS_MAX: usize = 16;
/// Runs that a commit names to the other daemons; of more they are told that there were more.
pub const STORE_NOTIFY_RUNS_MAX: usize = 64;
/// A command says that it waits when the daemon has not answered for so long.
pub const CLI_SILENT_MAX: Duration = Duration::from_secs(10);
/// A daemon that shares its database and gave no sign for this long has lost its runs to the others.
pub const LEASE: Duration = Duration::from_secs(12);
pub const LEASE_RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often a daemon with nothing to do looks for runs that wait on others.
pub const LEASE_STEAL_EVERY: Duration = Duration::from_millis(500);
pub const LEASE_ORPHANS_MAX: usize = 200;
/// A leader whose session was silent for so long stands still, and is put out of office.
pub const LEADER_SILENT_MAX: Duration = Duration::from_secs(12);
pub const LEADER_CHECK_EVERY: Duration = Duration::from_secs(2);
/// A backup moves so many rows at a time, and about so many bytes.
pub const BACKUP_PAGE_ROWS_MAX: usize = 500;
pub const BACKUP_PAGE_BYTES: usize = 4 << 20;
pub const KV_KEY_BYTES_MAX: usize = 512;
pub const KV_VALUE_BYTES_MAX: usize = 256 * 1024;
/// What one scope of the key-value store holds: no job may fill the disk, which would stop all others.
pub const KV_SCOPE_KEYS_MAX: usize = 10_000;
pub const KV_SCOPE_BYTES_MAX: usize = 64 << 20;

// Metrics, alerts and checks
pub const METRIC_NAME_BYTES_MAX: usize = 100;
pub const METRIC_LABELS_MAX: usize = 10;
/// Of a label's value.
pub const METRIC_LABEL_BYTES_MAX: usize = 256;
/// Series that are kept in all, and of one name.
pub const METRIC_SERIES_MAX: usize = 10_000;
pub const METRIC_SERIES_PER_NAME_MAX: usize = 1_000;
/// Points of one series that a query answers with, and series.
pub const METRIC_POINTS_MAX: usize = 10_000;
pub const METRIC_SERIES_ANSWERED_MAX: usize = 100;
/// A metric whose last sample is older than this is not shown to scrapers.
pub const METRIC_EXPOSED_AGE_MAX: Duration = Duration::from_secs(300);
pub const METRIC_EXPOSED_SERIES_MAX: usize = 5_000;
pub const METRIC_RETENTION_MIN: Duration = Duration::from_secs(3_600);
pub const ALERT_RULES_MAX: usize = 256;
/// For `for`, `clear_for`, `window` and `stale` of a rule: samples as they are must be kept for longer.
pub const ALERT_HOLD_MAX: Duration = Duration::from_secs(86_400);
pub const ALERT_WINDOW_MIN: Duration = Duration::from_secs(10);
/// Samples of one series that are held for a rule on their growth.
pub const ALERT_WINDOW_SAMPLES_MAX: usize = 2_048;
pub const ALERT_STALE_DEFAULT: Duration = Duration::from_secs(300);
/// An alert of absence is over after this: what was removed for good does not come back.
pub const ALERT_ABSENT_FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);
/// Alerts that pend or fire at once; reports beyond it are refused.
pub const ALERTS_LIVE_MAX: usize = 5_000;
pub const ALERT_NAME_BYTES_MAX: usize = 200;
pub const ALERT_TEXT_BYTES_MAX: usize = 4 * 1024;
/// A report that is not repeated within this is over, unless it says otherwise.
pub const ALERT_REPORT_TTL_DEFAULT: Duration = Duration::from_secs(3_600);
pub const ALERT_REPORT_TTL_MAX: Duration = Duration::from_secs(30 * 86_400);
pub const ALERT_GROUP_WAIT_DEFAULT: Duration = Duration::from_secs(10);
pub const ALERT_GROUP_INTERVAL_DEFAULT: Duration = Duration::from_secs(300);
pub const ALERT_REPEAT_INTERVAL_DEFAULT: Duration = Duration::from_secs(4 * 3_600);
/// Alerts that one notification names one by one.
pub const ALERT_NOTICE_LINES_MAX: usize = 20;
/// After a notification that reached nobody.
pub const ALERT_NOTICE_RETRY: Duration = Duration::from_secs(60);
pub const SILENCE_MAX: Duration = Duration::from_secs(366 * 86_400);
pub const SILENCES_MAX: usize = 1_000;
/// How often the watch writes down what it has seen, and looks for what others wrote.
pub const WATCH_MARK_EVERY: Duration = Duration::from_secs(60);
pub const WATCH_POLL_EVERY: Duration = Duration::from_secs(2);
/// Samples that are on their way to the store for so long still count before what their time decides.
pub const WATCH_LAG: Duration = Duration::from_secs(1);
pub const WATCH_SAMPLES_AT_ONCE: usize = 2_000;
pub const CHECKS_MAX: usize = 1_000;
pub const CHECKS_AT_ONCE_MAX: usize = 32;
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(5);
pub const CHECK_INTERVAL_DEFAULT: Duration = Duration::from_secs(30);
pub const CHECK_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// A certificate that is valid for less is as good as expired.
pub const CHECK_TLS_DAYS_DEFAULT: u32 = 14;
pub const CHECK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
pub const CHECK_STREAK_MAX: u32 = 100;
/// Of an answer that is looked through for a text.
pub const CHECK_BODY_BYTES_MAX: usize = 1 << 20;

// Doors
pub const API_BODY_BYTES_MAX: usize = 1 << 20;
/// Of an event's name and of its key.
pub const SIGNAL_NAME_BYTES_MAX: usize = 256;
/// What somebody says to a decision.
pub const DECISION_COMMENT_BYTES_MAX: usize = 4 * 1024;
pub const API_STREAMS_MAX: usize = 256;
pub const API_CONNECTIONS_MAX: usize = 1_024;
pub const API_HEADER_BYTES_MAX: usize = 64 * 1024;
pub const API_HEADERS_MAX: usize = 100;
/// After a connection could not be accepted.
pub const API_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// From the first byte of a request's head to its last; also how long an idle connection is kept.
pub const API_HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests may take to end when the daemon stops.
pub const API_DRAIN: Duration = Duration::from_secs(2);
/// From a request's head to the head of its answer.
pub const API_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request may wait for the run that it starts. Less than the request may take.
pub const API_WAIT_MAX: Duration = Duration::from_secs(50);
/// A client that takes nothing of an answer for this long has gone.
pub const API_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
pub const API_STREAM_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Changes within this time are told to a page as one.
pub const API_LIVE_PAUSE: Duration = Duration::from_millis(250);
pub const API_CONTAINERS_REFRESH: Duration = Duration::from_secs(5);
/// An inventory of containers is shown again for so long without asking Docker.
pub const CONTAINERS_FRESH: Duration = Duration::from_secs(2);
/// Refused credentials of one address within the window, after which it has to wait.
pub const AUTH_FAILURES_MAX: u32 = 10;
pub const AUTH_FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// Addresses whose failures are remembered at once.
pub const AUTH_PEERS_MAX: usize = 4_096;
/// The last use of a token is noted this often, so that reading does not become writing.
pub const TOKEN_USE_NOTED_EVERY: Duration = Duration::from_secs(60);
pub const TOKEN_NAME_BYTES_MAX: usize = 64;
pub const HEALTH_PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// A reading is told again for so long: anybody may ask.
pub const HEALTH_FRESH: Duration = Duration::from_secs(1);
pub const HEALTH_PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Lines of a run's log that its page begins with.
pub const PAGE_LOG_LINES_MAX: usize = 500;
/// Steps of a run that its page shows, the latest, and of how long a value.
pub const PAGE_STEPS_MAX: usize = 500;
pub const PAGE_STEP_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Lines on either side beyond which the page shows no difference of two versions.
pub const PAGE_DIFF_LINES_MAX: usize = 4_000;
pub const ADMIN_FRAME_BYTES_MAX: usize = 1 << 20;
pub const ADMIN_SESSIONS_MAX: usize = 32;
pub const ADMIN_CONNECTIONS_MAX: usize = 128;
pub const ADMIN_HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests on the admin socket may take to end when the daemon stops.
pub const ADMIN_DRAIN: Duration = Duration::from_secs(2);
/// A console that nobody types into gives its VM back.
pub const CONSOLE_IDLE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Between two looks of `aegis audit tail -f` at a log that stands still.
pub const AUDIT_POLL: Duration = Duration::from_millis(500);
/// One answer of the daemon, held by the command line.
pub const CLI_ANSWER_BYTES_MAX: usize = 64 << 20;
pub const CONSOLE_HISTORY_LINES_MAX: usize = 10_000;
pub const CONSOLE_LINE_TIMEOUT: Duration = Duration::from_secs(3_600);
pub const LOGIN_LINK_LIFETIME: Duration = Duration::from_secs(15 * 60);
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

// Reload and shutdown
pub const RELOAD_DEBOUNCE: Duration = Duration::from_millis(40);
/// However busy the folder is, it is looked at after this.
pub const RELOAD_DEBOUNCE_MAX: Duration = Duration::from_millis(400);
/// A file written more recently than this may be written again without a change of its stamp.
pub const RELOAD_STAMP_SETTLES: Duration = Duration::from_millis(20);
pub const RELOAD_TOUCHED_PATHS_MAX: usize = 4_096;
pub const RELOAD_REQUESTS_MAX: usize = 64;
pub const RELOAD_SAVES_IN_FLIGHT_MAX: usize = 256;
pub const RELOAD_FAULTS_TOLD_MAX: usize = 10;
/// How often the scripts folder is looked at though nothing was heard of it.
pub const RESCAN_WATCHED: Duration = Duration::from_secs(5);
pub const RESCAN_UNWATCHED: Duration = Duration::from_secs(1);
pub const SCRIPT_FOLDERS_DEPTH_MAX: usize = 8;
pub const SHUTDOWN_GRACE_DEFAULT: Duration = Duration::from_secs(20);
pub const SHUTDOWN_GRACE_MAX: Duration = Duration::from_secs(3_600);
/// How long a part may take to stop; the runner has its grace and this margin, the store is given more.
pub const SHUTDOWN_PART_WAIT: Duration = Duration::from_secs(5);
pub const SHUTDOWN_RUNNER_MARGIN: Duration = Duration::from_secs(10);
pub const SHUTDOWN_STORE_WAIT: Duration = Duration::from_secs(10);

// Configuration
pub const POLICY_RULES_MAX: usize = 1_000;
pub const CONFIG_FILE_BYTES_MAX: u64 = 1 << 20;
/// Less history than this and runs would vanish while someone looks at them.
pub const RETENTION_MIN: Duration = Duration::from_secs(3_600);

// The schedule loop
/// A due time that is late by no more than this fires as if on time.
pub const SCHEDULE_GRACE: Duration = Duration::from_secs(10);
/// Missed due times of one schedule that `catch_up = "all"` fires.
pub const SCHEDULE_CATCH_UP_MAX: usize = 100;
/// Missed due times of one schedule that get a row each after an absence: the newest.
pub const SCHEDULE_MISSED_ROWS_MAX: usize = 1_000;
/// Missed due times are looked for this far back.
pub const SCHEDULE_LOOK_BACK_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Due times of one job that a simulation plays through.
pub const SCHEDULE_SIMULATED_MAX: usize = 50_000;
/// Due times on their way to their rows at once.
pub const SCHEDULE_FIRING_MAX: usize = 1_024;
/// How often it is written down up to when due times are settled.
pub const SCHEDULE_MARK_EVERY: Duration = Duration::from_secs(60);
/// How long a stop waits for the last of these marks.
pub const SCHEDULE_MARK_WAIT: Duration = Duration::from_secs(2);
