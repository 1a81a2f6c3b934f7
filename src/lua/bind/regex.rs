//! `aegis.regex`: regular expressions whose time grows with the text, never beyond.

use regex_lite::{Captures, Regex, RegexBuilder};
use serde_json::{Map, Value, json};

use super::json::within_bytes;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::clock::later;
use crate::base::{Fault, Timestamp, limits};

const OPTIONS: Record = Record {
    name: "RegexOptions",
    doc: "How to match.",
    fields: &[
        Field::optional("ignore_case", Type::Boolean, "Letters of ASCII match in either case"),
        Field::optional("multi_line", Type::Boolean, "`^` and `$` match at each line"),
        Field::optional("dot_all", Type::Boolean, "`.` matches the end of a line too"),
        Field::optional(
            "limit",
            Type::Integer,
            "At most so many matches; 10000 unless said otherwise, which is the most",
        ),
    ],
};
const MATCH: Record = Record {
    name: "RegexMatch",
    doc: "A place where a pattern matches.",
    fields: &[
        Field::required("text", Type::String, "What matched"),
        Field::required("first", Type::Integer, "Its first byte, counted from 1, as `string.sub` takes it"),
        Field::required("last", Type::Integer, "Its last byte"),
        Field::required("groups", Type::Map(&Type::Json), "By number and by name; `aegis.null` where one took no part"),
    ],
};

const PATTERN: Field = Field::required("pattern", Type::String, "The regular expression, at most 4 KiB");
const TEXT: Field = Field::required("text", Type::String, "Where to look, at most 1 MiB; less for a large pattern");
const HOW: Field = Field::optional("options", Type::Record(&OPTIONS), "How to match");
const SEARCH: Function = Function { params: &[PATTERN, TEXT, HOW], phase: Phase::Any, ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "regex",
    doc: "Regular expressions in the syntax of Rust's `regex-lite`: no look-around and no back-references; `\\d`, `\\w` \
          and `\\s` are of ASCII. A search takes a time that grows with the text and the pattern, whatever they are.",
    functions: &[
        Function {
            name: "test",
            doc: "Whether a pattern matches anywhere in a text.",
            returns: Type::Boolean,
            call: Call::Sync(test),
            ..SEARCH
        },
        Function {
            name: "find",
            doc: "The first match, or nil.",
            returns: Type::Optional(&Type::Record(&MATCH)),
            call: Call::Sync(find),
            ..SEARCH
        },
        Function {
            name: "all",
            doc: "All matches that do not overlap, from the first.",
            returns: Type::List(&Type::Record(&MATCH)),
            call: Call::Sync(all),
            ..SEARCH
        },
        Function {
            name: "replace",
            doc: "The text with matches replaced. In the replacement `$1` and `${name}` stand for groups, `$$` for a `$`.",
            params: &[PATTERN, TEXT, Field::required("replacement", Type::String, "What takes their place"), HOW],
            returns: Type::String,
            call: Call::Sync(replace),
            phase: Phase::Any,
            ..Function::DEFAULT
        },
        Function {
            name: "split",
            doc: "The pieces of a text between the matches.",
            returns: Type::List(&Type::String),
            call: Call::Sync(split),
            ..SEARCH
        },
        Function {
            name: "escape",
            doc: "A pattern that matches exactly this text.",
            params: &[Field::required("text", Type::String, "The text, at most 4 KiB")],
            returns: Type::String,
            call: Call::Sync(escape),
            phase: Phase::Any,
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

/// A pattern and its text, for one call.
struct Search<'a> {
    context: &'a CallContext,
    regex: Regex,
    text: &'a str,
    limit: usize,
    deadline: Timestamp,
}

impl<'a> Search<'a> {
    fn new(context: &'a CallContext, args: &'a Args) -> Result<Self, Fault> {
        let (pattern, text, options) = (args.need("pattern")?, args.need("text")?, args.record("options"));
        within_bytes(context, pattern.len(), limits::REGEX_PATTERN_BYTES_MAX)?;
        let max = limits::REGEX_MATCHES_MAX;
        let limit = options.integer("limit").map_or(Some(max), |limit| usize::try_from(limit).ok());
        let limit = limit.filter(|limit| (1..=max).contains(limit)).ok_or_else(|| {
            Fault::new("args.value", format!("{}: option \"limit\" must be 1 to {max}", context.name))
        })?;
        let (regex, text_bytes_max) = compile(context, pattern, &options)?;
        within_bytes(context, text.len(), text_bytes_max)?;
        let deadline = later(context.clock.now(), limits::CODEC_TIME_MAX);
        Ok(Self { context, regex, text, limit, deadline })
    }

    /// Looking on after each match is linear by itself and not together, so that there is a time for all.
    fn in_time(&self) -> Result<(), Fault> {
        if self.context.clock.now() < self.deadline {
            return Ok(());
        }
        let message = format!("{}: looking for all matches takes too long", self.context.name);
        Err(Fault::new("regex.too_slow", message).hint("anchor the pattern, or search the text line by line"))
    }

    fn captures(&self) -> impl Iterator<Item = Result<Captures<'a>, Fault>> {
        let found = self.regex.captures_iter(self.text).take(self.limit);
        found.map(|captures| self.in_time().map(|()| captures))
    }
}

/// The pattern, and how long a text may be with it: the larger its program, the shorter.
fn compile(context: &CallContext, pattern: &str, options: &Args) -> Result<(Regex, usize), Fault> {
    const STATE_BYTES: usize = 16;
    let mut size = limits::REGEX_PROGRAM_BYTES_MIN;
    loop {
        let built = RegexBuilder::new(pattern)
            .case_insensitive(options.flag("ignore_case"))
            .multi_line(options.flag("multi_line"))
            .dot_matches_new_line(options.flag("dot_all"))
            .size_limit(size)
            .nest_limit(limits::VALUE_DEPTH_MAX as u32)
            .build();
        match built {
            Ok(regex) => {
                let text_bytes_max = limits::REGEX_STEPS_MAX / (size / STATE_BYTES);
                return Ok((regex, text_bytes_max.min(limits::DOCUMENT_BYTES_MAX)));
            }
            Err(problem) if size < limits::REGEX_PROGRAM_BYTES_MAX && problem.to_string().contains("size") => size *= 2,
            Err(problem) => {
                let message = format!("{}: the pattern cannot be used: {problem}", context.name);
                return Err(Fault::new("regex.syntax", message));
            }
        }
    }
}

fn record(regex: &Regex, captures: &Captures<'_>) -> Value {
    let mut groups = Map::new();
    for (number, name) in regex.capture_names().enumerate().skip(1) {
        let text = captures.get(number).map_or(Value::Null, |found| found.as_str().into());
        if let Some(name) = name {
            groups.insert(name.to_owned(), text.clone());
        }
        groups.insert(number.to_string(), text);
    }
    let found = captures.get(0);
    json!({
        "text": found.map(|found| found.as_str()),
        "first": found.map(|found| found.start() + 1),
        "last": found.map(|found| found.end()),
        "groups": groups,
    })
}

fn test(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let search = Search::new(context, args)?;
    Ok(Datum::Bool(search.regex.is_match(search.text)))
}

fn find(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let search = Search::new(context, args)?;
    let found = search.regex.captures(search.text);
    Ok(found.map_or(Datum::Null, |captures| Datum::Json(record(&search.regex, &captures))))
}

fn all(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let search = Search::new(context, args)?;
    let records = search.captures().map(|captures| Ok(record(&search.regex, &captures?)));
    Ok(Datum::Json(records.collect::<Result<Value, Fault>>()?))
}

fn replace(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let search = Search::new(context, args)?;
    let replacement = args.need("replacement")?;
    let (mut text, mut end) = (String::new(), 0);
    for captures in search.captures() {
        let captures = captures?;
        let Some(found) = captures.get(0) else { continue };
        text.push_str(&search.text[end..found.start()]);
        captures.expand(replacement, &mut text);
        end = found.end();
        within_bytes(context, text.len(), limits::CODEC_INPUT_BYTES_MAX)?;
    }
    text.push_str(&search.text[end..]);
    Ok(Datum::Text(text))
}

fn split(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let search = Search::new(context, args)?;
    let (mut pieces, mut end) = (Vec::new(), 0);
    for captures in search.captures() {
        let captures = captures?;
        let Some(found) = captures.get(0) else { continue };
        pieces.push(Datum::from(&search.text[end..found.start()]));
        end = found.end();
    }
    pieces.push(Datum::from(&search.text[end..]));
    Ok(Datum::List(pieces))
}

fn escape(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let text = args.need("text")?;
    within_bytes(context, text.len(), limits::REGEX_PATTERN_BYTES_MAX)?;
    Ok(Datum::Text(regex_lite::escape(text)))
}
