//! A source as the configuration has it.

use std::fmt::{self, Debug};
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Dialect;
use crate::base::quantity::{parse_duration, show_duration};
use crate::base::{ExposeSecret, SecretString, limits};
use crate::primitives::notify::{Secrets, Setting};

/// One database, and how it may be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub url: Url,
    /// 1 to `SQL_CONNECTIONS_MAX`.
    #[serde(default = "connections_default", deserialize_with = "connections")]
    pub max_connections: u32,
    /// How long a call waits for a connection.
    #[serde(default = "acquire_default", deserialize_with = "duration", serialize_with = "show")]
    pub acquire_timeout: Duration,
    /// Of one statement, unless the call says otherwise; at most `SQL_TIMEOUT_MAX`.
    #[serde(default = "statement_default", deserialize_with = "duration", serialize_with = "show")]
    pub statement_timeout: Duration,
}

impl Source {
    /// A source with the default limits.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            max_connections: connections_default(),
            acquire_timeout: acquire_default(),
            statement_timeout: statement_default(),
        }
    }
}

/// Where a database is. It may hold a password: `secret:NAME` in its place, or `${NAME}` inside of it, stand for
/// secrets that are looked up when a connection is made. Shown as neither.
#[derive(Clone, PartialEq)]
pub struct Url(Setting);

const SCHEMES: [(&str, Dialect); 5] = [
    ("postgres://", Dialect::Postgres),
    ("postgresql://", Dialect::Postgres),
    ("sqlite:", Dialect::Sqlite),
    ("mysql://", Dialect::MySql),
    ("mariadb://", Dialect::MySql),
];

impl Url {
    pub fn parse(text: String) -> Result<Self, String> {
        let url = Self(Setting::parse(text)?);
        if let Setting::Plain(plain) = &url.0 {
            let plain = plain.expose_secret();
            dialect(plain).ok_or_else(wrong)?;
            references(plain).map_err(str::to_owned)?;
        }
        Ok(url)
    }

    /// What kind of database it is, as far as that is known without its secrets.
    pub fn dialect(&self) -> Option<Dialect> {
        match &self.0 {
            Setting::Plain(plain) => dialect(plain.expose_secret()),
            Setting::Secret(_) => None,
        }
    }

    /// With its secrets in place.
    pub(super) fn resolve(&self, secrets: &dyn Secrets) -> Result<(Dialect, SecretString), String> {
        let missing = |name: &str| {
            format!("there is no secret {name}: put it into a source below secrets, or into the daemon's environment")
        };
        let name = self.to_string();
        let value = self.0.value(secrets).ok_or_else(|| missing(name.trim_start_matches("secret:")))?;
        let dialect = dialect(value.expose_secret()).ok_or_else(wrong)?;
        if matches!(self.0, Setting::Secret(_)) {
            return Ok((dialect, value));
        }
        let mut whole = String::new();
        for piece in references(value.expose_secret()).map_err(str::to_owned)? {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Secret(name) => {
                    let secret = secrets.secret(name).ok_or_else(|| missing(name))?;
                    whole.extend(url::form_urlencoded::byte_serialize(secret.expose_secret().as_bytes()).map(|part| {
                        // Of a form, where a space is a plus.
                        part.replace('+', "%20")
                    }));
                }
            }
        }
        Ok((dialect, whole.into()))
    }
}

fn dialect(url: &str) -> Option<Dialect> {
    SCHEMES.iter().find(|(scheme, _)| url.starts_with(scheme)).map(|(_, dialect)| *dialect)
}

fn wrong() -> String {
    "this is no database that scripts can use: write postgres://user@host/name, mysql://user@host/name, \
     sqlite://path/to/file.db, or secret:NAME"
        .into()
}

enum Piece<'a> {
    Text(&'a str),
    Secret(&'a str),
}

/// The text, taken apart at each `${NAME}`.
fn references(text: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("a ${ has no }: write ${NAME}")?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(legal) {
            return Err("write ${NAME}, where NAME is of letters, digits, '_', '-' and '.'");
        }
        pieces.extend([Piece::Text(before), Piece::Secret(name)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn connections_default() -> u32 {
    limits::SQL_CONNECTIONS_DEFAULT
}

fn acquire_default() -> Duration {
    limits::SQL_ACQUIRE_TIMEOUT_DEFAULT
}

fn statement_default() -> Duration {
    limits::SQL_TIMEOUT_DEFAULT
}

fn connections<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let count = u32::deserialize(deserializer)?;
    if (1..=limits::SQL_CONNECTIONS_MAX).contains(&count) {
        return Ok(count);
    }
    Err(D::Error::custom(format!("{count} connections are out of range: write 1 to {}", limits::SQL_CONNECTIONS_MAX)))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = parse_duration(&text).map_err(D::Error::custom)?;
    if duration.is_zero() || duration > limits::SQL_TIMEOUT_MAX {
        let max = show_duration(limits::SQL_TIMEOUT_MAX);
        return Err(D::Error::custom(format!("{text:?} is out of range: write more than nothing and at most {max}")));
    }
    Ok(duration)
}

fn show<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_duration(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct One;

    impl Secrets for One {
        fn secret(&self, name: &str) -> Option<SecretString> {
            match name {
                "PASSWORD" => Some("p@ss w/rd".to_owned().into()),
                "URL" => Some("mysql://u:p@host/db".to_owned().into()),
                _ => None,
            }
        }
    }

    fn resolved(text: &str) -> Result<(Dialect, String), String> {
        let url = Url::parse(text.to_owned())?;
        url.resolve(&One).map(|(dialect, url)| (dialect, url.expose_secret().to_owned()))
    }

    #[test]
    fn secrets_stand_for_the_address_or_for_a_part_of_it() {
        assert_eq!(resolved("secret:URL"), Ok((Dialect::MySql, "mysql://u:p@host/db".into())));
        let whole = "postgres://u:p%40ss%20w%2Frd@host/db".to_owned();
        assert_eq!(resolved("postgres://u:${PASSWORD}@host/db"), Ok((Dialect::Postgres, whole)));
        assert_eq!(resolved("sqlite://a.db"), Ok((Dialect::Sqlite, "sqlite://a.db".into())));
        for (text, problem) in [
            ("secret:NONE", "there is no secret NONE"),
            ("postgres://u:${NONE}@host/db", "there is no secret NONE"),
            ("postgres://u:${PASSWORD@host/db", "has no }"),
            ("postgres://u:${A B}@host/db", "write ${NAME}"),
            ("oracle://u:hunter2@host/db", "no database that scripts can use"),
            ("", "it is empty"),
        ] {
            let found = resolved(text).expect_err(text);
            assert!(found.contains(problem) && !found.contains("hunter2"), "{text}: {found}");
        }
    }

    #[test]
    fn a_source_has_defaults_and_shows_no_address() {
        let source: Source = serde_saphyr::from_str("{ url: 'postgres://u:hunter2@h/d' }").expect("a source");
        assert_eq!(source, Source::new(Url::parse("postgres://u:hunter2@h/d".into()).expect("a URL")));
        let shown = serde_json::to_string(&source).expect("JSON");
        assert_eq!(shown, r#"{"url":"***","max_connections":10,"acquire_timeout":"5s","statement_timeout":"30s"}"#);
        assert!(!format!("{source:?}").contains("hunter2"));
        for (yaml, problem) in [
            ("{}", "url"),
            ("{ url: 'sqlite://a.db', max_connections: 0 }", "0 connections are out of range"),
            ("{ url: 'sqlite://a.db', max_connections: 1000 }", "write 1 to 100"),
            ("{ url: 'sqlite://a.db', statement_timeout: 2d }", "is out of range"),
            ("{ url: 'sqlite://a.db', acquire_timeout: soon }", "soon"),
            ("{ url: 'sqlite://a.db', max_conections: 3 }", "max_conections"),
        ] {
            let found = serde_saphyr::from_str::<Source>(yaml).expect_err(yaml).to_string();
            assert!(found.contains(problem), "{yaml}: {found}");
        }
    }
}
