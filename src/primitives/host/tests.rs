//! Against a machine made of files whose numbers are known, and against this one as its own tools see it.

use std::process::Command;

use jiff::Timestamp;

use super::*;
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::permit;

fn permit() -> HostPermit {
    let grants = Grants { host: Some(Access::Read), ..Grants::default() };
    permit::host(&grants).expect("a permit")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

struct Machine {
    dir: tempfile::TempDir,
    host: Host,
    hand: crate::base::clock::FakeClock,
}

fn machine() -> Machine {
    let dir = tempfile::tempdir().expect("a folder");
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let host = Host::beneath(dir.path().to_owned(), clock);
    let machine = Machine { dir, host, hand };
    machine.put(
        "proc/stat",
        "cpu 100 0 100 800 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0\nbtime 1000\n",
    );
    machine.put("proc/loadavg", "0.50 1.25 2.00 1/100 4242\n");
    machine
}

impl Machine {
    fn put(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }

    /// The first call reads twice: its second reading waits for the clock. That goes on slowly, or on a busy machine what
    /// was read before would be too old by the end.
    async fn twice<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = std::pin::pin!(call);
        loop {
            tokio::select! {
                outcome = &mut call => return outcome,
                () = tokio::time::sleep(Duration::from_millis(5)) => self.hand.advance(limits::HOST_SAMPLE_INTERVAL),
            }
        }
    }
}

#[tokio::test]
async fn processor_time_is_shared_out_since_the_previous_reading() {
    let machine = machine();
    let first = machine.twice(machine.host.cpu(&permit(), None)).await.expect("read");
    assert_eq!((first.percent, first.load_5, first.cores.len()), (0.0, 1.25, 2));
    machine.hand.advance(Duration::from_secs(10));
    // 1000 ticks more: 400 user and nice, 100 system, 300 idle, 150 waiting for disks, 50 stolen.
    let text = "cpu 300 200 150 1100 150 25 25 50 7 7\ncpu0 250 0 50 700 0 0 0 0\ncpu1 50 200 100 400 150 25 25 50\nbtime 1000\n";
    machine.put("proc/stat", text);
    let cpu = machine.host.cpu(&permit(), None).await.expect("read");
    assert_eq!((cpu.percent, cpu.user_percent, cpu.system_percent), (55.0, 40.0, 10.0));
    assert_eq!((cpu.iowait_percent, cpu.steal_percent), (15.0, 5.0));
    assert_eq!(cpu.cores, [40.0, 70.0]);
    assert!(cpu.seconds >= 10.0);
}

#[tokio::test]
async fn traffic_and_retransmissions_have_rates() {
    let machine = machine();
    let dev = |bytes: u64, drops: u64| {
        format!(
            "Inter-| Receive | Transmit\n face |bytes packets …\n  eth0:{bytes} 10 0 {drops} 0 0 0 0 500 5 1 2 0 0 0 0\n"
        )
    };
    let snmp = |sent: u64, again: u64| {
        format!(
            "Tcp: RtoMin MaxConn ActiveOpens PassiveOpens CurrEstab InSegs OutSegs RetransSegs\n\
             Tcp: 200 -1 3 4 7 90 {sent} {again}\n"
        )
    };
    machine.put("proc/net/dev", &dev(1_000, 0));
    machine.put("proc/net/snmp", &snmp(1_000, 10));
    machine.put("proc/net/netstat", "TcpExt: ListenOverflows TCPTimeouts\nTcpExt: 6 8\n");
    machine.put("sys/class/net/eth0/operstate", "up\n");
    machine.twice(machine.host.interfaces(&permit())).await.expect("read");
    machine.twice(machine.host.tcp(&permit())).await.expect("read");
    // The clock went on while these waited; from here on it stands where the test puts it.
    machine.hand.advance(Duration::from_secs(1));
    machine.host.interfaces(&permit()).await.expect("read");
    machine.host.tcp(&permit()).await.expect("read");
    machine.hand.advance(Duration::from_secs(20));
    machine.put("proc/net/dev", &dev(41_000, 30));
    machine.put("proc/net/snmp", &snmp(1_200, 14));
    let found = machine.host.interfaces(&permit()).await.expect("read");
    let (eth, tcp) = (&found[0], machine.host.tcp(&permit()).await.expect("read"));
    assert_eq!((eth.name.as_str(), eth.state.as_deref(), eth.total.received_drops), ("eth0", Some("up"), 30));
    assert_eq!((eth.received_bytes_per_second, eth.sent_bytes_per_second, eth.drops_per_second), (2_000.0, 0.0, 1.5));
    assert_eq!((tcp.sent_segments_per_second, tcp.retransmitted_per_second), (10.0, 0.2));
    assert_eq!((tcp.established, tcp.total.retransmitted, tcp.retransmitted_percent), (7, 14, 2.0));
    assert_eq!((tcp.total.listen_overflows, tcp.total.timeouts), (6, 8));
    // After a restart of the counters nothing is negative.
    machine.hand.advance(Duration::from_secs(20));
    machine.put("proc/net/snmp", &snmp(5, 0));
    assert_eq!(machine.host.tcp(&permit()).await.expect("read").retransmitted_per_second, 0.0);
}

#[tokio::test]
async fn a_device_s_work_is_told_with_its_mount() {
    let machine = machine();
    let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                  23 22 8:1 /x /bind rw - ext4 /dev/sda1 rw\n\
                  24 22 0:5 / /proc rw - proc proc rw\n\
                  25 22 0:99 / /mnt/with\\040blank ro - nfs4 server:/x ro\n";
    machine.put("proc/self/mountinfo", mounts);
    machine.put("proc/diskstats", "8 1 sda1 10 0 100 50 20 0 200 150 0 1000 200\n");
    machine.twice(machine.host.disks(&permit())).await.expect("read");
    machine.hand.advance(Duration::from_secs(1));
    machine.host.disks(&permit()).await.expect("read");
    machine.hand.advance(Duration::from_secs(10));
    machine.put("proc/diskstats", "8 1 sda1 20 0 2148 150 50 0 200 450 0 6000 700\n");
    let found = machine.host.disks(&permit()).await.expect("read");
    let names: Vec<_> = found.iter().map(|mount| (mount.mount.as_str(), mount.read_only)).collect();
    assert_eq!(names, [("/", false), ("/mnt/with blank", true)]);
    let io = found[0].io.clone().expect("a device");
    assert_eq!((io.device.as_str(), io.wait_ms, io.busy_percent), ("sda1", 10.0, 50.0));
    assert_eq!((io.read_bytes_per_second, io.written_bytes_per_second), (104_857.6, 0.0));
    assert_eq!((io.reads_per_second, io.writes_per_second), (1.0, 3.0));
    assert!(found[0].total_bytes > 0 && found[1].io.is_none() && found[1].problem.is_some());
}

#[tokio::test]
async fn pressure_is_told_where_the_kernel_has_it() {
    let machine = machine();
    assert_eq!(machine.host.pressure(&permit()).await.expect("read"), None);
    let text = "some avg10=1.50 avg60=0.25 avg300=0.10 total=1\nfull avg10=0.75 avg60=0.00 avg300=0.00 total=1\n";
    for what in ["cpu", "memory", "io"] {
        machine.put(&format!("proc/pressure/{what}"), text);
    }
    let told = machine.host.pressure(&permit()).await.expect("read").expect("pressure");
    assert_eq!((told.io.some_10, told.memory.full_10, told.cpu.some_300), (1.5, 0.75, 0.1));
}

#[tokio::test]
async fn what_is_missing_or_strange_is_named() {
    let machine = machine();
    let fault = Fault::from(machine.host.memory(&permit()).await.expect_err("no such file"));
    assert_eq!(&*fault.code, "host.unreadable");
    assert!(fault.message.contains("/proc/meminfo"), "{fault}");
    machine.put("proc/meminfo", "nonsense\n");
    assert_eq!(&*Fault::from(machine.host.memory(&permit()).await.expect_err("strange")).code, "host.strange");
    let denied = permit::host(&Grants::default()).expect_err("not granted");
    assert_eq!(denied.line, r#"permissions = { host = "read" }"#);
}

#[tokio::test]
async fn this_machine_is_as_its_tools_say() {
    let host = Host::new(Clock::system());
    let info = host.info(&permit()).await.expect("read");
    assert_eq!(info.kernel, said("uname", &["-r"]).trim());
    assert_eq!(info.name, said("uname", &["-n"]).trim());
    assert_eq!(info.cpus.to_string(), said("sh", &["-c", "grep -c ^processor /proc/cpuinfo"]).trim());
    let memory = host.memory(&permit()).await.expect("read");
    let total = said("sh", &["-c", "awk '/^MemTotal/ { print $2 * 1024 }' /proc/meminfo"]);
    assert_eq!(format!("{:.0}", total.trim().parse::<f64>().expect("a number")), memory.total_bytes.to_string());
    assert!(memory.used_bytes > 0 && memory.used_percent < 100.0);
    let cpu = host.cpu(&permit(), Some(Duration::from_millis(20))).await.expect("read");
    assert_eq!(cpu.cores.len(), info.cpus);
    assert!((0.0..=100.0).contains(&cpu.percent));

    let disks = host.disks(&permit()).await.expect("read");
    let root = disks.iter().find(|mount| mount.mount == "/").expect("the top");
    let rows = said("df", &["-B1", "--output=size,used,itotal", "/"]);
    let row: Vec<u64> =
        rows.lines().nth(1).expect("a row").split_whitespace().map(|n| n.parse().unwrap_or(0)).collect();
    assert_eq!((root.total_bytes, root.inodes), (row[0], row[2]));
    assert!(root.used_bytes.abs_diff(row[1]) < 2 << 30, "{} and {}", root.used_bytes, row[1]);

    let interfaces = host.interfaces(&permit()).await.expect("read");
    let listed = said("ls", &["/sys/class/net"]);
    assert!(interfaces.iter().all(|interface| listed.split_whitespace().any(|name| name == interface.name)));
    assert!(interfaces.iter().any(|interface| interface.name == "lo"));
    let tcp = host.tcp(&permit()).await.expect("read");
    let sent = said("awk", &["/^Tcp:/ { line = $12 } END { print line }", "/proc/net/snmp"]);
    assert!(sent.trim().parse::<u64>().expect("a number") >= tcp.total.sent_segments);
}

#[tokio::test]
async fn this_process_is_found_as_ps_finds_it() {
    let host = Host::new(Clock::system());
    let query = Query { sort: Sort::Pid, limit: 100_000, ..Query::default() };
    let all = host.processes(&permit(), query).await.expect("read");
    let own = i32::try_from(std::process::id()).expect("a pid");
    let found = all.iter().find(|process| process.pid == own).expect("this process");
    let row = said("ps", &["-o", "ppid=,user:32=,etimes=,comm=", "-p", &own.to_string()]);
    let fields: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((found.parent.to_string().as_str(), found.user.as_str()), (fields[0], fields[1]));
    assert!(found.rss_bytes > 1 << 20 && found.threads >= 1 && !found.command.is_empty());
    let age = Clock::system().now().duration_since(found.started_at).as_secs_f64();
    assert!((age - fields[2].parse::<f64>().expect("seconds")).abs() < 5.0, "{age} and {row}");
    let query = Query { sort: Sort::Memory, limit: 2, ..Query::default() };
    let largest = host.processes(&permit(), query).await.expect("read");
    assert!(largest.len() <= 2 && largest[0].rss_bytes >= largest[largest.len() - 1].rss_bytes);
    let query = Query { limit: 10, name: Some("no-such-*".into()), ..Query::default() };
    assert!(host.processes(&permit(), query).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_listener_is_told_with_its_owner() {
    let host = Host::new(Clock::system());
    let own = i32::try_from(std::process::id()).expect("a pid");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let six = std::net::TcpListener::bind("[::1]:0").ok();
    let found = host.listeners(&permit()).await.expect("read");
    let mut wanted =
        vec![("tcp", tcp.local_addr().expect("an address")), ("udp", udp.local_addr().expect("an address"))];
    wanted.extend(six.as_ref().map(|six| ("tcp6", six.local_addr().expect("an address"))));
    for (protocol, at) in wanted {
        let listener =
            found.iter().find(|found| found.protocol == protocol && found.port == at.port()).expect(protocol);
        assert_eq!((listener.address.as_str(), listener.pid), (at.ip().to_string().as_str(), Some(own)));
        assert!(listener.process.is_some());
    }
    let rows = said("ss", &["-Htln", "sport", "=", &format!(":{}", tcp.local_addr().expect("an address").port())]);
    assert!(rows.contains("127.0.0.1"), "{rows}");
}
