//! Grants taken apart into single rights, so that two versions can be compared and people can read what was added.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::grants::{Access, DockerGrant, Grants, matches};

/// One right: an area such as `docker` or `http`, up to a level where the area has levels, on what a pattern names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Right {
    pub area: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Access>,
    /// None for areas that have no objects, such as `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
}

impl Right {
    fn new(area: &str, level: Option<Access>, on: Option<&str>) -> Self {
        Self { area: area.to_owned(), level, on: on.map(str::to_owned) }
    }

    /// Whether whoever has this right may do all that `other` allows. Where two patterns cannot be compared, no.
    pub fn covers(&self, other: &Self) -> bool {
        let on = match (&self.on, &other.on) {
            (None, _) => true,
            (Some(own), Some(other)) if matches!(self.area.as_str(), "http" | "egress") => host_covers(own, other),
            (Some(own), Some(other)) => own == other || matches(own, other),
            (Some(own), None) => own == "*",
        };
        self.area == other.area && self.level >= other.level && on
    }
}

/// `docker admin on web-*`, `http api.example.com`, `host read`.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.area)?;
        match (self.level, self.on.as_deref()) {
            (Some(level), None) => write!(f, " {}", level.as_str()),
            (Some(level), Some("*")) => write!(f, " {} on everything", level.as_str()),
            (Some(level), Some(on)) => write!(f, " {} on {on}", level.as_str()),
            (None, Some(on)) => write!(f, " {on}"),
            (None, None) => Ok(()),
        }
    }
}

/// What is in one list and covered by nothing in the other.
pub fn beyond<'a>(rights: &'a [Right], known: &[Right]) -> Vec<&'a Right> {
    rights.iter().filter(|right| !known.iter().any(|other| other.covers(right))).collect()
}

/// Changes with the rights alone, in whatever order they are listed.
pub fn fingerprint(rights: &[Right]) -> String {
    let mut lines: Vec<String> = rights.iter().map(|right| format!("{right:?}")).collect();
    lines.sort_unstable();
    lines.dedup();
    blake3::hash(lines.join("\n").as_bytes()).to_hex().to_string()
}

impl Grants {
    /// The same as a list of single rights.
    pub fn rights(&self) -> Vec<Right> {
        let mut found = Vec::new();
        match &self.docker {
            Some(DockerGrant::Everything(level)) => found.push(Right::new("docker", Some(*level), Some("*"))),
            Some(DockerGrant::Named(levels)) => {
                let named = levels.iter().flat_map(|(level, names)| names.iter().map(move |name| (*level, name)));
                found.extend(named.map(|(level, name)| Right::new("docker", Some(level), Some(name))));
            }
            None => {}
        }
        for (area, level) in [("host", self.host), ("alerts", self.alerts)] {
            found.extend(level.map(|level| Right::new(area, Some(level), None)));
        }
        for (area, levels) in [
            ("sql", &self.sql),
            ("redis", &self.redis),
            ("graph", &self.graph),
            ("volumes", &self.volumes),
            ("fs", &self.fs),
            ("proxy", &self.proxy),
        ] {
            found.extend(levels.iter().map(|(name, level)| Right::new(area, Some(*level), Some(name))));
        }
        for (area, names) in self.lists() {
            found.extend(names.iter().map(|name| Right::new(area, None, Some(name))));
        }
        found
    }

    fn lists(&self) -> [(&'static str, &Vec<String>); 12] {
        [
            ("stack", &self.stack),
            ("llm", &self.llm),
            ("http", &self.http),
            ("egress", &self.egress),
            ("notify", &self.notify),
            ("secrets", &self.secrets),
            ("reveal", &self.reveal),
            ("process", &self.process),
            ("kv", &self.kv),
            ("jobs", &self.jobs),
            ("runs", &self.runs),
            ("events", &self.events),
        ]
    }

    /// Grants that hold exactly these rights; of an area that is not known, none.
    pub fn of_rights<'a>(rights: impl IntoIterator<Item = &'a Right>) -> Self {
        let mut grants = Self::default();
        for right in rights {
            grants.add(right);
        }
        grants
    }

    fn add(&mut self, right: &Right) {
        // A right of before its area had names is one on everything.
        let (name, level) = (right.on.clone().unwrap_or_else(|| "*".into()), right.level);
        let levels = match right.area.as_str() {
            "docker" => {
                let DockerGrant::Named(levels) =
                    self.docker.get_or_insert_with(|| DockerGrant::Named([].into_iter().collect()))
                else {
                    return;
                };
                return levels.entry(level.unwrap_or(Access::Read)).or_default().push(name);
            }
            "host" => return self.host = level.max(self.host),
            "alerts" => return self.alerts = level.max(self.alerts),
            "sql" => &mut self.sql,
            "redis" => &mut self.redis,
            "graph" => &mut self.graph,
            "fs" => &mut self.fs,
            "volumes" => &mut self.volumes,
            "proxy" => &mut self.proxy,
            "stack" => return self.stack.push(name),
            "llm" => return self.llm.push(name),
            "http" => return self.http.push(name),
            "egress" => return self.egress.push(name),
            "notify" => return self.notify.push(name),
            "secrets" => return self.secrets.push(name),
            "reveal" => return self.reveal.push(name),
            "process" => return self.process.push(name),
            "kv" => return self.kv.push(name),
            "jobs" => return self.jobs.push(name),
            "runs" => return self.runs.push(name),
            "events" => return self.events.push(name),
            _ => return,
        };
        let kept = levels.entry(name).or_insert(Access::Read);
        *kept = level.unwrap_or(Access::Read).max(*kept);
    }
}

/// Whether every target that `inner` names is one that `outer` names: host patterns with an optional port.
pub fn host_covers(outer: &str, inner: &str) -> bool {
    if outer == inner {
        return true;
    }
    let ((outer, outer_port), (inner, inner_port)) = (split_port(outer), split_port(inner));
    if outer_port.is_some() && outer_port != inner_port {
        return false;
    }
    match (network(outer), network(inner)) {
        (Some(outer), Some(inner)) => outer.contains(&inner),
        // A pattern opens no internal host: only its own name does.
        (None, None) if !inner.contains('*') && is_internal_name(inner) => outer.eq_ignore_ascii_case(inner),
        (None, None) => matches(&outer.to_ascii_lowercase(), &inner.to_ascii_lowercase()),
        _ => false,
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    let bare = |host: &'_ str| host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::len);
    if network(text).is_some() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((host, port)) => match bare(host) {
            Some(length) => (&host[1..=length], Some(port)),
            None => (host, Some(port)),
        },
        None => (text, None),
    }
}

/// Names that are those of a private network's own machines.
pub fn is_internal_name(name: &str) -> bool {
    let suffixes = [".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test"];
    let name = name.to_ascii_lowercase();
    !name.contains('.') || suffixes.iter().any(|suffix| name.ends_with(suffix))
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    // An address of version 4 in the clothes of version 6 is the former, as everywhere else.
    let address = text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    address.ok().or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_taken_apart_and_put_together_is_the_same() {
        let named = [(Access::Read, vec!["*".to_owned()]), (Access::Admin, vec!["web-*".to_owned(), "db".to_owned()])];
        let grants = Grants { docker: Some(DockerGrant::Named(named.into_iter().collect())), ..Grants::all() };
        assert_eq!(Grants::of_rights(&grants.rights()), grants);
        // Each field of the grants is a right, or nobody would ever be asked about it.
        let fields = serde_json::to_value(&grants).expect("JSON");
        let fields: Vec<&String> = fields.as_object().expect("a map").keys().collect();
        for field in fields {
            assert!(grants.rights().iter().any(|right| right.area == *field), "{field}");
        }
        assert!(Grants::default().rights().is_empty());
    }

    #[test]
    fn a_right_covers_what_is_less() {
        let right = |area: &str, level, on: &str| Right::new(area, level, (!on.is_empty()).then_some(on));
        let (read, write) = (Some(Access::Read), Some(Access::Write));
        for (more, less) in [
            (right("docker", write, "*"), right("docker", read, "web")),
            (right("docker", write, "web-*"), right("docker", write, "web-a*")),
            (right("host", write, ""), right("host", read, "")),
            (right("http", None, "*.example.com"), right("http", None, "api.example.com:443")),
            (right("http", None, "10.0.0.0/8"), right("http", None, "10.1.2.3:8080")),
            (right("http", None, "[fd00::/8]:80"), right("http", None, "[fd00::1]:80")),
            (right("egress", None, "*.example.com"), right("egress", None, "api.example.com:443")),
        ] {
            assert!(more.covers(&less), "{more} {less}");
            assert!(!less.covers(&more), "{less} {more}");
        }
        for (one, other) in [
            (right("process", None, "git"), right("process", None, "gitx")),
            (right("docker", read, "*"), right("host", read, "")),
            (right("docker", write, "a*"), right("docker", write, "*b")),
            (right("http", None, "*"), right("http", None, "10.0.0.1")),
            (right("http", None, "*.example.com:443"), right("http", None, "api.example.com")),
            (right("http", None, "10.0.0.0/8"), right("http", None, "11.0.0.1")),
        ] {
            assert!(!one.covers(&other) && !other.covers(&one), "{one} {other}");
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_rights_alone() {
        let some =
            Grants { http: vec!["a".into(), "b".into()], host: Some(Access::Read), ..Grants::default() }.rights();
        let mut turned = some.clone();
        turned.reverse();
        assert_eq!(fingerprint(&some), fingerprint(&turned));
        assert_ne!(fingerprint(&some), fingerprint(&some[1..]));
        assert_eq!(beyond(&some, &some[1..]), [&some[0]]);
    }

    #[test]
    fn rights_read_like_sentences() {
        let grants = Grants { http: vec!["api.example.com".into()], ..Grants::all() };
        let shown: Vec<_> = grants.rights().iter().map(ToString::to_string).collect();
        for words in ["docker admin on everything", "host admin", "sql admin on everything", "http api.example.com"] {
            assert!(shown.contains(&words.to_owned()), "{shown:?}");
        }
    }

    #[test]
    fn a_pattern_covers_no_internal_host_and_no_address_in_disguise() {
        for (outer, inner) in
            [("*", "redis"), ("*.internal", "db.internal"), ("*", "Redis:6379"), ("::/0", "::ffff:10.0.0.5")]
        {
            assert!(!host_covers(outer, inner), "{outer} {inner}");
        }
        for (outer, inner) in
            [("redis", "redis:6379"), ("*", "example.com"), ("10.0.0.0/8", "::ffff:10.0.0.5"), ("*", "*.lan")]
        {
            assert!(host_covers(outer, inner), "{outer} {inner}");
        }
    }
}
