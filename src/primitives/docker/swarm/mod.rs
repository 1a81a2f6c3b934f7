//! A swarm: services on several engines, their tasks, and the secrets and configs that they are given.
//!
//! What is asked of a swarm is asked of one of its managers. A service is told as the engine has it, in JSON: whoever
//! makes one compares it with what it wants, and no field may be lost on the way.

mod digest;
mod logs;
mod objects;
mod reach;
mod services;
mod state;
mod tasks;

use serde_json::{Value, json};

pub use logs::ServiceLine;
pub use objects::{NewObject, ObjectKind, SwarmObject};
pub use services::SwarmService;
pub use state::Swarm;
pub use tasks::SwarmTask;

/// The label by which everything of a stack is known.
const NAMESPACE_LABEL: &str = "com.docker.stack.namespace";

/// Asks for what belongs to one stack only.
fn of_stack(namespace: &str) -> (&'static str, String) {
    ("filters", json!({ "label": [format!("{NAMESPACE_LABEL}={namespace}")] }).to_string())
}

fn text(raw: &Value, pointer: &str) -> String {
    raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(raw: &Value, pointer: &str) -> u64 {
    raw.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
