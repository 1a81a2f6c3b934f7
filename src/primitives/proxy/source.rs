//! A load balancer as the configuration has it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// By the name that scripts call it.
pub type Sources = BTreeMap<String, Source>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Haproxy,
    Traefik,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Traefik => "traefik",
        }
    }
}

/// How a load balancer is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub enum Source {
    /// The runtime API behind `stats socket`.
    Haproxy(Place),
    /// The folder that the file provider watches.
    Traefik(PathBuf),
}

/// Where HAProxy listens for commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Socket(PathBuf),
    /// Of loopback: whoever reaches it needs no password.
    Address(SocketAddr),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl Source {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Haproxy(_) => Kind::Haproxy,
            Self::Traefik(_) => Kind::Traefik,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    socket: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<PathBuf>,
}

impl TryFrom<Raw> for Source {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        match raw {
            Raw { kind: Kind::Haproxy, socket: Some(socket), address: None, directory: None } => {
                absolute("socket", socket, "/run/haproxy/admin.sock").map(|path| Self::Haproxy(Place::Socket(path)))
            }
            Raw { kind: Kind::Haproxy, socket: None, address: Some(text), directory: None } => {
                loopback(&text).map(|address| Self::Haproxy(Place::Address(address)))
            }
            Raw { kind: Kind::Haproxy, .. } => {
                Err("kind haproxy needs either socket, such as /run/haproxy/admin.sock, or address, and nothing else"
                    .into())
            }
            Raw { kind: Kind::Traefik, socket: None, address: None, directory: Some(directory) } => {
                absolute("directory", directory, "/etc/traefik/dynamic").map(Self::Traefik)
            }
            Raw { kind: Kind::Traefik, .. } => {
                Err("kind traefik needs directory, such as /etc/traefik/dynamic, and nothing else".into())
            }
        }
    }
}

impl From<Source> for Raw {
    fn from(source: Source) -> Self {
        let none = |kind| Self { kind, socket: None, address: None, directory: None };
        match source {
            Source::Haproxy(Place::Socket(path)) => Self { socket: Some(path), ..none(Kind::Haproxy) },
            Source::Haproxy(Place::Address(address)) => {
                Self { address: Some(address.to_string()), ..none(Kind::Haproxy) }
            }
            Source::Traefik(directory) => Self { directory: Some(directory), ..none(Kind::Traefik) },
        }
    }
}

fn absolute(key: &str, path: PathBuf, example: &str) -> Result<PathBuf, String> {
    match path.is_absolute() {
        true => Ok(path),
        false => Err(format!("{key}: {:?} is not an absolute path: write such as {example:?}", path.display())),
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() && address.port() != 0 => Ok(address),
        Ok(_) => Err(format!(
            "address: {text:?} is not on this machine, and the runtime API asks nobody for a password: write such as \
             \"127.0.0.1:9999\""
        )),
        Err(_) => Err(format!("address: {text:?} is not an address: write such as \"127.0.0.1:9999\"")),
    }
}
