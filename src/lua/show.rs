//! Values as readable Lua: for the console and for messages.

use std::collections::HashMap;
use std::ffi::c_void;

use mlua::{Table, Value};

use super::bind::Handle;

/// Entries of one table that are shown.
const ENTRIES_MAX: usize = 200;
/// Tables within tables that are shown.
const DEPTH_MAX: usize = 6;
/// Length of the whole text.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Length up to which a table stands on one line.
const LINE_CHARS_MAX: usize = 100;
/// How often one table is gone through: that takes as long as it ever was large, however little is left in it.
const TIMES_MAX: u32 = 8;
/// What stands for everything that has no room.
const REST: &str = "…";

/// One line, for messages.
pub fn value(value: &Value) -> String {
    const MESSAGE_BYTES_MAX: usize = 300;
    let mut writer = Writer { left: MESSAGE_BYTES_MAX, pretty: false, met: HashMap::new() };
    clip(&writer.value(value, 0), MESSAGE_BYTES_MAX)
}

/// As a person would write it, over several lines where it is long.
pub fn readable(value: &Value) -> String {
    let mut writer = Writer { left: TEXT_BYTES_MAX, pretty: true, met: HashMap::new() };
    clip(&writer.value(value, 0), TEXT_BYTES_MAX)
}

/// `text` in at most `bytes_max` bytes, with a note of what was cut.
pub fn clip(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{}… ({} bytes cut)", &text[..end], text.len() - end)
}

/// [`clip`] for what may be long and no text: no more is read than is shown.
pub fn clip_bytes(bytes: &[u8], bytes_max: usize) -> String {
    // One more character, so that none is taken for broken because it is cut.
    const CHARACTER_BYTES_MAX: usize = 4;
    let shown = bytes.get(..bytes_max + CHARACTER_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(shown);
    if shown.len() == bytes.len() {
        return clip(&text, bytes_max);
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{}… ({} bytes cut)", &text[..end], bytes.len() - end)
}

/// Writes one value with all that is in it. What is left of its room is shared by all parts: a small value may contain
/// the same table on very many paths.
struct Writer {
    left: usize,
    pretty: bool,
    met: HashMap<*const c_void, u32>,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> String {
        if self.left == 0 {
            return REST.to_owned();
        }
        let text = match value {
            Value::Nil => "nil".to_owned(),
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::String(text) => quoted(&clip_bytes(&text.as_bytes(), self.left)),
            Value::LightUserData(pointer) if pointer.0.is_null() => "aegis.null".to_owned(),
            Value::Error(problem) => clip(&super::error::of_mlua(problem).message, self.left),
            Value::Table(_) if depth >= DEPTH_MAX => "{…}".to_owned(),
            Value::Table(table) => return self.table(table, depth),
            other => Handle::of(other).map_or_else(|| format!("<{}>", other.type_name()), |handle| handle.to_string()),
        };
        self.left = self.left.saturating_sub(text.len());
        text
    }

    fn table(&mut self, table: &Table, depth: usize) -> String {
        const BRACES: usize = 2;
        self.left = self.left.saturating_sub(BRACES);
        let times = self.met.entry(table.to_pointer()).or_default();
        *times += 1;
        if *times > TIMES_MAX {
            return "{…}".to_owned();
        }
        let length = table.raw_len();
        let mut entries = Vec::new();
        for index in 1..=length.min(ENTRIES_MAX) {
            if self.left == 0 {
                break;
            }
            entries.push(self.value(&table.raw_get::<Value>(index).unwrap_or_default(), depth + 1));
        }
        if length < ENTRIES_MAX {
            entries.append(&mut self.named(table, length, depth));
        }
        if entries.len() >= ENTRIES_MAX || self.left == 0 {
            entries.push(REST.to_owned());
        }
        join(&entries, depth, self.pretty)
    }

    /// The entries that are not those of a list, in order of their text.
    fn named(&mut self, table: &Table, length: usize, depth: usize) -> Vec<String> {
        let mut named = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let Ok((key, item)) = pair else { continue };
            let in_list = matches!(&key, Value::Integer(index) if *index >= 1 && *index as usize <= length)
                || matches!(&key, Value::Number(n) if n.fract() == 0.0 && *n >= 1.0 && *n <= length as f64);
            if in_list {
                continue;
            }
            if named.len() >= ENTRIES_MAX || self.left == 0 {
                break;
            }
            let key = self.key(&key);
            named.push(format!("{key} = {}", self.value(&item, depth + 1)));
        }
        named.sort();
        named
    }

    fn key(&mut self, key: &Value) -> String {
        match key {
            Value::String(text) if is_name(&text.as_bytes()) => {
                let name = clip_bytes(&text.as_bytes(), self.left);
                self.left = self.left.saturating_sub(name.len());
                name
            }
            other => format!("[{}]", self.value(other, DEPTH_MAX)),
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => out.push_str(&format!("\\u{{{:x}}}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn join(entries: &[String], depth: usize, pretty: bool) -> String {
    let width: usize = entries.iter().map(|entry| entry.len() + 2).sum();
    let one_line = !pretty || width <= LINE_CHARS_MAX && !entries.iter().any(|entry| entry.contains('\n'));
    if entries.is_empty() {
        return "{}".to_owned();
    }
    if one_line {
        return format!("{{ {} }}", entries.join(", "));
    }
    let mut out = String::from("{\n");
    for entry in entries {
        out.push_str(&"  ".repeat(depth + 1));
        out.push_str(entry);
        out.push_str(",\n");
    }
    out.push_str(&"  ".repeat(depth));
    out.push('}');
    out
}

fn is_name(text: &[u8]) -> bool {
    let is_word =
        !text.is_empty() && !text[0].is_ascii_digit() && text.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_');
    is_word && std::str::from_utf8(text).is_ok_and(|text| !super::syntax::is_keyword(text))
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

    fn shown(code: &str) -> String {
        let lua = Lua::new();
        let made: Value = lua.load(format!("return {code}")).eval().expect("a value");
        readable(&made)
    }

    #[test]
    fn values_read_like_lua() {
        assert_eq!(
            shown("{1, 2, x = \"a\\nb\", [true] = nil, [\"end\"] = {}}"),
            r#"{ 1, 2, ["end"] = {}, x = "a\nb" }"#
        );
        assert_eq!(shown("nil"), "nil");
        assert_eq!(shown("print"), "<function>");
        assert!(shown("table.create(60, \"word\")").starts_with("{\n  \"word\",\n"));
    }

    #[test]
    fn endless_tables_end() {
        let lua = Lua::new();
        let made: Value = lua.load("local t = {} t.t = t return t").eval().expect("a value");
        assert!(readable(&made).contains("{…}"));
        assert_eq!(clip("äöü", 3), "ä… (4 bytes cut)");
    }

    #[test]
    fn a_table_on_very_many_paths_is_cut_by_its_whole_length() {
        let lua = Lua::new();
        let made: Value = lua
            .load("local t = {} for i = 1, 200 do t[i] = t end t.long = string.rep('x', 1e7) return t")
            .eval()
            .expect("a value");
        assert!(value(&made).len() <= 400, "{}", value(&made).len());
        assert!(readable(&made).len() <= TEXT_BYTES_MAX + 100);
        assert_eq!(clip_bytes("äöü".as_bytes(), 3), "ä… (4 bytes cut)");
        assert_eq!(clip_bytes("abcdefghij".as_bytes(), 3), "abc… (7 bytes cut)");
        assert_eq!(clip_bytes(b"\xff", 3), "\u{fffd}");
    }
}
