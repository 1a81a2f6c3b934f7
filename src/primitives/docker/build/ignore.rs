//! `.dockerignore`: what does not go into a build's context. The last pattern that fits decides; `!` takes back.

/// <https://docs.docker.com/build/concepts/context/#dockerignore-files>
#[derive(Debug, Default)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    parts: Vec<String>,
    excludes: bool,
}

impl Ignore {
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pattern = |line: &str| {
            let (excludes, rest) = line.strip_prefix('!').map_or((true, line), |rest| (false, rest.trim()));
            let parts = rest.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned);
            Pattern { parts: parts.collect(), excludes }
        };
        Self { patterns: lines.map(pattern).filter(|pattern| !pattern.parts.is_empty()).collect() }
    }

    /// `path` is relative to the context. What lies below an excluded folder is excluded with it.
    pub(super) fn excludes(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |pattern: &Pattern| (1..=parts.len()).any(|length| covers(&pattern.parts, &parts[..length]));
        self.patterns.iter().rev().find(|pattern| fits(pattern)).is_some_and(|pattern| pattern.excludes)
    }
}

/// `**` stands for any number of folders, none included.
fn covers(pattern: &[String], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => (0..=path.len()).any(|skipped| covers(rest, &path[skipped..])),
        Some((first, rest)) => {
            path.split_first().is_some_and(|(name, others)| part(first, name) && covers(rest, others))
        }
    }
}

/// `*`, `?`, `[a-z]` and `\` inside one name, as Go's `filepath.Match` has them.
fn part(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where to go on when what follows the latest star does not fit.
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(_) if let Some(next) = one(&pattern, at, name[seen]) => {
                at = next;
                seen += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (at, seen) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// Where the pattern goes on after `at`, if what is there fits `letter`.
fn one(pattern: &[char], at: usize, letter: char) -> Option<usize> {
    match pattern[at] {
        '?' => Some(at + 1),
        '\\' => (*pattern.get(at + 1)? == letter).then_some(at + 2),
        '[' => {
            let end = at + 1 + pattern[at + 1..].iter().position(|c| *c == ']')?;
            let inside = &pattern[at + 1..end];
            let (negated, inside) = match inside.first() {
                Some('^') => (true, &inside[1..]),
                _ => (false, inside),
            };
            let mut found = false;
            let mut index = 0;
            while index < inside.len() {
                let last = if inside.get(index + 1) == Some(&'-') { inside.get(index + 2) } else { None };
                found |= (inside[index]..=*last.unwrap_or(&inside[index])).contains(&letter);
                index += if last.is_some() { 3 } else { 1 };
            }
            (found != negated).then_some(end + 1)
        }
        own => (own == letter).then_some(at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_docker_reads_them() {
        let table = [
            ("node_modules", "node_modules/x/y.js", true),
            ("/node_modules/", "node_modules", true),
            ("node_modules", "app/node_modules/x", false),
            ("**/node_modules", "app/node_modules/x", true),
            ("**/node_modules", "node_modules/x", true),
            ("*.log", "a.log", true),
            ("*.log", "logs/a.log", false),
            ("**/*.log", "logs/deep/a.log", true),
            ("*/temp*", "some/temporary.txt", true),
            ("*/temp*", "some/sub/temporary.txt", false),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("\\*x", "*x", true),
            ("\\*x", "ax", false),
            ("# comment", "# comment", false),
            ("a*b*c", "a--b--b-c", true),
            ("a*b*c", "a--b--b-d", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(Ignore::parse(pattern).excludes(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let ignore = Ignore::parse("*.md\n!README*.md\nREADME-secret.md\n");
        assert!(ignore.excludes("notes.md") && !ignore.excludes("README.md") && ignore.excludes("README-secret.md"));
        let all = Ignore::parse("*\n!src\n");
        assert!(all.excludes("target/x") && !all.excludes("src/main.rs"));
    }
}
