//! The daemon itself: its socket, what it says of itself, its port.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Finding;
use crate::cli::api::{self, DiagnosticList, Readiness};
use crate::cli::client::Client;

pub(super) async fn check(socket: &Path, is_running: bool) -> Vec<Finding> {
    let shown = socket.display();
    let Ok(metadata) = std::fs::metadata(socket) else {
        return vec![Finding::warning("daemon", format!("no socket at {shown}"), "start it with `aegis daemon`")];
    };
    let mode = metadata.mode() & 0o777;
    let mut findings = match mode & 0o077 {
        0 => vec![Finding::ok("socket", format!("{shown}, mode {mode:o}"))],
        _ => vec![Finding::problem(
            "socket",
            format!("{shown} has mode {mode:o}: others may connect"),
            format!("chmod 600 {shown}; the daemon makes it so itself, find out who changed it"),
        )],
    };
    if !is_running {
        findings.push(Finding::warning(
            "daemon",
            format!("nobody answers on {shown}"),
            "start it with `aegis daemon`; if it runs as another user, run this as that user or as root",
        ));
        return findings;
    }
    findings.extend(ask(&Client::new(socket.to_owned())).await);
    findings
}

/// What the running daemon says of its dependencies and its scripts.
async fn ask(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    match client.get_any("/health/ready").await.and_then(api::read::<Readiness>) {
        Ok(readiness) => {
            for dependency in readiness.dependencies.into_iter().filter(|dependency| !dependency.ok) {
                let problem = dependency.problem.unwrap_or_else(|| "no reason given".to_owned());
                let found = format!("the daemon cannot use its {}: {problem}", dependency.name);
                findings.push(Finding::problem(
                    "daemon",
                    found,
                    "see the check of that name below, and the daemon's log",
                ));
            }
            if findings.is_empty() {
                findings.push(Finding::ok("daemon", "ready"));
            }
        }
        Err(failure) => findings.push(Finding::problem("daemon", failure.message(), "see the daemon's log")),
    }
    match client.get::<DiagnosticList>("/api/v1/scripts/diagnostics").await {
        Ok(list) if list.diagnostics.is_empty() => findings.push(Finding::ok("jobs", "every file is live")),
        Ok(list) => {
            let files: Vec<_> = list.diagnostics.into_iter().map(|diagnostic| diagnostic.file).collect();
            findings.push(Finding::warning(
                "jobs",
                format!("something is wrong in {}", files.join(", ")),
                "see `aegis jobs`",
            ));
        }
        Err(failure) => findings.push(Finding::problem("jobs", failure.message(), "see the daemon's log")),
    }
    findings
}

/// With a daemon, its port must answer; without one, it must be free.
pub(super) async fn port(listen: SocketAddr, is_running: bool) -> Finding {
    if is_running {
        return match tokio::net::TcpStream::connect(listen).await {
            Ok(_) => Finding::ok("port", format!("{listen} answers")),
            Err(error) => Finding::problem(
                "port",
                format!("{listen} does not answer: {error}"),
                "was the daemon started with another http.listen?",
            ),
        };
    }
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => Finding::ok("port", format!("{listen} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::problem(
            "port",
            format!("{listen} is taken by another program"),
            format!("see `ss -ltnp 'sport = :{}'`, or choose another http.listen", listen.port()),
        ),
        Err(error) => Finding::problem(
            "port",
            format!("{listen} cannot be listened on: {error}"),
            "choose an address of this host and a port above 1023 as http.listen",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_a_problem_only_without_a_daemon() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(port(address, true).await.verdict, Verdict::Ok);
        let taken = port(address, false).await;
        assert!(taken.verdict == Verdict::Problem && taken.found.contains("taken"), "{taken:?}");
        drop(listener);
        assert_eq!(port(address, false).await.verdict, Verdict::Ok);
    }
}
