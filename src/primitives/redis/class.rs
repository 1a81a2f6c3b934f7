//! What a command may do, by the server's own flags.

use super::reply::Reply;
use crate::model::grants::Access;

/// A command with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// In lower case, a subcommand after a bar: `config|get`.
    pub name: String,
    pub needs: Access,
    /// Why it is refused whatever was granted.
    pub refused: Option<&'static str>,
    pub subcommands: Vec<Class>,
}

/// Of the commands about connections and channels, those that leave the connection as it was.
const NEUTRAL: [&str; 8] =
    ["client|getname", "client|id", "client|info", "client|kill", "client|list", "echo", "ping", "command"];
/// What changes nothing and bears no flag that would say so.
const HARMLESS: [&str; 4] = ["echo", "ping", "time", "command"];
/// What turns a connection into a stream, and is not known by its categories.
const STREAMS: [&str; 4] = ["monitor", "psync", "replconf", "sync"];

impl Class {
    /// From one entry of the answer to `COMMAND INFO`; None where the server does not know the command.
    pub fn read(entry: &Reply) -> Option<Self> {
        let fields = entry.as_list()?;
        let name = fields.first()?.as_text()?.to_ascii_lowercase();
        let words = |at: usize| -> Vec<&str> {
            fields.get(at).and_then(Reply::as_list).unwrap_or_default().iter().filter_map(Reply::as_text).collect()
        };
        let (flags, categories) = (words(2), words(6));
        let has = |category: &str| categories.contains(&category);
        let (container, _) = name.split_once('|').unwrap_or((&name, ""));
        let is_module_setting =
            flags.contains(&"module") && [".config", ".debug"].iter().any(|end| container.ends_with(end));
        let needs =
            if flags.contains(&"admin") || has("@admin") || has("@dangerous") || has("@scripting") || is_module_setting
            {
                Access::Admin
            } else if flags.contains(&"readonly")
                || HARMLESS.contains(&container)
                || container == "pubsub"
                || name.ends_with("|help")
            {
                Access::Read
            } else {
                Access::Write
            };
        let refused = if STREAMS.contains(&container) {
            Some("it turns the connection into a stream")
        } else if has("@transaction") {
            Some("it leaves the connection inside a transaction")
        } else if (has("@pubsub") || flags.contains(&"pubsub"))
            && !["publish", "spublish", "pubsub"].contains(&container)
        {
            Some("it turns the connection into a subscription")
        } else if has("@connection") && !NEUTRAL.contains(&name.as_str()) && container != "command" {
            Some("it changes the connection that others share")
        } else {
            None
        };
        let subcommands = fields.get(9).and_then(Reply::as_list).unwrap_or_default();
        Some(Self { name, needs, refused, subcommands: subcommands.iter().filter_map(Self::read).collect() })
    }

    /// The class of a call: the subcommand's where there are any. None: there is no such subcommand.
    pub fn of_call(&self, second: Option<&[u8]>) -> Option<&Self> {
        if self.subcommands.is_empty() || second.is_none() {
            return Some(self);
        }
        let second = String::from_utf8_lossy(second?).to_ascii_lowercase();
        self.subcommands.iter().find(|class| class.name.split_once('|').is_some_and(|(_, name)| name == second))
    }
}
