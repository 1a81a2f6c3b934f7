//! Paths as text: joining and cleaning without looking at any disk.

/// Without `.`, `..` and doubled slashes. An empty path is `.`.
pub(super) fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if is_rooted => {}
            other => kept.push(other),
        }
    }
    match (is_rooted, kept.is_empty()) {
        (true, _) => format!("/{}", kept.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => kept.join("/"),
    }
}

/// `path` seen from `folder`.
pub(super) fn join(folder: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{folder}/{path}")) }
}

/// The folder that a path lies in.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(at) => &path[..at],
        None => ".",
    }
}

/// The last part of a path.
pub(super) fn name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_joined() {
        for (path, cleaned) in
            [("/a/./b//c/..", "/a/b"), ("/../x", "/x"), ("a/../..", ".."), ("./", "."), ("", "."), ("/", "/")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
        assert_eq!(join("/p", "./sub/../x"), "/p/x");
        assert_eq!(join("/p", "/q/"), "/q");
        assert_eq!((parent("/a/b"), parent("/a"), name("/a/b/")), ("/a", "/", "b"));
    }
}
