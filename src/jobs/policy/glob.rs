//! Which scripts a rule is about: paths relative to the scripts folder.

use crate::model::grants::matches;

/// `team/*.lua`, `team/**`, `**/nightly_*.lua`; a folder, with or without a slash at its end, stands for all beneath it.
/// `*` stays within one part of the path, `**` stands for any number of parts.
pub fn covers(pattern: &str, path: &str) -> bool {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let is_folder = pattern.ends_with('/') || !pattern.rsplit('/').next().unwrap_or(pattern).contains(['.', '*']);
    let mut parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return false;
    }
    if is_folder {
        parts.push("**");
    }
    let path: Vec<&str> = path.split('/').collect();
    walk(&parts, &path)
}

fn walk(parts: &[&str], path: &[&str]) -> bool {
    match (parts, path) {
        ([], path) => path.is_empty(),
        (["**"], path) => !path.is_empty(),
        (["**", rest @ ..], path) => (0..=path.len()).any(|skipped| walk(rest, &path[skipped..])),
        (_, []) => false,
        ([part, parts @ ..], [name, path @ ..]) => matches(part, name) && walk(parts, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_paths() {
        for (pattern, path) in [
            ("**", "a.lua"),
            ("**", "a/b/c.lua"),
            ("team", "team/a.lua"),
            ("team/", "team/deep/a.lua"),
            ("team/*.lua", "team/a.lua"),
            ("team/**", "team/deep/a.lua"),
            ("**/nightly_*.lua", "nightly_x.lua"),
            ("**/nightly_*.lua", "a/b/nightly_x.lua"),
            ("a.lua", "a.lua"),
            ("./a.lua", "a.lua"),
            ("*.lua", "a.lua"),
        ] {
            assert!(covers(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("team", "team2/a.lua"),
            ("team", "a/team/b.lua"),
            ("team/*.lua", "team/deep/a.lua"),
            ("*.lua", "team/a.lua"),
            ("a.lua", "team/a.lua"),
            ("team/**", "team.lua"),
            ("", ""),
        ] {
            assert!(!covers(pattern, path), "{pattern} {path}");
        }
    }
}
