//! The name server of one execution: addresses of names that it may reach, and nothing of any other.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ledger::{Reason, Way, Wish};
use super::message::{Code, Kind, Malformed, Question, question};
use super::outbound::{Outbound, within};
use super::pace::Turn;
use super::peers::Peers;
use crate::base::limits;

/// Answers until it is dropped. A question for which there is no room is dropped, too: whoever asked asks again.
pub async fn serve_udp(socket: UdpSocket, peers: Peers, outbound: Outbound) {
    let (socket, slots) = (Arc::new(socket), Arc::new(Semaphore::new(limits::EGRESS_DNS_AT_ONCE)));
    let mut answers = JoinSet::new();
    // One byte more than a message may have, so that a longer one is seen to be so.
    let mut buffer = [0; limits::EGRESS_DNS_BYTES_MAX + 1];
    loop {
        let received = socket.recv_from(&mut buffer).await;
        while answers.try_join_next().is_some() {}
        let Ok((length, peer)) = received else {
            outbound.clock.sleep(limits::EGRESS_ACCEPT_PAUSE).await;
            continue;
        };
        if !peers.has(peer.ip()) || !may_ask(&outbound) {
            continue;
        }
        let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
        let (message, socket, outbound) = (buffer[..length].to_vec(), socket.clone(), outbound.clone());
        answers.spawn(async move {
            if let Some(answer) = answer(&outbound, &message).await {
                let _ = socket.send_to(&answer, peer).await;
            }
            drop(slot);
        });
    }
}

/// Answers the questions of one connection, one after the other (RFC 7766), until none comes for a while.
pub async fn serve_tcp(mut stream: TcpStream, outbound: Outbound) {
    let clock = outbound.clock.clone();
    while within(&clock, limits::EGRESS_DNS_IDLE_MAX, exchange(&mut stream, &outbound)).await == Some(true) {}
}

/// Whether the next question may come.
async fn exchange(stream: &mut TcpStream, outbound: &Outbound) -> bool {
    let Ok(length) = stream.read_u16().await else { return false };
    if usize::from(length) > limits::EGRESS_DNS_BYTES_MAX {
        return false;
    }
    let mut message = vec![0; usize::from(length)];
    if stream.read_exact(&mut message).await.is_err() || !may_ask(outbound) {
        return false;
    }
    let Some(answer) = answer(outbound, &message).await else { return false };
    let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
    stream.write_all(&[&length[..], &answer].concat()).await.is_ok()
}

/// Whether the execution has not asked for too much of late.
fn may_ask(outbound: &Outbound) -> bool {
    let turn = outbound.pace.next(&outbound.clock);
    if turn == Turn::Tell {
        outbound.ledger.refuse(Wish::Dns, "", None, Reason::Pace);
    }
    turn == Turn::Answer
}

/// None for what is not answered. Both are among what the execution sends and receives: a name may carry anything to those
/// who answer for it.
pub async fn answer(outbound: &Outbound, message: &[u8]) -> Option<Vec<u8>> {
    outbound.ledger.moved(Way::Out, message.len());
    let answer = consider(outbound, message).await;
    outbound.ledger.moved(Way::In, answer.as_ref().map_or(0, Vec::len));
    answer
}

async fn consider(outbound: &Outbound, message: &[u8]) -> Option<Vec<u8>> {
    let malformed = || outbound.ledger.refuse(Wish::Dns, "", None, Reason::Malformed);
    match question(message) {
        Ok(question) => Some(decide(outbound, &question).await),
        Err(Malformed::Answered(answer)) => {
            malformed();
            Some(answer)
        }
        Err(Malformed::Silent) => {
            malformed();
            None
        }
    }
}

async fn decide(outbound: &Outbound, question: &Question) -> Vec<u8> {
    let Some(name) = &question.name else {
        outbound.ledger.refuse(Wish::Dns, "", None, Reason::Malformed);
        return question.failed(Code::Refused);
    };
    let found = match question.kind {
        _ if outbound.ledger.is_spent() => Err(Reason::Spent),
        // Nothing is known of a name but its addresses.
        Kind::Other if !outbound.rules.ports(name).is_empty() => Ok(Vec::new()),
        _ => outbound.addresses(name).await,
    };
    match found {
        Ok(found) => {
            outbound.ledger.answer(name);
            question.answered(&found)
        }
        Err(reason) => {
            outbound.ledger.refuse(Wish::Dns, name, None, reason);
            question.failed(if reason == Reason::Unresolved { Code::ServerFailure } else { Code::Refused })
        }
    }
}
