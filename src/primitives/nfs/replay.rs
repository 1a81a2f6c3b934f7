//! Answers to calls that come again.
//!
//! A client that waits too long, or loses its connection, sends its call again under the same number. To execute a
//! REMOVE twice would tell it that the file was not there. So the answers to calls that change something are kept for
//! a while, for each client's address: connections come and go.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::wire::rpc::{Call, Reply};
use crate::base::limits;

/// What makes two calls of one client the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CallKey {
    xid: u32,
    procedure: u32,
    digest: u64,
}

type Answered = watch::Receiver<Option<Arc<Reply>>>;

#[derive(Debug, Default)]
struct Client {
    calls: HashMap<CallKey, Answered>,
    /// The oldest first.
    order: VecDeque<CallKey>,
}

#[derive(Debug, Default)]
struct Clients {
    clients: HashMap<IpAddr, Client>,
    /// The one that was heard of longest ago first.
    order: VecDeque<IpAddr>,
}

#[derive(Debug, Default)]
pub struct Replays {
    clients: Mutex<Clients>,
    hasher: RandomState,
}

/// Whether a call is to be executed.
pub enum Admission {
    /// It is new: execute it and hand its answer to the ticket.
    New(Ticket),
    /// It is in execution or was executed: wait for that answer. A channel that closes says that there is none, and
    /// the client will ask again.
    Again(Answered),
}

/// Owed an answer. Dropped without one, the call counts as never seen.
pub struct Ticket {
    answer: watch::Sender<Option<Arc<Reply>>>,
}

impl Ticket {
    pub fn answer(self, reply: &Reply) {
        self.answer.send_replace(Some(Arc::new(reply.clone())));
    }
}

impl Replays {
    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn admit(&self, peer: IpAddr, call: &Call) -> Admission {
        let leading = &call.arguments[..call.arguments.len().min(limits::NFS_REPLAY_DIGEST_BYTES)];
        let digest = self.hasher.hash_one((call.program, leading, call.arguments.len()));
        let key = CallKey { xid: call.xid, procedure: call.procedure, digest };
        let mut clients = self.clients();
        let client = clients.heard_of(peer);
        if let Some(known) = client.calls.get(&key)
            && (known.borrow().is_some() || known.has_changed().is_ok())
        {
            return Admission::Again(known.clone());
        }
        let (answer, answered) = watch::channel(None);
        if client.calls.insert(key, answered).is_none() {
            client.order.push_back(key);
        }
        if client.order.len() > limits::NFS_REPLAYS_CLIENT_MAX
            && let Some(oldest) = client.order.pop_front()
        {
            client.calls.remove(&oldest);
        }
        Admission::New(Ticket { answer })
    }
}

impl Clients {
    fn heard_of(&mut self, peer: IpAddr) -> &mut Client {
        if self.order.back() != Some(&peer) {
            self.order.retain(|known| *known != peer);
            self.order.push_back(peer);
            if self.order.len() > limits::NFS_REPLAYS_CLIENTS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.clients.remove(&oldest);
            }
        }
        self.clients.entry(peer).or_default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::primitives::nfs::wire::auth::Credential;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn call(xid: u32, arguments: &'static [u8]) -> Call {
        Call {
            xid,
            program: 100_003,
            version: 3,
            procedure: 12,
            credential: Credential::None,
            arguments: Bytes::from_static(arguments),
        }
    }

    fn admit(replays: &Replays, peer: IpAddr, call: &Call) -> Option<Ticket> {
        match replays.admit(peer, call) {
            Admission::New(ticket) => Some(ticket),
            Admission::Again(_) => None,
        }
    }

    #[tokio::test]
    async fn a_call_that_comes_again_waits_for_the_first_ones_answer() {
        let replays = Replays::default();
        let ticket = admit(&replays, PEER, &call(1, b"a")).expect("new");
        let Admission::Again(mut answered) = replays.admit(PEER, &call(1, b"a")) else { panic!("executed twice") };
        ticket.answer(&Reply { head: vec![7], data: Vec::new() });
        let reply = answered.wait_for(Option::is_some).await.expect("answered").clone();
        assert_eq!(reply.map(|reply| reply.head.clone()), Some(vec![7]));
        assert!(admit(&replays, PEER, &call(1, b"a")).is_none());
    }

    #[test]
    fn another_number_client_or_content_is_another_call() {
        let replays = Replays::default();
        let _first = admit(&replays, PEER, &call(1, b"a")).expect("new");
        assert!(admit(&replays, PEER, &call(2, b"a")).is_some());
        assert!(admit(&replays, PEER, &call(1, b"b")).is_some());
        assert!(admit(&replays, IpAddr::from([10, 0, 0, 1]), &call(1, b"a")).is_some());
    }

    #[test]
    fn a_call_that_was_given_up_is_executed_when_it_comes_again() {
        let replays = Replays::default();
        drop(admit(&replays, PEER, &call(1, b"a")).expect("new"));
        assert!(admit(&replays, PEER, &call(1, b"a")).is_some());
    }

    #[test]
    fn memory_is_bounded_by_calls_and_by_clients() {
        let replays = Replays::default();
        for xid in 0..limits::NFS_REPLAYS_CLIENT_MAX as u32 + 10 {
            admit(&replays, PEER, &call(xid, b"a")).expect("new").answer(&Reply::default());
        }
        for last in 0..=255 {
            drop(admit(&replays, IpAddr::from([10, 0, 0, last]), &call(1, b"a")));
        }
        let clients = replays.clients();
        assert_eq!(clients.clients.len(), limits::NFS_REPLAYS_CLIENTS_MAX);
        assert!(!clients.clients.contains_key(&PEER));
        assert!(clients.clients.values().all(|client| client.calls.len() <= limits::NFS_REPLAYS_CLIENT_MAX));
    }
}
