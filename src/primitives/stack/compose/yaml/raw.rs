//! The events of the parser as a tree in which aliases are still aliases.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::super::path::Path;
use super::super::problem::{Kind, Place, Problem};
use crate::base::limits::COMPOSE_DEPTH_MAX;

/// A node as it is written.
#[derive(Debug)]
pub(super) struct Raw {
    pub content: Content,
    pub tag: Option<Tag>,
    pub at: Place,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar { text: String, is_plain: bool },
    List(Vec<Rc<Raw>>),
    Map(Vec<(Rc<Raw>, Rc<Raw>)>),
    Alias(Rc<Raw>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    Reset,
    Override,
    /// One of YAML's own, by its last part: `str`, `int`.
    Core(String),
    Other,
}

/// A collection that is not closed yet.
enum Open {
    List { items: Vec<Rc<Raw>>, anchor: usize, tag: Option<Tag>, at: Place },
    Map { entries: Vec<(Rc<Raw>, Rc<Raw>)>, key: Option<Rc<Raw>>, anchor: usize, tag: Option<Tag>, at: Place },
}

struct Builder {
    file: Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Raw>>,
    document: Option<Rc<Raw>>,
    documents: Vec<Rc<Raw>>,
}

/// All documents of a text. An empty text has none.
pub(super) fn read(file: &Arc<str>, text: &str) -> Result<Vec<Rc<Raw>>, Problem> {
    let options = granit_parser::options! {
        emit_comments: false,
        block_nesting_limit: COMPOSE_DEPTH_MAX,
        flow_nesting_limit: COMPOSE_DEPTH_MAX,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        file: file.clone(),
        open: Vec::new(),
        anchors: HashMap::new(),
        document: None,
        documents: Vec::new(),
    };
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|problem| syntax(file, &problem))?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = place(&self.file, &span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let content = Content::Scalar { text: text.into_owned(), is_plain };
                self.put(Raw { content, tag: tag.as_deref().map(known_tag), at }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = tag.as_deref().map(known_tag);
                self.open(Open::List { items: Vec::new(), anchor, tag, at })
            }
            Event::MappingStart(_, anchor, tag) => {
                let tag = tag.as_deref().map(known_tag);
                self.open(Open::Map { entries: Vec::new(), key: None, anchor, tag, at })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => {
                let target = self.anchors.get(&id).cloned().ok_or_else(|| {
                    let remedy = "an alias can only stand for what is complete before it";
                    Problem::new(Kind::Cycle, &at, &Path::ROOT, "this alias contains itself", remedy)
                })?;
                self.put(Raw { content: Content::Alias(target), tag: None, at }, 0)
            }
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.document = None;
                Ok(())
            }
            Event::DocumentEnd => {
                self.documents.extend(self.document.take());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open) -> Result<(), Problem> {
        if self.open.len() >= COMPOSE_DEPTH_MAX {
            let (Open::List { at, .. } | Open::Map { at, .. }) = &open;
            let message = format!("values lie deeper than {COMPOSE_DEPTH_MAX} levels");
            return Err(Problem::new(Kind::TooLarge, at, &Path::ROOT, message, "flatten them"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        match self.open.pop() {
            Some(Open::List { items, anchor, tag, at }) => {
                self.put(Raw { content: Content::List(items), tag, at }, anchor)
            }
            Some(Open::Map { entries, anchor, tag, at, .. }) => {
                self.put(Raw { content: Content::Map(entries), tag, at }, anchor)
            }
            None => Ok(()),
        }
    }

    fn put(&mut self, raw: Raw, anchor: usize) -> Result<(), Problem> {
        let node = Rc::new(raw);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
            None => self.document = Some(node),
        }
        Ok(())
    }
}

fn known_tag(tag: &granit_parser::Tag) -> Tag {
    match (tag.original_handle(), tag.suffix()) {
        ("!", "reset") => Tag::Reset,
        ("!", "override") => Tag::Override,
        _ => tag.core_suffix().map_or(Tag::Other, |name| Tag::Core(name.to_owned())),
    }
}

fn place(file: &Arc<str>, marker: &Marker) -> Place {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place { file: file.clone(), line: number(marker.line()), column: number(marker.col().saturating_add(1)) }
}

fn syntax(file: &Arc<str>, problem: &ScanError) -> Problem {
    let at = place(file, problem.marker());
    let message = format!("this is no YAML: {}", problem.info());
    Problem::new(Kind::Syntax, &at, &Path::ROOT, message, "look at the indentation, the quotes and the colons here")
}
