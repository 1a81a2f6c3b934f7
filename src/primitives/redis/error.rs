//! How a call of a server that speaks Redis's protocol can fail.

use std::fmt;
use std::time::Duration;

use crate::base::quantity::{show_duration, show_size};
use crate::base::suggest::did_you_mean;
use crate::base::{Fault, limits};
use crate::primitives::permit::Denied;

/// Which source, for messages and codes: `redis` and `main`, or `graph` and `knowledge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub area: &'static str,
    pub source: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.area, self.source)
    }
}

/// What a call was doing when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Queue,
    Connect,
    Answer,
}

/// What can happen on any connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    Timeout {
        phase: Phase,
        after: Duration,
    },
    /// There is no secret of the name that stands for the URL.
    NoSecret(String),
    /// What the secret holds is no URL.
    BadUrl(String),
    Connect {
        to: String,
        problem: String,
    },
    Login {
        to: String,
        problem: String,
    },
    Lost {
        problem: String,
    },
    TooLarge {
        bytes_max: usize,
    },
    TooMany {
        values_max: usize,
    },
    Protocol(String),
    /// The server carried nothing out and said why; the number of the command in its pipeline, from 1.
    Refused {
        code: String,
        text: String,
        command: Option<usize>,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    #[error("there is no {} source {:?}{}", place.area, place.source, did_you_mean(&place.source, known.iter().map(String::as_str)))]
    UnknownSource { place: Place, known: Vec<String> },
    #[error(transparent)]
    NotGranted(#[from] Denied),
    #[error("{place}: the server knows no command {command:?}")]
    UnknownCommand { place: Place, command: String },
    #[error("{place}: {command} is not for scripts: {reason}")]
    NotForScripts { place: Place, command: String, reason: &'static str },
    #[error("{place}: {problem}")]
    BadCall { place: Place, problem: String },
    #[error("{place}: {problem}")]
    Failed { place: Place, problem: Problem },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { phase, after } => {
                let what = match phase {
                    Phase::Queue => "the call's turn did not come",
                    Phase::Connect => "no connection",
                    Phase::Answer => "no answer",
                };
                write!(f, "{what} within {}", show_duration(*after))
            }
            Self::NoSecret(name) => write!(f, "there is no secret {name}"),
            Self::BadUrl(problem) => write!(f, "the URL cannot be used: {problem}"),
            Self::Connect { to, problem } => write!(f, "no connection to {to}: {problem}"),
            Self::Login { to, problem } => write!(f, "{to} does not let us in: {problem}"),
            Self::Lost { problem } => write!(f, "the connection was lost: {problem}"),
            Self::TooLarge { bytes_max } => write!(f, "the answer has more than {}", show_size(*bytes_max as u64)),
            Self::TooMany { values_max } => write!(f, "the answer has more than {values_max} values"),
            Self::Protocol(problem) => write!(f, "the answer cannot be read: {problem}"),
            Self::Refused { code, text, command } => {
                if let Some(number) = command {
                    write!(f, "command {number}: ")?;
                }
                let text = text.trim();
                if text.is_empty() { f.write_str(code) } else { write!(f, "{code} {text}") }
            }
        }
    }
}

impl Problem {
    /// What follows the area in the code.
    fn kind(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::NoSecret(_) | Self::BadUrl(_) => "setup",
            Self::Connect { .. } => "connect",
            Self::Login { .. } => "login",
            Self::Lost { .. } => "lost",
            Self::TooLarge { .. } | Self::TooMany { .. } => "too_large",
            Self::Protocol(_) => "protocol",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether the same call may succeed later. One that got lost may have been carried out.
    fn is_passing(&self) -> bool {
        const PASSING: [&str; 6] = ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "OOM"];
        match self {
            Self::Timeout { phase, .. } => *phase != Phase::Answer,
            Self::Connect { .. } => true,
            Self::Refused { code, .. } => PASSING.contains(&code.as_str()),
            _ => false,
        }
    }

    fn hint(&self, place: &Place) -> Option<String> {
        let text = match self {
            Self::Timeout { phase: Phase::Queue, .. } => {
                return Some(format!("let fewer calls run at once, or raise {place}.max_connections"));
            }
            Self::Timeout { phase: Phase::Connect, .. } => "is the server up, and does a firewall drop the packets?",
            Self::Timeout { phase: Phase::Answer, .. } => {
                "raise the option timeout if it may take longer; the server may still carry it out"
            }
            Self::NoSecret(name) => return Some(format!("{place}.url names it: give the daemon the secret {name}")),
            Self::BadUrl(_) => return Some(format!("correct {place}.url, or the secret that it names")),
            Self::Connect { .. } => return Some(format!("is the server running? its address is {place}.url")),
            Self::Login { .. } => return Some(format!("correct user, password and database in {place}.url")),
            Self::Lost { .. } => "whether it was carried out is not known; look at the server's log",
            Self::TooLarge { .. } | Self::TooMany { .. } => "ask for less at once: SCAN, LIMIT, a range",
            Self::Protocol(_) => return Some(format!("is this a Redis server of version 6 or later? see {place}.url")),
            Self::Refused { code, .. } => match code.as_str() {
                "WRONGTYPE" => "TYPE tells what the key holds",
                "NOPERM" => "the server's own access list forbids it to the user in the URL",
                "MOVED" | "ASK" => "this is one node of a cluster, and redirections are not followed",
                "READONLY" => "this server is a replica: name the primary in the configuration",
                "LOADING" => "the server is starting; try again",
                _ => return None,
            },
        };
        Some(text.to_owned())
    }

    pub fn fault(&self, place: &Place) -> Fault {
        let message = format!("{place}: {self}");
        let details = match self {
            Self::Refused { code, command, .. } => serde_json::json!({ "code": code, "command": command }),
            Self::Timeout { after, .. } => serde_json::json!({ "timeout_ms": after.as_millis() as u64 }),
            _ => serde_json::Value::Null,
        };
        let code = format!("{}.{}", place.area, self.kind());
        Fault { hint: self.hint(place), retryable: self.is_passing(), ..Fault::new(code, message).details(details) }
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let message = error.to_string();
        match error {
            RedisError::UnknownSource { place, known } => {
                let hint = match known.as_slice() {
                    [] => format!("no source is configured: add {place}.url to the configuration"),
                    known => format!("configured are: {}", known.join(", ")),
                };
                let details = serde_json::json!({ "sources": known });
                Self::new(format!("{}.unknown_source", place.area), message).hint(hint).details(details)
            }
            RedisError::NotGranted(denied) => denied.into(),
            RedisError::UnknownCommand { place, .. } => Self::new(format!("{}.unknown_command", place.area), message)
                .hint("the first argument is the command's name, the second may be its subcommand"),
            RedisError::NotForScripts { place, .. } => {
                let hint = "a connection serves other calls afterwards; aegis.redis.pipeline with atomic = true makes \
                            a transaction";
                Self::new(format!("{}.not_for_scripts", place.area), message).hint(hint)
            }
            RedisError::BadCall { place, .. } => {
                let hint = format!(
                    "at most {} commands and {} at once",
                    limits::REDIS_PIPELINE_COMMANDS_MAX,
                    show_size(limits::REDIS_REQUEST_BYTES_MAX as u64)
                );
                Self::new(format!("{}.bad_call", place.area), message).hint(hint)
            }
            RedisError::Failed { place, problem } => problem.fault(&place),
        }
    }
}
