//! Bounds of the gateway for NFS.

use std::time::Duration;

/// Data of one READ or WRITE.
pub const NFS_TRANSFER_BYTES_MAX: u32 = 1 << 20;
/// A whole RPC message: the largest WRITE and its header.
pub const NFS_RECORD_BYTES_MAX: usize = NFS_TRANSFER_BYTES_MAX as usize + 4096;
/// Fragments of one RPC message.
pub const NFS_RECORD_FRAGMENTS_MAX: usize = 1024;
/// What is set aside for a message before its bytes have arrived.
pub const NFS_RECORD_EARLY_BYTES: usize = 16 << 10;
/// One answer to READDIR or READDIRPLUS.
pub const NFS_LISTING_BYTES_MAX: u32 = 256 << 10;
/// Everything of an answer but its data or listing.
pub const NFS_REPLY_HEAD_BYTES_MAX: usize = 8 << 10;
/// Calls of one connection that were read and not yet answered.
pub const NFS_CALLS_IN_FLIGHT_MAX: usize = 64;
/// Calls that are in execution, over all connections; each takes a thread while it runs.
pub const NFS_CALLS_RUNNING_MAX: usize = 128;
/// Of calls and their answers that one connection may hold.
pub const NFS_CONNECTION_BYTES_MAX: usize = 16 << 20;
pub const NFS_CONNECTIONS_MAX: usize = 64;
/// From the connection to the end of its first call.
pub const NFS_HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// Clients drop idle connections after five to six minutes themselves.
pub const NFS_IDLE_MAX: Duration = Duration::from_secs(1_800);
/// From the first to the last byte of a message.
pub const NFS_RECORD_WAIT: Duration = Duration::from_secs(30);
/// A client that takes nothing of its answers for this long is dropped.
pub const NFS_SEND_WAIT: Duration = Duration::from_secs(60);
/// After the system refused a connection for want of file descriptors or memory.
pub const NFS_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longer writes always go to another thread: a disk that is behind makes them wait.
pub const NFS_QUICK_WRITE_BYTES_MAX: usize = 64 << 10;
/// A thread of a connection that has nothing to do ends after this.
pub const NFS_THREAD_IDLE_MAX: Duration = Duration::from_secs(1);
/// How long calls in flight may take once the gateway was told to stop.
pub const NFS_DRAIN_WAIT: Duration = Duration::from_secs(8);
/// RFC 5531 section 8.2.
pub const NFS_AUTH_BYTES_MAX: usize = 400;
/// RFC 5531 appendix A.
pub const NFS_AUTH_GIDS_MAX: usize = 16;
/// RFC 5531 appendix A.
pub const NFS_MACHINE_NAME_BYTES_MAX: usize = 255;
/// RFC 1813 appendix I.
pub const NFS_EXPORT_PATH_BYTES_MAX: usize = 1024;
/// `NAME_MAX` of Linux.
pub const NFS_NAME_BYTES_MAX: usize = 255;
/// `PATH_MAX` of Linux less its end: what a symbolic link may hold.
pub const NFS_LINK_TARGET_BYTES_MAX: usize = 4095;
/// Answers kept for retransmitted calls, of one client address.
pub const NFS_REPLAYS_CLIENT_MAX: usize = 2048;
/// Client addresses whose answers are kept.
pub const NFS_REPLAYS_CLIENTS_MAX: usize = 64;
/// Leading bytes of a call by which a retransmission is told from another call of the same number.
pub const NFS_REPLAY_DIGEST_BYTES: usize = 512;
/// Mounts that are remembered for DUMP.
pub const NFS_MOUNTS_MAX: usize = 1024;
pub const NFS_EXPORTS_MAX: usize = 10_000;
/// Open files and directories that a volume keeps for its next calls.
pub const NFS_OPEN_FILES_MAX: usize = 512;
/// Directories between a file and the root of its volume.
pub const NFS_DEPTH_MAX: usize = 1024;
/// Places after the one that a name's digest names in which its cookie may be.
pub const NFS_COOKIE_PROBES_MAX: u64 = 8;

// Volumes
/// Of a tenant's name, and of a volume's within it.
pub const VOLUME_NAME_BYTES_MAX: usize = 64;
pub const VOLUME_SNAPSHOTS_MAX: usize = 64;
/// Rules for clients of one volume.
pub const VOLUME_CLIENTS_MAX: usize = 64;
/// What is written down about one volume.
pub const VOLUME_MANIFEST_BYTES_MAX: u64 = 256 << 10;
/// Of a file that is read or written whole.
pub const VOLUME_FILE_BYTES_MAX: u64 = 16 << 20;
/// Entries of one directory that are listed.
pub const VOLUME_LIST_MAX: usize = 10_000;
/// Entries that are asked for at once.
pub const VOLUME_LIST_STEP: usize = 512;
/// Data that is copied at once where blocks cannot be shared.
pub const VOLUME_COPY_BYTES: usize = 1 << 20;
pub const VOLUME_QUOTA_BYTES_DEFAULT: u64 = 10 << 30;
pub const VOLUME_QUOTA_INODES_DEFAULT: u64 = 1_000_000;
pub const VOLUME_GRACE_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// Of a grace and of an expiry.
pub const VOLUME_LIFE_MAX: Duration = Duration::from_secs(3_660 * 86_400);
/// How often what has expired is looked for.
pub const VOLUMES_SWEEP: Duration = Duration::from_secs(60);
/// For the gateway's answer when its health is asked for.
pub const VOLUMES_PING_WAIT: Duration = Duration::from_secs(2);
