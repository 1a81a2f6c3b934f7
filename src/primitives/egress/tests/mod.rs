//! The proxy and the name server, driven over loopback by a client of the tests' own; then from within real containers.

mod gates;
mod joins;
mod live;
mod names;
mod proxy;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::accept::{Places, accept};
use super::ledger::Ledger;
use super::names::Names;
use super::outbound::{Outbound, leads_here};
use super::pace::Pace;
use super::peers::Peers;
use super::rules::{Mode, Request, Rules};
use super::{Decision, proxy as served};
use crate::base::Clock;
use crate::model::Grants;
use crate::primitives::net::resolve::Lookup;
use crate::primitives::permit;

/// Knows of no name.
#[derive(Debug)]
struct Nobody;

impl Lookup for Nobody {
    fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async { Err(io::Error::from(io::ErrorKind::NotFound)) }.boxed()
    }
}

/// Everything that comes from this machine itself is the execution.
fn peers() -> Peers {
    Peers { subnet: "127.0.0.0/8".parse().expect("a network"), gateway: Ipv4Addr::new(127, 0, 0, 254) }
}

/// A way out to `names`, of which some have addresses.
fn outbound(names: &[&str], hosts: &[(&str, [u8; 4])], bytes_max: u64, clock: &Clock) -> Outbound {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let grants = Grants { egress: names.clone(), ..Grants::default() };
    let request = Request { mode: Mode::Allow, names };
    let permit = permit::egress(&grants, &request.needed()).expect("granted");
    let rules = Rules::new(&request, &permit, &[]).expect("rules");
    let hosts: BTreeMap<String, IpAddr> =
        hosts.iter().map(|(name, ip)| ((*name).to_owned(), IpAddr::from(*ip))).collect();
    let names = Names::new(Arc::new(hosts), Arc::new(Nobody), clock.clone());
    let ledger = Ledger::new(clock.clone(), bytes_max, None);
    Outbound { rules, names, ledger, pace: Pace::new(clock), clock: clock.clone(), here: leads_here }
}

/// So many for one execution, and plenty for all.
fn places(own: usize) -> Places {
    Places { own, all: Arc::new(Semaphore::new(100)) }
}

/// A proxy on loopback, until it is dropped.
struct Proxy {
    address: SocketAddr,
    outbound: Outbound,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn start(outbound: Outbound, peers: Peers, own: usize) -> Self {
        Self::start_within(outbound, peers, places(own)).await
    }

    async fn start_within(outbound: Outbound, peers: Peers, places: Places) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (mut tasks, out, refused) = (JoinSet::new(), outbound.clone(), outbound.clone());
        let (clock, serve) = (outbound.clock.clone(), move |stream| served::serve(stream, out.clone()));
        let refuse = move |stream| served::refuse(&stream, &refused);
        tasks.spawn(accept(listener, peers, places, clock, serve, refuse));
        Self { address, outbound, _tasks: tasks }
    }

    fn decisions(&self) -> Vec<Decision> {
        self.outbound.ledger.decisions(0)
    }

    /// The last decision once `is_done` holds of it.
    async fn decided(&self, is_done: impl Fn(&Decision) -> bool) -> Decision {
        loop {
            if let Some(found) = self.decisions().pop().filter(&is_done) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }
}
