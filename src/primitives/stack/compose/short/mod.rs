//! The short syntaxes: `8080:80/udp`, `./data:/data:ro`, `sh -c "echo hi"`.

mod command;
mod mount;
mod port;

pub(super) use command::words;
pub(super) use mount::mount;
pub(super) use port::{Port, ports};

use super::node::Node;
use super::path::Path;
use super::problem::{Kind, Problem};

/// What is wrong with a text in short syntax, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub message: String,
    pub remedy: &'static str,
}

impl Flaw {
    fn new(message: impl Into<String>, remedy: &'static str) -> Self {
        Self { message: message.into(), remedy }
    }

    pub fn at(self, node: &Node, path: &Path<'_>) -> Problem {
        node.problem(Kind::Value, path, self.message, self.remedy)
    }
}
