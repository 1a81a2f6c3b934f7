//! What a volume is called.

use std::fmt;
use std::str::FromStr;

use crate::base::{Fault, limits};

/// `tenant/volume`: two words of letters, digits, `-`, `_` and `.` that begin with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName {
    text: String,
    slash: usize,
}

impl VolumeName {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn tenant(&self) -> &str {
        &self.text[..self.slash]
    }

    pub fn volume(&self) -> &str {
        &self.text[self.slash + 1..]
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for VolumeName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.split_once('/') {
            Some((tenant, volume)) if is_word(tenant) && is_word(volume) => {
                Ok(Self { text: text.to_owned(), slash: tenant.len() })
            }
            _ => Err(bad("a volume", "tenant/volume, such as \"agents/run-17\"", text)),
        }
    }
}

/// The name of a snapshot.
pub fn check_snapshot(name: &str) -> Result<(), Fault> {
    if is_word(name) { Ok(()) } else { Err(bad("a snapshot", "a word, such as \"before-upgrade\"", name)) }
}

fn is_word(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=limits::VOLUME_NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(legal)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn bad(what: &str, wanted: &str, text: &str) -> Fault {
    let shown: String = text.chars().take(120).collect();
    let hint =
        format!("write {wanted}: letters, digits, '-', '_' and '.', at most {} of them", limits::VOLUME_NAME_BYTES_MAX);
    Fault::new("volumes.name.invalid", format!("{shown:?} is not a name for {what}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_words() {
        let name: VolumeName = "agents/run-17.a_b".parse().expect("a name");
        assert_eq!((name.tenant(), name.volume(), name.as_str()), ("agents", "run-17.a_b", "agents/run-17.a_b"));
        let long = format!("a/{}", "x".repeat(limits::VOLUME_NAME_BYTES_MAX + 1));
        for wrong in ["", "a", "/a", "a/", "a/b/c", "../a", "a/..", "a/.b", "a b/c", "a/ü", "a/b\0", "-a/b", &long] {
            assert_eq!(wrong.parse::<VolumeName>().map_err(|fault| fault.code), Err("volumes.name.invalid".into()));
        }
        assert!(check_snapshot("before").is_ok() && check_snapshot("a/b").is_err() && check_snapshot(".x").is_err());
    }
}
