//! What scripts ask and are answered, whoever the provider is.

use std::time::Duration;

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    pub const NAMES: &[&str] = &["system", "user", "assistant", "tool"];

    pub fn parse(name: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant, Self::Tool].into_iter().find(|role| role.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub role: Role,
    pub content: String,
    /// Of an assistant's message: what it asked for.
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool's message: which call it answers, and the tool's name.
    pub tool_call_id: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    pub arguments: Value,
}

/// A function that the model may ask for. The script carries it out, or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// A JSON schema of its arguments.
    pub parameters: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    pub messages: Vec<Message>,
    /// Instead of the source's.
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    /// The answer is JSON of this schema.
    pub schema: Option<Value>,
    pub tools: Vec<Tool>,
    /// Of one attempt, instead of the source's.
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: i64,
    pub output_tokens: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    /// The text read, when a schema was given.
    pub json: Option<Value>,
    pub tool_calls: Vec<ToolCall>,
    /// `stop`, `length`, `tool_calls`, or what else the provider says.
    pub finish: String,
    /// As the provider calls it.
    pub model: String,
    pub usage: Usage,
    pub attempts: u32,
    pub took: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One for each text, in order.
    pub vectors: Vec<Vec<f64>>,
    pub model: String,
    pub usage: Usage,
    pub attempts: u32,
}
