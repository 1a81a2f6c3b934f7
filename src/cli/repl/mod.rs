//! The console's client: an editor on a terminal, or one evaluation for scripts.

mod commands;
mod complete;
mod editor;
mod highlight;
mod history;
mod lexer;
mod once;
mod session;
mod validate;

pub(super) use editor::interact;
pub(super) use once::evaluate;
pub(super) use session::Session;
