//! Known secrets are taken out of every text that people or other programs are shown, or that is kept.
//!
//! One automaton finds all forms of all secrets in one pass over a text. It is made anew when the set of secrets
//! changes, and every holder of a [`Masker`] sees the new one at once.

mod forms;
mod writer;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use arc_swap::ArcSwapOption;
use serde_json::Value;

use self::forms::Form;
use super::Fault;
use super::limits::SECRET_FORM_BYTES_MAX;

pub use writer::MaskWriter;

/// What is shown in a secret's place.
pub const MASK: &str = "***";

/// Cheap to clone; all clones are one. Masks nothing until it is told what is secret.
#[derive(Clone, Default)]
pub struct Masker(Arc<ArcSwapOption<Known>>);

/// All forms of all secrets.
struct Known {
    finder: AhoCorasick,
    /// In the order of the finder's patterns.
    forms: Vec<Form>,
    /// Of the longest, in bytes.
    reach: usize,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = self.0.load().as_ref().map_or(0, |known| known.forms.len());
        f.debug_struct("Masker").field("forms", &forms).finish_non_exhaustive()
    }
}

impl Masker {
    /// Replaces the set of secrets. Values shorter than `SECRET_MASKED_BYTES_MIN` are left out: they would be found in
    /// ordinary words. False when there is no room for an automaton of that size; then the former one stays.
    #[must_use]
    pub fn set<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> bool {
        let forms = forms::of_all(values);
        if forms.is_empty() {
            self.0.store(None);
            return true;
        }
        // Not the largest and fastest kind: it would take a hundred times the memory.
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms.iter().map(Form::anchor));
        let Ok(finder) = finder else { return false };
        let reach = forms.iter().map(Form::reach).max().unwrap_or(0);
        self.0.store(Some(Arc::new(Known { finder, forms, reach })));
        true
    }

    /// Whether nothing is secret.
    pub fn is_idle(&self) -> bool {
        self.0.load().is_none()
    }

    /// Whether a secret is in it, in any form.
    pub fn finds(&self, text: impl AsRef<[u8]>) -> bool {
        self.0.load().as_ref().is_some_and(|known| known.finder.is_match(text.as_ref()))
    }

    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Whole characters are replaced by whole characters.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let known = self.0.load();
        let Some(known) = known.as_ref() else { return Cow::Borrowed(bytes) };
        let (mut masked, mut end) = (Vec::new(), 0);
        while let Some((first, after)) = known.next(bytes, end) {
            // What stands against a secret that was masked already is part of the same one.
            if first > end || masked.is_empty() {
                masked.extend_from_slice(&bytes[end..first]);
                masked.extend_from_slice(MASK.as_bytes());
            }
            end = after;
        }
        if end == 0 {
            return Cow::Borrowed(bytes);
        }
        masked.extend_from_slice(&bytes[end..]);
        Cow::Owned(masked)
    }

    /// The place at or after `at` where `bytes` can be cut without a secret in both pieces. For a secret to be seen,
    /// [`Self::reach`] bytes have to follow `at`.
    pub fn cut(&self, bytes: &[u8], at: usize) -> usize {
        let known = self.0.load();
        let Some(known) = known.as_ref() else { return at };
        let mut end = 0;
        // What begins after that is in the second piece.
        let until = bytes.len().min(at + SECRET_FORM_BYTES_MAX);
        while let Some((first, after)) = known.next_until(bytes, end, until).filter(|(first, _)| *first < at) {
            if after > at {
                return after.max(at);
            }
            end = after.max(first + 1);
        }
        at
    }

    /// How many bytes the longest form of a secret has.
    pub fn reach(&self) -> usize {
        self.0.load().as_ref().map_or(0, |known| known.reach)
    }

    /// In place; nothing is copied where there is nothing to mask.
    pub fn string(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.text(text) {
            *text = masked;
        }
    }

    /// Texts, keys, and numbers that are secrets.
    pub fn json(&self, value: &mut Value) {
        if self.is_idle() {
            return;
        }
        match value {
            Value::String(text) => self.string(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.json(value)),
            Value::Object(entries) => {
                if entries.keys().any(|key| self.finds(key)) {
                    let old = std::mem::take(entries);
                    entries.extend(old.into_iter().map(|(key, value)| (self.text(&key).into_owned(), value)));
                }
                entries.values_mut().for_each(|value| self.json(value));
            }
            Value::Number(number) if self.finds(number.to_string()) => *value = Value::from(MASK),
            Value::Number(_) | Value::Null | Value::Bool(_) => {}
        }
    }

    /// Whether [`Self::json`] would change something.
    pub fn finds_in_json(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.finds(text),
            Value::Array(values) => values.iter().any(|value| self.finds_in_json(value)),
            Value::Object(entries) => entries.iter().any(|(key, value)| self.finds(key) || self.finds_in_json(value)),
            Value::Number(number) => self.finds(number.to_string()),
            Value::Null | Value::Bool(_) => false,
        }
    }

    pub fn fault(&self, fault: &mut Fault) {
        if self.is_idle() {
            return;
        }
        self.string(&mut fault.message);
        fault.hint.iter_mut().for_each(|hint| self.string(hint));
        fault.trace.iter_mut().for_each(|frame| self.string(frame));
        if let Some(text) = fault.at.as_mut().and_then(|at| at.text.as_mut()) {
            self.string(text);
        }
        self.json(&mut fault.details);
    }
}

impl Known {
    /// The next place at or after `from` that is not to be shown.
    fn next(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        self.next_until(bytes, from, bytes.len())
    }

    /// One that is known by what stands before `until`; it may go on after that.
    fn next_until(&self, bytes: &[u8], from: usize, until: usize) -> Option<(usize, usize)> {
        let found = self.finder.find(aho_corasick::Input::new(bytes).range(from.min(until)..until))?;
        // Forms are in order: those that begin alike follow each other.
        let alike =
            self.forms[found.pattern().as_usize()..].iter().take_while(|form| form.anchor() == &bytes[found.range()]);
        let extents = alike.map(|form| form.extent(bytes, from, found.start()));
        extents.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}
