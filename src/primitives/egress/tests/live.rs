//! From within real containers, with the machine's own packet filter. Needs Docker, nftables and CAP_NET_ADMIN.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Nobody;
use crate::base::{Clock, Fault, RunId, limits};
use crate::model::Grants;
use crate::primitives::docker::testing::{Lab, docker, options};
use crate::primitives::egress::firewall::{Fence, fenced, lower};
use crate::primitives::egress::peers::Peers;
use crate::primitives::egress::{
    Attempt, Egress, EgressError, Firewall, Mode, Opened, Options, Owner, Request, Runs, Standing,
};
use crate::primitives::http::testing::{Server, answer};
use crate::primitives::permit;

/// What the machine's own services say to whoever reaches them.
const SECRET: &str = "the machine itself";

/// Runs that are over.
#[derive(Default)]
struct Over(BTreeSet<RunId>);

impl Runs for Over {
    fn standings(&self, runs: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeMap<RunId, Standing>, Fault>> {
        let standing = |run| if self.0.contains(&run) { Standing::Over } else { Standing::Attempt(1) };
        let standings = runs.into_iter().map(|run| (run, standing(run))).collect();
        async move { Ok(standings) }.boxed()
    }
}

/// One test's executions; whatever has its owner's label goes when it ends, however it ends.
pub(super) struct Bed {
    pub(super) lab: Lab,
    owner: Owner,
    hosts: BTreeMap<String, IpAddr>,
}

impl Bed {
    pub(super) fn new() -> Self {
        let lab = Lab::open();
        let owner = Owner { store: lab.mark.clone(), daemon: lab.mark.clone() };
        let hosts = ["api.test", "second.test"].map(|name| (name.to_owned(), IpAddr::from(Ipv4Addr::LOCALHOST)));
        Self { lab, owner, hosts: hosts.into() }
    }

    /// A daemon, as after each of its starts.
    pub(super) fn daemon(&self) -> Egress {
        self.daemon_called(&self.owner.daemon)
    }

    fn daemon_called(&self, name: &str) -> Egress {
        let options = Options { enabled: true, hosts: self.hosts.clone(), ..Options::default() };
        let egress = Egress::new(options, Arc::default(), self.lab.docker.clone(), Arc::new(Nobody), Clock::system());
        egress.begin(Owner { daemon: name.to_owned(), store: self.owner.store.clone() });
        egress
    }

    pub(super) async fn open(&self, egress: &Egress, run: RunId, names: &[String]) -> Opened {
        let grants = Grants { egress: names.to_vec(), ..Grants::default() };
        let permit = permit::egress(&grants, names).expect("granted");
        let request = Request { mode: Mode::Allow, names: names.to_vec() };
        egress.open(&permit, &self.lab.permit, &request, (Attempt { run, number: 1 }, None)).await.expect("opened")
    }

    async fn container(&self, short: &str, opened: &Opened, more: serde_json::Value) -> String {
        let mut all = json!({
            "networks": [opened.network], "dns": [opened.gateway.to_string()], "labels": opened.labels,
        });
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            all[key] = value;
        }
        self.lab.run(short, all).await
    }

    /// What a script prints in a container.
    pub(super) async fn says(&self, container: &str, script: &str) -> String {
        let command = json!({ "command": ["sh", "-c", script], "timeout": "60s" });
        let done = self.lab.docker.exec(&self.lab.permit, container, options(command)).await.expect("executed");
        format!("{}{}", done.stdout, done.stderr)
    }

    /// The table of an execution of this test's usual daemon.
    fn table(&self, id: &str) -> String {
        format!("aegis_{}_{id}", self.owner.daemon.replace('-', ""))
    }

    /// Names of networks and tables that are there for this test.
    fn left(&self, ids: &[String]) -> (String, Vec<String>) {
        let owned = format!("label=aegis.owner={}", self.owner.store);
        let networks = docker(&["network", "ls", "-q", "--filter", &owned]);
        let containers = docker(&["ps", "-aq", "--filter", &owned]);
        let tables = Command::new("nft").args(["list", "tables"]).output().expect("nft").stdout;
        let tables = String::from_utf8_lossy(&tables).into_owned();
        (networks + &containers, ids.iter().filter(|id| tables.contains(id.as_str())).cloned().collect())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let owned = format!("label=aegis.owner={}", self.owner.store);
        let listed = |list: &[&str], shown: &str| docker(&[list, &["--filter", &owned, "--format", shown]].concat());
        for id in listed(&["ps", "-a"], "{{.ID}}").split_whitespace() {
            docker(&["rm", "-fv", id]);
        }
        for name in listed(&["network", "ls"], "{{.Name}}").split_whitespace() {
            docker(&["network", "rm", name]);
            let table = self.table(name.trim_start_matches("aegis-exec-"));
            let _ = Command::new("nft").args(["delete", "table", "inet", &table]).output();
        }
    }
}

/// Listens on all addresses of this machine, as its services do.
async fn service() -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(SECRET.as_bytes()).await;
        }
    });
    (port, tasks)
}

/// Another address of this machine than those of loopback and of Docker's.
fn own_address() -> String {
    let out = Command::new("hostname").arg("-I").output().expect("hostname").stdout;
    String::from_utf8_lossy(&out).split_whitespace().next().unwrap_or("192.0.2.2").to_owned()
}

/// An execution that is let out to one service, beside a machine and a neighbour that have others.
struct Scene {
    bed: Bed,
    run: RunId,
    opened: Opened,
    /// What is named.
    allowed: String,
    /// Where the machine's own service listens, on all addresses.
    port: u16,
    /// As executions are, and one that may do to its network what it likes: the packet filter alone holds it.
    inside: String,
    mighty: String,
    neighbour: String,
    /// The machine's address on Docker's usual network.
    docker0: String,
    _server: Server,
    _service: JoinSet<()>,
}

impl Scene {
    async fn set(egress: &Egress, bed: Bed) -> Self {
        let server = Server::start(|_, _| answer(200, &[], "hello from outside")).await;
        let (port, service) = service().await;
        let (run, allowed) = (RunId::generate(), format!("api.test:{}", server.port()));
        let opened = bed.open(egress, run, std::slice::from_ref(&allowed)).await;
        let inside = bed.container("in", &opened, json!({ "cap_drop": ["ALL"], "read_only": true })).await;
        let mighty = bed.container("mighty", &opened, json!({ "cap_add": ["NET_ADMIN", "NET_RAW"] })).await;
        let gateway = opened.gateway;
        let route = bed.says(&mighty, &format!("ip route replace default via {gateway}; ip route")).await;
        assert!(route.contains(&format!("default via {gateway}")), "{route}");
        let listens = format!("while :; do echo '{SECRET}' | nc -l -p 2222; done");
        let next = json!({ "network_mode": "bridge", "command": ["sh", "-c", listens] });
        let neighbour = bed.lab.run("neighbour", next).await;
        let docker0 = docker(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]);
        // The way of looking sees what is open.
        let seen = bed.says(&neighbour, &format!("nc -w 3 {docker0} {port} </dev/null")).await;
        assert!(seen.contains(SECRET), "{seen}");
        let (_server, _service) = (server, service);
        Self { bed, run, opened, allowed, port, inside, mighty, neighbour, docker0, _server, _service }
    }

    /// A script that asks the proxy for a page.
    fn page(&self, target: &str) -> String {
        format!("printf 'GET http://{target}/ HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {} 3128", self.opened.gateway)
    }

    /// One that asks it for a tunnel.
    fn tunnel(&self, target: &str) -> String {
        format!("printf 'CONNECT {target} HTTP/1.1\\r\\n\\r\\n' | nc -w 5 {} 3128", self.opened.gateway)
    }

    async fn what_is_named_is_reached(&self) {
        for container in [&self.inside, &self.mighty] {
            let said = self.bed.says(container, &self.page(&self.allowed)).await;
            assert!(said.contains("hello from outside"), "{container}: {said}");
            let said = self.bed.says(container, &self.tunnel(&self.allowed)).await;
            assert!(said.starts_with("HTTP/1.1 200"), "{container}: {said}");
            for resolver in [String::new(), self.opened.gateway.to_string()] {
                let said = self.bed.says(container, &format!("nslookup api.test {resolver}")).await;
                assert!(said.contains("Address: 127.0.0.1"), "{container} {resolver}: {said}");
            }
        }
    }

    async fn nothing_is_reached_past_the_proxy(&self) {
        let (gateway, port, own) = (self.opened.gateway, self.port, own_address());
        let next_door = docker(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &self.neighbour]);
        let direct = [
            (gateway.to_string(), port),
            (self.docker0.clone(), port),
            (own.clone(), port),
            (next_door, 2222),
            ("169.254.169.254".to_owned(), 80),
            ("1.1.1.1".to_owned(), 443),
            ("fd00::2".to_owned(), port),
            ("fe80::1%eth0".to_owned(), port),
        ];
        for container in [&self.inside, &self.mighty] {
            // All at once: each takes as long as it may.
            let look =
                |(host, port): &(String, u16)| format!("(nc -w 2 {host} {port} </dev/null && echo OPEN {host}) & ");
            let ask = |resolver: &str| format!("timeout 3 nslookup api.test {resolver} & ");
            let asks: String = ["8.8.8.8", &self.docker0, &own].into_iter().map(ask).collect();
            let looks: String = direct.iter().map(look).collect();
            let ping = format!("(timeout 3 ping -c 1 -W 1 {gateway} && echo OPEN) &");
            let said = self.bed.says(container, &format!("{looks}{asks}{ping} wait")).await;
            for open in [SECRET, "OPEN", "Address: 127.0.0.1"] {
                assert!(!said.contains(open), "{container}: {said}");
            }
        }
    }

    async fn what_the_proxy_sees_is_refused_and_noted(&self, egress: &Egress) {
        let last = || egress.decisions(self.run, &self.opened.id, 0).expect("its own").0.pop().expect("a decision");
        let own_port = format!("{}:{}", self.opened.gateway, self.port);
        for (target, code) in [
            ("other.test:443", "not_listed"),
            ("api.test:22", "not_listed"),
            ("169.254.169.254:80", "literal"),
            ("1.1.1.1:443", "literal"),
            ("[fd00::2]:80", "literal"),
            (own_port.as_str(), "literal"),
        ] {
            for script in [self.page(target), self.tunnel(target)] {
                let said = self.bed.says(&self.inside, &script).await;
                assert!(said.starts_with("HTTP/1.") && said.contains(" 403 "), "{target}: {said}");
                assert_eq!(last().refused.map(|reason| reason.code()), Some(code), "{target}");
            }
        }
        let ask = format!("nslookup c2VjcmV0.other.test {}", self.opened.gateway);
        let said = self.bed.says(&self.inside, &ask).await;
        assert!(said.contains("REFUSED"), "{said}");
        let asked = (last().host, last().refused.map(|reason| reason.code()));
        assert_eq!(asked, ("c2vjcmv0.other.test".to_owned(), Some("not_listed")));
        // Nobody else uses its way out, and another run does not see it.
        let said = self.bed.says(&self.neighbour, &self.page(&self.allowed)).await;
        assert!(!said.contains("HTTP/1"), "{said}");
        let other = egress.decisions(RunId::generate(), &self.opened.id, 0);
        assert!(matches!(other, Err(EgressError::Unknown(_))));
    }

    /// The machine has room for so many connections: whoever fills it keeps everybody from making new ones.
    async fn a_flood_takes_no_room_among_the_machine_s_connections(&self) {
        let gateway = self.opened.gateway;
        let each = |count: u32, one: &str| format!("for i in $(seq {count}); do ({one}) >/dev/null 2>&1 & done; wait");
        let questions = each(50, &format!("timeout 3 nslookup api.test {gateway}"));
        let connections = each(600, &format!("printf 'x\\r\\n\\r\\n' | timeout 5 nc -w 2 {gateway} 3128"));
        let stray = each(50, &format!("nc -w 1 {gateway} 5353 </dev/null"));
        for flood in [questions, connections, stray] {
            self.bed.says(&self.inside, &flood).await;
            let noted = std::fs::read_to_string("/proc/net/nf_conntrack").expect("the kernel notes connections");
            // The bridge itself tells its own network of groups.
            let is_of_network = |line: &&str| line.contains(&format!("={gateway} ")) && !line.contains("dst=224.");
            let noted: Vec<&str> = noted.lines().filter(is_of_network).collect();
            assert!(noted.is_empty(), "{flood}: {noted:?}");
        }
        let table = self.bed.table(&self.opened.id);
        let listed = Command::new("nft").args(["list", "chain", "inet", &table, "arrive"]).output().expect("nft");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let drops = listed.lines().filter(|line| line.ends_with(" drop") && !line.contains("counter packets 0 "));
        assert_eq!(drops.count(), 2, "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_reaches_what_is_named_and_nothing_else() {
    let bed = Bed::new();
    let egress = bed.daemon();
    let scene = Scene::set(&egress, bed).await;
    scene.what_is_named_is_reached().await;
    scene.nothing_is_reached_past_the_proxy().await;
    scene.what_the_proxy_sees_is_refused_and_noted(&egress).await;
    scene.a_flood_takes_no_room_among_the_machine_s_connections().await;

    // Rules that somebody else took away are put in place again.
    let table = scene.bed.table(&scene.opened.id);
    for spoilt in [&["delete", "table", "inet", &table][..], &["flush", "table", "inet", &table]] {
        Command::new("nft").args(spoilt).output().expect("nft");
        egress.hold().await;
        scene.nothing_is_reached_past_the_proxy().await;
    }
    // A daemon that is killed lets nobody out, and opens nothing.
    drop(egress);
    let (bed, gateway, port) = (&scene.bed, scene.opened.gateway, scene.port);
    let script = format!("{}; nc -w 1 {gateway} {port} </dev/null", scene.page(&scene.allowed));
    let said = bed.says(&scene.inside, &script).await;
    assert!(!said.contains("HTTP/1") && !said.contains(SECRET), "{said}");
    // The next one takes away what it left, whether the run goes on or not: its way out is gone.
    let ids = [scene.opened.id.clone()];
    assert_eq!(bed.left(&ids).1, ids);
    let next = bed.daemon();
    for container in [&scene.mighty, &scene.inside] {
        bed.lab.docker.remove(&bed.lab.permit, container, options(json!({ "force": true }))).await.expect("removed");
    }
    next.sweep(&Over::default()).await.expect("swept");
    assert_eq!(bed.left(&ids), (String::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_leaves_behind_is_swept_away_and_nothing_else_is() {
    let bed = Bed::new();
    let egress = bed.daemon();
    let (ended, alive) = (RunId::generate(), RunId::generate());
    let names = ["api.test".to_owned()];
    let (left, kept) = (bed.open(&egress, ended, &names).await, bed.open(&egress, alive, &names).await);
    let name = |short: &str| format!("aegis-exec-{}-{short}", left.id);
    for (short, opened) in [("one", &left), ("two", &kept)] {
        let more = json!({ "name": name(short), "networks": [opened.network], "labels": opened.labels });
        bed.lab.docker.create(&bed.lab.permit, bed.lab.options(short, more)).await.expect("created");
        bed.lab.docker.start(&bed.lab.permit, &name(short), options(json!({}))).await.expect("started");
    }
    // Its gate is open here, and its run is over.
    let stranger = bed.lab.run("stranger", json!({ "network_mode": "none" })).await;
    let over = Over([ended].into());
    egress.sweep(&over).await.expect("swept");
    assert!(matches!(egress.decisions(ended, &left.id, 0), Err(EgressError::Unknown(_))));
    assert!(egress.decisions(alive, &kept.id, 0).is_ok());
    let running = docker(&["ps", "--format", "{{.Names}}"]);
    assert!(!running.contains(&name("one")) && running.contains(&name("two")) && running.contains(&stranger));
    // Another daemon of the same database leaves alone what is this one's, until the run is over.
    let second = bed.daemon_called("other");
    second.sweep(&over).await.expect("swept");
    assert_ne!(bed.left(std::slice::from_ref(&kept.id)), (String::new(), Vec::new()));
    assert!(docker(&["ps", "--format", "{{.Names}}"]).contains(&name("two")));
    second.sweep(&Over([alive].into())).await.expect("swept");
    assert_eq!(bed.left(&[left.id, kept.id]), (String::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_out_that_cannot_be_made_leaves_nothing_and_names_the_remedy() {
    let bed = Bed::new();
    let names = ["api.test".to_owned()];
    let grants = Grants { egress: names.to_vec(), ..Grants::default() };
    let permit = permit::egress(&grants, &names).expect("granted");
    let request = Request { mode: Mode::Allow, names: names.to_vec() };
    let new = |enabled| {
        let options = Options { enabled, ..Options::default() };
        Egress::new(options, Arc::default(), bed.lab.docker.clone(), Arc::new(Nobody), Clock::system())
    };
    for (egress, code) in [(new(false), "egress.off"), (new(true), "egress.no_daemon")] {
        let attempt = Attempt { run: RunId::generate(), number: 1 };
        let error = egress.open(&permit, &bed.lab.permit, &request, (attempt, None)).await;
        let fault = Fault::from(error.expect_err("nothing to open with"));
        assert!(fault.code == code && fault.hint.is_some(), "{fault:?}");
    }
    let egress = bed.daemon();
    let run = RunId::generate();
    let first = bed.open(&egress, run, &names).await;
    assert_eq!(first.environment()["HTTPS_PROXY"], format!("http://{}:3128", first.gateway));
    let container = bed.container("holder", &first, json!({})).await;
    // A network that something is still on stays, and so do its rules.
    assert!(egress.close(&bed.lab.permit, run, &first.id).await.is_err());
    assert_eq!(bed.left(std::slice::from_ref(&first.id)).1.len(), 1);
    bed.lab.docker.remove(&bed.lab.permit, &container, options(json!({ "force": true }))).await.expect("removed");
    egress.sweep(&Over::default()).await.expect("swept");
    let second = bed.open(&egress, run, &names).await;
    let totals = egress.close(&bed.lab.permit, run, &second.id).await.expect("closed");
    assert_eq!((totals.allowed, totals.refused), (0, 0));
    assert!(matches!(egress.close(&bed.lab.permit, run, &second.id).await, Err(EgressError::Unknown(_))));
    assert_eq!(bed.left(&[first.id, second.id]), (String::new(), Vec::new()));
}

/// On the machine's own packet filter: on a bridge that does not exist the rules hold nobody.
#[tokio::test(flavor = "multi_thread")]
async fn rules_come_whole_and_go_whole() {
    let (bed, clock, id) = (Bed::new(), Clock::system(), RunId::generate().to_string());
    let peers = Peers { subnet: "198.51.100.0/24".parse().expect("a network"), gateway: [198, 51, 100, 1].into() };
    let daemon = &bed.owner.daemon;
    let fence = Fence { daemon, id: &id, bridge: "aegis-none", peers };
    fence.raise(&clock).await.expect("raised; nftables and CAP_NET_ADMIN are needed");
    fence.raise(&clock).await.expect("raised again, in place of the first");
    assert!(fenced(&clock, daemon).await.expect("listed").contains(&id));
    // Another daemon neither sees them nor takes them away, though it knows of no network that they are for.
    let stranger = bed.daemon_called("stranger");
    stranger.sweep(&Over::default()).await.expect("swept");
    lower(&clock, "stranger", &id).await.expect("nothing to lower");
    assert!(fenced(&clock, daemon).await.expect("listed").contains(&id));
    let listed = Command::new("nft").args(["list", "table", "inet", &bed.table(&id)]).output().expect("nft");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(listed.matches(" drop").count(), 7, "{listed}");
    // What is let through is bounded, and not noted on its way in and out.
    let bounds = [
        (limits::EGRESS_FENCE_DNS_PER_SECOND, limits::EGRESS_FENCE_DNS_BURST, "limit rate "),
        (limits::EGRESS_FENCE_CONNECTIONS_PER_SECOND, limits::EGRESS_FENCE_CONNECTIONS_BURST, "limit rate over "),
    ];
    for (rate, burst, kind) in bounds {
        assert!(listed.contains(&format!("{kind}{rate}/second burst {burst} packets")), "{listed}");
    }
    assert_eq!(listed.matches("notrack").count(), 4, "{listed}");
    lower(&clock, daemon, &id).await.expect("lowered");
    lower(&clock, daemon, &id).await.expect("lowered, though nothing is there");
    assert!(!fenced(&clock, daemon).await.expect("listed").contains(&id));
    let bad = Fence { bridge: "a\"; drop", ..fence };
    assert!(matches!(bad.raise(&clock).await, Err(Firewall::Refused(_))));
    assert!(!fenced(&clock, daemon).await.expect("listed").contains(&id));
}
