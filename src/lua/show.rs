//! Values as readable Lua: for the console and for messages.

use mlua::{Table, Value};

/// Entries of one table that are shown.
const ENTRIES_MAX: usize = 200;
/// Tables within tables that are shown.
const DEPTH_MAX: usize = 6;
/// Length of the whole text.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Length up to which a table stands on one line.
const LINE_CHARS_MAX: usize = 100;

/// One line, for messages.
pub fn value(value: &Value) -> String {
    const MESSAGE_BYTES_MAX: usize = 300;
    let mut text = String::new();
    write(&mut text, value, 0, false);
    clip(&text, MESSAGE_BYTES_MAX)
}

/// As a person would write it, over several lines where it is long.
pub fn readable(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0, true);
    clip(&text, TEXT_BYTES_MAX)
}

/// `text` in at most `bytes_max` bytes, with a note of what was cut.
pub fn clip(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes cut)", &text[..end], text.len() - end)
}

fn write(out: &mut String, value: &Value, depth: usize, pretty: bool) {
    if out.len() > TEXT_BYTES_MAX {
        return;
    }
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(&value.to_string()),
        Value::Number(value) => out.push_str(&value.to_string()),
        Value::String(text) => quote(out, &text.to_string_lossy()),
        Value::LightUserData(pointer) if pointer.0.is_null() => out.push_str("aegis.null"),
        Value::Error(problem) => out.push_str(&super::error::of_mlua(problem).message),
        Value::Table(_) if depth >= DEPTH_MAX => out.push_str("{…}"),
        Value::Table(table) => write_table(out, table, depth, pretty),
        other => {
            out.push('<');
            out.push_str(other.type_name());
            out.push('>');
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars().take(TEXT_BYTES_MAX) {
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
}

fn write_table(out: &mut String, table: &Table, depth: usize, pretty: bool) {
    let length = table.raw_len();
    let mut entries = Vec::new();
    for index in 1..=length.min(ENTRIES_MAX) {
        let mut text = String::new();
        write(&mut text, &table.raw_get::<Value>(index).unwrap_or_default(), depth + 1, pretty);
        entries.push(text);
    }
    let mut named = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let Ok((key, item)) = pair else { continue };
        let in_list = matches!(&key, Value::Integer(index) if *index >= 1 && *index as usize <= length)
            || matches!(&key, Value::Number(index) if index.fract() == 0.0 && *index >= 1.0 && *index <= length as f64);
        if in_list {
            continue;
        }
        if named.len() >= ENTRIES_MAX {
            break;
        }
        let mut text = String::new();
        write_key(&mut text, &key);
        text.push_str(" = ");
        write(&mut text, &item, depth + 1, pretty);
        named.push(text);
    }
    named.sort();
    entries.append(&mut named);
    if entries.len() >= ENTRIES_MAX {
        entries.push("…".to_owned());
    }
    join(out, &entries, depth, pretty);
}

fn join(out: &mut String, entries: &[String], depth: usize, pretty: bool) {
    let width: usize = entries.iter().map(|entry| entry.len() + 2).sum();
    let one_line = !pretty || width <= LINE_CHARS_MAX && !entries.iter().any(|entry| entry.contains('\n'));
    if entries.is_empty() {
        out.push_str("{}");
    } else if one_line {
        out.push_str("{ ");
        out.push_str(&entries.join(", "));
        out.push_str(" }");
    } else {
        out.push_str("{\n");
        for entry in entries {
            out.push_str(&"  ".repeat(depth + 1));
            out.push_str(entry);
            out.push_str(",\n");
        }
        out.push_str(&"  ".repeat(depth));
        out.push('}');
    }
}

fn write_key(out: &mut String, key: &Value) {
    match key {
        Value::String(text) if is_name(&text.to_string_lossy()) => out.push_str(&text.to_string_lossy()),
        other => {
            out.push('[');
            write(out, other, DEPTH_MAX, false);
            out.push(']');
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        && !super::syntax::is_keyword(text)
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
}
