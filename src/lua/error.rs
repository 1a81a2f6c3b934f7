//! What scripts raise, as error objects for scripts and as faults for everyone else.

use mlua::{Lua, Table, Value};

use super::bind::reply::error_object;
use super::bundle::Bundle;
use super::json::{Budget, to_json};
use super::standard::Standard;
use super::trace;
use super::vm::Host;
use crate::base::{Fault, ScriptPosition, limits};

/// The code of an error that says no other.
pub const SCRIPT_ERROR: &str = "script.error";
/// What Luau raises when an allocation fails.
const OUT_OF_MEMORY: &str = "not enough memory";

/// A raised value as an error object: a string becomes one, a table stays as it is. Called where the error happened,
/// so that its trace is that of the raise.
pub fn raised(lua: &Lua, host: &Host, problem: Value, code: &Value) -> mlua::Result<Value> {
    let trace = trace::here(lua);
    if let Value::Table(_) = problem {
        host.remember_trace(trace);
        return Ok(problem);
    }
    let mut fault = of_scalar(&problem);
    if let Value::String(code) = code {
        fault.code = code.to_string_lossy().into();
    }
    if fault.trace.is_empty() {
        fault.trace = trace;
    }
    if fault.at.is_none() {
        fault.at = fault.trace.first().and_then(|frame| trace::position(frame)).map(|(at, _)| at);
    }
    Ok(Value::Table(error_object(lua, host, fault)?))
}

/// What ended a script, as it is shown: with the line of the script, and that line's text.
pub fn fault_of(problem: &Value, host: &Host) -> Fault {
    let mut fault = match problem {
        Value::Table(table) => of_table(table),
        other => of_scalar(other),
    };
    if fault.trace.is_empty() && problem.is_table() {
        fault.trace = host.last_trace();
    }
    locate(&mut fault, host.bundle().as_deref());
    fault
}

/// A failure that mlua reports itself, such as one while converting values.
pub fn of_mlua(problem: &mlua::Error) -> Fault {
    use mlua::Error::{CallbackError, ExternalError, MemoryError, RuntimeError, SyntaxError, WithContext};
    match problem {
        MemoryError(_) => out_of_memory(),
        CallbackError { cause, .. } | WithContext { cause, .. } => of_mlua(cause),
        RuntimeError(text) => of_text(text),
        SyntaxError { message, .. } => Fault::new("script.syntax", message.clone()),
        ExternalError(inner) => match inner.downcast_ref::<Fault>() {
            Some(fault) => fault.clone(),
            None => Fault::new(SCRIPT_ERROR, inner.to_string()),
        },
        other => Fault::new(SCRIPT_ERROR, other.to_string()),
    }
}

fn of_scalar(problem: &Value) -> Fault {
    match problem {
        Value::String(text) => of_text(&text.to_string_lossy()),
        Value::Error(inner) => of_mlua(inner),
        Value::Nil => Fault::new(SCRIPT_ERROR, "the script raised nil"),
        other => Fault::new(SCRIPT_ERROR, format!("the script raised {}", super::show::value(other))),
    }
}

/// `file:line: text`, as Luau writes it.
fn of_text(text: &str) -> Fault {
    // Luau adds a traceback after the first line of some errors.
    let text = text.split("\nstack traceback:").next().unwrap_or_default();
    if text.ends_with(OUT_OF_MEMORY) {
        return out_of_memory();
    }
    match trace::position(text) {
        Some((at, rest)) if !at.file.contains(' ') => Fault::new(SCRIPT_ERROR, cut(rest)).at(at),
        _ => Fault::new(SCRIPT_ERROR, cut(text)),
    }
}

fn of_table(table: &Table) -> Fault {
    let text = |key: &str| match table.raw_get::<Value>(key) {
        Ok(Value::String(text)) => Some(cut_bytes(&text.as_bytes())),
        _ => None,
    };
    let code = text("code").filter(|code| is_code(code));
    let message = text("message").unwrap_or_else(|| match &code {
        Some(code) => code.clone(),
        None => format!("the script raised {}", super::show::value(&Value::Table(table.clone()))),
    });
    let mut fault = Fault::new(code.unwrap_or_else(|| SCRIPT_ERROR.to_owned()), message);
    fault.hint = text("hint");
    fault.retryable = matches!(table.raw_get("retryable"), Ok(Value::Boolean(true)));
    let budget = Budget::of_bytes(limits::EVENT_DATA_BYTES_MAX).lenient();
    fault.details = match table.raw_get::<Value>("details") {
        Ok(details) if !details.is_nil() => to_json(&details, budget).unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    if let Ok(Value::Table(frames)) = table.raw_get::<Value>("trace") {
        let frames = frames.sequence_values::<mlua::LuaString>().take(trace::TRACE_FRAMES_MAX);
        fault.trace = frames.filter_map(Result::ok).map(|frame| cut_bytes(&frame.as_bytes())).collect();
    }
    fault.at = text("at").as_deref().and_then(trace::position).map(|(at, _)| at);
    fault
}

/// Codes are matched by programs, so they have a shape: dotted words.
fn is_code(text: &str) -> bool {
    const CODE_BYTES_MAX: usize = 100;
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
    !text.is_empty() && text.len() <= CODE_BYTES_MAX && text.bytes().all(legal)
}

/// The script wanted more than its limit.
pub fn out_of_memory() -> Fault {
    Fault::new("run.memory", "the script needs more memory than it may use")
        .hint("work in smaller pieces, or raise memory = \"…\" in the job's table")
}

/// A message of bounded length.
fn cut(text: &str) -> String {
    crate::lua::show::clip(text, limits::ERROR_MESSAGE_BYTES_MAX)
}

fn cut_bytes(text: &[u8]) -> String {
    crate::lua::show::clip_bytes(text, limits::ERROR_MESSAGE_BYTES_MAX)
}

/// Adds the position, from the trace where the error itself has none, and the line's text.
pub fn locate(fault: &mut Fault, bundle: Option<&Bundle>) {
    if fault.at.is_none() {
        fault.at = fault.trace.first().and_then(|frame| trace::position(frame)).map(|(at, _)| at);
    }
    if let Some(at) = &mut fault.at
        && at.text.is_none()
    {
        at.text = match at.file.strip_prefix("@std/") {
            Some(name) => Standard::source(name).and_then(|source| line(&source, at.line)),
            None => bundle.and_then(|bundle| bundle.line(&at.file, at.line)).map(str::to_owned),
        };
    }
}

fn line(source: &str, number: u32) -> Option<String> {
    source.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?).map(str::to_owned)
}

/// The compiler's message, `line: text`.
pub fn syntax_fault(file: &str, source: &str, message: &str) -> Fault {
    let (number, text) = match message.trim_start_matches(':').split_once(':') {
        Some((number, text)) => (number.trim().parse().unwrap_or(1), text.trim()),
        None => (1, message),
    };
    let position = ScriptPosition { file: file.to_owned(), line: number, column: None, text: line(source, number) };
    // With the place: a file that another one requires is named by nothing else.
    let fault = Fault::new("script.syntax", format!("{file}:{number}: {}", cut(text))).at(position);
    match syntax_hint(text) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Luau is not quite the Lua that people know.
fn syntax_hint(text: &str) -> Option<&'static str> {
    if text.contains("'goto'") {
        Some("Luau has no goto; use continue, break or a function")
    } else if text.contains("'~'") || text.contains("'&'") || text.contains("'|'") || text.contains("'>>'") {
        Some("Luau has no bit operators; use the bit32 library")
    } else {
        None
    }
}
