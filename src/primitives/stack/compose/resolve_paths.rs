//! Relative paths become absolute, seen from the project's folder.

use super::files_path::{clean, join};
use super::node::{Node, Value};
use super::path::{ITEM, Path};
use super::problem::{Kind, Problem};

/// Where relative paths start, and what `~` stands for.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub folder: &'a str,
    pub home: Option<&'a str>,
}

impl Base<'_> {
    /// An absolute path; an empty one stays empty.
    pub fn absolute(&self, path: &str) -> String {
        let expanded = self.expand(path);
        if expanded.is_empty() || expanded.starts_with('/') { expanded } else { join(self.folder, &expanded) }
    }

    fn expand(&self, path: &str) -> String {
        match (path.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) => clean(&format!("{home}/{rest}")),
            _ => path.to_owned(),
        }
    }

    /// A path that may be Windows's, which is left alone.
    fn on_host(&self, path: &str) -> String {
        let expanded = self.expand(path);
        if expanded.starts_with('/') || is_windows(&expanded) { expanded } else { join(self.folder, &expanded) }
    }

    fn context(&self, path: &str) -> String {
        const REMOTE: [&str; 6] = ["https://", "http://", "git://", "ssh://", "github.com/", "git@"];
        let is_remote = path.contains("://")
            || path.starts_with("service:")
            || REMOTE.iter().any(|prefix| path.starts_with(prefix));
        if is_remote { path.to_owned() } else { self.absolute(path) }
    }
}

/// Makes every path below `node` absolute.
pub(super) fn resolve_paths(node: &mut Node, base: Base<'_>, path: &Path<'_>) -> Result<(), Problem> {
    match path.parts().as_slice() {
        ["services", _, rest @ ..] if of_service(node, rest, base, path)? => return Ok(()),
        ["configs" | "secrets", _, "file"] => change(node, |text| base.on_host(text)),
        ["volumes", _] => bind_volume(node, base),
        _ => {}
    }
    match &mut node.value {
        Value::Map(map) => map.iter_mut().try_for_each(|(key, entry)| resolve_paths(entry, base, &path.key(key))),
        Value::List(list) => {
            list.iter_mut().enumerate().try_for_each(|(index, item)| resolve_paths(item, base, &path.item(index)))
        }
        _ => Ok(()),
    }
}

/// True when it was one of the paths of a service.
fn of_service(node: &mut Node, key: &[&str], base: Base<'_>, path: &Path<'_>) -> Result<bool, Problem> {
    match key {
        ["build", "context"] | ["build", "additional_contexts", _] => change(node, |text| base.context(text)),
        ["build", "ssh", _] => change(node, |text| base.on_host(text)),
        ["env_file", ITEM, "path"]
        | ["label_file", ITEM]
        | ["extends", "file"]
        | ["develop", "watch", ITEM, "path"] => change(node, |text| base.absolute(text)),
        ["volumes", ITEM] => mount(node, base, path)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn mount(node: &mut Node, base: Base<'_>, path: &Path<'_>) -> Result<(), Problem> {
    if node.get("type").and_then(Node::as_text) != Some("bind") {
        return Ok(());
    }
    let at = node.at.clone();
    match node.as_map_mut().and_then(|map| map.get_mut("source")) {
        Some(source) => {
            change(source, |text| base.on_host(text));
            Ok(())
        }
        None => {
            let message = "a bind mount needs the path that it binds";
            Err(Problem::new(Kind::Shape, &at, path, message, "add source"))
        }
    }
}

/// A volume of the local driver that is a bind mount in truth.
fn bind_volume(node: &mut Node, base: Base<'_>) {
    if node.get("driver").and_then(Node::as_text) != Some("local") {
        return;
    }
    let options = node.as_map_mut().and_then(|map| map.get_mut("driver_opts")).and_then(Node::as_map_mut);
    if let Some(options) = options
        && options.get("o").and_then(Node::as_text) == Some("bind")
        && let Some(device) = options.get_mut("device")
    {
        change(device, |text| base.on_host(text));
    }
}

fn change(node: &mut Node, with: impl FnOnce(&str) -> String) {
    if let Value::Text(text) = &mut node.value {
        *text = with(text);
    }
}

/// `c:\…`, `c:/…` and `\\server\share\…`.
fn is_windows(path: &str) -> bool {
    let bytes = path.as_bytes();
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let has_drive = bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && is_slash(&bytes[2]);
    has_drive || (path.starts_with("\\\\") && path[2..].matches('\\').count() >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute() {
        let base = Base { folder: "/p", home: Some("/home/u") };
        for (path, absolute) in [("./a", "/p/a"), ("/a", "/a"), ("~/a", "/home/u/a"), ("~", "/home/u"), ("", "")] {
            assert_eq!(base.absolute(path), absolute, "{path}");
        }
        assert_eq!(base.on_host("c:\\a"), "c:\\a");
        assert_eq!(base.on_host("\\\\server\\share\\a"), "\\\\server\\share\\a");
        assert_eq!(base.context("https://example.com/r.git"), "https://example.com/r.git");
        assert_eq!(base.context("../x"), "/x");
    }
}
