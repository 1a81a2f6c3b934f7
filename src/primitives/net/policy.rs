//! The decision: may this target be reached, and may it at this address.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::address::{Kind, canonical, kind, translated};
use super::pattern::{HostPart, HostPattern};
use crate::model::rights::is_internal_name;

/// RFC 1035 section 2.3.4, without the dot at the end.
const NAME_BYTES_MAX: usize = 253;

/// Where a URL leads: what is checked, and what is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub host: Destination,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Lower case, without a trailing dot.
    Name(String),
    Address(IpAddr),
}

/// Why a target is out of reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error("{0}")]
    BadTarget(String),
    #[error("the permission http does not name {target}")]
    NotNamed { target: String, add: String },
    #[error("{target} is {kind}, and such an address must be named itself")]
    NotPublic { target: String, kind: Kind, add: String },
    #[error("{target} is closed to all scripts by the operator (outgoing.deny)")]
    Denied { target: String },
}

impl Target {
    /// Reads the target of an `http` or `https` URL. The URL parser has resolved every notation of an address by now.
    pub fn of(url: &Url) -> Result<Self, Blocked> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Blocked::BadTarget(format!("the scheme {} is not one of http and https", url.scheme())));
        }
        let port = url.port_or_known_default().ok_or_else(|| Blocked::BadTarget("the URL has no port".into()))?;
        let host = match url.host() {
            Some(Host::Ipv4(ip)) => Destination::Address(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Destination::Address(canonical(IpAddr::V6(ip))),
            Some(Host::Domain(name)) => Destination::from_name(name)?,
            None => return Err(Blocked::BadTarget("the URL has no host".into())),
        };
        Ok(Self { host, port })
    }
}

impl Destination {
    /// One dot at the end says that a name is whole. Of `evil.example..` no pattern would know that resolvers take it for
    /// `evil.example`.
    fn from_name(name: &str) -> Result<Self, Blocked> {
        let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if bare.len() > NAME_BYTES_MAX || bare.split('.').any(str::is_empty) {
            let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
            return Err(Blocked::BadTarget(format!("{shown:?} is no name of a host")));
        }
        Ok(bare.parse::<IpAddr>().map_or(Self::Name(bare), |ip| Self::Address(canonical(ip))))
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(ip) => write!(f, "{ip}"),
        }
    }
}

/// The patterns of one grant and the operator's deny list. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allow: Arc<[HostPattern]>,
    deny: Arc<[HostPattern]>,
    /// Further lists, by each of which a target must be allowed as well.
    caps: Arc<[Self]>,
}

impl Policy {
    pub fn new(allow: Vec<HostPattern>, deny: Arc<[HostPattern]>) -> Self {
        Self { allow: allow.into(), deny, caps: Arc::default() }
    }

    /// The same within these bounds.
    #[must_use]
    pub fn bounded_by(self, caps: Vec<Vec<HostPattern>>) -> Self {
        Self { caps: caps.into_iter().map(|allow| Self::new(allow, Arc::default())).collect(), ..self }
    }

    /// The same grant under the operator's deny list.
    #[must_use]
    pub fn denying(&self, deny: Arc<[HostPattern]>) -> Self {
        Self { deny, ..self.clone() }
    }

    /// The first check, before anything is resolved.
    pub fn check(&self, target: &Target) -> Result<(), Blocked> {
        self.check_own(target)?;
        self.caps.iter().try_for_each(|cap| cap.check_own(target))
    }

    fn check_own(&self, target: &Target) -> Result<(), Blocked> {
        match &target.host {
            Destination::Address(ip) => {
                let named =
                    self.allows(target.port).any(|pattern| pattern.covers_address(*ip) || pattern.is_everything());
                if !named {
                    return Err(Blocked::NotNamed { target: shown(target), add: target.host.to_string() });
                }
                self.check_own_address(&target.host, target.port, *ip)
            }
            Destination::Name(name) => {
                if self.deny.iter().any(|pattern| pattern.covers_port(target.port) && pattern.covers_name(name)) {
                    return Err(Blocked::Denied { target: shown(target) });
                }
                if !self.allows(target.port).any(|pattern| pattern.covers_name(name)) {
                    return Err(Blocked::NotNamed { target: shown(target), add: name.clone() });
                }
                Ok(())
            }
        }
    }

    /// The second check: `ip` is what `host` turned out to be.
    pub fn check_address(&self, host: &Destination, port: u16, ip: IpAddr) -> Result<(), Blocked> {
        self.check_own_address(host, port, ip)?;
        self.caps.iter().try_for_each(|cap| cap.check_own_address(host, port, ip))
    }

    fn check_own_address(&self, host: &Destination, port: u16, ip: IpAddr) -> Result<(), Blocked> {
        let target = match host {
            Destination::Name(name) => format!("{name} ({})", canonical(ip)),
            Destination::Address(_) => canonical(ip).to_string(),
        };
        let covers = |pattern: &HostPattern, ip| pattern.covers_address(ip) || pattern.is_everything();
        let denied = |ip| self.deny.iter().any(|pattern| pattern.covers_port(port) && covers(pattern, ip));
        if denied(ip) || translated(ip).is_some_and(|inner| denied(inner.into())) {
            return Err(Blocked::Denied { target });
        }
        let kind = kind(ip);
        if kind == Kind::Public || self.allows(port).any(|pattern| pattern.covers_address(ip)) {
            return Ok(());
        }
        let internal = matches!(kind, Kind::Loopback | Kind::Private | Kind::Shared)
            && matches!(host, Destination::Name(name) if self.names_internal_host(name, port));
        if internal { Ok(()) } else { Err(Blocked::NotPublic { target, kind, add: canonical(ip).to_string() }) }
    }

    /// Names of the inside need no range beside them. A name of the public DNS does: whoever runs its zone could point
    /// it at this machine.
    fn names_internal_host(&self, name: &str, port: u16) -> bool {
        is_internal_name(name)
            && self.allows(port).any(|pattern| matches!(&pattern.host, HostPart::Name(own) if own == name))
    }

    /// A text that is equal for two policies exactly when they decide alike for `port`.
    pub fn fingerprint(&self, port: u16) -> String {
        let list = |patterns: &[HostPattern]| {
            let covering = patterns.iter().filter(|pattern| pattern.covers_port(port));
            let mut hosts: Vec<_> = covering.map(|p| HostPattern { port: None, ..p.clone() }.to_string()).collect();
            hosts.sort_unstable();
            hosts.dedup();
            hosts.join(",")
        };
        let caps: Vec<_> = self.caps.iter().map(|cap| list(&cap.allow)).collect();
        format!("{}!{}!{}", list(&self.allow), list(&self.deny), caps.join("&"))
    }

    pub fn patterns(&self) -> &[HostPattern] {
        &self.allow
    }

    fn allows(&self, port: u16) -> impl Iterator<Item = &HostPattern> {
        self.allow.iter().filter(move |pattern| pattern.covers_port(port))
    }
}

/// Single labels and the suffixes that no public zone serves (RFC 6761, 6762, 8375 and ICANN's `internal`).
fn shown(target: &Target) -> String {
    match &target.host {
        Destination::Address(IpAddr::V6(ip)) => format!("[{ip}]:{}", target.port),
        host => format!("{host}:{}", target.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(patterns: &[&str]) -> Policy {
        Policy::new(patterns.iter().map(|text| text.parse().expect("a pattern")).collect(), Arc::default())
    }

    fn check(policy: &Policy, url: &str) -> Result<(), Blocked> {
        policy.check(&Target::of(&Url::parse(url).map_err(|error| Blocked::BadTarget(error.to_string()))?)?)
    }

    /// Every one of these leads to this machine, its network or its cloud's metadata, or to nowhere good.
    const EVASIONS: [&str; 67] = [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0x7f.0x0.0x0.0x1/",
        "http://0X7F.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://0177.0x0.0.1/",
        "http://127.0.0.1./",
        "http://127.255.255.255/",
        "http://0/",
        "http://0.0.0.0/",
        "http://0x0/",
        "http://00000000/",
        "http://[::]/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[0000::0001]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2002:c0a8:101::1]/",
        "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fec0::1]/",
        "http://[fd00:ec2::254]/",
        "http://[fc00::1]/",
        "http://[ff02::1]/",
        "http://[100::1]/",
        "http://[2a00::5efe:7f00:1]/",
        "http://10.0.0.1/",
        "http://10.1/",
        "http://0xa000001/",
        "http://172.16.0.1/",
        "http://172.31.255.255/",
        "http://192.168.1.1/",
        "http://192.168.257/",
        "http://3232235777/",
        "http://100.64.0.1/",
        "http://100.100.100.200/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://169.254.43518/",
        "http://168.63.129.16/",
        "http://192.0.0.192/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://api.github.com@127.0.0.1/",
        "http://api.github.com:443@127.0.0.1:80/#@api.github.com",
        "http://127.0.0.1\\@api.github.com/",
        "http://①②⑦.⓪.⓪.①/",
        "http://api.github.com../",
        "http://api.github.com.../",
        "http://api..github.com/",
        "http://.api.github.com/",
        "http://api.github.com。。/",
    ];

    #[test]
    fn no_evasion_passes_a_star() {
        for policy in [policy(&["*"]), policy(&["*", "*.*", "api.github.com", "*:80"])] {
            let passed: Vec<_> = EVASIONS.iter().filter(|url| check(&policy, url).is_ok()).collect();
            assert!(passed.is_empty(), "{passed:?}");
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["file:///etc/passwd", "ftp://api.github.com/", "gopher://127.0.0.1:70/", "unix:///run/x", "data:,x"]
        {
            assert!(matches!(check(&policy(&["*"]), url), Err(Blocked::BadTarget(_))), "{url}");
        }
    }

    #[test]
    fn names_are_matched_with_their_ports() {
        let granted = policy(&["api.github.com", "*.example.com:443"]);
        let yes = ["https://api.github.com/", "http://API.GitHub.com.:8080/", "https://a.b.example.com/"];
        let no = [
            "http://a.example.com/",
            "https://example.com/",
            "https://api.github.com.evil.test/",
            "https://evil-api.github.com/",
            "https://1.1.1.1/",
        ];
        for url in yes {
            assert_eq!(check(&granted, url), Ok(()), "{url}");
        }
        for url in no {
            assert!(check(&granted, url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_named_range_opens_its_addresses_and_no_others() {
        let granted = policy(&["10.0.0.0/8", "127.0.0.1:9000", "[::1]:9000"]);
        for url in ["http://10.2.3.4/", "http://127.0.0.1:9000/", "http://[::ffff:10.1.1.1]/", "http://[::1]:9000/"] {
            assert_eq!(check(&granted, url), Ok(()), "{url}");
        }
        for url in ["http://127.0.0.1:9001/", "http://192.168.0.1/", "http://1.1.1.1/", "http://[::1]/"] {
            assert!(check(&granted, url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_a_name_resolves_to_is_checked_again() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let name = |text: &str| Destination::Name(text.into());
        let granted = policy(&["*", "rebind.example.com", "redis", "db.internal"]);
        assert!(granted.check_address(&name("rebind.example.com"), 80, ip("1.1.1.1")).is_ok());
        for bad in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1"] {
            let blocked = granted.check_address(&name("rebind.example.com"), 80, ip(bad));
            assert!(matches!(blocked, Err(Blocked::NotPublic { .. })), "{bad}");
        }
        assert!(granted.check_address(&name("redis"), 6379, ip("172.18.0.2")).is_ok());
        assert!(granted.check_address(&name("db.internal"), 80, ip("10.0.0.1")).is_ok());
        assert!(granted.check_address(&name("db.internal"), 80, ip("169.254.169.254")).is_err());
        assert!(granted.check_address(&name("cache"), 80, ip("172.18.0.2")).is_err());
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let deny: Arc<[HostPattern]> =
            ["evil.example.com", "10.9.0.0/16"].map(|t| t.parse().expect("a pattern")).into();
        let granted = policy(&["*", "10.0.0.0/8"]).denying(deny);
        assert!(matches!(check(&granted, "http://evil.example.com/"), Err(Blocked::Denied { .. })));
        assert!(matches!(check(&granted, "http://10.9.1.1/"), Err(Blocked::Denied { .. })));
        assert!(check(&granted, "http://10.8.1.1/").is_ok());
        let deny: Arc<[HostPattern]> =
            ["evil.example.com", "*.evil.example"].map(|t| t.parse().expect("a pattern")).into();
        let granted = policy(&["*", "*.evil.example.com."]).denying(deny);
        let long = format!("http://{}x/", "a.".repeat(127));
        for url in [
            "http://evil.example.com../",
            "http://a.evil.example...:80/",
            "http://evil.example.com%2e%2e/",
            "http://../",
            &long,
        ] {
            assert!(matches!(check(&granted, url), Err(Blocked::BadTarget(_))), "{url}");
        }
        assert!(matches!(check(&granted, "http://evil.example.com./"), Err(Blocked::Denied { .. })));
        let deny: Arc<[HostPattern]> = ["1.2.3.0/24".parse().expect("a pattern")].into();
        let granted = policy(&["*"]).denying(deny);
        let inside = check(&granted, "http://[64:ff9b::1.2.3.4]/");
        assert!(matches!(inside, Err(Blocked::Denied { .. })), "a gateway leads there too");
        assert!(check(&granted, "http://[64:ff9b::1.2.4.4]/").is_ok());
    }

    #[test]
    fn fingerprints_tell_policies_apart_by_port() {
        let granted = policy(&["*", "10.0.0.5:80"]);
        assert_ne!(granted.fingerprint(80), granted.fingerprint(443));
        assert_eq!(granted.fingerprint(443), policy(&["*"]).fingerprint(443));
    }
}
