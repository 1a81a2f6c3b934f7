//! Bounds of the way out of executions.

use std::time::Duration;

/// Executions that are let out at once.
pub const EGRESS_GATES_MAX: usize = 64;
/// Of one run.
pub const EGRESS_GATES_OF_RUN_MAX: usize = 4;
/// Patterns of one execution.
pub const EGRESS_NAMES_MAX: usize = 256;
/// Fixed addresses in the configuration.
pub const EGRESS_HOSTS_MAX: usize = 1_024;
/// Connections of one execution to its proxy.
pub const EGRESS_CONNECTIONS_MAX: usize = 64;
/// Connections of all executions together, where the process may have as many files open as that takes; of those files
/// they take a quarter, each having two.
pub const EGRESS_CONNECTIONS_ALL_MAX: usize = 4_096;
pub const EGRESS_CONNECTION_FILES_SHARE: u64 = 8;
pub const EGRESS_HEADERS_MAX: usize = 64;
pub const EGRESS_HEADER_BYTES_MAX: usize = 16 << 10;
pub const EGRESS_HEADER_WAIT: Duration = Duration::from_secs(10);
pub const EGRESS_RESOLVE_WAIT: Duration = Duration::from_secs(5);
/// Lookups that are under way, each of which may hold one of the runtime's 512 threads for blocking work.
pub const EGRESS_LOOKUPS_MAX: usize = 128;
pub const EGRESS_LOOKUPS_OF_GATE_MAX: usize = 8;
/// For how long a name without an address is not asked for again, and how many such names are known.
pub const EGRESS_NAME_LOST: Duration = Duration::from_secs(5);
pub const EGRESS_NAMES_LOST_MAX: usize = 256;
/// All addresses of a name together.
pub const EGRESS_CONNECT_WAIT: Duration = Duration::from_secs(10);
/// A connection on which nothing moves for this long is closed.
pub const EGRESS_IDLE_MAX: Duration = Duration::from_secs(300);
/// Of one execution, both ways together.
pub const EGRESS_BYTES_DEFAULT: u64 = 10 << 30;
/// That a connection moves at once in each direction, and may move beyond what the execution has left.
pub const EGRESS_COPY_BYTES: usize = 16 << 10;
/// That TLS in a tunnel may begin with, and in how many records: those of large keys have 2 KiB in one.
pub const EGRESS_HELLO_BYTES_MAX: usize = 16 << 10;
pub const EGRESS_HELLO_RECORDS_MAX: usize = 32;
/// Addresses of one name that are tried, and that are told.
pub const EGRESS_ADDRESSES_MAX: usize = 8;
/// Connections that are kept, and other decisions; of earlier ones only the counts.
pub const EGRESS_DECISIONS_MAX: usize = 1_000;
/// Lines of one execution in the run's log about its connections, and about other decisions.
pub const EGRESS_LOGGED_MAX: usize = 500;
/// Of a name as it is shown.
pub const EGRESS_NAME_SHOWN_BYTES: usize = 253;
/// RFC 1035 section 4.2.1. A question has at most 271 bytes, so that the addresses above fit into an answer of this size.
pub const EGRESS_DNS_BYTES_MAX: usize = 512;
/// Questions of one execution that are being answered.
pub const EGRESS_DNS_AT_ONCE: usize = 32;
/// Connections of one execution to its name server, and questions on one.
pub const EGRESS_DNS_CONNECTIONS_MAX: usize = 8;
pub const EGRESS_DNS_IDLE_MAX: Duration = Duration::from_secs(10);
/// Questions of one execution that are answered at once, and how many more each second.
pub const EGRESS_DNS_BURST: u32 = 200;
pub const EGRESS_DNS_PER_SECOND: u32 = 50;
/// How often it is told that more have come.
pub const EGRESS_DNS_TOLD_EVERY: Duration = Duration::from_secs(10);
/// For how long an answer may be kept.
pub const EGRESS_DNS_TTL_SECONDS: u32 = 30;
/// Packets that the packet filter lets through to the name server each second, and at once.
pub const EGRESS_FENCE_DNS_PER_SECOND: u32 = 100;
pub const EGRESS_FENCE_DNS_BURST: u32 = 200;
/// Connections that it lets an execution begin.
pub const EGRESS_FENCE_CONNECTIONS_PER_SECOND: u32 = 50;
pub const EGRESS_FENCE_CONNECTIONS_BURST: u32 = 200;
/// One call of nft.
pub const EGRESS_NFT_WAIT: Duration = Duration::from_secs(10);
/// After the system refused a connection.
pub const EGRESS_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often what nobody waits for any more is looked for.
pub const EGRESS_SWEEP: Duration = Duration::from_secs(15);
/// What is left is taken away within this when the daemon stops, or at its next start.
pub const EGRESS_STOP_WAIT: Duration = Duration::from_secs(15);
