//! The patterns of `permissions.http` and of the operator's deny list.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::address::canonical;
use crate::model::grants::matches;

/// `api.github.com`, `*.example.com:443`, `10.0.0.5:8080`, `10.0.0.0/8`, `[::1]:8080`, `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    pub host: HostPart,
    /// None: every port.
    pub port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPart {
    /// Lower case, without a trailing dot; may hold `*`.
    Name(String),
    Range(IpNet),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a host pattern: write a host name, an address or a range, with a port where only one is meant, \
     such as \"api.example.com\", \"*.example.com:443\" or \"10.0.0.0/8\""
)]
pub struct BadPattern(pub String);

impl FromStr for HostPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern(text.chars().take(80).collect());
        if let Some(range) = range(text) {
            return Ok(Self { host: HostPart::Range(range), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?)),
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Some(range) = range(bare) {
            return Ok(Self { host: HostPart::Range(range), port });
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
        if name.is_empty() || name.len() > 253 || !name.chars().all(fits) || looks_numeric(&name) {
            return Err(bad());
        }
        Ok(Self { host: HostPart::Name(name), port })
    }
}

/// An address is a range of one. IPv4 inside IPv6 is written as IPv4, the way targets are.
fn range(text: &str) -> Option<IpNet> {
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    text.parse::<IpAddr>().map(|ip| IpNet::from(canonical(ip))).ok().or_else(|| text.parse::<IpNet>().ok())
}

/// `0x7f.1` and `2130706433` would be read as addresses by a URL, never as names: as patterns they are mistakes.
fn looks_numeric(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    !last.is_empty() && (hex || last.chars().all(|c| c.is_ascii_digit()))
}

impl HostPattern {
    pub fn covers_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    pub fn covers_name(&self, name: &str) -> bool {
        matches!(&self.host, HostPart::Name(pattern) if matches(pattern, name))
    }

    pub fn covers_address(&self, ip: IpAddr) -> bool {
        matches!(&self.host, HostPart::Range(range) if range.contains(&canonical(ip)))
    }

    pub fn is_everything(&self) -> bool {
        matches!(&self.host, HostPart::Name(pattern) if pattern == "*")
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (HostPart::Name(name), None) => f.write_str(name),
            (HostPart::Name(name), Some(port)) => write!(f, "{name}:{port}"),
            (HostPart::Range(range), None) if range.prefix_len() == range.max_prefix_len() => {
                write!(f, "{}", range.addr())
            }
            (HostPart::Range(range), Some(port)) if range.prefix_len() == range.max_prefix_len() => {
                write!(f, "{}", std::net::SocketAddr::new(range.addr(), port))
            }
            (HostPart::Range(range), None) => write!(f, "{range}"),
            (HostPart::Range(range), Some(port)) => write!(f, "[{range}]:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_parse_and_show() {
        for text in [
            "*",
            "api.github.com",
            "*.example.com:443",
            "10.0.0.5",
            "10.0.0.5:8080",
            "10.0.0.0/8",
            "::1",
            "[::1]:8080",
            "fd00::/8",
            "redis",
            "*:443",
        ] {
            assert_eq!(text.parse::<HostPattern>().map(|pattern| pattern.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("[::ffff:10.0.0.5]:80".parse::<HostPattern>().map(|p| p.to_string()), Ok("10.0.0.5:80".into()));
        for text in ["", "a b", "http://x", "x:", "x:0", "x:70000", "2130706433", "0x7f.1", "10.0.0.0/33", "127.1"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
