//! The prompt on a terminal.

use std::borrow::Cow;
use std::sync::Arc;

use owo_colors::OwoColorize;
use reedline::{
    ColumnarMenu, EditCommand, Emacs, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch,
    Reedline, ReedlineEvent, ReedlineMenu, Signal, default_emacs_keybindings,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::commands::{self, After};
use super::complete::Remote;
use super::highlight::Luau;
use super::session::{Evaluated, Session};
use super::validate::Compiler;
use super::{history, once};
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{show, terminal};

const MENU: &str = "completion";

/// Reads lines until Ctrl-D or `.quit`.
pub(in crate::cli) async fn interact(session: Session, client: &Client, ctx: &Context) -> Result<(), Failure> {
    ctx.out.note(format_args!(
        "Aegis {} on {}, as {}. {}",
        session.version,
        client.socket().display(),
        session.actor,
        "Ctrl-D leaves, .help explains.".dimmed()
    ));
    let session = Arc::new(Mutex::new(session));
    let mut editor = editor(session.clone());
    loop {
        // The editor waits for keys, and completes by asking the daemon: not on a thread of the runtime.
        let (returned, read) = tokio::task::spawn_blocking(move || {
            let read = editor.read_line(&Aegis);
            (editor, read)
        })
        .await
        .map_err(|error| Failure::new(format!("the editor broke: {error}")))?;
        editor = returned;
        match read {
            Ok(Signal::Success(line)) => match submit(&line, &session, client, ctx).await {
                Ok(After::Stay) => {}
                Ok(After::Leave) => return Ok(()),
                Err(failure) if is_end(&failure) => return Err(failure),
                Err(failure) => drop(failure.report()),
            },
            Ok(Signal::CtrlD) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Failure::new(format!("the terminal cannot be read: {error}"))),
        }
    }
}

/// Whether a line's failure is the session's.
fn is_end(failure: &Failure) -> bool {
    [Exit::Unreachable, Exit::Interrupted].iter().any(|end| failure.code() == *end as u8)
}

async fn submit(line: &str, session: &Arc<Mutex<Session>>, client: &Client, ctx: &Context) -> Result<After, Failure> {
    if line.trim().is_empty() {
        return Ok(After::Stay);
    }
    if line.starts_with('.') {
        return commands::run(line.trim(), session, client, ctx).await;
    }
    match session.lock().await.eval(line).await? {
        Evaluated::Values(values) => once::print(&values, ctx)?,
        Evaluated::Incomplete => return Err(once::incomplete()),
        Evaluated::Failed(fault) => ctx.out.note(show::fault(&fault)),
    }
    Ok(After::Stay)
}

fn editor(session: Arc<Mutex<Session>>) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let tab = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(tab));
    keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, ReedlineEvent::Edit(vec![EditCommand::InsertNewline]));
    let has_colour = terminal::stdout_has_colour();
    let mut editor = Reedline::create()
        .with_ansi_colors(has_colour)
        .with_validator(Box::new(Compiler))
        .with_completer(Box::new(Remote { session, runtime: Handle::current() }))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU))))
        .with_edit_mode(Box::new(Emacs::new(keys)));
    if has_colour {
        editor = editor.with_highlighter(Box::new(Luau));
    }
    match history::open() {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

/// A prompt of plain text.
#[derive(Debug, Clone, Copy)]
struct Aegis;

impl Prompt for Aegis {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("aegis> ")
    }
    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }
    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("   ... ")
    }
    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}
