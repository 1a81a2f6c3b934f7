//! How asking a model can fail.

use crate::base::suggest::did_you_mean;
use crate::base::{Fault, limits};

#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    #[error("there is no llm source {source_name:?}{}", did_you_mean(source_name, known.iter().map(String::as_str)))]
    UnknownSource { source_name: String, known: Vec<String> },
    #[error("llm.{source_name}: {problem}")]
    BadRequest { source_name: String, problem: String },
    #[error("llm.{source_name}: no model is named")]
    NoModel { source_name: String },
    #[error("llm.{source_name}: there is no secret {secret}")]
    NoSecret { source_name: String, secret: String },
    #[error("llm.{source_name}: the URL cannot be used")]
    BadUrl { source_name: String },
    #[error("llm.{source_name}: {kind} has no embeddings")]
    Unsupported { source_name: String, kind: &'static str },
    #[error("llm.{source_name}: {}", fault.message)]
    Http { source_name: String, fault: Fault },
    #[error("llm.{source_name}: the provider answered {status}{said}")]
    Refused { source_name: String, status: u16, said: String, attempts: u32 },
    #[error("llm.{source_name}: the answer cannot be read: {problem}")]
    Unreadable { source_name: String, problem: String },
    #[error("llm.{source_name}: the answer is not JSON ({finish}): {said}")]
    NotJson { source_name: String, finish: String, said: String },
}

impl From<LlmError> for Fault {
    fn from(error: LlmError) -> Self {
        let message = error.to_string();
        match error {
            LlmError::UnknownSource { source_name, known } => {
                let hint = match known.as_slice() {
                    [] => format!("no source is configured: add llm.{source_name} to the configuration"),
                    known => format!("configured are: {}", known.join(", ")),
                };
                Self::new("llm.unknown_source", message).hint(hint).details(serde_json::json!({ "sources": known }))
            }
            LlmError::BadRequest { .. } => Self::new("llm.bad_request", message).hint(format!(
                "at most {} messages, {} tools and {} texts",
                limits::LLM_MESSAGES_MAX,
                limits::LLM_TOOLS_MAX,
                limits::LLM_TEXTS_MAX
            )),
            LlmError::NoModel { source_name } => Self::new("llm.no_model", message)
                .hint(format!("give the option model, or set llm.{source_name}.model in the configuration")),
            LlmError::NoSecret { source_name, secret } => Self::new("llm.setup", message)
                .hint(format!("the configuration's llm.{source_name} names it: give the daemon the secret {secret}")),
            LlmError::BadUrl { source_name } => Self::new("llm.setup", message)
                .hint(format!("write https://host/path into the secret that llm.{source_name}.url names")),
            LlmError::Unsupported { .. } => {
                Self::new("llm.unsupported", message).hint("use a source of another kind for embeddings")
            }
            LlmError::Http { fault, .. } => Self { message, ..fault },
            LlmError::Refused { source_name, status, attempts, .. } => {
                let details = serde_json::json!({ "status": status, "attempts": attempts });
                let (code, hint) = match status {
                    401 | 403 => ("llm.login", format!("is llm.{source_name}.key right, and may it use this model?")),
                    404 => ("llm.refused", "does the provider know this model, and is the url right?".to_owned()),
                    429 => ("llm.rate_limited", "ask less often, or for less at once".to_owned()),
                    500.. => ("llm.unavailable", "the provider has trouble; try again later".to_owned()),
                    _ => ("llm.refused", "the provider does not take this request as it is".to_owned()),
                };
                let fault = Self::new(code, message).hint(hint).details(details);
                if status == 429 || status >= 500 { fault.retryable() } else { fault }
            }
            LlmError::Unreadable { source_name, .. } => {
                Self::new("llm.protocol", message).hint(format!("is llm.{source_name}.kind what this provider speaks?"))
            }
            LlmError::NotJson { .. } => Self::new("llm.not_json", message)
                .hint("raise max_tokens if it was cut off, or say in the prompt what the JSON holds")
                .retryable(),
        }
    }
}
