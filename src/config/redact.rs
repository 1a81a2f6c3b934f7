//! Text that may hold a URL with a password, made fit for logs and error messages.

/// Replaces the password of every `scheme://user:password@host` in `text`. The text need not be a URL, nor one alone.
pub fn redact_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (head, tail) = rest.split_at(found + 3);
        out.push_str(head);
        // Only the authority can hold a password, which itself may hold an unescaped '@'.
        let end = tail.find(ends_url).unwrap_or(tail.len());
        let authority = tail[..end].find(['/', '?', '#']).unwrap_or(end);
        // Or one of those that end it: rather too much is hidden than a password shown.
        let cut = tail[..authority].contains(':') && !tail[..authority].contains('@');
        let (authority, after) = match tail[..end].rfind('@').filter(|_| cut) {
            Some(at) => tail.split_at(at + 1),
            None => tail.split_at(authority),
        };
        match authority.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
            Some((Some((user, _)), host)) => out.extend([user, ":***@", host]),
            _ => out.push_str(authority),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn ends_url(c: char) -> bool {
    matches!(c, '"' | '\'') || c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_and_the_rest_stays() {
        let cases = [
            ("postgres://aegis:s3cret@db:5432/aegis", "postgres://aegis:***@db:5432/aegis"),
            ("postgres://u:p@ss:w@db/x?sslmode=require", "postgres://u:***@db/x?sslmode=require"),
            ("postgres://aegis@db/aegis", "postgres://aegis@db/aegis"),
            ("sqlite://data/aegis.db", "sqlite://data/aegis.db"),
            ("url: \"postgres://u:p@db/a\" # and http://x:y@z", "url: \"postgres://u:***@db/a\" # and http://x:***@z"),
            ("redis://:p@cache", "redis://:***@cache"),
            ("postgres://aegis:s3/cr#et?@db:5432/aegis", "postgres://aegis:***@db:5432/aegis"),
            ("http://proxy.test:3128/a", "http://proxy.test:3128/a"),
            ("http://example.test/a@b:c", "http://example.test/a@b:c"),
            ("nothing to hide", "nothing to hide"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact_urls(text), expected);
        }
    }
}
