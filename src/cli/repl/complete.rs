//! Tab: commands of the prompt from here, all else from the live daemon.

use std::sync::Arc;
use std::time::Duration;

use reedline::{Completer, CompletionResult, Span, Suggestion};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::commands;
use super::session::Session;

/// A Tab that takes longer than this completes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Called on the editor's own thread, never on the runtime's.
#[derive(Debug)]
pub(super) struct Remote {
    pub session: Arc<Mutex<Session>>,
    pub runtime: Handle,
}

impl Completer for Remote {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let before = line.get(..pos).unwrap_or(line);
        let (replace, words) = if before.starts_with('.') && !before.contains(' ') {
            (before.len(), commands::names().filter(|name| name.starts_with(before)).map(str::to_owned).collect())
        } else {
            self.ask(before)
        };
        let span = Span { start: pos.saturating_sub(replace), end: pos };
        let suggestion = |value| Suggestion { value, span, ..Suggestion::default() };
        CompletionResult::fresh(words.into_iter().map(suggestion).collect::<Vec<_>>())
    }
}

impl Remote {
    fn ask(&self, before: &str) -> (usize, Vec<String>) {
        let asked = async { self.session.lock().await.complete(before).await };
        let answer = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
        answer.ok().and_then(Result::ok).unwrap_or_default()
    }
}
