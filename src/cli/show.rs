//! How values look to people.

use std::io::Write;

use comfy_table::{Attribute, Cell, Color};
use jiff::tz::TimeZone;
use owo_colors::OwoColorize;
use serde_json::Value;

use super::api::LogLine;
use crate::base::{Fault, Timestamp, clock, quantity};
use crate::model::{LogLevel, RunState};

/// Local date and time, to the second.
pub(super) fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `3m ago`, `in 2h 5m`, `now`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let whole_seconds = |duration: std::time::Duration| std::time::Duration::from_secs(duration.as_secs());
    let (ahead, behind) = (whole_seconds(clock::since(at, now)), whole_seconds(clock::since(now, at)));
    match (ahead.is_zero(), behind.is_zero()) {
        (true, true) => "now".to_owned(),
        (false, _) => format!("in {}", quantity::show_duration(ahead)),
        _ => format!("{} ago", quantity::show_duration(behind)),
    }
}

/// How long something that began and may have ended took, or `-`.
pub(super) fn span(from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp) -> String {
    from.map_or_else(|| "-".to_owned(), |from| quantity::show_duration(clock::since(to.unwrap_or(now), from)))
}

fn state_colour(state: RunState) -> Color {
    match state {
        RunState::Succeeded => Color::Green,
        RunState::Failed | RunState::TimedOut | RunState::Interrupted => Color::Red,
        RunState::Running => Color::Blue,
        RunState::Queued | RunState::Parked => Color::Cyan,
        RunState::Cancelled => Color::Yellow,
    }
}

pub(super) fn state_cell(state: RunState) -> Cell {
    Cell::new(state).fg(state_colour(state))
}

pub(super) fn dim_cell(text: impl std::fmt::Display) -> Cell {
    Cell::new(text).add_attribute(Attribute::Dim)
}

/// A message for the person, on standard error.
pub(super) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A run's state in its colour, for running text.
pub(super) fn state(state: RunState) -> String {
    let name = state.as_str();
    match state_colour(state) {
        Color::Green => name.green().to_string(),
        Color::Red => name.red().to_string(),
        Color::Blue => name.blue().to_string(),
        Color::Yellow => name.yellow().to_string(),
        _ => name.cyan().to_string(),
    }
}

/// One line of a run's log: time, level, text, fields.
pub(super) fn log_line(line: &LogLine) -> String {
    let at = line.at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string();
    let level = match line.level {
        LogLevel::Debug => "debug".dimmed().to_string(),
        LogLevel::Info => "info ".green().to_string(),
        LogLevel::Warn => "warn ".yellow().to_string(),
        LogLevel::Error => "error".red().to_string(),
    };
    let mut text = format!("{} {level} {}", at.dimmed(), plain(&line.text));
    for (name, value) in line.fields.as_object().into_iter().flatten() {
        text.push_str(&format!(" {}{}", format!("{name}=").dimmed(), plain(&inline(value))));
    }
    text
}

/// A value on one line; strings without quotes.
pub(super) fn inline(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Text of others without control characters, so that a script's output cannot drive the terminal. Line ends, tabs
/// and colours (SGR) stay.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        out.push_str(&rest[..at]);
        let sgr = rest[at..].strip_prefix("\u{1b}[").and_then(|tail| {
            let end = tail.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            tail[end..].starts_with('m').then_some(2 + end + 1)
        });
        let skip = match sgr {
            Some(length) => {
                out.push_str(&rest[at..at + length]);
                length
            }
            None => {
                out.push(char::REPLACEMENT_CHARACTER);
                rest[at..].chars().next().map_or(1, char::len_utf8)
            }
        };
        rest = &rest[at + skip..];
    }
    out.push_str(rest);
    out
}

/// What failed, where, and what to do: several lines.
pub(super) fn fault(fault: &Fault) -> String {
    let mut text =
        format!("{} {} {}", "error:".red().bold(), plain(&fault.message), format!("[{}]", fault.code).dimmed());
    if let Some(at) = &fault.at {
        let column = at.column.map_or_else(String::new, |column| format!(":{column}"));
        text.push_str(&format!("\n  {} {}:{}{column}", "-->".blue(), at.file, at.line));
        if let Some(line) = &at.text {
            let number = at.line.to_string();
            text.push_str(&format!("\n  {} {} {}", number.blue(), "|".blue(), plain(line)));
        }
    }
    if let Some(hint) = &fault.hint {
        text.push_str(&format!("\n   {} {}", "hint:".cyan(), plain(hint)));
    }
    for frame in &fault.trace {
        text.push_str(&format!("\n     {} {}", "in".dimmed(), plain(frame).dimmed()));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_told_from_now() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(relative(now, now), "now");
        assert_eq!(relative(clock::later(now, Duration::from_millis(90_500)), now), "in 1m 30s");
        assert_eq!(relative(now, clock::later(now, Duration::from_secs(7_200))), "2h ago");
    }

    #[test]
    fn a_scripts_text_cannot_drive_the_terminal() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m"), "\u{1b}[31mred\u{1b}[0m");
        assert_eq!(plain("\u{1b}]0;title\u{7}a\u{1b}[2Jb\r"), "\u{fffd}]0;title\u{fffd}a\u{fffd}[2Jb\u{fffd}");
    }
}
