//! Reading Luau source without running it: tokens, and the few things that are read off them.

mod console;
mod jobs;
mod lexer;
mod nesting;

pub use console::{publish_locals, unfinished};
pub use jobs::{key_lines, requires};
pub use lexer::is_keyword;
