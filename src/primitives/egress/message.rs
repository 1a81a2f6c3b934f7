//! Questions and answers of the DNS (RFC 1035), as far as a name server needs them that answers for two kinds of
//! addresses and nothing else. Lengths are looked at before what they are lengths of; nothing is followed.

use std::net::IpAddr;

use crate::base::limits;

const HEADER_BYTES: usize = 12;
/// RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 255;
/// A pointer to the name of the question, which begins behind the header.
const NAME_POINTER: [u8; 2] = [0xc0, 0x0c];
const CLASS_IN: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
/// RFC 6895 section 2.2: operation, and recursion is desired.
const OPERATION: u8 = 0x78;
const RECURSION_DESIRED: u8 = 0x01;
const RESPONSE: u8 = 0x80;
const RECURSION_AVAILABLE: u8 = 0x80;

/// RFC 1035 section 4.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NotImplemented = 4,
    Refused = 5,
}

/// What is asked for of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    A,
    Aaaa,
    Other,
}

impl Kind {
    fn covers(self, ip: IpAddr) -> bool {
        matches!((self, ip), (Self::A, IpAddr::V4(_)) | (Self::Aaaa, IpAddr::V6(_)))
    }
}

/// A question that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// In lower case, without the last dot. None when it holds what no host's name has.
    pub name: Option<String>,
    pub kind: Kind,
    /// Number and flags of the message, and the question's own bytes: both come back in the answer.
    head: [u8; 4],
    bytes: Vec<u8>,
}

/// What is no question that could be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// Not even that can be answered: it is too short, or an answer itself.
    Silent,
    /// The answer that says so.
    Answered(Vec<u8>),
}

/// Reads one message.
pub fn question(message: &[u8]) -> Result<Question, Malformed> {
    let Some((header, rest)) = message.split_at_checked(HEADER_BYTES) else { return Err(Malformed::Silent) };
    let head = [header[0], header[1], header[2], header[3]];
    if head[2] & RESPONSE != 0 || message.len() > limits::EGRESS_DNS_BYTES_MAX {
        return Err(Malformed::Silent);
    }
    let failed = |code| Malformed::Answered(answer_head(head, code, 0, 0).to_vec());
    if head[2] & OPERATION != 0 {
        return Err(failed(Code::NotImplemented));
    }
    if [header[4], header[5]] != [0, 1] || [header[6], header[7]] != [0, 0] {
        return Err(failed(Code::FormatError));
    }
    let (name, name_bytes) = name(rest).ok_or_else(|| failed(Code::FormatError))?;
    let Some(&[kind_high, kind_low, class_high, class_low]) = rest.get(name_bytes..name_bytes + 4) else {
        return Err(failed(Code::FormatError));
    };
    if u16::from_be_bytes([class_high, class_low]) != CLASS_IN {
        return Err(failed(Code::Refused));
    }
    let kind = match u16::from_be_bytes([kind_high, kind_low]) {
        TYPE_A => Kind::A,
        TYPE_AAAA => Kind::Aaaa,
        _ => Kind::Other,
    };
    Ok(Question { name, kind, head, bytes: rest[..name_bytes + 4].to_vec() })
}

/// A name and its length; None when it is none. Pointers have nothing to point to in a question.
fn name(bytes: &[u8]) -> Option<(Option<String>, usize)> {
    let (mut labels, mut is_host, mut at) = (Vec::new(), true, 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if length > LABEL_BYTES_MAX || at + length >= NAME_BYTES_MAX {
            return None;
        }
        let label = bytes.get(at..at + length)?;
        is_host &= label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
    let name = labels.join(".");
    Some(((is_host && !name.is_empty()).then_some(name), at))
}

fn answer_head(head: [u8; 4], code: Code, questions: u8, answers: u8) -> [u8; HEADER_BYTES] {
    let flags = [RESPONSE | (head[2] & RECURSION_DESIRED), RECURSION_AVAILABLE | code as u8];
    [head[0], head[1], flags[0], flags[1], 0, questions, 0, answers, 0, 0, 0, 0]
}

impl Question {
    /// An answer without addresses.
    pub fn failed(&self, code: Code) -> Vec<u8> {
        [&answer_head(self.head, code, 1, 0), self.bytes.as_slice()].concat()
    }

    /// Those of the addresses that were asked for.
    pub fn answered(&self, found: &[IpAddr]) -> Vec<u8> {
        let told = found.iter().filter(|ip| self.kind.covers(**ip)).take(limits::EGRESS_ADDRESSES_MAX);
        let records: Vec<Vec<u8>> = told.map(|ip| record(*ip)).collect();
        let count = u8::try_from(records.len()).unwrap_or(u8::MAX);
        [&answer_head(self.head, Code::NoError, 1, count), self.bytes.as_slice(), &records.concat()].concat()
    }
}

fn record(ip: IpAddr) -> Vec<u8> {
    let (kind, data) = match ip {
        IpAddr::V4(ip) => (TYPE_A, ip.octets().to_vec()),
        IpAddr::V6(ip) => (TYPE_AAAA, ip.octets().to_vec()),
    };
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let (kind, class, length) = (kind.to_be_bytes(), CLASS_IN.to_be_bytes(), length.to_be_bytes());
    let ttl = limits::EGRESS_DNS_TTL_SECONDS.to_be_bytes();
    [&NAME_POINTER[..], &kind, &class, &ttl, &length, &data].concat()
}

#[cfg(test)]
/// The message that asks for a name.
pub fn ask(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).expect("a short label"));
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_and_answered() {
        let question = question(&ask("API.Example.com.", 1)).expect("understood");
        assert_eq!((question.name.as_deref(), question.kind), (Some("api.example.com"), Kind::A));
        let found = ["192.0.2.7", "2001:db8::1"].map(|ip| ip.parse().expect("an address"));
        let answer = question.answered(&found);
        assert_eq!(answer[..12], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..33], *b"\x03API\x07Example\x03com\0\0\x01\0\x01");
        assert_eq!(answer[33..], *b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x07");
        let six = super::question(&ask("a.test", 28)).expect("understood").answered(&found);
        assert_eq!((six[7], six.len()), (1, 12 + 12 + 28));
        assert_eq!(question.failed(Code::Refused)[3] & 0x0f, 5);
        let many: Vec<IpAddr> = (0..200).map(|last| IpAddr::from([192, 0, 2, last])).collect();
        let longest = super::question(&ask(
            &format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)),
            1,
        ));
        assert!(longest.expect("understood").answered(&many).len() <= limits::EGRESS_DNS_BYTES_MAX);
        let sixes: Vec<IpAddr> = (0..200).map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])).collect();
        let longest = super::question(&ask(
            &format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)),
            28,
        ));
        assert!(longest.expect("understood").answered(&sixes).len() <= limits::EGRESS_DNS_BYTES_MAX);
    }

    #[test]
    fn what_is_no_question_is_answered_with_its_mistake_or_not_at_all() {
        let good = ask("api.example.com", 1);
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            message
        };
        let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63));
        let code = |message: &[u8]| match question(message) {
            Ok(_) => None,
            Err(Malformed::Silent) => Some(0xff),
            Err(Malformed::Answered(answer)) => Some(answer[3] & 0x0f),
        };
        for (what, message, expected) in [
            ("nothing", Vec::new(), Some(0xff)),
            ("half a header", good[..11].to_vec(), Some(0xff)),
            ("an answer", with(2, 0x81), Some(0xff)),
            ("too long", [good.clone(), vec![0; 600]].concat(), Some(0xff)),
            ("an update", with(2, 0x28), Some(4)),
            ("no question", with(5, 0), Some(1)),
            ("two questions", with(5, 2), Some(1)),
            ("65,280 questions", with(4, 0xff), Some(1)),
            ("a question with an answer", with(7, 1), Some(1)),
            ("a header alone", good[..12].to_vec(), Some(1)),
            ("a name without an end", good[..20].to_vec(), Some(1)),
            ("no type", good[..good.len() - 4].to_vec(), Some(1)),
            ("half a class", good[..good.len() - 1].to_vec(), Some(1)),
            ("a pointer to itself", [&good[..12], &[0xc0, 0x0c, 0, 1, 0, 1]].concat(), Some(1)),
            ("a label of 64 bytes", with(12, 64), Some(1)),
            ("a name of 256 bytes", ask(&long, 1), Some(1)),
            ("the class CHAOS", with(good.len() - 1, 3), Some(5)),
            ("a question", good.clone(), None),
            ("with further records behind it", [&good[..11], &[1], &good[12..], &[0; 11]].concat(), None),
        ] {
            assert_eq!(code(&message), expected, "{what}");
        }
        for odd in [&b"\x05a.b c\0\0\x01\0\x01"[..], b"\x04a\n\xffb\0\0\x01\0\x01", b"\0\0\x01\0\x01"] {
            let found = question(&[&good[..12], odd].concat()).expect("understood");
            assert_eq!(found.name, None, "{odd:?}");
        }
    }

    /// Every message of a bounded length ends in bounded work: none of them panics, and no answer outgrows a packet.
    #[test]
    fn mangled_messages_harm_nobody() {
        let good = ask("some.name.example.com", 28);
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut message = good.clone();
            for _ in 0..4 {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(dice >> 33).expect("31 bits") % message.len();
                message[at] = dice.to_le_bytes()[3];
                if dice.is_multiple_of(7) {
                    message.truncate(at);
                }
                if message.is_empty() {
                    break;
                }
            }
            if let Ok(found) = question(&message) {
                let answer = found.answered(&[IpAddr::from([192, 0, 2, 1])]);
                assert!(answer.len() <= limits::EGRESS_DNS_BYTES_MAX && answer[..2] == message[..2]);
            }
        }
    }
}
