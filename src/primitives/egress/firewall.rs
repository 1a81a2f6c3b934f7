//! The packet filter: a table of nftables for each execution, and with it nothing of the machine is reached from its
//! network but the proxy and the name server.
//!
//! Rules are handed to `nft` as one transaction, so that there is no moment with half of them.

use std::io;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::error::Firewall;
use super::outbound::within;
use super::peers::Peers;
use super::{DNS_PORT, PROXY_PORT};
use crate::base::{Clock, limits};
use crate::primitives::process::capabilities::{CapabilitySet, spawn_with};
use crate::primitives::process::find_program;

const TABLE_PREFIX: &str = "aegis_";
const TABLE_FAMILY: &str = "inet";
/// Before whatever else filters at the usual priority.
const PRIORITY: i32 = -10;
/// Before the kernel notes connections.
const EARLY: i32 = -300;

/// What holds one execution in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence<'a> {
    /// Whose it is.
    pub daemon: &'a str,
    pub id: &'a str,
    /// The interface of its network.
    pub bridge: &'a str,
    pub peers: Peers,
}

impl Fence<'_> {
    /// The rules. What comes from the network is dropped unless it is for the proxy or the name server, and whatever
    /// would be passed on to or from it is; the last two keep everybody else on the machine away from the two.
    ///
    /// None of it is noted among the machine's connections, of which there is room for so many: `arrive` drops before that
    /// what is for nobody, or comes too fast, and has the rest pass unnoted, as `leave` does with what is answered.
    fn script(&self) -> String {
        let Self { daemon, id, bridge, peers: Peers { subnet, gateway } } = self;
        let table = table(daemon, id);
        let without = removal(&table);
        let from = format!("iifname \"{bridge}\" ip saddr {subnet} ip daddr {gateway}");
        let streams = format!("{{ {DNS_PORT}, {PROXY_PORT} }}");
        let (dns, dns_burst) = (limits::EGRESS_FENCE_DNS_PER_SECOND, limits::EGRESS_FENCE_DNS_BURST);
        let (new, new_burst) = (limits::EGRESS_FENCE_CONNECTIONS_PER_SECOND, limits::EGRESS_FENCE_CONNECTIONS_BURST);
        format!(
            "{without}\
             table {table} {{\n\
             chain arrive {{\n\
             type filter hook prerouting priority {EARLY}; policy accept;\n\
             {from} udp dport {DNS_PORT} limit rate {dns}/second burst {dns_burst} packets notrack accept\n\
             {from} tcp dport {streams} tcp flags & (fin | syn | rst | ack) == syn \
             limit rate over {new}/second burst {new_burst} packets counter drop\n\
             {from} tcp dport {streams} notrack accept\n\
             iifname \"{bridge}\" counter drop\n\
             }}\n\
             chain leave {{\n\
             type filter hook output priority {EARLY}; policy accept;\n\
             oifname \"{bridge}\" ip saddr {gateway} tcp sport {streams} notrack\n\
             oifname \"{bridge}\" ip saddr {gateway} udp sport {DNS_PORT} notrack\n\
             }}\n\
             chain input {{\n\
             type filter hook input priority {PRIORITY}; policy accept;\n\
             {from} tcp dport {streams} accept\n\
             {from} udp dport {DNS_PORT} accept\n\
             iifname \"{bridge}\" counter drop comment \"aegis execution {id}\"\n\
             ip daddr {gateway} tcp dport {streams} counter drop\n\
             ip daddr {gateway} udp dport {DNS_PORT} counter drop\n\
             }}\n\
             chain forward {{\n\
             type filter hook forward priority {PRIORITY}; policy accept;\n\
             iifname \"{bridge}\" counter drop\n\
             oifname \"{bridge}\" counter drop\n\
             }}\n\
             }}\n"
        )
    }

    /// In place of those that are there.
    pub async fn raise(&self, clock: &Clock) -> Result<(), Firewall> {
        run(clock, &["-f", "-"], &self.script()).await.map(drop)
    }
}

/// What the tables of one daemon begin with: nobody takes away another's.
fn prefix(daemon: &str) -> String {
    let daemon: String = daemon.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{TABLE_PREFIX}{daemon}_")
}

/// An execution's table, by family and name.
fn table(daemon: &str, id: &str) -> String {
    format!("{TABLE_FAMILY} {}{id}", prefix(daemon))
}

/// Takes a table away. One that is not there would fail the transaction, so it is made before.
fn removal(table: &str) -> String {
    format!("add table {table}\ndelete table {table}\n")
}

/// Takes an execution's rules away; that there are none is as good.
pub async fn lower(clock: &Clock, daemon: &str, id: &str) -> Result<(), Firewall> {
    run(clock, &["-f", "-"], &removal(&table(daemon, id))).await.map(drop)
}

/// The ids of one daemon's executions that have rules.
pub async fn fenced(clock: &Clock, daemon: &str) -> Result<Vec<String>, Firewall> {
    Ok(ids(&run(clock, &["list", "tables"], "").await?, daemon))
}

fn ids(listed: &str, daemon: &str) -> Vec<String> {
    let prefix = prefix(daemon);
    let own = |line: &str| {
        let id = line.trim().strip_prefix("table ")?.strip_prefix(TABLE_FAMILY)?.trim_start().strip_prefix(&prefix)?;
        id.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| id.to_owned())
    };
    listed.lines().filter_map(own).collect()
}

async fn run(clock: &Clock, arguments: &[&str], script: &str) -> Result<String, Firewall> {
    let program = find_program("nft").ok_or(Firewall::Missing)?;
    let output = within(clock, limits::EGRESS_NFT_WAIT, talk(program, arguments, script)).await;
    let output = output.ok_or(Firewall::Silent)?.map_err(|failure| Firewall::Refused(failure.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing").to_owned();
    Err(if said.contains("Operation not permitted") { Firewall::Rights } else { Firewall::Refused(first) })
}

async fn talk(program: PathBuf, arguments: &[&str], script: &str) -> io::Result<Output> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = spawn_with(CapabilitySet::NET_ADMIN, command).await?;
    if let Some(mut input) = child.stdin.take() {
        // What it does not read it complains about itself.
        let _ = input.write_all(script.as_bytes()).await;
    }
    child.wait_with_output().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_s_tables_are_told_from_another_s_and_from_an_operator_s() {
        let listed = "table ip nat\ntable inet filter\ntable inet aegis_me_01abc\ntable ip aegis_me_02\n\
            table inet aegis_other_03\ntable inet aegis_filter\ntable inet aegis_me_b_c\ntable inet aegis_me\n";
        assert_eq!(ids(listed, "m-e"), ["01abc"]);
        assert_eq!(prefix("aegis-01\n{"), "aegis_aegis01_");
    }
}
