//! What a console and its client say to each other: JSON messages, each in a frame that a big-endian u32 length heads.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::codec::LengthDelimitedCodec;

use crate::base::{Fault, RunId, limits};
use crate::model::LogLine;

/// Grows when a message changes its meaning; new messages and fields do not count.
pub const VERSION: u32 = 1;

/// From the client. `id` is the client's own and comes back with every answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientMessage {
    /// Evaluates a line (or several). One at a time.
    Eval { id: u64, code: String },
    /// Ends the line that runs, not the session.
    Cancel {},
    /// Names that could stand where `prefix`, the text before the cursor, ends.
    Complete { id: u64, prefix: String },
    /// `reload`, `doc`, `grants`: what the prompt knows as `.reload` and so on.
    Command { id: u64, name: String, args: Vec<String> },
}

/// From the daemon. An `Eval` is answered by `Started`, any number of `Log`, then `Value`, `Incomplete` or `Error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerMessage {
    /// The first message of a session.
    Hello {
        protocol: u32,
        version: String,
        actor: String,
    },
    /// The line is a run of this id.
    Started {
        id: u64,
        run: RunId,
    },
    Log {
        id: u64,
        line: LogLine,
    },
    Value {
        id: u64,
        values: Vec<Shown>,
    },
    /// The text is the beginning of something longer.
    Incomplete {
        id: u64,
    },
    /// Without an id, it is about the session itself.
    Error {
        id: Option<u64>,
        fault: Fault,
    },
    /// Whole words, each to stand in place of the last `replace` bytes of the prefix.
    Completions {
        id: u64,
        replace: usize,
        words: Vec<String>,
    },
    /// The answer to a command, for people.
    Output {
        id: u64,
        text: String,
    },
}

/// One value that an expression gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// As readable Lua.
    pub lua: String,
    /// As JSON, where it can be.
    #[serde(default)]
    pub json: Value,
}

/// The framing of both directions.
pub fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(limits::ADMIN_FRAME_BYTES_MAX).new_codec()
}

impl ClientMessage {
    /// The message as one frame's content, or None when it is too large to be sent.
    pub fn encode(&self) -> Option<Bytes> {
        let json = serde_json::to_vec(self).ok()?;
        (json.len() <= limits::ADMIN_FRAME_BYTES_MAX).then(|| json.into())
    }
}

impl ServerMessage {
    /// The message as one frame's content. A value that does not fit is cut, and says so.
    pub fn encode(&self) -> Bytes {
        match serde_json::to_vec(self) {
            Ok(json) if json.len() <= limits::ADMIN_FRAME_BYTES_MAX => json.into(),
            Ok(_) => serde_json::to_vec(&self.cut()).unwrap_or_default().into(),
            Err(error) => {
                let fault = Fault::new("console.encode", format!("the answer cannot be sent: {error}"));
                serde_json::to_vec(&Self::Error { id: None, fault }).unwrap_or_default().into()
            }
        }
    }

    fn cut(&self) -> Self {
        // JSON needs at most six bytes for one of text.
        const KEPT_BYTES: usize = limits::ADMIN_FRAME_BYTES_MAX / 8;
        match self {
            Self::Value { id, values } => {
                let lua = values.iter().map(|value| value.lua.as_str()).collect::<Vec<_>>().join("\n");
                Self::Value { id: *id, values: vec![Shown { lua: shorten(&lua, KEPT_BYTES), json: Value::Null }] }
            }
            Self::Output { id, text } => Self::Output { id: *id, text: shorten(text, KEPT_BYTES) },
            Self::Log { id, line } => {
                let line = LogLine { text: shorten(&line.text, KEPT_BYTES), fields: Value::Null, ..line.clone() };
                Self::Log { id: *id, line }
            }
            Self::Completions { id, replace, .. } => {
                Self::Completions { id: *id, replace: *replace, words: Vec::new() }
            }
            Self::Error { id, fault } => {
                let message = shorten(&fault.message, KEPT_BYTES);
                Self::Error { id: *id, fault: Fault::new(fault.code.clone(), message) }
            }
            other => other.clone(),
        }
    }
}

fn shorten(text: &str, bytes: usize) -> String {
    let end = text.floor_char_boundary(bytes);
    if end == text.len() { text.to_owned() } else { format!("{}… ({} bytes more)", &text[..end], text.len() - end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_names_on_the_wire() {
        let eval = ClientMessage::Eval { id: 1, code: "1 + 1".into() };
        assert_eq!(eval.encode().as_deref(), Some(br#"{"eval":{"id":1,"code":"1 + 1"}}"#.as_slice()));
        assert_eq!(ClientMessage::Cancel {}.encode().as_deref(), Some(br#"{"cancel":{}}"#.as_slice()));
        let values = vec![Shown { lua: "2".into(), json: 2.into() }];
        let answer = ServerMessage::Value { id: 1, values };
        assert_eq!(answer.encode().as_ref(), br#"{"value":{"id":1,"values":[{"lua":"2","json":2}]}}"#);
    }

    #[test]
    fn what_is_too_large_is_cut_or_refused() {
        let big = "\u{1}ä".repeat(limits::ADMIN_FRAME_BYTES_MAX);
        for message in [
            ServerMessage::Value { id: 1, values: vec![Shown { lua: big.clone(), json: big.clone().into() }] },
            ServerMessage::Output { id: 1, text: big.clone() },
            ServerMessage::Error { id: Some(1), fault: Fault::new("x", big.clone()).hint(big.clone()) },
            ServerMessage::Completions { id: 1, replace: 0, words: vec![big.clone()] },
        ] {
            let frame = message.encode();
            assert!(frame.len() <= limits::ADMIN_FRAME_BYTES_MAX);
            let back: ServerMessage = serde_json::from_slice(&frame).expect("it is still a message");
            assert_eq!(std::mem::discriminant(&back), std::mem::discriminant(&message));
        }
        assert_eq!(ClientMessage::Eval { id: 1, code: big }.encode(), None);
    }
}
