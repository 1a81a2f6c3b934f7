//! Bounds of what scripts can touch.

use std::time::Duration;

// Outgoing calls
pub const HTTP_BODY_BYTES_DEFAULT: usize = 8 << 20;
pub const HTTP_BODY_BYTES_MAX: usize = 64 << 20;
/// All large bodies that are being received; a small one needs no room of its own.
pub const HTTP_BODIES_BYTES_MAX: usize = 256 << 20;
pub const HTTP_BODY_SMALL_BYTES: usize = 1 << 20;
pub const HTTP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
pub const HTTP_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// Resolving the name, opening the connection and agreeing on TLS together.
pub const HTTP_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub const HTTP_REDIRECTS_MAX: usize = 10;
pub const HTTP_ATTEMPTS_MAX: u32 = 10;
pub const HTTP_URL_BYTES_MAX: usize = 16 * 1024;
pub const HTTP_HEADERS_MAX: usize = 128;
pub const HTTP_HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
pub const HTTP_REQUESTS_AT_ONCE_MAX: usize = 256;
/// The daemon's own beside those of scripts: notifications, checks, secrets.
pub const HTTP_OWN_REQUESTS_AT_ONCE_MAX: usize = 64;
/// Of them to one host, where the configuration says nothing else.
pub const HTTP_REQUESTS_PER_HOST_MAX: usize = 128;
/// Hosts that are remembered though nothing is asked of them at the moment.
pub const HTTP_HOSTS_KEPT: usize = 1_024;
/// Requests a second to one host, as the configuration may have them.
pub const HTTP_RATE_MIN: f64 = 0.001;
pub const HTTP_RATE_MAX: f64 = 10_000.0;
/// Of an answer that goes into a file.
pub const HTTP_FILE_BYTES_DEFAULT: u64 = 1 << 30;
pub const HTTP_FILE_BYTES_MAX: u64 = 1 << 40;
/// Progress is told about this often.
pub const HTTP_PROGRESS_BYTES: u64 = 1 << 20;
/// A stream, and an answer that goes into a file.
pub const HTTP_STREAM_TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
pub const HTTP_STREAM_IDLE_DEFAULT: Duration = Duration::from_secs(60);
pub const HTTP_STREAMS_OPEN_MAX: usize = 16;
/// That a script is handed at once.
pub const HTTP_STREAM_PIECES: usize = 256;
pub const HTTP_LINE_BYTES_MAX: usize = 1 << 20;
/// Different sets of rights whose connections are kept apart; the one that was not used for longest goes first.
pub const HTTP_POLICIES_MAX: usize = 64;
pub const HTTP_IDLE_CONNECTIONS_PER_HOST_MAX: usize = 8;
/// A JSON answer of at most this size is decoded into the response's `data` at once.
pub const HTTP_JSON_FIELD_BYTES_MAX: usize = 1 << 20;
pub const HTTP_IDLE_CONNECTION_MAX: Duration = Duration::from_secs(60);
pub const NOTIFY_ROUTES_MAX: usize = 256;
pub const NOTIFY_DESTINATIONS_PER_ROUTE_MAX: usize = 16;
pub const NOTIFY_ATTEMPTS: u32 = 4;
pub const NOTIFY_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
pub const NOTIFY_BACKOFF: Duration = Duration::from_millis(500);
/// A receiver that asks for more patience than this gets no further attempt.
pub const NOTIFY_BACKOFF_MAX: Duration = Duration::from_secs(30);
pub const NOTIFY_MESSAGE_BYTES_MAX: usize = 64 * 1024;
pub const NOTIFY_FIELDS_MAX: usize = 64;
pub const NOTIFY_KEY_BYTES_MAX: usize = 256;
/// In which messages of one key become one.
pub const NOTIFY_GROUP_MAX: Duration = Duration::from_secs(3_600);
pub const NOTIFY_RATE_MESSAGES: u32 = 20;
pub const NOTIFY_RATE_PER: Duration = Duration::from_secs(60);
pub const NOTIFY_RATE_PER_MAX: Duration = Duration::from_secs(86_400);
pub const NOTIFY_MAIL_RECIPIENTS_MAX: usize = 50;
/// Messages that wait for their receivers.
pub const OUTBOX_PARCELS_MAX: u64 = 100_000;
/// Given up, and kept for people to see: the newest.
pub const OUTBOX_DEAD_KEPT: usize = 500;
pub const OUTBOX_AT_ONCE: usize = 500;
/// Lines of a message that stands for several.
pub const OUTBOX_SUMMARY_LINES_MAX: usize = 50;
pub const OUTBOX_BACKOFF: Duration = Duration::from_secs(5);
pub const OUTBOX_BACKOFF_MAX: Duration = Duration::from_secs(1_800);
/// A message that could not be delivered for so long is given up.
pub const OUTBOX_AGE_MAX: Duration = Duration::from_secs(86_400);
/// How often it is looked whether another daemon has brought something.
pub const OUTBOX_LOOK_EVERY: Duration = Duration::from_secs(5);
/// In which one slow destination may hold up the others.
pub const OUTBOX_ROUND: Duration = Duration::from_secs(15);
pub const OUTBOX_LAG: Duration = Duration::from_millis(50);
pub const NOTIFY_ANSWER_BYTES_MAX: usize = 64 * 1024;
pub const SQL_SOURCES_MAX: usize = 64;
pub const SQL_CONNECTIONS_DEFAULT: u32 = 10;
/// To one source.
pub const SQL_CONNECTIONS_MAX: u32 = 100;
pub const SQL_ACQUIRE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
pub const SQL_IDLE_CONNECTION_MAX: Duration = Duration::from_secs(600);
pub const SQL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
pub const SQL_STREAM_TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
pub const SQL_TRANSACTION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Of a statement, a stream or a transaction.
pub const SQL_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// The server ends what takes too long by itself; it is given this much longer before the connection is cut.
pub const SQL_TIMEOUT_GRACE: Duration = Duration::from_secs(1);
/// How long a connection may take to be put back to what it was.
pub const SQL_RESET_WAIT: Duration = Duration::from_secs(5);
pub const SQL_TEXT_BYTES_MAX: usize = 256 * 1024;
pub const SQL_PARAMS_MAX: usize = 32_000;
/// Rows that one call returns; a stream has no such bound.
pub const SQL_ROWS_DEFAULT: usize = 10_000;
pub const SQL_ROWS_MAX: usize = 100_000;
pub const SQL_RESULT_BYTES_MAX: usize = 32 << 20;
/// A stream's page ends at either.
pub const SQL_PAGE_ROWS: usize = 512;
pub const SQL_PAGE_BYTES: usize = 512 * 1024;
/// Transactions and streams that one run holds open.
pub const SQL_OPEN_MAX: usize = 16;
/// Statements that stay prepared on a connection.
pub const SQL_STATEMENTS_KEPT: usize = 64;
// Redis and what speaks its protocol
pub const REDIS_CONNECTIONS_DEFAULT: usize = 8;
pub const REDIS_CONNECTIONS_MAX: usize = 256;
pub const REDIS_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub const REDIS_IDLE_CONNECTION_MAX: Duration = Duration::from_secs(60);
pub const REDIS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
pub const REDIS_TIMEOUT_MAX: Duration = Duration::from_secs(600);
pub const REDIS_PIPELINE_COMMANDS_MAX: usize = 10_000;
pub const REDIS_REQUEST_BYTES_MAX: usize = 16 << 20;
/// All answers of one call, and the values that they hold.
pub const REDIS_REPLY_BYTES_MAX: usize = 16 << 20;
pub const REDIS_REPLY_VALUES_MAX: usize = 200_000;
/// Keys that one scan gives.
pub const REDIS_SCAN_KEYS_DEFAULT: i64 = 1_000;
pub const REDIS_SCAN_KEYS_MAX: i64 = 100_000;
pub const GRAPH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
pub const GRAPH_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// How much longer than its own time limit an answer is waited for.
pub const GRAPH_ANSWER_MARGIN: Duration = Duration::from_secs(2);
pub const GRAPH_NAME_BYTES_MAX: usize = 512;
/// A query with its parameters.
pub const GRAPH_QUERY_BYTES_MAX: usize = 8 << 20;
// Load balancers
pub const PROXY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
pub const PROXY_TIMEOUT_MAX: Duration = Duration::from_secs(60);
pub const PROXY_DRAIN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
pub const PROXY_DRAIN_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// Between two looks at a server that is to have no sessions left.
pub const PROXY_DRAIN_LOOKS: Duration = Duration::from_millis(200);
/// HAProxy takes 10 connections to its socket unless it is told otherwise, and others use it too.
pub const PROXY_CALLS_AT_ONCE_MAX: usize = 4;
pub const PROXY_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Of a backend, a server, a service, a header or a cookie.
pub const PROXY_NAME_BYTES_MAX: usize = 128;
/// HAProxy's own bound.
pub const PROXY_WEIGHT_MAX: u16 = 256;
pub const PROXY_SERVICE_WEIGHT_MAX: u16 = 1_000;
/// Services of a set, servers of a service, and routes.
pub const PROXY_SERVICES_MAX: usize = 64;
pub const PROXY_RULE_BYTES_MAX: usize = 4_096;
pub const PROXY_HEALTH_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// Sets in one folder, and the text of one.
pub const PROXY_FILES_MAX: usize = 1_000;
pub const PROXY_FILE_BYTES_MAX: u64 = 1 << 20;
// Language models
/// Of one attempt.
pub const LLM_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);
pub const LLM_TIMEOUT_MAX: Duration = Duration::from_secs(1_800);
pub const LLM_ATTEMPTS: u32 = 4;
pub const LLM_BACKOFF: Duration = Duration::from_secs(1);
/// A provider that asks for more patience than this gets no further attempt.
pub const LLM_BACKOFF_MAX: Duration = Duration::from_secs(60);
pub const LLM_MESSAGES_MAX: usize = 1_000;
pub const LLM_TOOLS_MAX: usize = 128;
pub const LLM_REQUEST_BYTES_MAX: usize = 8 << 20;
pub const LLM_ANSWER_BYTES_MAX: usize = 16 << 20;
pub const LLM_TOKENS_DEFAULT: i64 = 4_096;
pub const LLM_TEXTS_MAX: usize = 2_048;
/// Without a notification for so long, a server is asked whether it is there.
pub const SQL_LISTEN_QUIET_MAX: Duration = Duration::from_secs(30);
/// Entries of a job's `on`.
pub const JOB_TRIGGERS_MAX: usize = 32;
/// Runs that events may start for one job: at once, and then every minute.
pub const TRIGGER_BURST_MAX: u32 = 100;
pub const TRIGGER_RUNS_PER_MINUTE_MAX: u32 = 60;
/// Channels of PostgreSQL that are listened to.
pub const TRIGGER_CHANNELS_MAX: usize = 32;
/// Folders that are watched for files, and files of one trigger that are kept in view.
pub const TRIGGER_FOLDERS_MAX: usize = 32;
pub const TRIGGER_FILES_MAX: usize = 10_000;
/// For how long a file must stay as it is before it counts as whole.
pub const TRIGGER_FILE_SETTLE_DEFAULT: Duration = Duration::from_secs(2);
pub const TRIGGER_FILE_SETTLE_MIN: Duration = Duration::from_millis(100);
pub const TRIGGER_FILE_SETTLE_MAX: Duration = Duration::from_secs(3_600);
/// Between two looks at a folder: at least, while the system tells of changes, and while it cannot.
pub const TRIGGER_FILE_LOOKS_MIN: Duration = Duration::from_millis(100);
pub const TRIGGER_FILE_LOOKS_TOLD: Duration = Duration::from_secs(60);
pub const TRIGGER_FILE_LOOKS_UNTOLD: Duration = Duration::from_secs(2);
/// Body of a request to `/hooks`.
pub const HOOK_BODY_BYTES_MAX: usize = 256 * 1024;
/// How far the moment of a signed request may be from now.
pub const HOOK_WINDOW: Duration = Duration::from_secs(300);
pub const HOOK_ID_BYTES_MAX: usize = 200;
/// How far back a daemon that starts looks for events. Engines remember 256 of them.
pub const TRIGGER_LOOK_BACK: Duration = Duration::from_secs(600);
/// The latest events, by which a repetition is known.
pub const TRIGGER_EVENTS_SEEN_MAX: usize = 512;
pub const DOCKER_CALL_TIMEOUT: Duration = Duration::from_secs(30);
pub const DOCKER_PULL_TIMEOUT: Duration = Duration::from_secs(1_800);
pub const DOCKER_LOG_BYTES_MAX: usize = 8 << 20;
pub const DOCKER_EXEC_OUTPUT_BYTES_MAX: usize = 8 << 20;
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
/// Containers whose use is asked for at once: they all wait for the engine's next reading.
pub const DOCKER_STATS_AT_ONCE_MAX: usize = 128;
/// Containers whose last CPU reading is remembered.
pub const DOCKER_STATS_SAMPLES_MAX: usize = 4_096;
/// Between the two readings that a first CPU percentage needs.
pub const DOCKER_STATS_INTERVAL: Duration = Duration::from_millis(250);
pub const DOCKER_STATS_SAMPLE_AGE_MAX: Duration = Duration::from_secs(120);
pub const DOCKER_STREAM_RETRY_DELAY_MAX: Duration = Duration::from_secs(10);
/// Events that one call collects.
pub const DOCKER_EVENTS_MAX: usize = 1_000;
pub const DOCKER_EVENT_BYTES_MAX: usize = 256 * 1024;
/// How long a collection of events goes on after the latest one.
pub const DOCKER_EVENT_BURST: Duration = Duration::from_millis(100);
pub const DOCKER_OPTION_ITEMS_MAX: usize = 1_024;
pub const DOCKER_ENV_FILE_BYTES_MAX: u64 = 1 << 20;
pub const DOCKER_BUILD_TIMEOUT: Duration = Duration::from_secs(1_800);
/// All that a build is sent.
pub const DOCKER_BUILD_CONTEXT_BYTES_MAX: u64 = 2 << 30;
/// Last lines that a diagnosis shows.
pub const DOCKER_DIAGNOSIS_LOG_LINES: u32 = 20;
/// Containers, and images, that one audit looks at.
pub const DOCKER_AUDIT_OBJECTS_MAX: usize = 1_000;
/// Commands that are executed in one container, and that an audit looks at.
pub const DOCKER_AUDIT_EXECUTIONS_MAX: usize = 32;

// Files
/// Calls that work on the disk at once; more wait their turn.
pub const FS_CALLS_AT_ONCE_MAX: usize = 16;
pub const FS_PATH_BYTES_MAX: usize = 4_096;
pub const FS_NAME_BYTES_MAX: usize = 255;
/// Of one file that a script reads or writes whole.
pub const FS_READ_BYTES_MAX: u64 = 16 << 20;
/// Of one file that is copied or hashed in place.
pub const FS_COPY_BYTES_MAX: u64 = 1 << 40;
pub const FS_DEPTH_MAX: usize = 64;
pub const FS_LIST_DEFAULT: usize = 1_000;
pub const FS_LIST_MAX: usize = 10_000;
/// Entries that one list looks at, whether they are wanted or not.
pub const FS_ENTRIES_SEEN_MAX: usize = 1_000_000;

// Programs
/// That run at once; more wait their turn.
pub const PROCESSES_AT_ONCE_MAX: usize = 32;
pub const PROCESS_ARGUMENTS_MAX: usize = 1_024;
pub const PROCESS_ARGUMENTS_BYTES_MAX: usize = 128 * 1024;
pub const PROCESS_ENVIRONMENT_MAX: usize = 256;
pub const PROCESS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Between being asked to end and being ended.
pub const PROCESS_KILL_AFTER_DEFAULT: Duration = Duration::from_secs(5);
/// Of each stream that is kept in memory, its end.
pub const PROCESS_OUTPUT_BYTES_DEFAULT: usize = 256 * 1024;
pub const PROCESS_OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Of what one program prints into a file.
pub const PROCESS_FILE_BYTES_MAX: u64 = 1 << 40;
/// A line that is longer is told in pieces.
pub const PROCESS_LINE_BYTES_MAX: usize = 4 * 1024;
pub const PROCESS_PIECE_BYTES: usize = 16 * 1024;
/// How long output is waited for after the program has ended.
pub const PROCESS_DRAIN: Duration = Duration::from_secs(2);
/// How often a keeper looks for its daemon where the system does not tell.
pub const PROCESS_KEEPER_LOOKS: Duration = Duration::from_millis(200);
/// Between two attempts to end what a program has left behind, and how many there are.
pub const PROCESS_KEEPER_PAUSE: Duration = Duration::from_millis(2);
pub const PROCESS_KEEPER_STRIKES_MAX: usize = 2_500;

// The machine
/// The least time between two readings that tell a rate.
pub const HOST_SAMPLE_INTERVAL: Duration = Duration::from_millis(250);
/// A previous reading that is older tells nothing about now.
pub const HOST_SAMPLE_AGE_MAX: Duration = Duration::from_secs(600);
/// That a script can ask processor time over.
pub const HOST_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// How long one file system may take to tell how full it is.
pub const HOST_MOUNT_TIMEOUT: Duration = Duration::from_secs(2);
pub const HOST_MOUNTS_MAX: usize = 256;
pub const HOST_PROCESSES_DEFAULT: usize = 20;
pub const HOST_PROCESSES_MAX: usize = 500;
pub const HOST_PROCESSES_SEEN_MAX: usize = 100_000;
pub const HOST_COMMAND_CHARS_MAX: usize = 400;
pub const HOST_LISTENERS_MAX: usize = 2_000;
pub const HOST_DESCRIPTORS_SEEN_MAX: usize = 1_000_000;

// Pictures
/// Comparisons at once; more wait their turn.
pub const IMAGES_AT_ONCE_MAX: usize = 2;
pub const IMAGE_BYTES_MAX: usize = 16 << 20;
/// Of one picture, unpacked.
pub const IMAGE_PIXELS_MAX: usize = 16 << 20;

// Probes
/// Of a probe as a whole; of one echo when pinging.
pub const PROBE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
pub const PROBE_PING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(60);
pub const PROBE_PINGS_DEFAULT: usize = 3;
pub const PROBE_PINGS_MAX: usize = 20;
/// Between two echo requests.
pub const PROBE_PING_PAUSE: Duration = Duration::from_millis(200);
pub const PROBE_RECORDS_MAX: usize = 256;
/// Certificates of one chain that are looked at.
pub const PROBE_CHAIN_MAX: usize = 16;

// Secrets
pub const SECRET_NAME_BYTES_MAX: usize = 128;
pub const SECRET_VALUE_BYTES_MAX: usize = 64 * 1024;
/// That one source gives.
pub const SECRETS_MAX: usize = 512;
/// Of an environment file, a credential or the encrypted store.
pub const SECRET_FILE_BYTES_MAX: u64 = 8 << 20;
/// Values that were replaced and are masked nevertheless, until the daemon ends.
pub const SECRETS_RETIRED_MAX: usize = 512;
/// How often the sources are looked at though nobody asks for a secret.
pub const SECRETS_LOOK_EVERY: Duration = Duration::from_secs(5);
pub const OPENBAO_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
pub const OPENBAO_REFRESH_DEFAULT: Duration = Duration::from_secs(300);
pub const OPENBAO_REFRESH_MIN: Duration = Duration::from_secs(5);
pub const OPENBAO_ANSWER_BYTES_MAX: usize = 4 << 20;
/// A token is renewed when less than this part of its life is left: one in so many.
pub const OPENBAO_RENEW_PART: u32 = 3;
/// After a failure, before OpenBao is asked again; doubled up to the time between two looks.
pub const OPENBAO_PAUSE: Duration = Duration::from_secs(2);
/// A shorter value is not masked: it would be found in ordinary words.
pub const SECRET_MASKED_BYTES_MIN: usize = 6;
/// Of a secret of several lines, a shorter line is not masked by itself.
pub const SECRET_LINE_BYTES_MIN: usize = 16;
/// As much of a form is looked for; what follows it is compared.
pub const SECRET_FORM_BYTES_MAX: usize = 64;
/// A line that is longer is passed on in pieces.
pub const MASK_LINE_BYTES_MAX: usize = 1 << 20;
