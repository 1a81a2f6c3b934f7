//! What one execution may reach.

use std::net::IpAddr;
use std::sync::Arc;

use url::Url;

use super::error::EgressError;
use super::ledger::Reason;
use crate::base::limits;
use crate::primitives::net::pattern::HostPart;
use crate::primitives::net::policy::Destination;
use crate::primitives::net::{Blocked, HostPattern, Policy, Target};
use crate::primitives::permit::EgressPermit;

/// Where a pattern without a port leads.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// Which way a list is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What is named and nothing else.
    Allow,
    /// The public internet but for what is named.
    Deny,
}

/// What an execution asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub mode: Mode,
    /// `api.example.com`, `*.example.com:8443`, `10.0.0.5:5432`, `10.0.0.0/8`.
    pub names: Vec<String>,
}

impl Request {
    /// The names for which a permission is needed.
    pub fn needed(&self) -> Vec<String> {
        match self.mode {
            Mode::Allow => self.names.clone(),
            Mode::Deny => vec!["*".to_owned()],
        }
    }
}

/// The lists of one execution, ready to be asked.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Of which each pattern has a port.
    allow: Arc<[HostPattern]>,
    policy: Policy,
}

impl Rules {
    /// `closed` is what the operator keeps out of reach of everybody.
    pub fn new(request: &Request, permit: &EgressPermit, closed: &[HostPattern]) -> Result<Self, EgressError> {
        if request.names.is_empty() {
            return Err(EgressError::Names("the list of names is empty".into()));
        }
        if request.names.len() > limits::EGRESS_NAMES_MAX {
            let most = limits::EGRESS_NAMES_MAX;
            return Err(EgressError::Names(format!("{} names are too many: at most {most}", request.names.len())));
        }
        let parse = |text: &String| text.parse().map_err(|bad| EgressError::Names(format!("{bad}")));
        let named: Vec<HostPattern> = request.names.iter().map(parse).collect::<Result<_, _>>()?;
        let everything = HostPattern { host: HostPart::Name("*".to_owned()), port: None };
        let (allow, denied) = match request.mode {
            Mode::Allow => (named, Vec::new()),
            Mode::Deny => (vec![everything], named),
        };
        let allow: Vec<HostPattern> = allow.iter().flat_map(with_ports).collect();
        let deny: Arc<[HostPattern]> = denied.into_iter().chain(closed.iter().cloned()).collect();
        let policy = Policy::new(allow.clone(), deny).bounded_by(permit.bounds().to_vec());
        Ok(Self { allow: allow.into(), policy })
    }

    /// Before anything is resolved.
    pub fn check(&self, target: &Target) -> Result<(), Reason> {
        if matches!(target.host, Destination::Address(ip) if !self.lists(target.port, ip)) {
            return Err(Reason::Literal);
        }
        self.policy.check(target).map_err(|blocked| reason(&blocked))
    }

    /// Whether an address is on the execution's list itself.
    pub fn lists(&self, port: u16, ip: IpAddr) -> bool {
        self.allow.iter().any(|pattern| pattern.covers_port(port) && pattern.covers_address(ip))
    }

    /// `ip` is what `target` turned out to be.
    pub fn check_address(&self, target: &Target, ip: IpAddr) -> Result<(), Reason> {
        self.policy.check_address(&target.host, target.port, ip).map_err(|blocked| reason(&blocked))
    }

    /// The ports on which a name may be reached; none when it may not be reached at all.
    pub fn ports(&self, name: &str) -> Vec<u16> {
        let covering = self.allow.iter().filter(|pattern| pattern.covers_name(name));
        let mut ports: Vec<u16> = covering.filter_map(|pattern| pattern.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.retain(|port| self.check(&Target { host: Destination::Name(name.to_owned()), port: *port }).is_ok());
        ports
    }
}

fn with_ports(pattern: &HostPattern) -> Vec<HostPattern> {
    match pattern.port {
        Some(_) => vec![pattern.clone()],
        None => USUAL_PORTS.map(|port| HostPattern { port: Some(port), ..pattern.clone() }).to_vec(),
    }
}

fn reason(blocked: &Blocked) -> Reason {
    match blocked {
        Blocked::NotNamed { .. } => Reason::NotListed,
        Blocked::Denied { .. } => Reason::Denied,
        Blocked::NotPublic { kind, .. } => Reason::Address(*kind),
        Blocked::BadTarget(_) => Reason::Malformed,
    }
}

/// Reads `host:port`. Whatever notation of an address the host is in, it comes out as the address.
pub fn target(authority: &str) -> Option<Target> {
    if authority.contains(['@', '/', '\\', '?', '#', ' ']) || !authority.is_ascii() {
        return None;
    }
    // The port is asked for, as the URL leaves out the usual one of its scheme.
    let (_, port) = authority.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let target = Target::of(&Url::parse(&format!("http://{authority}/")).ok()?).ok()?;
    (target.port == port).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Grants;
    use crate::primitives::permit;

    pub fn rules(mode: Mode, names: &[&str], granted: &[&str]) -> Result<Rules, EgressError> {
        let request = Request { mode, names: names.iter().map(|name| (*name).to_owned()).collect() };
        let grants = Grants { egress: granted.iter().map(|name| (*name).to_owned()).collect(), ..Grants::default() };
        let permit = permit::egress(&grants, &request.needed()).expect("granted");
        let closed = ["closed.example.com".parse().expect("a pattern")];
        Rules::new(&request, &permit, &closed)
    }

    fn decide(rules: &Rules, authority: &str) -> Result<(), Reason> {
        rules.check(&target(authority).ok_or(Reason::Malformed)?)
    }

    #[test]
    fn what_is_named_is_reached_on_its_ports() {
        let names = ["api.example.com", "*.example.org:8443", "10.0.0.0/8", "mirror.internal:873"];
        let rules = rules(Mode::Allow, &names, &names).expect("rules");
        let yes = [
            "api.example.com:443",
            "API.Example.com.:80",
            "a.b.example.org:8443",
            "10.1.2.3:443",
            "mirror.internal:873",
        ];
        for authority in yes {
            assert_eq!(decide(&rules, authority), Ok(()), "{authority}");
        }
        let no = [
            ("api.example.com:22", Reason::NotListed),
            ("example.org:8443", Reason::NotListed),
            ("a.example.org:443", Reason::NotListed),
            ("api.example.com.evil.test:443", Reason::NotListed),
            ("10.1.2.3:5432", Reason::Literal),
            ("192.168.0.1:443", Reason::Literal),
            ("1.1.1.1:443", Reason::Literal),
            ("0x7f.1:80", Reason::Literal),
            ("2130706433:80", Reason::Literal),
            ("[::1]:80", Reason::Literal),
            ("[::ffff:169.254.169.254]:80", Reason::Literal),
            ("api.example.com", Reason::Malformed),
            ("api.example.com..:443", Reason::Malformed),
            ("api.example.com:0", Reason::Malformed),
            ("api.example.com:443@10.0.0.1:443", Reason::Malformed),
            ("api.example.com:443/x", Reason::Malformed),
            (":443", Reason::Malformed),
            ("", Reason::Malformed),
        ];
        for (authority, reason) in no {
            assert_eq!(decide(&rules, authority), Err(reason), "{authority}");
        }
        assert_eq!(rules.ports("api.example.com"), [80, 443]);
        assert_eq!(rules.ports("x.example.org"), [8443]);
        assert!(rules.ports("evil.test").is_empty());
    }

    #[test]
    fn a_list_of_what_is_closed_leaves_the_public_internet_open_and_nothing_else() {
        let rules = rules(Mode::Deny, &["*.evil.example", "bad.example.net:80"], &["*"]).expect("rules");
        for authority in ["api.example.com:443", "bad.example.net:443"] {
            assert_eq!(decide(&rules, authority), Ok(()), "{authority}");
        }
        let no = [
            ("x.evil.example:443", Reason::Denied),
            ("bad.example.net:80", Reason::Denied),
            ("closed.example.com:443", Reason::Denied),
            ("closed.example.com.:443", Reason::Denied),
            ("closed.example.com..:443", Reason::Malformed),
            ("bad.example.net...:80", Reason::Malformed),
            ("x..evil.example:443", Reason::Malformed),
            ("api.example.com:22", Reason::NotListed),
            ("1.1.1.1:443", Reason::Literal),
        ];
        for (authority, reason) in no {
            assert_eq!(decide(&rules, authority), Err(reason), "{authority}");
        }
        let name = target("api.example.com:443").expect("a target");
        assert!(rules.check_address(&name, IpAddr::from([140, 82, 121, 4])).is_ok());
        for inside in [[127, 0, 0, 1], [10, 0, 0, 1], [169, 254, 169, 254], [172, 17, 0, 1]] {
            assert!(matches!(rules.check_address(&name, IpAddr::from(inside)), Err(Reason::Address(_))), "{inside:?}");
        }
    }

    #[test]
    fn the_grant_bounds_what_a_name_may_turn_out_to_be() {
        let names = ["api.example.com", "10.0.0.5:443"];
        let rules = rules(Mode::Allow, &names, &["*.example.com", "10.0.0.0/8"]).expect("rules");
        let name = target("api.example.com:443").expect("a target");
        assert!(rules.check_address(&name, IpAddr::from([10, 0, 0, 5])).is_ok());
        assert!(rules.check_address(&name, IpAddr::from([10, 0, 0, 6])).is_err());
    }

    #[test]
    fn lists_that_cannot_be_meant_are_refused() {
        assert!(rules(Mode::Allow, &[], &["*"]).is_err());
        let many: Vec<String> = (0..=limits::EGRESS_NAMES_MAX).map(|number| format!("n{number}.example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = rules(Mode::Allow, &many, &["*"]).expect_err("too many");
        assert!(error.to_string().contains("257 names are too many: at most 256"), "{error}");
        let request = Request { mode: Mode::Allow, names: vec!["http://x".into()] };
        let permit = permit::egress(&Grants::all(), &[]).expect("nothing is asked for");
        let error = Rules::new(&request, &permit, &[]).expect_err("no pattern");
        assert!(error.to_string().contains("\"http://x\" is not a host pattern"), "{error}");
    }
}
