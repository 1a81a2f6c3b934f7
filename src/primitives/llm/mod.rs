//! Language models for scripts: one neutral request and answer, written in each provider's own format.
//!
//! Where a source leads and its key are the operator's; scripts name the source. Requests go through the HTTP service as
//! those of notifications do, to the configured host and, since redirects are not followed, to no other.

mod anthropic;
mod error;
mod neutral;
mod ollama;
mod openai;
mod service;
mod source;

#[cfg(test)]
pub mod providers;
#[cfg(test)]
mod tests;

pub use error::LlmError;
pub use neutral::{Answer, Ask, Embedded, Message, Role, Tool, ToolCall, Usage};
pub use service::Llm;
pub use source::{Kind, Source, Sources};
