//! Where a server is, and as whom one speaks to it.

use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo};

use crate::base::SecretString;

/// A URL of a source, taken apart.
#[derive(Debug, Clone)]
pub struct Address {
    pub place: Location,
    pub user: Option<String>,
    pub password: Option<SecretString>,
    pub database: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

/// Without user and password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Address {
    /// The error is a sentence that does not repeat the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WRITE: &str = "write redis://host:6379/0, rediss://host:6380 for TLS, or unix:///path/to/socket";
        let info = text.into_connection_info().map_err(|_| format!("this is not a Redis URL: {WRITE}"))?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Location::Tcp { host: host.clone(), port: *port },
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err("certificates are always checked: take out #insecure, and name a private authority's \
                            certificate in outgoing.ca_file"
                    .into());
            }
            ConnectionAddr::TcpTls { host, port, .. } => Location::Tls { host: host.clone(), port: *port },
            ConnectionAddr::Unix(path) => Location::Unix(path.clone()),
            _ => return Err(format!("this kind of Redis URL is not supported: {WRITE}")),
        };
        let own = info.redis_settings();
        let password = own.password().map(SecretString::from);
        Ok(Self { place, user: own.username().map(str::to_owned), password, database: own.db() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExposeSecret;

    #[test]
    fn urls_are_taken_apart() {
        let cases = [
            ("redis://cache.example", "cache.example:6379", None, None, 0),
            ("redis://:p%40ss@10.0.0.5:7000/3", "10.0.0.5:7000", None, Some("p@ss"), 3),
            ("redis://ops:x@[::1]:7000", "::1:7000", Some("ops"), Some("x"), 0),
            ("unix:///run/redis.sock?db=2&pass=x", "/run/redis.sock", None, Some("x"), 2),
        ];
        for (url, place, user, password, database) in cases {
            let address = Address::parse(url).expect("a URL");
            assert_eq!(address.place.to_string(), place, "{url}");
            assert_eq!(address.user.as_deref(), user, "{url}");
            assert_eq!(address.password.as_ref().map(ExposeSecret::expose_secret), password, "{url}");
            assert_eq!(address.database, database, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for bad in [
            "hunter2",
            "http://:hunter2@cache.example",
            "redis://:hunter2@cache.example/x",
            "rediss://:hunter2@a#insecure",
        ] {
            let problem = Address::parse(bad).map(|address| address.place).expect_err("not a Redis URL");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
