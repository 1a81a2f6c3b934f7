//! The tables that `aegis.host` takes and gives.

use crate::lua::bind::{Field, Record, Type};
use crate::primitives::host::Sort;
use crate::primitives::probe::RECORD_TYPES;

pub const CPU_OPTIONS: Record = Record {
    name: "HostCpuOptions",
    doc: "Over which time the processors are looked at.",
    fields: &[Field::optional(
        "interval",
        Type::Duration,
        "Wait for this long, 60s at most; since the previous call unless given",
    )],
};

pub const PROCESSES: Record = Record {
    name: "HostProcessesOptions",
    doc: "Which processes are told, and in which order.",
    fields: &[
        Field::optional("sort", Type::Choice(Sort::NAMES), "\"cpu\" unless said otherwise"),
        Field::optional("limit", Type::Integer, "At most this many; 20 unless said otherwise, 500 at most"),
        Field::optional("name", Type::String, "Only those whose name matches; * stands for any run of characters"),
        Field::optional("user", Type::String, "Only those of this user"),
    ],
};

pub const INFO: Record = Record {
    name: "HostInfo",
    doc: "The machine.",
    fields: &[
        Field::required("name", Type::String, "Its host name"),
        Field::required("os", Type::String, "The distribution with its version"),
        Field::required("kernel", Type::String, "The version of the kernel"),
        Field::required("architecture", Type::String, "Such as \"x86_64\""),
        Field::required("cpus", Type::Integer, "Processors that are on"),
        Field::optional("cpu_model", Type::String, "What they are"),
        Field::required("memory_bytes", Type::Integer, "How much memory there is"),
        Field::required("boot_time", Type::Time, "When it was started"),
        Field::required("uptime_seconds", Type::Number, "How long it has been up"),
    ],
};

pub const CPU: Record = Record {
    name: "HostCpu",
    doc: "Shares of the time of all processors together, in percent.",
    fields: &[
        Field::required("percent", Type::Number, "Not idle and not waiting for disks"),
        Field::required("user_percent", Type::Number, "In programs"),
        Field::required("system_percent", Type::Number, "In the kernel"),
        Field::required("iowait_percent", Type::Number, "Idle while a disk was waited for"),
        Field::required("steal_percent", Type::Number, "Taken by the hypervisor for other machines"),
        Field::required("cores", Type::List(&Type::Number), "Of each processor"),
        Field::required("load_1", Type::Number, "Tasks that ran or waited, over a minute"),
        Field::required("load_5", Type::Number, "Over five minutes"),
        Field::required("load_15", Type::Number, "Over fifteen minutes"),
        Field::required("seconds", Type::Number, "Between the two readings"),
    ],
};

pub const MEMORY: Record = Record {
    name: "HostMemory",
    doc: "Memory and swap.",
    fields: &[
        Field::required("total_bytes", Type::Integer, "How much there is"),
        Field::required("used_bytes", Type::Integer, "What is not available"),
        Field::required("available_bytes", Type::Integer, "What programs can have without swapping"),
        Field::required("free_bytes", Type::Integer, "What nothing is in"),
        Field::required("buffers_bytes", Type::Integer, "Of devices"),
        Field::required("cached_bytes", Type::Integer, "Of files"),
        Field::required("used_percent", Type::Number, "Of the total"),
        Field::required("swap_total_bytes", Type::Integer, "How much swap there is"),
        Field::required("swap_used_bytes", Type::Integer, "What is in it"),
        Field::required("swap_free_bytes", Type::Integer, "What is not"),
        Field::required("swap_used_percent", Type::Number, "Of the total; 0 without swap"),
    ],
};

const IO: Record = Record {
    name: "HostDiskIo",
    doc: "What a device does.",
    fields: &[
        Field::required("device", Type::String, "Such as \"sda1\""),
        Field::required("read_bytes_per_second", Type::Number, "Read"),
        Field::required("written_bytes_per_second", Type::Number, "Written"),
        Field::required("reads_per_second", Type::Number, "Transfers"),
        Field::required("writes_per_second", Type::Number, "Transfers"),
        Field::required("wait_ms", Type::Number, "Of one transfer on average, from asking to having"),
        Field::required("busy_percent", Type::Number, "Of the time in which something was under way"),
    ],
};

pub const MOUNT: Record = Record {
    name: "HostMount",
    doc: "A file system.",
    fields: &[
        Field::required("mount", Type::String, "Where it is"),
        Field::required("source", Type::String, "The device or the server"),
        Field::required("kind", Type::String, "Such as \"ext4\""),
        Field::required("read_only", Type::Boolean, "Whether it is mounted for reading only"),
        Field::required("total_bytes", Type::Integer, "How large it is"),
        Field::required("used_bytes", Type::Integer, "What is used"),
        Field::required("available_bytes", Type::Integer, "What users other than root can have"),
        Field::required("used_percent", Type::Number, "Of what users can have, as df counts it"),
        Field::required("inodes", Type::Integer, "How many files it can hold; 0 where there is no such limit"),
        Field::required("inodes_used", Type::Integer, "How many it holds"),
        Field::required("inodes_free", Type::Integer, "How many more"),
        Field::optional("io", Type::Record(&IO), "Its device, where that is one of this machine"),
        Field::optional("problem", Type::String, "Why it could not be measured; the numbers are 0 then"),
    ],
};

pub const INTERFACE: Record = Record {
    name: "HostInterface",
    doc: "A network interface: totals since the machine started, and rates.",
    fields: &[
        Field::required("name", Type::String, "Such as \"eth0\""),
        Field::optional("state", Type::String, "up, down, unknown (loopback) …"),
        Field::required("received_bytes", Type::Integer, "In all"),
        Field::required("received_packets", Type::Integer, "In all"),
        Field::required("received_errors", Type::Integer, "In all"),
        Field::required("received_drops", Type::Integer, "In all"),
        Field::required("sent_bytes", Type::Integer, "In all"),
        Field::required("sent_packets", Type::Integer, "In all"),
        Field::required("sent_errors", Type::Integer, "In all"),
        Field::required("sent_drops", Type::Integer, "In all"),
        Field::required("received_bytes_per_second", Type::Number, "Now"),
        Field::required("sent_bytes_per_second", Type::Number, "Now"),
        Field::required("received_packets_per_second", Type::Number, "Now"),
        Field::required("sent_packets_per_second", Type::Number, "Now"),
        Field::required("errors_per_second", Type::Number, "Both directions"),
        Field::required("drops_per_second", Type::Number, "Both directions"),
    ],
};

pub const TCP: Record = Record {
    name: "HostTcp",
    doc: "TCP of the whole machine: totals since it started, and rates.",
    fields: &[
        Field::required("established", Type::Integer, "Connections now"),
        Field::required("opened", Type::Integer, "From here"),
        Field::required("accepted", Type::Integer, "From elsewhere"),
        Field::required("failed_attempts", Type::Integer, "Connections that did not come about"),
        Field::required("resets", Type::Integer, "Connections that were broken off"),
        Field::required("received_segments", Type::Integer, "In all"),
        Field::required("sent_segments", Type::Integer, "In all"),
        Field::required("retransmitted", Type::Integer, "Segments that were sent again"),
        Field::required("received_errors", Type::Integer, "Segments that were damaged"),
        Field::required("timeouts", Type::Integer, "Waits for an answer that were in vain"),
        Field::required("listen_overflows", Type::Integer, "Connections that a listener had no room for"),
        Field::required("listen_drops", Type::Integer, "Connections that a listener did not take"),
        Field::required("sent_segments_per_second", Type::Number, "Now"),
        Field::required("retransmitted_per_second", Type::Number, "Now"),
        Field::required("retransmitted_percent", Type::Number, "Of the segments that are sent now"),
    ],
};

pub const PROCESS: Record = Record {
    name: "HostProcess",
    doc: "A process.",
    fields: &[
        Field::required("pid", Type::Integer, "Its number"),
        Field::required("parent", Type::Integer, "Its parent's number"),
        Field::required("name", Type::String, "As the kernel has it"),
        Field::required(
            "command",
            Type::String,
            "Its arguments, as far as they are shown; empty for threads of the kernel",
        ),
        Field::required("user", Type::String, "Whose it is; a number where this machine has no name for it"),
        Field::required("state", Type::String, "running, sleeping, waiting for a disk, zombie …"),
        Field::required("cpu_percent", Type::Number, "Of one processor"),
        Field::required("rss_bytes", Type::Integer, "Memory that it has in use"),
        Field::required("threads", Type::Integer, "How many it has"),
        Field::required("started_at", Type::Time, "When it was started"),
    ],
};

pub const LISTENER: Record = Record {
    name: "HostListener",
    doc: "A socket that waits for others.",
    fields: &[
        Field::required("protocol", Type::String, "tcp, tcp6, udp or udp6"),
        Field::required("address", Type::String, "Such as \"0.0.0.0\" or \"::1\""),
        Field::required("port", Type::Integer, "Its port"),
        Field::optional("pid", Type::Integer, "Of its owner, where that may be seen"),
        Field::optional("process", Type::String, "Its owner's name"),
    ],
};

const PRESSURE: Record = Record {
    name: "HostPressure",
    doc: "How much of the time tasks waited, in percent: some of them, or all at once.",
    fields: &[
        Field::required("some_10", Type::Number, "Over 10 seconds"),
        Field::required("some_60", Type::Number, "Over 60 seconds"),
        Field::required("some_300", Type::Number, "Over 300 seconds"),
        Field::required("full_10", Type::Number, "Over 10 seconds"),
        Field::required("full_60", Type::Number, "Over 60 seconds"),
        Field::required("full_300", Type::Number, "Over 300 seconds"),
    ],
};

pub const PRESSURES: Record = Record {
    name: "HostPressures",
    doc: "What tasks waited for.",
    fields: &[
        Field::required("cpu", Type::Record(&PRESSURE), "Processors"),
        Field::required("memory", Type::Record(&PRESSURE), "Memory"),
        Field::required("io", Type::Record(&PRESSURE), "Disks"),
    ],
};

pub const TIMEOUT_OPTIONS: Record = Record {
    name: "HostProbeOptions",
    doc: "How long a probe may take.",
    fields: &[Field::optional("timeout", Type::Duration, "5s unless said otherwise, 60s at most")],
};

pub const DNS_OPTIONS: Record = Record {
    name: "HostDnsOptions",
    doc: "What is asked, and whom.",
    fields: &[
        Field::optional("type", Type::Choice(RECORD_TYPES), "\"A\" unless said otherwise"),
        Field::optional(
            "server",
            Type::String,
            "An address, with a port where it is not 53; this machine's own name servers unless given",
        ),
        Field::optional("timeout", Type::Duration, "5s unless said otherwise, 60s at most"),
    ],
};

const DNS_RECORD: Record = Record {
    name: "HostDnsRecord",
    doc: "One record.",
    fields: &[
        Field::required("name", Type::String, "Whose it is"),
        Field::required("type", Type::String, "Its type; a CNAME on the way is told too"),
        Field::required("ttl", Type::Integer, "Seconds for which it may be kept"),
        Field::required("value", Type::String, "The address, the name or the text"),
        Field::optional("priority", Type::Integer, "Of MX and SRV"),
        Field::optional("weight", Type::Integer, "Of SRV"),
        Field::optional("port", Type::Integer, "Of SRV"),
        Field::optional("tag", Type::String, "Of CAA"),
        Field::optional("serial", Type::Integer, "Of SOA"),
    ],
};

pub const DNS: Record = Record {
    name: "HostDns",
    doc: "What a name server said.",
    fields: &[
        Field::required("exists", Type::Boolean, "Whether the name exists, if only with other records"),
        Field::required("records", Type::List(&Type::Record(&DNS_RECORD)), "In the order in which they came"),
        Field::required("took_ms", Type::Number, "From question to answer"),
    ],
};

pub const REACHED: Record = Record {
    name: "HostReached",
    doc: "Whether a port takes connections.",
    fields: &[
        Field::required("reachable", Type::Boolean, "Whether it does"),
        Field::optional("address", Type::String, "That was reached, or tried last"),
        Field::optional("latency_ms", Type::Number, "Of opening the connection, without resolving the name"),
        Field::optional("reason", Type::String, "refused, timeout, unreachable, unresolved or failed"),
        Field::optional("problem", Type::String, "The same in words"),
    ],
};

pub const TLS_OPTIONS: Record = Record {
    name: "HostTlsOptions",
    doc: "Which certificates are looked at.",
    fields: &[
        Field::optional("port", Type::Integer, "443 unless said otherwise"),
        Field::optional("server_name", Type::String, "That the certificate is to be for; the host unless given"),
        Field::optional("timeout", Type::Duration, "5s unless said otherwise, 60s at most"),
    ],
};

const CERTIFICATE: Record = Record {
    name: "HostCertificate",
    doc: "What a certificate says.",
    fields: &[
        Field::required("subject", Type::String, "Whose it is"),
        Field::required("issuer", Type::String, "Who signed it"),
        Field::required("sans", Type::List(&Type::String), "Names and addresses that it is for"),
        Field::required("not_before", Type::Time, "From when"),
        Field::required("not_after", Type::Time, "Until when"),
        Field::required("days_left", Type::Number, "Until then; negative afterwards"),
        Field::required("serial", Type::String, "Its number, as hex"),
        Field::required("sha256", Type::String, "Its fingerprint, as hex"),
        Field::required("is_ca", Type::Boolean, "Whether it may sign others"),
    ],
};

pub const CHAIN: Record = Record {
    name: "HostTls",
    doc: "The certificates of a server.",
    fields: &[
        Field::required("trusted", Type::Boolean, "Whether a client would accept them"),
        Field::optional(
            "reason",
            Type::String,
            "Why not: expired, not_yet_valid, wrong_name, unknown_issuer, revoked or invalid",
        ),
        Field::optional("problem", Type::String, "The same in words"),
        Field::required("days_left", Type::Number, "Of the certificate that expires first"),
        Field::required("chain", Type::List(&Type::Record(&CERTIFICATE)), "The server's own first, as it sent them"),
        Field::required("protocol", Type::String, "Such as \"TLSv1.3\""),
        Field::required("cipher", Type::String, "The cipher suite"),
        Field::required("address", Type::String, "That was reached"),
        Field::required("took_ms", Type::Number, "Name, connection and handshake"),
    ],
};

pub const PING_OPTIONS: Record = Record {
    name: "HostPingOptions",
    doc: "How often, and how long.",
    fields: &[
        Field::optional("count", Type::Integer, "3 unless said otherwise, 20 at most"),
        Field::optional("timeout", Type::Duration, "Of each; 1s unless said otherwise"),
    ],
};

pub const PING: Record = Record {
    name: "HostPing",
    doc: "Round trips.",
    fields: &[
        Field::required("reachable", Type::Boolean, "Whether at least one came back"),
        Field::required("address", Type::String, "That was asked"),
        Field::required("sent", Type::Integer, "How many were sent"),
        Field::required("received", Type::Integer, "How many came back"),
        Field::required("loss_percent", Type::Number, "How many did not"),
        Field::optional("min_ms", Type::Number, "The quickest"),
        Field::optional("average_ms", Type::Number, "On average"),
        Field::optional("max_ms", Type::Number, "The slowest"),
        Field::optional("problem", Type::String, "What became of the last one that did not come back"),
    ],
};
