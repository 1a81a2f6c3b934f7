//! Port specifications in Compose's spelling, and published ports as the engine reports them.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::PortBinding;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::limits;
use crate::primitives::option::Scalar;

/// `"8080:80"`, `"127.0.0.1:8080:80/tcp"`, `"[::1]:53:53/udp"`, `"8000-8002:80-82"`, `80`; or a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpec {
    pub host_ip: Option<IpAddr>,
    /// None: the engine chooses.
    pub published: Option<u16>,
    pub target: u16,
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|protocol| protocol.as_str() == text)
    }
}

/// What one entry of `ports` holds, before a range is spread out.
#[derive(Debug, Clone)]
pub(super) enum PortEntry {
    Table(PortTable),
    Short(ShortPort),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortTable {
    target: u16,
    #[serde(default)]
    published: Option<ShortPort>,
    #[serde(default)]
    host_ip: Option<IpAddr>,
    #[serde(default)]
    protocol: Option<Protocol>,
}

#[derive(Debug, Clone)]
pub(super) struct ShortPort(String);

impl<'de> Deserialize<'de> for ShortPort {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|scalar| Self(scalar.into_text()))
    }
}

impl<'de> Deserialize<'de> for PortEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        table_or_short(deserializer, Self::Table, Self::Short)
    }
}

/// Reads a long spelling where there is a table, else a short one, each with its own error messages.
pub(super) fn table_or_short<'de, D, L, S, T>(
    deserializer: D,
    long: impl FnOnce(L) -> T,
    short: impl FnOnce(S) -> T,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    L: serde::de::DeserializeOwned,
    S: serde::de::DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    let read = if value.is_object() {
        serde_json::from_value(value).map(long)
    } else {
        serde_json::from_value(value).map(short)
    };
    read.map_err(serde::de::Error::custom)
}

impl PortEntry {
    pub(super) fn spread(&self) -> Result<Vec<PortSpec>, String> {
        match self {
            Self::Short(ShortPort(text)) => parse(text),
            Self::Table(table) => {
                let published = match &table.published {
                    None => None,
                    Some(ShortPort(text)) => Some(number(text).ok_or_else(|| format!("{text:?} is not a port"))?),
                };
                let protocol = table.protocol.unwrap_or(Protocol::Tcp);
                Ok(vec![PortSpec { host_ip: table.host_ip, published, target: table.target, protocol }])
            }
        }
    }
}

/// Parses the short spelling; a range becomes one specification a port.
pub(super) fn parse(text: &str) -> Result<Vec<PortSpec>, String> {
    let bad = |why: &str| format!("{text:?} is not a port specification such as \"127.0.0.1:8080:80/tcp\": {why}");
    let (ports, protocol) = match text.rsplit_once('/') {
        Some((ports, name)) => (ports, Protocol::parse(name).ok_or_else(|| bad("the protocol is tcp, udp or sctp"))?),
        None => (text, Protocol::Tcp),
    };
    let (rest, target) = ports.rsplit_once(':').map_or((None, ports), |(rest, target)| (Some(rest), target));
    let (host_ip, published) = match rest {
        None => (None, None),
        Some(rest) => match rest.rsplit_once(':') {
            None => (None, Some(rest)),
            Some((ip, published)) => {
                let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
                (Some(bare.parse().map_err(|_| bad("what stands first is not an address"))?), Some(published))
            }
        },
    };
    let targets = range(target).ok_or_else(|| bad("the container's port is a number from 1 to 65535"))?;
    let published = match published {
        None | Some("") => vec![None; targets.len()],
        Some(published) => {
            let list = range(published).ok_or_else(|| bad("the host's port is a number from 1 to 65535"))?;
            if list.len() != targets.len() {
                return Err(bad("the two ranges are of different length"));
            }
            list.into_iter().map(Some).collect()
        }
    };
    let pairs = published.into_iter().zip(targets);
    Ok(pairs.map(|(published, target)| PortSpec { host_ip, published, target, protocol }).collect())
}

fn range(text: &str) -> Option<Vec<u16>> {
    let Some((first, last)) = text.split_once('-') else { return number(text).map(|port| vec![port]) };
    let (first, last) = (number(first)?, number(last)?);
    let count = usize::from(last.checked_sub(first)?) + 1;
    (count <= limits::DOCKER_OPTION_ITEMS_MAX).then(|| (first..=last).collect())
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// The engine's map: `80/tcp` to its bindings.
pub(super) fn bindings(specs: &[PortSpec]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut map: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for spec in specs {
        let binding = PortBinding {
            host_ip: spec.host_ip.map(|ip| ip.to_string()),
            host_port: Some(spec.published.map_or_else(String::new, |port| port.to_string())),
        };
        map.entry(format!("{}/{}", spec.target, spec.protocol.as_str()))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    map
}

/// A port of a container, as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PublishedPort {
    pub target: u16,
    pub protocol: String,
    /// None: exposed to the container's networks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
}

/// Reads `Ports` of a list entry.
pub(super) fn published(entry: &Value) -> Vec<PublishedPort> {
    let port =
        |item: &Value, key: &str| item.get(key).and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let items = entry.get("Ports").and_then(Value::as_array).into_iter().flatten();
    let mut ports: Vec<_> = items
        .filter_map(|item| {
            Some(PublishedPort {
                target: port(item, "PrivatePort")?,
                protocol: text(item, "Type").unwrap_or_else(|| "tcp".into()),
                published: port(item, "PublicPort").filter(|port| *port > 0),
                host_ip: text(item, "IP").filter(|ip| !ip.is_empty()),
            })
        })
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn show(specs: Result<Vec<PortSpec>, String>) -> Result<Vec<String>, String> {
        let one = |spec: PortSpec| {
            let ip = spec.host_ip.map_or_else(String::new, |ip| ip.to_string());
            let published = spec.published.map_or_else(String::new, |port| port.to_string());
            format!("{ip}|{published}|{}|{}", spec.target, spec.protocol.as_str())
        };
        specs.map(|specs| specs.into_iter().map(one).collect())
    }

    #[test]
    fn short_spellings_parse() {
        let cases = [
            ("80", vec!["||80|tcp"]),
            ("8080:80", vec!["|8080|80|tcp"]),
            ("127.0.0.1:8080:80/tcp", vec!["127.0.0.1|8080|80|tcp"]),
            ("127.0.0.1::80", vec!["127.0.0.1||80|tcp"]),
            ("[::1]:53:53/udp", vec!["::1|53|53|udp"]),
            ("::1:53:53/udp", vec!["::1|53|53|udp"]),
            ("8000-8001:80-81", vec!["|8000|80|tcp", "|8001|81|tcp"]),
        ];
        for (text, expected) in cases {
            assert_eq!(show(parse(text)), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
        for bad in ["", "0", "70000", "a:80", "80/icmp", "8000-8001:80", "host:1:2", "9-8", "1-65535", "80:"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn entries_are_texts_numbers_or_tables() {
        let spread = |value: Value| serde_json::from_value::<PortEntry>(value).map_err(|e| e.to_string())?.spread();
        assert_eq!(show(spread(json!(80))), Ok(vec!["||80|tcp".into()]));
        let table = json!({"target": 53, "published": 5353, "host_ip": "127.0.0.1", "protocol": "udp"});
        assert_eq!(show(spread(table)), Ok(vec!["127.0.0.1|5353|53|udp".into()]));
        assert!(spread(json!({"target": 53, "publish": 1})).is_err());
        assert!(spread(json!({"target": 53, "published": "x"})).is_err());
    }

    #[test]
    fn bindings_gather_under_their_port() {
        let specs: Vec<_> =
            ["127.0.0.1:1:80", "2:80", "53/udp"].into_iter().flat_map(|t| parse(t).expect("a port")).collect();
        let map = bindings(&specs);
        assert_eq!(map["80/tcp"].as_ref().map(Vec::len), Some(2));
        assert_eq!(map["53/udp"].as_ref().and_then(|list| list[0].host_port.clone()), Some(String::new()));
    }

    #[test]
    fn reported_ports_are_read_once_each() {
        let entry = json!({"Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"PrivatePort": 9000, "Type": "udp"}
        ]});
        let ports = published(&entry);
        assert_eq!(ports.len(), 2);
        assert_eq!((ports[1].target, ports[1].published, ports[1].host_ip.clone()), (9000, None, None));
    }
}
