//! Where in the script something happened: Luau's traceback as lines that people read.

use mlua::Lua;

use crate::base::ScriptPosition;

/// Chunk names of the runtime's own Lua, whose frames are nobody's business.
pub const PRELUDE_CHUNK: &str = "=[aegis]";
const HIDDEN: [&str; 2] = ["[aegis]", "__mlua_async_poll"];

/// Frames kept of one call chain.
pub const TRACE_FRAMES_MAX: usize = 32;

/// The call chain that led here, innermost first.
pub fn here(lua: &Lua) -> Vec<String> {
    lua.traceback(None, 0).map(|text| frames(&text.to_string_lossy())).unwrap_or_default()
}

/// The script's frames of a traceback, as `file:line function`.
pub fn frames(traceback: &str) -> Vec<String> {
    let frames = traceback.lines().map(str::trim).filter_map(|frame| {
        let (at, rest) = position(frame)?;
        let hidden = HIDDEN.iter().any(|hidden| at.file == *hidden);
        let name = rest.trim_start_matches("in ").trim_start_matches("function ").trim_matches(['\'', '<', '>']);
        let name = if name == "main chunk" || name.contains(':') { "" } else { name };
        (!hidden).then(|| format!("{}:{} {name}", at.file, at.line).trim_end().to_owned())
    });
    frames.take(TRACE_FRAMES_MAX).collect()
}

/// `file:line …` at the beginning of a frame or of a message.
pub fn position(text: &str) -> Option<(ScriptPosition, &str)> {
    let mut from = 0;
    while let Some(colon) = text[from..].find(':').map(|at| at + from) {
        let after = &text[colon + 1..];
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        if let (true, Ok(line)) = (colon > 0 && digits > 0, after[..digits].parse()) {
            let rest = after[digits..].strip_prefix(':').unwrap_or(&after[digits..]);
            let file = text[..colon].to_owned();
            if !file.contains('\n') {
                return Some((ScriptPosition { file, line, column: None, text: None }, rest.trim_start()));
            }
        }
        from = colon + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_shows_only_the_script() {
        let text = "stack traceback:\n[aegis]:12\nlib/a.lua:3 function helper\n[C] in ?\n__mlua_async_poll:4\njob.lua:9\n\
                    lib/b.lua:4: in function 'other'\njob.lua:1: in main chunk";
        assert_eq!(frames(text), ["lib/a.lua:3 helper", "job.lua:9", "lib/b.lua:4 other", "job.lua:1"]);
    }

    #[test]
    fn positions_are_read_off_messages() {
        let (at, rest) = position("lib/a.lua:31: attempt to index nil").expect("a position");
        assert_eq!((at.file.as_str(), at.line, rest), ("lib/a.lua", 31, "attempt to index nil"));
        assert!(position("no position: here").is_none());
    }
}
