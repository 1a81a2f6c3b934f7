//! Hellos as clients make them, and as nobody should.

use super::*;

const PADDING: u16 = 21;
/// Encrypted client hello.
const ECH: u16 = 0xfe0d;

fn vector(length_bytes: usize, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    [&length[length.len() - length_bytes..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, content)].concat()
}

fn server_name(names: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|(kind, name)| [vec![*kind], vector(2, name)].concat()).collect();
    extension(0, &vector(2, &list))
}

fn message(extensions: Option<&[u8]>) -> Vec<u8> {
    let mut hello =
        [&[3, 3][..], &[7; RANDOM_BYTES], &vector(1, &[9; 32]), &vector(2, &[0x13, 1]), &vector(1, &[0])].concat();
    hello.extend(extensions.map(|extensions| vector(2, extensions)).unwrap_or_default());
    [vec![CLIENT_HELLO], vector(3, &hello)].concat()
}

fn record(content: &[u8]) -> Vec<u8> {
    [&[HANDSHAKE, 3, 1][..], &vector(2, content)].concat()
}

/// A message with more behind it that it counts as its own.
fn longer(message: &[u8], more: &[u8]) -> Vec<u8> {
    [vec![CLIENT_HELLO], vector(3, &[&message[MESSAGE_HEAD_BYTES..], more].concat())].concat()
}

/// A client's first bytes.
pub fn hello(extensions: &[u8]) -> Vec<u8> {
    record(&message(Some(extensions)))
}

/// Those of a client that asks for `name`.
pub fn hello_to(name: &str) -> Vec<u8> {
    hello(&server_name(&[(0, name.as_bytes())]))
}

fn named(name: &str) -> Opening {
    Opening::Hello(Some(name.to_owned()))
}

#[test]
fn the_name_is_read_however_the_hello_is_cut() {
    let with_others =
        [extension(PADDING, &[0; 900]), server_name(&[(0, b"API.Example.com.")]), extension(ECH, &[1; 200])];
    let whole = message(Some(&with_others.concat()));
    for size in [whole.len(), whole.len() - 1, 100, 60] {
        let bytes: Vec<u8> = whole.chunks(size).flat_map(record).collect();
        assert_eq!(opening(&bytes), named("api.example.com"), "records of {size}");
        // What follows is not looked at.
        assert_eq!(opening(&[&bytes[..], b"\x17\x03\x03junk"].concat()), named("api.example.com"));
        // Each part of it says how much more is needed, and never more than comes.
        for length in 0..bytes.len() {
            let Opening::Unfinished(needed) = opening(&bytes[..length]) else { panic!("{length} of {}", bytes.len()) };
            assert!(needed > length && needed <= bytes.len(), "{length}: {needed}");
        }
    }
    assert_eq!(opening(&record(&message(None))), Opening::Hello(None), "as TLS had it before extensions");
    assert_eq!(opening(&hello(&extension(PADDING, &[0; 8]))), Opening::Hello(None));
    // What is encrypted besides is not seen; the name in the open is.
    assert_eq!(
        opening(&hello(&[server_name(&[(0, b"front.test")]), extension(ECH, &[0; 300])].concat())),
        named("front.test")
    );
}

#[test]
fn what_is_no_tls_is_told_at_its_first_byte() {
    for other in [&b"SSH-2.0-x\r\n"[..], b"GET / HTTP/1.1\r\n", b"\x80\x2e\x01\x00\x02", b"\x00", b"\xff\x16\x03\x01"] {
        assert_eq!(opening(other), Opening::Other, "{other:?}");
        assert_eq!(opening(&other[..1]), Opening::Other);
    }
    assert_eq!(opening(b""), Opening::Unfinished(1));
}

#[test]
fn hostile_hellos_are_refused_within_bounds() {
    let name = server_name(&[(0, b"a.test")]);
    let whole = message(Some(&name));
    let with = |at: usize, byte: u8| {
        let mut bytes = record(&whole);
        bytes[at] = byte;
        bytes
    };
    let inner = |length: u16| {
        let mut list = server_name(&[(0, b"a.test")]);
        list[4..6].copy_from_slice(&length.to_be_bytes());
        hello(&list)
    };
    let large = extension(PADDING, &[0; 17_000]);
    for (what, bytes) in [
        ("another record first", b"\x15\x03\x01\x00\x02\x01\x00".to_vec()),
        ("a change of cipher first", [b"\x14\x03\x01\x00\x01\x01".to_vec(), record(&whole)].concat()),
        ("another version of records", with(1, 2)),
        ("a server's message", with(5, 2)),
        ("an empty record", vec![HANDSHAKE, 3, 1, 0, 0]),
        ("a record of 65535 bytes", vec![HANDSHAKE, 3, 1, 0xff, 0xff]),
        ("a record of 16385 bytes", vec![HANDSHAKE, 3, 1, 0x40, 1]),
        ("a message of 16 MiB", vec![HANDSHAKE, 3, 1, 0, 4, CLIENT_HELLO, 0xff, 0xff, 0xff]),
        ("a hello larger than any", message(Some(&large)).chunks(16_000).flat_map(record).collect()),
        ("a record for each byte", whole.chunks(1).flat_map(record).collect()),
        ("another record in between", [record(&whole[..20]), b"\x14\x03\x01\x00\x01\x01".to_vec()].concat()),
        ("a session longer than the hello", with(43, 0xff)),
        ("something behind the hello", record(&[&whole[..], &[0]].concat())),
        ("extensions longer than the hello", record(&longer(&message(None), &[0xff, 0xff]))),
        ("bytes behind the extensions", record(&longer(&whole, &[0]))),
        ("two names", hello(&server_name(&[(0, b"a.test"), (0, b"b.test")]))),
        ("a name of another kind", hello(&server_name(&[(1, b"a.test")]))),
        ("a name of another kind besides", hello(&server_name(&[(0, b"a.test"), (1, b"b.test")]))),
        ("no name in the list", hello(&server_name(&[]))),
        ("an empty name", hello(&server_name(&[(0, b"")]))),
        ("a dot for a name", hello(&server_name(&[(0, b".")]))),
        ("a name that ends early", hello(&server_name(&[(0, b"a.test\0.evil.test")]))),
        ("a name of other letters", hello(&server_name(&[(0, "\u{430}.test".as_bytes())]))),
        ("a name with a line", hello(&server_name(&[(0, b"a.test\r\nx")]))),
        ("the extension twice", hello(&[name.clone(), server_name(&[(0, b"b.test")])].concat())),
        ("a list longer than it is", inner(200)),
        ("a list shorter than it is", inner(3)),
        ("an extension without content", hello(&extension(0, &[]))),
        ("an extension without its length", hello(&[0, 0])),
    ] {
        let said = opening(&bytes);
        assert!(matches!(said, Opening::Malformed), "{what}: {said:?}");
    }
}

#[test]
fn no_bytes_at_all_bring_it_down() {
    let (whole, mut dice) = (hello_to("api.example.com"), 0x2545_f491_4f6c_dd1d_u64);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..4 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(dice >> 33).expect("31 bits") % bytes.len();
            bytes[at] = dice.to_le_bytes()[3];
        }
        if let Opening::Unfinished(needed) = opening(&bytes) {
            assert!(needed > bytes.len() && needed <= limits::EGRESS_HELLO_BYTES_MAX, "{needed}");
        }
    }
}
