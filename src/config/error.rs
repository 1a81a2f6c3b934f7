//! A configuration that cannot be used: where, what is wrong, and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::Error as Yaml;

use super::redact::redact_urls;
use crate::base::suggest;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration {} is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error(transparent)]
    Syntax(Box<SyntaxError>),
    /// An environment variable or a flag.
    #[error("{name}: {problem}")]
    Setting { name: String, problem: String },
    /// Fields that do not go together.
    #[error("{key}: {problem}")]
    Value { key: String, problem: String },
}

/// One place of the file. Lines and columns count from 1.
#[derive(Debug)]
pub struct SyntaxError {
    pub path: PathBuf,
    pub line: u64,
    pub column: u64,
    /// Dotted, such as `http.listen`; empty at the top.
    pub key: String,
    pub problem: String,
    /// The line itself without what may be secret.
    pub text: String,
}

impl std::error::Error for SyntaxError {}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, key, problem, text } = self;
        write!(f, "{}:{line}:{column}: ", path.display())?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(problem)?;
        if !text.trim().is_empty() {
            let number = line.to_string();
            let (gutter, indent) = (number.len(), usize::try_from(*column).unwrap_or(1).saturating_sub(1));
            write!(f, "\n  {number} | {text}\n  {:gutter$} | {:indent$}^", "", "")?;
        }
        Ok(())
    }
}

impl SyntaxError {
    /// From what the parser says of `source`, at the serde path `key`.
    pub(super) fn new(path: &Path, source: &str, key: &str, error: &Yaml) -> Self {
        let error = error.without_snippet();
        let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        Self {
            path: path.to_owned(),
            line,
            column,
            // `.` stands for the top, `?` for a key that the parser had not read yet.
            key: key.trim_end_matches('?').trim_end_matches('.').to_owned(),
            problem: problem(error),
            text: shown(source, usize::try_from(line).unwrap_or(usize::MAX), error),
        }
    }
}

/// Line `number` of `source`, as far as it can be shown to whoever reads the log. Below `notify`, `sql` and `secrets` nearly
/// everything is a secret: tokens, topics, addresses that are the key. A key that nobody knows may be a mistyped one of
/// those.
fn shown(source: &str, number: usize, error: &Yaml) -> String {
    let lines: Vec<&str> = source.lines().take(number).collect();
    let Some(line) = lines.get(number.saturating_sub(1)) else { return String::new() };
    let is_section = |line: &&&str| line.starts_with(|c: char| !c.is_whitespace() && !matches!(c, '#' | '-'));
    let is_secret = |line: &&str| {
        let name = line.trim_start_matches(['"', '\'', '{']);
        ["notify", "sql", "secrets"].iter().any(|section| name.starts_with(section))
    };
    if lines.iter().rfind(is_section).is_some_and(is_secret) {
        return String::new();
    }
    let line = match error {
        Yaml::SerdeUnknownField { field, .. } => match line.find(field.as_str()) {
            Some(at) => &format!("{} …", &line[..at + field.len()]),
            None => "",
        },
        _ => line,
    };
    redact_urls(line)
}

/// The parser's errors that people meet, in plain words; the rest as the parser words them.
fn problem(error: &Yaml) -> String {
    match error {
        Yaml::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Yaml::SerdeUnknownVariant { variant, expected, .. } => unknown("value", variant, expected),
        Yaml::SerdeMissingField { field, .. } => format!("the key {field:?} is missing"),
        Yaml::SerdeInvalidType { unexpected, expected, .. } | Yaml::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("expected {expected}, found {unexpected}")
        }
        Yaml::DuplicateMappingKey { key: Some(key), .. } => format!("the key {key:?} is there twice"),
        Yaml::InvalidScalar { ty, .. } => format!("expected {}", plain_type(ty)),
        Yaml::Unexpected { expected: "mapping start", .. } => "expected keys with values, such as `key: value`".into(),
        Yaml::Unexpected { expected: "sequence start", .. } => "expected a list, such as `[a, b]`".into(),
        Yaml::Message { msg, .. } => msg.clone(),
        other => {
            let plain = serde_saphyr::UserMessageFormatter;
            serde_saphyr::MessageFormatter::format_message(&plain, other).into_owned()
        }
    }
}

fn unknown(what: &str, name: &str, expected: &[&'static str]) -> String {
    match suggest::nearest(name, expected.iter().copied()) {
        Some(near) => format!("unknown {what} {name:?}; did you mean {near:?}?"),
        None => format!("unknown {what} {name:?}; known are {}", expected.join(", ")),
    }
}

fn plain_type(ty: &str) -> &str {
    match ty {
        "usize" | "u64" | "u32" | "u16" => "a whole number",
        "f64" => "a number",
        "bool" => "true or false",
        other => other,
    }
}
