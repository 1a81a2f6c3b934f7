//! `[source:]target[:options]` of a volume.

use super::Flaw;

const REMEDY: &str = "write source:target or source:target:ro, or use the long syntax";

/// A mount in short syntax, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Mount {
    pub source: String,
    pub target: String,
    pub is_read_only: bool,
    pub is_nocopy: bool,
    pub propagation: Option<String>,
    pub selinux: Option<String>,
}

impl Mount {
    /// Whether the source is a path of the host and not a volume's name.
    pub fn is_bind(&self) -> bool {
        self.source.starts_with(['.', '/', '~']) || self.source.starts_with("\\\\") || has_drive(&self.source)
    }
}

/// Takes `text` apart. Drive letters of Windows do not end a part.
pub(in super::super) fn mount(text: &str) -> Result<Mount, Flaw> {
    if text.is_empty() {
        return Err(Flaw::new("the mount is empty", REMEDY));
    }
    if text.len() <= 2 {
        return Ok(Mount { target: text.to_owned(), ..Mount::default() });
    }
    let parts = split(text);
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Flaw::new(format!("{text:?} has an empty part between its colons"), REMEDY));
    }
    match parts.as_slice() {
        [target] => Ok(Mount { target: target.clone(), ..Mount::default() }),
        [source, target] => Ok(Mount { source: source.clone(), target: target.clone(), ..Mount::default() }),
        [source, target, options] => {
            let mut mount = Mount { source: source.clone(), target: target.clone(), ..Mount::default() };
            options.split(',').for_each(|option| mount.set(option));
            Ok(mount)
        }
        _ => Err(Flaw::new(format!("{text:?} has too many colons"), REMEDY)),
    }
}

impl Mount {
    /// Options that nobody knows are left out, as Compose does.
    fn set(&mut self, option: &str) {
        match option {
            "ro" => self.is_read_only = true,
            "rw" => self.is_read_only = false,
            "nocopy" => self.is_nocopy = true,
            "z" | "Z" => self.selinux = Some(option.to_owned()),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                self.propagation = Some(option.to_owned());
            }
            _ => {}
        }
    }
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in text.chars() {
        let Some(last) = parts.last_mut() else { break };
        let is_drive = last.chars().count() == 1 && last.starts_with(char::is_alphabetic);
        if c == ':' && !is_drive {
            parts.push(String::new());
        } else {
            last.push(c);
        }
    }
    parts
}

fn has_drive(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_taken_apart() {
        let data = mount("./data:/data:ro,Z,rshared").expect("a mount");
        assert!(data.is_bind() && data.is_read_only);
        assert_eq!((data.selinux.as_deref(), data.propagation.as_deref()), (Some("Z"), Some("rshared")));
        let named = mount("db:/var/lib:nocopy").expect("a mount");
        assert!(!named.is_bind() && named.is_nocopy);
        assert_eq!(mount("/only").expect("a mount").target, "/only");
        assert_eq!(mount("c:\\a:/b").expect("a mount").source, "c:\\a");
        for bad in ["", "ab::c", ":/b", "data:/b:ro:x", "/a:/b:"] {
            assert!(mount(bad).is_err(), "{bad}");
        }
    }
}
