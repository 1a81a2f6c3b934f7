//! Backends and servers as HAProxy counts them.

use std::collections::HashMap;

use serde::Serialize;

use super::table::{Row, Table};
use crate::primitives::proxy::error::Problem;
use crate::primitives::proxy::service::Info;
use crate::primitives::proxy::source::Kind;

/// Which requests an operator lets a server have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Ready,
    /// None but those of clients that a cookie binds to it.
    Drain,
    /// None, and it is not checked.
    Maint,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Ready, Self::Drain, Self::Maint];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

/// What can be set about a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// None for a socket, and while a name is not resolved.
    pub address: Option<String>,
    pub port: Option<u16>,
    #[serde(rename = "state")]
    pub mode: Mode,
    pub up: bool,
    pub weight: u64,
    /// As HAProxy's configuration has it.
    pub weight_initial: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    pub backend: String,
    pub name: String,
    #[serde(flatten)]
    pub state: State,
    /// HAProxy's own word: `UP`, `UP 1/3`, `DOWN`, `DRAIN`, `MAINT`, `no check`.
    pub status: String,
    pub backup: bool,
    pub sessions: u64,
    pub sessions_max: u64,
    pub queue: u64,
    #[serde(flatten)]
    pub traffic: Traffic,
    pub check: Option<String>,
    pub check_text: Option<String>,
    pub check_ms: Option<u64>,
    pub check_failures: u64,
    pub downs: u64,
    pub last_change_seconds: u64,
    pub downtime_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backend {
    pub name: String,
    /// `http` or `tcp`.
    pub mode: String,
    pub algorithm: Option<String>,
    pub up: bool,
    pub status: String,
    pub servers: u64,
    pub servers_up: u64,
    pub weight: u64,
    pub sessions: u64,
    pub queue: u64,
    #[serde(flatten)]
    pub traffic: Traffic,
    pub last_change_seconds: u64,
    pub downtime_seconds: u64,
}

/// What went through since HAProxy began. Times are averages of the latest 1024 requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traffic {
    /// In TCP mode connections.
    pub requests: u64,
    /// Connections that failed and answers that did.
    pub errors: u64,
    pub errors_connect: u64,
    pub errors_response: u64,
    pub retries: u64,
    pub redispatches: u64,
    /// None in TCP mode, as are the others.
    pub status_1xx: Option<u64>,
    pub status_2xx: Option<u64>,
    pub status_3xx: Option<u64>,
    pub status_4xx: Option<u64>,
    pub status_5xx: Option<u64>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub queue_ms: Option<u64>,
    pub connect_ms: Option<u64>,
    pub response_ms: Option<u64>,
    pub total_ms: Option<u64>,
}

impl Traffic {
    fn of(row: Row<'_>) -> Self {
        let (errors_connect, errors_response) = (row.count("econ"), row.count("eresp"));
        Self {
            requests: row.count("stot"),
            errors: errors_connect.saturating_add(errors_response),
            errors_connect,
            errors_response,
            retries: row.count("wretr"),
            redispatches: row.count("wredis"),
            status_1xx: row.number("hrsp_1xx"),
            status_2xx: row.number("hrsp_2xx"),
            status_3xx: row.number("hrsp_3xx"),
            status_4xx: row.number("hrsp_4xx"),
            status_5xx: row.number("hrsp_5xx"),
            bytes_in: row.count("bin"),
            bytes_out: row.count("bout"),
            queue_ms: row.number("qtime"),
            connect_ms: row.number("ctime"),
            response_ms: row.number("rtime"),
            total_ms: row.number("ttime"),
        }
    }
}

impl State {
    fn of(row: Row<'_>) -> Self {
        // HAProxy's own numbers: forced, inherited, unresolved and unresolvable maintenance; forced and inherited
        // drain. That a server was in maintenance in the file (0x04) says nothing about now.
        const MAINT: u64 = 0x01 | 0x02 | 0x20 | 0x40;
        const DRAIN: u64 = 0x08 | 0x10;
        let flags = row.count("srv_admin_state");
        let mode = match flags {
            flags if flags & MAINT != 0 => Mode::Maint,
            flags if flags & DRAIN != 0 => Mode::Drain,
            _ => Mode::Ready,
        };
        Self {
            address: row.some("srv_addr").map(str::to_owned),
            port: row.number("srv_port").and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0),
            mode,
            up: row.count("srv_op_state") != 0,
            weight: row.count("srv_uweight"),
            weight_initial: row.count("srv_iweight"),
        }
    }
}

/// What is set about one server.
pub fn state(states: &Table, backend: &str, server: &str) -> Option<State> {
    let mut rows = states.rows();
    let row = rows.find(|row| row.text("be_name") == backend && row.text("srv_name") == server)?;
    Some(State::of(row))
}

pub fn servers(stat: &Table, states: &Table) -> Result<Vec<Server>, Problem> {
    known(stat, &["pxname", "svname", "scur", "status"])?;
    known(states, &["be_name", "srv_name", "srv_admin_state", "srv_op_state", "srv_uweight"])?;
    let named = states.rows().map(|row| ((row.text("be_name"), row.text("srv_name")), row));
    let by_name: HashMap<(&str, &str), Row<'_>> = named.collect();
    let of_server = |row: Row<'_>| {
        let (backend, name) = (row.text("pxname"), row.text("svname"));
        // One that came or went between the two answers is not there.
        let state = State::of(*by_name.get(&(backend, name))?);
        Some(Server {
            backend: backend.to_owned(),
            name: name.to_owned(),
            state,
            status: row.text("status").to_owned(),
            backup: row.count("bck") > 0,
            sessions: row.count("scur"),
            sessions_max: row.count("smax"),
            queue: row.count("qcur"),
            traffic: Traffic::of(row),
            // The star says that another check is under way; the word is the latest one's.
            check: row.some("check_status").map(|word| word.trim_start_matches("* ").to_owned()),
            check_text: row.some("last_chk").map(str::to_owned),
            check_ms: row.number("check_duration"),
            check_failures: row.count("chkfail"),
            downs: row.count("chkdown"),
            last_change_seconds: row.count("lastchg"),
            downtime_seconds: row.count("downtime"),
        })
    };
    Ok(stat.rows().filter_map(of_server).collect())
}

/// Backends, in the order of HAProxy's configuration.
pub fn backends(stat: &Table) -> Result<Vec<Backend>, Problem> {
    const WHOLE: &str = "BACKEND";
    known(stat, &["pxname", "svname", "scur", "status"])?;
    let is_up = |row: &Row<'_>| row.text("status").starts_with("UP") || row.text("status") == "no check";
    let of_backend = |row: Row<'_>| {
        let name = row.text("pxname");
        let servers = || stat.rows().filter(|row| row.text("pxname") == name && row.text("svname") != WHOLE);
        Backend {
            name: name.to_owned(),
            mode: row.text("mode").to_owned(),
            algorithm: row.some("algo").map(str::to_owned),
            up: row.text("status") == "UP",
            status: row.text("status").to_owned(),
            servers: servers().count() as u64,
            servers_up: servers().filter(is_up).count() as u64,
            weight: row.count("weight"),
            sessions: row.count("scur"),
            queue: row.count("qcur"),
            traffic: Traffic::of(row),
            last_change_seconds: row.count("lastchg"),
            downtime_seconds: row.count("downtime"),
        }
    };
    Ok(stat.rows().filter(|row| row.text("svname") == WHOLE).map(of_backend).collect())
}

/// `show info`: `Name: value` a line.
pub fn info(text: &str) -> Result<Info, Problem> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let number = |name| field(name).and_then(|value| value.trim().parse().ok());
    let version = field("Version").ok_or_else(|| Problem::Protocol("it does not say its version".into()))?;
    Ok(Info {
        kind: Kind::Haproxy,
        version: Some(version.to_owned()),
        node: field("node").filter(|node| !node.is_empty()).map(str::to_owned),
        pid: number("Pid"),
        uptime_seconds: number("Uptime_sec"),
        connections: number("CurrConns"),
        connections_max: number("Maxconn"),
        requests: number("CumReq"),
        stopping: number("Stopping").map(|stopping| stopping > 0),
        ..Info::of(Kind::Haproxy)
    })
}

fn known(table: &Table, columns: &[&str]) -> Result<(), Problem> {
    match table.has(columns) {
        true => Ok(()),
        false => Err(Problem::Protocol(format!("it lacks one of the columns {}", columns.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_what_both_answers_say_of_it() {
        let stat = "# pxname,svname,scur,status,check_status,bck\nweb,a,3,DRAIN,* L7OK,0\nweb,gone,0,UP,L4OK,1\n";
        let states = "1\n# be_name srv_name srv_addr srv_port srv_op_state srv_admin_state srv_uweight srv_iweight\n\
                      web a - 0 2 8 5 100\nother a 10.0.0.1 80 0 1 1 1\n";
        let tables = (Table::of_commas(stat).expect("a table"), Table::of_blanks(states).expect("a table"));
        let found = servers(&tables.0, &tables.1).expect("servers");
        assert_eq!(found.len(), 1, "what only one of them knows is not there");
        let State { address, port, mode, up, weight, weight_initial } = &found[0].state;
        assert_eq!((address, port, *mode, *up), (&None, &None, Mode::Drain, true));
        assert_eq!((*weight, *weight_initial, found[0].sessions), (5, 100, 3));
        assert_eq!(found[0].check.as_deref(), Some("L7OK"));
        let in_maintenance = |flags: u8| {
            let states = states.replace(" 2 8 5 ", &format!(" 0 {flags} 5 "));
            let states = Table::of_blanks(&states).expect("a table");
            state(&states, "web", "a").map(|state| state.mode == Mode::Maint)
        };
        let seen: Vec<_> = [0x01, 0x02, 0x20, 0x40, 0x09, 0x04, 0x08, 0x10, 0].map(in_maintenance).into();
        assert_eq!(seen, [true, true, true, true, true, false, false, false, false].map(Some));
    }
}
