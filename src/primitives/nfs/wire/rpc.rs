//! Remote procedure calls (RFC 5531 section 9).

use bytes::Bytes;

use super::auth::{self, AuthProblem, Credential};
use super::xdr::{Decoder, Encoder, Malformed, padding};

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;

const MSG_ACCEPTED: u32 = 0;
const MSG_DENIED: u32 = 1;
const RPC_MISMATCH: u32 = 0;
const AUTH_ERROR: u32 = 1;

/// A call whose header was understood.
#[derive(Debug, Clone)]
pub struct Call {
    pub xid: u32,
    pub program: u32,
    pub version: u32,
    pub procedure: u32,
    pub credential: Credential,
    /// What follows the header.
    pub arguments: Bytes,
}

/// An answer as it goes out, less its record mark.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub head: Vec<u8>,
    /// The data of a READ, kept apart so that it is not copied. Padding follows it.
    pub data: Vec<u8>,
}

impl Reply {
    /// With the padding after its data.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.data.len() + padding(self.data.len())
    }
}

/// What a record turned out to be.
#[derive(Debug)]
pub enum Incoming {
    Call(Call),
    /// Answered without being looked at further.
    Refused(Reply),
}

/// `accept_stat`: how far an accepted call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    Success = 0,
    ProgramUnavailable = 1,
    /// This program answers one version only.
    ProgramMismatch = 2,
    ProcedureUnavailable = 3,
    GarbageArguments = 4,
    /// The call could not be executed, for a reason of the server's.
    SystemError = 5,
}

/// Reads the header of a call. A record that is not a call, or not even that, is [`Malformed`]: there is no answer to
/// it, and no reason to expect that the next one will be better.
pub fn parse(record: &Bytes) -> Result<Incoming, Malformed> {
    let mut decoder = Decoder::new(record);
    let xid = decoder.u32()?;
    if decoder.u32()? != CALL {
        return Err(Malformed::Value);
    }
    if decoder.u32()? != RPC_VERSION {
        return Ok(Incoming::Refused(denied(xid, RPC_MISMATCH, &[RPC_VERSION, RPC_VERSION])));
    }
    let (program, version, procedure) = (decoder.u32()?, decoder.u32()?, decoder.u32()?);
    let credential = match auth::decode(&mut decoder)? {
        Ok(credential) => credential,
        Err(problem) => return Ok(Incoming::Refused(rejected(xid, problem))),
    };
    let arguments = record.slice(record.len() - decoder.rest().len()..);
    Ok(Incoming::Call(Call { xid, program, version, procedure, credential, arguments }))
}

/// The header of an accepted call's answer; the results follow a [`Accepted::Success`].
pub fn accepted(xid: u32, state: Accepted, capacity_bytes: usize) -> Encoder {
    let mut encoder = Encoder::with_capacity(capacity_bytes.max(64));
    encoder.u32(xid);
    encoder.u32(REPLY);
    encoder.u32(MSG_ACCEPTED);
    auth::encode_verifier(&mut encoder);
    encoder.u32(state as u32);
    encoder
}

/// The answer to a call that goes no further.
pub fn stopped(xid: u32, state: Accepted) -> Reply {
    Reply { head: accepted(xid, state, 0).into_bytes(), data: Vec::new() }
}

/// The answer to a call of another version than `only`.
pub fn mismatch(xid: u32, only: u32) -> Reply {
    let mut encoder = accepted(xid, Accepted::ProgramMismatch, 0);
    encoder.u32(only);
    encoder.u32(only);
    Reply { head: encoder.into_bytes(), data: Vec::new() }
}

fn rejected(xid: u32, problem: AuthProblem) -> Reply {
    denied(xid, AUTH_ERROR, &[problem as u32])
}

fn denied(xid: u32, why: u32, particulars: &[u32]) -> Reply {
    let mut encoder = Encoder::with_capacity(32);
    for word in [xid, REPLY, MSG_DENIED, why] {
        encoder.u32(word);
    }
    particulars.iter().for_each(|word| encoder.u32(*word));
    Reply { head: encoder.into_bytes(), data: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Bytes {
        words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>().into()
    }

    #[test]
    fn a_call_is_read_up_to_its_arguments() {
        let record = words(&[9, 0, 2, 100_003, 3, 1, 0, 0, 0, 0, 0xfeed]);
        let Ok(Incoming::Call(call)) = parse(&record) else { panic!("not a call") };
        assert_eq!((call.xid, call.program, call.version, call.procedure), (9, 100_003, 3, 1));
        assert_eq!(call.credential, Credential::None);
        assert_eq!(call.arguments, words(&[0xfeed]));
    }

    #[test]
    fn what_is_no_call_gets_no_answer() {
        for record in [&[][..], &[9], &[9, 1, 0, 0, 0, 0, 0], &[9, 0, 2, 100_003, 3, 1, 1, 401]] {
            assert!(parse(&words(record)).is_err(), "{record:?}");
        }
    }

    #[test]
    fn other_versions_of_rpc_and_other_flavors_are_denied() {
        let Ok(Incoming::Refused(reply)) = parse(&words(&[9, 0, 3])) else { panic!("not refused") };
        assert_eq!(reply.head, words(&[9, 1, 1, 0, 2, 2]));
        let Ok(Incoming::Refused(reply)) = parse(&words(&[9, 0, 2, 100_003, 3, 1, 6, 0, 0, 0])) else {
            panic!("not refused")
        };
        assert_eq!(reply.head, words(&[9, 1, 1, 1, 2]));
    }

    #[test]
    fn answers_carry_an_empty_verifier() {
        assert_eq!(stopped(9, Accepted::GarbageArguments).head, words(&[9, 1, 0, 0, 0, 4]));
        assert_eq!(mismatch(9, 3).head, words(&[9, 1, 0, 0, 0, 2, 3, 3]));
    }
}
