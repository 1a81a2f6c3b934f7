//! Round trips, by echo requests on the sockets that need no privilege.

use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use serde::Serialize;
use tokio::net::UdpSocket;

use super::Probe;
use super::error::ProbeError;
use crate::base::clock::since;
use crate::base::limits;
use crate::primitives::permit::ProbePermit;

#[derive(Debug, Clone)]
pub struct PingQuery {
    pub host: String,
    pub count: usize,
    /// Of each echo.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ping {
    pub reachable: bool,
    pub address: String,
    pub sent: usize,
    pub received: usize,
    pub loss_percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// What was said to the last echo that did not come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Type and code, checksum (the kernel's), identifier (the kernel's), number, and what comes back.
const HEADER_BYTES: usize = 8;

impl Probe {
    /// Sends echo requests one after the other. That none comes back is a result.
    pub async fn ping(&self, permit: &ProbePermit, query: &PingQuery) -> Result<Ping, ProbeError> {
        let port = self.some_port(permit, &query.host);
        let addresses = self.addresses(permit, "pinging", &query.host, port).await?;
        let Some(address) = addresses.first().map(SocketAddr::ip) else {
            return Err(ProbeError::BadHost { host: query.host.clone() });
        };
        let socket = socket(address).map_err(|_| ProbeError::NoPing { host: query.host.clone() })?;
        let failed = |problem: std::io::Error| ProbeError::Unreachable {
            target: query.host.clone(),
            problem: problem.to_string(),
        };
        socket.connect(SocketAddr::new(address, 0)).await.map_err(failed)?;
        let count = query.count.clamp(1, limits::PROBE_PINGS_MAX);
        let (mut trips, mut problem) = (Vec::new(), None);
        for number in 0..count {
            if number > 0 {
                self.0.clock.sleep(limits::PROBE_PING_PAUSE).await;
            }
            match self.echo(&socket, address, u16::try_from(number).unwrap_or(0), query.timeout).await {
                Ok(trip) => trips.push(trip.as_secs_f64() * 1_000.0),
                Err(said) => problem = Some(said),
            }
        }
        let received = trips.len();
        Ok(Ping {
            reachable: received > 0,
            address: address.to_string(),
            sent: count,
            received,
            loss_percent: (count - received) as f64 * 100.0 / count as f64,
            min_ms: trips.iter().copied().reduce(f64::min),
            average_ms: (received > 0).then(|| trips.iter().sum::<f64>() / received as f64),
            max_ms: trips.iter().copied().reduce(f64::max),
            problem,
        })
    }

    async fn echo(
        &self,
        socket: &UdpSocket,
        address: IpAddr,
        number: u16,
        timeout: Duration,
    ) -> Result<Duration, String> {
        const REQUEST_V4: u8 = 8;
        const REQUEST_V6: u8 = 128;
        let token = getrandom::u64().map_err(|problem| problem.to_string())?.to_be_bytes();
        let mut packet = vec![0; HEADER_BYTES];
        packet[0] = if address.is_ipv4() { REQUEST_V4 } else { REQUEST_V6 };
        packet[6..HEADER_BYTES].copy_from_slice(&number.to_be_bytes());
        packet.extend(token);
        let started = self.0.clock.now();
        socket.send(&packet).await.map_err(|problem| problem.to_string())?;
        let answered = async {
            let mut answer = [0; 64];
            loop {
                let length = socket.recv(&mut answer).await.map_err(|problem| problem.to_string())?;
                // A late answer to an earlier one is none to this.
                if answer[..length].get(HEADER_BYTES..) == Some(token.as_slice()) {
                    return Ok(since(self.0.clock.now(), started));
                }
            }
        };
        tokio::select! {
            answer = answered => answer,
            () = self.0.clock.sleep(timeout) => Err("no answer in time".to_owned()),
        }
    }
}

fn socket(address: IpAddr) -> std::io::Result<UdpSocket> {
    let (family, protocol) =
        if address.is_ipv4() { (AddressFamily::INET, ipproto::ICMP) } else { (AddressFamily::INET6, ipproto::ICMPV6) };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, Some(protocol))?;
    UdpSocket::from_std(StdSocket::from(socket))
}
