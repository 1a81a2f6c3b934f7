//! `[[address:]published:]target[/protocol]` of a port, with ranges.

use std::net::IpAddr;

use super::Flaw;
use crate::base::limits::COMPOSE_PORTS_MAX;

const REMEDY: &str = "write \"8080:80\", \"127.0.0.1:8080:80/udp\" or \"8000-8010:8000-8010\", or use the long syntax";

/// One port out of a text in short syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Port {
    pub host_ip: String,
    /// A port or a range to choose from; empty when the engine chooses.
    pub published: String,
    pub target: u16,
    pub protocol: String,
}

/// All ports that `text` stands for, ordered as Compose orders them.
pub(in super::super) fn ports(text: &str) -> Result<Vec<Port>, Flaw> {
    let (address, published, target) = split(text);
    let (target, protocol) = match target.split_once('/') {
        None => (target, "tcp"),
        Some((target, rest)) => (target, rest.split('/').next().filter(|name| !name.is_empty()).unwrap_or("tcp")),
    };
    let protocol = protocol.to_ascii_lowercase();
    let host_ip = checked_address(&address)?;
    if target.is_empty() {
        return Err(Flaw::new(format!("{text:?} has no port of the container"), REMEDY));
    }
    let (first, last) = range(target, "port of the container")?;
    let host = if published.is_empty() { None } else { Some(range(published, "published port")?) };
    if let Some((from, to)) = host
        && last - first != to - from
        && first != last
    {
        return Err(Flaw::new(format!("the ranges {published} and {target} differ in length"), REMEDY));
    }
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(Flaw::new(format!("{protocol:?} is no protocol"), "write tcp, udp or sctp"));
    }
    if usize::from(last - first) >= COMPOSE_PORTS_MAX {
        return Err(Flaw::new(format!("the range has more than {COMPOSE_PORTS_MAX} ports"), "publish fewer"));
    }
    let mut ports: Vec<Port> = (first..=last)
        .map(|target| {
            let published = match host {
                None => String::new(),
                Some((from, to)) if first == last && from != to => format!("{from}-{to}"),
                Some((from, _)) => (from + (target - first)).to_string(),
            };
            Port { host_ip: host_ip.clone(), published, target, protocol: protocol.clone() }
        })
        .collect();
    ports.sort_by_key(|port| port.target.to_string());
    Ok(ports)
}

fn split(text: &str) -> (String, &str, &str) {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [.., address, published, target] if parts.len() == 3 => ((*address).to_owned(), published, target),
        [published, target] => (String::new(), published, target),
        [address @ .., published, target] => (address.join(":"), published, target),
        _ => (String::new(), "", text),
    }
}

/// The address without brackets.
fn checked_address(text: &str) -> Result<String, Flaw> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if !bare.is_empty() && bare.parse::<IpAddr>().is_err() || (bare.contains(':') && bare.len() == text.len()) {
        let remedy = "write an IPv4 address, or an IPv6 address in brackets";
        return Err(Flaw::new(format!("{text:?} is no address"), remedy));
    }
    Ok(bare.to_owned())
}

fn range(text: &str, what: &str) -> Result<(u16, u16), Flaw> {
    let bad = || Flaw::new(format!("{text:?} is no {what}"), REMEDY);
    let number = |text: &str| {
        if text.starts_with('+') { Err(bad()) } else { text.parse::<u16>().map_err(|_| bad()) }
    };
    match text.split_once('-') {
        None => number(text).map(|port| (port, port)),
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            if to < from { Err(bad()) } else { Ok((from, to)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, Flaw> {
        let show = |port: Port| format!("{}|{}|{}|{}", port.host_ip, port.published, port.target, port.protocol);
        ports(text).map(|ports| ports.into_iter().map(show).collect())
    }

    #[test]
    fn ports_are_taken_apart() {
        for (text, result) in [
            ("80", vec!["||80|tcp"]),
            ("8080:80", vec!["|8080|80|tcp"]),
            ("127.0.0.1:8080:80/UDP", vec!["127.0.0.1|8080|80|udp"]),
            ("127.0.0.1::80", vec!["127.0.0.1||80|tcp"]),
            ("[::1]:8080:80", vec!["::1|8080|80|tcp"]),
            ("8000-8001:9-10", vec!["|8001|10|tcp", "|8000|9|tcp"]),
            ("8000-8010:80", vec!["|8000-8010|80|tcp"]),
            ("3000-3001", vec!["||3000|tcp", "||3001|tcp"]),
        ] {
            assert_eq!(shown(text), Ok(result.into_iter().map(str::to_owned).collect()), "{text}");
        }
        for bad in ["", "x", "8080:", "1.2.3:80:80", "80/icmp", "8000-8001:1-3", "70000", "9-8", "::1:80:80", "+80"] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }
}
