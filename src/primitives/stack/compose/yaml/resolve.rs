//! Unfolds aliases and merge keys, within a bound, and takes `!reset` and `!override` out of the tree.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::super::node::{Map, Node, Value};
use super::super::path::Path;
use super::super::problem::{Kind, Place, Problem};
use super::raw::{Content, Raw, Tag, read};
use super::scalar;
use crate::base::limits::{COMPOSE_DEPTH_MAX, COMPOSE_VALUES_MAX};

/// One document of a file.
pub(in super::super) struct Document {
    pub root: Node,
    pub resets: Resets,
}

/// The keys that a document takes back from the files before it: those tagged `!reset` and `!override`.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Resets {
    paths: Vec<Vec<String>>,
}

impl Resets {
    /// Removes what the document takes back.
    pub fn apply(&self, target: &mut Node) {
        for path in &self.paths {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            remove(target, &keys);
        }
    }

    /// The same for the service that `name` extends.
    pub fn apply_to_service(&self, name: &str, service: &mut Node) {
        for path in &self.paths {
            if let [services, of, rest @ ..] = path.as_slice()
                && services == "services"
                && of == name
                && !rest.is_empty()
            {
                let keys: Vec<&str> = rest.iter().map(String::as_str).collect();
                remove(service, &keys);
            }
        }
    }
}

fn remove(target: &mut Node, keys: &[&str]) {
    let Some(map) = target.as_map_mut() else { return };
    match keys {
        [] => {}
        [last] => {
            map.remove(*last);
        }
        [first, rest @ ..] => {
            if let Some(next) = map.get_mut(*first) {
                remove(next, rest);
            }
        }
    }
}

/// All documents of a file. `values_left` is what the whole load may still make.
pub(in super::super) fn parse(file: &Arc<str>, text: &str, values_left: &mut usize) -> Result<Vec<Document>, Problem> {
    let mut documents = Vec::new();
    for raw in read(file, text)? {
        let mut resolver = Resolver { values_left, resets: Resets::default(), keys: Vec::new(), depth: 0 };
        let at = raw.at.clone();
        let root = resolver.node(&raw)?.unwrap_or_else(|| Node::new(Value::Null, &at));
        documents.push(Document { root, resets: resolver.resets });
    }
    Ok(documents)
}

struct Resolver<'a> {
    values_left: &'a mut usize,
    resets: Resets,
    /// The keys down to here, merge keys left out.
    keys: Vec<String>,
    depth: usize,
}

impl Resolver<'_> {
    /// The value of a node; nothing when it is tagged `!reset`.
    fn node(&mut self, raw: &Rc<Raw>) -> Result<Option<Node>, Problem> {
        self.spend(&raw.at)?;
        match &raw.tag {
            Some(Tag::Reset) => {
                self.resets.paths.push(self.keys.clone());
                return Ok(None);
            }
            Some(Tag::Override) => self.resets.paths.push(self.keys.clone()),
            _ => {}
        }
        self.depth += 1;
        let value = match &raw.content {
            Content::Scalar { text, is_plain } => Some(self.scalar(text, *is_plain, raw.tag.as_ref())),
            Content::List(items) => Some(self.list(items)?),
            Content::Map(entries) => Some(Value::Map(self.map(entries, &raw.at)?)),
            Content::Alias(target) => self.node(target)?.map(|node| node.value),
        };
        self.depth -= 1;
        Ok(value.map(|value| Node::new(value, &raw.at)))
    }

    fn scalar(&self, text: &str, is_plain: bool, tag: Option<&Tag>) -> Value {
        let tag = tag.filter(|tag| **tag != Tag::Override);
        scalar::value(text, is_plain, tag)
    }

    fn list(&mut self, items: &[Rc<Raw>]) -> Result<Value, Problem> {
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.keys.push(format!("[{index}]"));
            let node = self.node(item)?;
            self.keys.pop();
            list.extend(node);
        }
        Ok(Value::List(list))
    }

    fn map(&mut self, entries: &[(Rc<Raw>, Rc<Raw>)], at: &Place) -> Result<Map, Problem> {
        let mut map = Map::new();
        let mut seen: BTreeMap<String, Place> = BTreeMap::new();
        let mut merged = None;
        for (key, value) in entries {
            let name = self.key(key)?;
            if let Some(first) = seen.get(&name) {
                let message = format!("the key {name:?} stands in line {} already", first.line);
                return Err(self.problem(Kind::Conflict, &key.at, &message, "keep one of the two"));
            }
            seen.insert(name.clone(), key.at.clone());
            if is_merge(key) {
                merged = Some(value);
                continue;
            }
            self.keys.push(name.clone());
            let node = self.node(value)?;
            self.keys.pop();
            if let Some(mut node) = node {
                node.key_at = Some(key.at.clone());
                map.insert(name, node);
            }
        }
        if let Some(merged) = merged {
            self.merge(&mut map, merged, at)?;
        }
        Ok(map)
    }

    /// `<<`: a mapping, or a list of them of which the first to have a key wins. Own keys win over all.
    fn merge(&mut self, map: &mut Map, raw: &Rc<Raw>, at: &Place) -> Result<(), Problem> {
        let Some(node) = self.node(raw)? else { return Ok(()) };
        let sources = match node.value {
            Value::Map(_) => vec![node],
            Value::List(list) => list,
            _ => return Err(self.not_mergeable(&raw.at)),
        };
        for source in sources {
            let Value::Map(source) = source.value else { return Err(self.not_mergeable(at)) };
            for (key, node) in source {
                map.entry(key).or_insert(node);
            }
        }
        Ok(())
    }

    fn key(&self, raw: &Rc<Raw>) -> Result<String, Problem> {
        let target = if let Content::Alias(target) = &raw.content { target } else { raw };
        let Content::Scalar { text, is_plain } = &target.content else {
            return Err(self.problem(Kind::Shape, &raw.at, "a key must be a string", "write a word here"));
        };
        if is_merge(target) {
            return Ok(text.clone());
        }
        match scalar::value(text, *is_plain, target.tag.as_ref()) {
            Value::Text(text) => Ok(text),
            _ => {
                let message = format!("the key {text} is no string");
                Err(self.problem(Kind::Shape, &raw.at, &message, &format!("put it in quotes: \"{text}\"")))
            }
        }
    }

    fn spend(&mut self, at: &Place) -> Result<(), Problem> {
        if self.depth >= COMPOSE_DEPTH_MAX {
            let message = format!("values lie deeper than {COMPOSE_DEPTH_MAX} levels");
            return Err(self.problem(Kind::TooLarge, at, &message, "flatten them"));
        }
        let Some(left) = self.values_left.checked_sub(1) else {
            let message = format!("the stack has more than {COMPOSE_VALUES_MAX} values once its aliases are unfolded");
            return Err(self.problem(Kind::TooLarge, at, &message, "use fewer aliases of aliases"));
        };
        *self.values_left = left;
        Ok(())
    }

    fn not_mergeable(&self, at: &Place) -> Problem {
        self.problem(
            Kind::Shape,
            at,
            "only mappings can be merged",
            "give \"<<\" an alias of a mapping or a list of them",
        )
    }

    fn problem(&self, kind: Kind, at: &Place, message: &str, remedy: &str) -> Problem {
        let key = self.keys.join(".").replace(".[", "[");
        Problem { key, ..Problem::new(kind, at, &Path::ROOT, message, remedy) }
    }
}

fn is_merge(key: &Rc<Raw>) -> bool {
    matches!(&key.content, Content::Scalar { text, is_plain: true } if text == "<<") && key.tag.is_none()
}
