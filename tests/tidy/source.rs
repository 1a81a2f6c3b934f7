//! Reads Rust just well enough to judge it: comments and strings blanked out, paths and module nesting found.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the project.
pub struct Source {
    /// Relative to the project's root, with `/`.
    pub path: String,
    pub text: String,
    /// The same text with comments, strings and characters turned into spaces; lines keep their numbers.
    pub code: String,
}

impl Source {
    pub fn line_at(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count()
    }

    /// `src/web/pages/run.rs` is in `web`; `src/app.rs` is `app`.
    pub fn part(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// Offsets at which `word` stands alone, not as a piece of a longer name.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        let is_name = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        self.code.match_indices(word).map(|(at, _)| at).filter(move |at| {
            !is_name(at.checked_sub(1).and_then(|before| bytes.get(before))) && !is_name(bytes.get(at + word.len()))
        })
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file under `folder` whose name ends in one of `endings`; build output and hidden folders are left out.
pub fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), endings, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, endings: &[&str], found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_output = matches!(name.as_str(), "target" | "node_modules" | ".git" | "data" | "run") && path.is_dir();
        if is_output {
            continue;
        }
        if path.is_dir() {
            walk(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let path = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().into_owned();
            let code = if path.ends_with(".rs") { blank(&text) } else { text.clone() };
            found.push(Source { path, text, code });
        }
    }
}

/// Turns comments and literals into spaces. Knows nested comments, raw strings, and lifetimes from characters.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => end_of_line(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_comment(bytes, at),
            b'r' if !follows_name(bytes, at) => end_of_raw(bytes, at).unwrap_or(at + 1),
            b'b' if !follows_name(bytes, at) && bytes.get(at + 1) == Some(&b'r') => {
                end_of_raw(bytes, at + 1).unwrap_or(at + 1)
            }
            b'"' => end_of_quoted(bytes, at),
            b'\'' => end_of_char(text, at),
            _ => at + 1,
        };
        if end > at + 1 {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn follows_name(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric() || bytes[before] == b'_')
}

fn end_of_line(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn end_of_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_u32;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn end_of_raw(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let length = bytes[open + 1..].windows(close.len()).position(|window| window == close)?;
    Some(open + 1 + length + close.len())
}

fn end_of_quoted(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `'a'` and `'\n'` are characters; `'a` alone is a lifetime.
fn end_of_char(text: &str, at: usize) -> usize {
    let mut rest = text[at + 1..].char_indices();
    match rest.next() {
        Some((_, '\\')) => text[at + 3..].find('\'').map_or(at + 1, |length| at + 3 + length + 1),
        Some((_, first)) if text[at + 1 + first.len_utf8()..].starts_with('\'') => at + 2 + first.len_utf8(),
        _ => at + 1,
    }
}

/// The first segments of every `crate::` path: `crate::a::b` gives `a`, `crate::{a, b::c}` gives `a` and `b`.
pub fn crate_paths(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in source.words("crate") {
        let rest = source.code[at + "crate".len()..].trim_start();
        let Some(rest) = rest.strip_prefix("::") else { continue };
        let rest = rest.trim_start();
        let names = match rest.strip_prefix('{') {
            Some(group) => group_heads(group),
            None => vec![head(rest)],
        };
        found.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (at, name)));
    }
    found
}

fn head(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let mut start = 0;
    let mut heads = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(head(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(head(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

/// Chains of `super::` that climb out of the file's top folder, as the offset where each begins.
pub fn climbs_out(source: &Source) -> Vec<usize> {
    let file_depth = source.path.trim_end_matches("/mod.rs").matches('/').count();
    let nested = inline_modules(&source.code);
    let mut found = Vec::new();
    let mut skip_to = 0;
    for at in source.words("super") {
        if at < skip_to {
            continue;
        }
        let mut climbs = 0;
        let mut rest = &source.code[at..];
        while let Some(next) = rest.strip_prefix("super").map(str::trim_start).and_then(|r| r.strip_prefix("::")) {
            climbs += 1;
            rest = next.trim_start();
        }
        skip_to = source.code.len() - rest.len();
        let depth = file_depth + nested.iter().filter(|(start, end)| (*start..*end).contains(&at)).count();
        if climbs > 0 && climbs >= depth {
            found.push(at);
        }
    }
    found
}

/// Byte ranges of `mod name { … }`.
fn inline_modules(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("mod ") {
        let Some(open) = code[at..].find(['{', ';']).map(|length| at + length) else { continue };
        if code.as_bytes()[open] == b';' || follows_name(code.as_bytes(), at) {
            continue;
        }
        let mut depth = 0_i32;
        let end = code[open..].bytes().position(|byte| {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            depth == 0
        });
        found.push((open, end.map_or(code.len(), |length| open + length)));
    }
    found
}
