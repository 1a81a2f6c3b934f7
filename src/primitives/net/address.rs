//! What sort of address an IP address is, whatever notation or tunnel hides it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// After the IANA special-purpose registries (RFC 6890 and its updates).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Public,
    Loopback,
    /// RFC 1918 and unique local IPv6.
    Private,
    /// RFC 6598, between a carrier and its customers; overlay networks live here too.
    Shared,
    /// Holds the metadata services of clouds.
    LinkLocal,
    Multicast,
    /// Unspecified, broadcast, documentation, benchmarking, future use and deprecated tunnels.
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "an address of a carrier's shared range",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// The address that packets to `ip` end up at: IPv4 inside IPv4-mapped IPv6 is taken out.
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

pub fn kind(ip: IpAddr) -> Kind {
    match canonical(ip) {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => kind_v6(v6),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Kind {
    match ip.octets() {
        [127, ..] => Kind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private,
        [100, 64..=127, ..] => Kind::Shared,
        [169, 254, ..] => Kind::LinkLocal,
        [224..=239, ..] => Kind::Multicast,
        [0, ..] | [240..=255, ..] => Kind::Reserved,
        // Protocol assignments, 6to4 relays, benchmarking and the three documentation ranges.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Kind::Reserved
        }
        // Azure's platform address: public by its number, yet answered by the host below the machine.
        [168, 63, 129, 16] => Kind::LinkLocal,
        _ => Kind::Public,
    }
}

fn kind_v6(ip: Ipv6Addr) -> Kind {
    let parts = ip.segments();
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0xfe80..=0xfebf, ..] => Kind::LinkLocal,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        [0xff00..=0xffff, ..] => Kind::Multicast,
        // NAT64 (RFC 6052): as public as the IPv4 address within.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => kind_v4(embedded(parts[6], parts[7])),
        // Teredo and the other protocol assignments, 6to4, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Reserved,
        // ISATAP carries IPv4 in its interface identifier.
        [.., 0x0 | 0x200, 0x5efe, _, _] => Kind::Reserved,
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Reserved,
    }
}

/// The IPv4 address that a NAT64 gateway turns `ip` into.
pub fn translated(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(embedded(high, low)),
            _ => None,
        },
        IpAddr::V4(_) => None,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Kind {
        kind(text.parse().expect("an address"))
    }

    #[test]
    fn only_public_addresses_are_public() {
        for text in ["1.1.1.1", "140.82.121.4", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8"] {
            assert_eq!(of(text), Kind::Public, "{text}");
        }
        let others = [
            ("127.0.0.1", Kind::Loopback),
            ("127.255.255.254", Kind::Loopback),
            ("::1", Kind::Loopback),
            ("::ffff:127.0.0.1", Kind::Loopback),
            ("64:ff9b::127.0.0.1", Kind::Loopback),
            ("10.0.0.1", Kind::Private),
            ("172.16.0.1", Kind::Private),
            ("192.168.1.1", Kind::Private),
            ("fd00::1", Kind::Private),
            ("100.64.0.1", Kind::Shared),
            ("169.254.169.254", Kind::LinkLocal),
            ("168.63.129.16", Kind::LinkLocal),
            ("fe80::1", Kind::LinkLocal),
            ("224.0.0.1", Kind::Multicast),
            ("ff02::1", Kind::Multicast),
            ("0.0.0.0", Kind::Reserved),
            ("::", Kind::Reserved),
            ("255.255.255.255", Kind::Reserved),
            ("192.0.0.192", Kind::Reserved),
            ("198.18.0.1", Kind::Reserved),
            ("203.0.113.9", Kind::Reserved),
            ("::127.0.0.1", Kind::Reserved),
            ("64:ff9b:1::10.0.0.1", Kind::Reserved),
            ("2002:7f00:1::", Kind::Reserved),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Kind::Reserved),
            ("2001:db8::1", Kind::Reserved),
            ("fec0::1", Kind::Reserved),
            ("2a00::5efe:127.0.0.1", Kind::Reserved),
            ("::ffff:0:127.0.0.1", Kind::Reserved),
        ];
        for (text, expected) in others {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
