//! What each key may hold, as tables, and the check against them.

mod check;
mod common;
mod deploy;
mod resources;
mod root;
mod service;

pub(super) use check::check;

/// What a value may be. Numbers and booleans may be written as strings, because variables are strings; the check makes
/// numbers and booleans of them.
pub(super) enum Shape {
    Any,
    Text,
    /// A boolean, or a string that means one.
    Switch,
    /// A boolean, nothing else.
    Bool,
    /// A whole number, or a string that is one.
    Whole,
    /// A whole number within bounds, or a string that is one.
    Within(i64, i64),
    /// A number, or a string that is one.
    Number,
    /// A number of bytes, or a string such as `64m`.
    Bytes,
    /// A string or a number, each as it is.
    TextOrNumber,
    /// A scalar: string, number, boolean, null.
    Scalar,
    /// A string, a number or null.
    TextNumberNull,
    Null,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A string that this accepts; what to write otherwise.
    Matching(fn(&str) -> bool, &'static str),
    Items(&'static Shape),
    /// A list in which nothing stands twice.
    Unique(&'static Shape),
    Fields(&'static Fields),
    /// Entries with names of the user's own.
    Named(Names, &'static Shape),
    /// The first that admits the type of the value.
    Either(&'static [&'static Shape]),
}

/// The keys of a mapping that Compose knows.
pub(super) struct Fields {
    /// What messages call it.
    pub what: &'static str,
    pub known: &'static [(&'static str, &'static Shape)],
    /// Keys of other versions of Compose: kept with a warning, because nothing acts on them here.
    pub kept: &'static [&'static str],
    pub required: &'static [&'static str],
}

/// Which names users may give.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Any,
    /// Letters, digits, `.`, `_` and `-`.
    Plain,
    /// The same, but what does not fit is left alone, as in Compose.
    PlainOrAny,
    /// Small letters; what does not fit is left alone.
    SmallOrAny,
}
