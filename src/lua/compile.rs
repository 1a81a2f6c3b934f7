//! Source to bytecode. Always as text: what looks like bytecode is a syntax error.

use std::sync::Arc;

use mlua::chunk::Compiler;

use super::error::syntax_fault;
use crate::base::{Fault, limits};

/// Bytecode that came out of this process's own compiler.
pub type Code = Arc<[u8]>;

/// Blocking: up to some 50 ms for the largest source.
pub fn compile(file: &str, source: &str) -> Result<Code, Fault> {
    if source.len() > limits::SCRIPT_SOURCE_BYTES_MAX {
        let message = format!("{file} has {} bytes", source.len());
        let hint = format!("a script has at most {} bytes; move parts into lib/", limits::SCRIPT_SOURCE_BYTES_MAX);
        return Err(Fault::new("script.too_large", message).hint(hint));
    }
    let compiler = Compiler::new().set_optimization_level(1).set_debug_level(1);
    match compiler.compile(source) {
        Ok(code) => Ok(code.into()),
        Err(mlua::Error::SyntaxError { message, .. }) => Err(syntax_fault(file, source, &message)),
        Err(other) => Err(Fault::new("script.syntax", format!("{file}: {other}"))),
    }
}
