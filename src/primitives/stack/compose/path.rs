//! Where a value lies in a document: `services.web.ports[0]`.

use std::fmt;

/// A path of keys and places in lists. It borrows from the walk that makes it and costs nothing until it is shown.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Item(usize),
}

/// How any place in a list is written in [`Path::parts`].
pub(super) const ITEM: &str = "[]";

impl<'a> Path<'a> {
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub fn key<'b>(&'b self, key: &'b str) -> Path<'b> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    pub fn item<'b>(&'b self, index: usize) -> Path<'b> {
        Path { parent: Some(self), step: Step::Item(index) }
    }

    /// The steps from the root, to be matched as a slice.
    pub fn parts(&self) -> Vec<&'a str> {
        let mut parts = Vec::with_capacity(8);
        let mut at = Some(*self);
        while let Some(path) = at {
            match path.step {
                Step::Root => {}
                Step::Key(key) => parts.push(key),
                Step::Item(_) => parts.push(ITEM),
            }
            at = path.parent.copied();
        }
        parts.reverse();
        parts
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            fmt::Display::fmt(parent, f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) if self.parent.is_none_or(|parent| matches!(parent.step, Step::Root)) => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_show_and_match() {
        let services = Path::ROOT.key("services");
        let web = services.key("web");
        let ports = web.key("ports");
        let first = ports.item(0);
        let target = first.key("target");
        assert_eq!(target.to_string(), "services.web.ports[0].target");
        assert_eq!(target.parts(), ["services", "web", "ports", ITEM, "target"]);
        assert_eq!(Path::ROOT.to_string(), "");
    }
}
