use std::collections::BTreeMap;
use std::path::Path;

use super::environment::{SETTINGS, variable};
use super::*;
use crate::primitives::stack::Orchestrator;

#[derive(Default)]
struct Fixed(BTreeMap<&'static str, &'static str>);

impl Variables for Fixed {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().filter(|name| name.starts_with("AEGIS_")).map(|name| (*name).to_owned()).collect()
    }
}

fn load(text: &str, variables: &[(&'static str, &'static str)]) -> Result<Config, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("aegis.yaml");
    std::fs::write(&path, text).expect("the file is written");
    let environment = Fixed(variables.iter().copied().collect());
    let sources = Sources { file: Some(&path), environment: &environment, flags: &[] };
    let shown = format!("{}/", dir.path().display());
    sources.load().map(|loaded| loaded.config).map_err(|error| error.to_string().replace(&shown, ""))
}

#[test]
fn the_shipped_file_is_the_default() {
    assert_eq!(load(DEFAULT_FILE, &[]), Ok(Config::default()));
    for empty in ["", "# nothing\n", "---\n", "{}"] {
        assert_eq!(load(empty, &[]), Ok(Config::default()), "{empty:?}");
    }
}

#[test]
fn the_shipped_example_of_a_route_can_be_used_as_it_is() {
    let (_, section) = DEFAULT_FILE.split_once("  routes: {}\n").expect("the section of notifications");
    let example = section.lines().map_while(|line| line.strip_prefix("  # ")).collect::<Vec<_>>().join("\n  ");
    let config = load(&format!("notify:\n  {example}\n"), &[]).expect("the example is understood");
    let kinds: Vec<&str> = config.notify.routes["alerts"].to.iter().map(|to| to.kind.name()).collect();
    assert_eq!(kinds, ["discord", "slack", "ntfy", "webhook", "telegram", "resend", "smtp", "whatsapp"]);
    let night = &config.notify.routes["night"];
    assert!(night.group.is_some() && night.quiet.is_some() && night.title.is_some());
}

#[test]
fn the_shipped_example_of_hosts_can_be_used_as_it_is() {
    let (_, section) = DEFAULT_FILE.split_once("  hosts: {}\n").expect("the section of outgoing requests");
    let example = section.lines().map_while(|line| line.strip_prefix("  # ")).collect::<Vec<_>>().join("\n  ");
    let config = load(&format!("outgoing:\n  {example}\n"), &[]).expect("the example is understood");
    let hosts = &config.outgoing.hosts;
    assert_eq!(hosts["api.example.com"].concurrency, Some(4));
    assert!(hosts["*.internal.example"].certificate.is_some());
}

#[test]
fn the_shipped_example_of_calendars_can_be_used_as_it_is() {
    let (_, section) = DEFAULT_FILE.split_once("calendars: {}\n").expect("the section of calendars");
    let example = section.lines().map_while(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join("\n");
    let config = load(&example, &[]).expect("the example is understood");
    let calendars = config.calendars().expect("they are checked");
    assert_eq!(calendars.names().collect::<Vec<_>>(), ["holidays", "maintenance"]);
    let closed = |name: &str, at: &str| calendars.hold(&[name.to_owned()], at.parse().expect("a time")).is_some();
    assert!(closed("holidays", "2027-12-25T12:00:00Z") && closed("maintenance", "2026-03-02T05:59:59Z"));
    assert!(!closed("holidays", "2027-12-27T12:00:00Z") && !closed("maintenance", "2026-03-02T06:00:00Z"));
}

#[test]
fn the_shipped_example_of_sources_can_be_used_as_it_is() {
    let (_, section) = DEFAULT_FILE.split_once("sql:\n  {}\n").expect("the section of data sources");
    let example = section.lines().map_while(|line| line.strip_prefix("  # ")).collect::<Vec<_>>().join("\n  ");
    let config = load(&format!("sql:\n  {example}\n"), &[]).expect("the example is understood");
    assert_eq!(config.sql.keys().collect::<Vec<_>>(), ["main", "notes", "shop"]);
    let problem = load("sql:\n  'a b': { url: 'sqlite://a.db' }\n", &[]).expect_err("no name for a source");
    assert!(problem.contains("\"a b\" is not a name for a source"), "{problem}");
}

#[test]
fn the_shipped_examples_of_stacks_can_be_used_as_they_are() {
    let config = load(&format!("stacks:\n  {}\n", example("stacks:")), &[]).expect("the examples are understood");
    assert_eq!(config.stacks.keys().collect::<Vec<_>>(), ["shop", "web", "wiki"]);
    let run_by: Vec<_> = config.stacks.values().map(|source| source.orchestrator).collect();
    assert_eq!(run_by, [Orchestrator::Compose, Orchestrator::Swarm, Orchestrator::Compose]);
    for (text, problem) in [
        ("stacks: { Shop: { folder: /srv/shop } }", "\"Shop\" is not a name for a stack"),
        (
            "stacks:\n  shop: { folder: srv/shop }",
            "aegis.yaml:2:19: stacks.shop.folder: \"srv/shop\" is not an absolute path",
        ),
        ("stacks: { shop: { folder: /srv, file: [a] } }", "unknown key \"file\""),
        ("stacks: { shop: {} }", "folder"),
        ("stacks: { shop: { folder: /srv, orchestrator: kubernetes } }", "unknown value \"kubernetes\""),
    ] {
        let found = load(text, &[]).expect_err(problem);
        assert!(found.contains(problem), "{text}: {found}");
    }
}

#[test]
fn the_shipped_examples_of_proxies_can_be_used_as_they_are() {
    let config = load(&format!("proxies:\n  {}\n", example("proxies:")), &[]).expect("the examples are understood");
    let kinds: Vec<_> = config.proxies.iter().map(|(name, proxy)| (name.as_str(), proxy.kind().as_str())).collect();
    assert_eq!(kinds, [("edge", "haproxy"), ("inner", "haproxy"), ("web", "traefik")]);
    let again = serde_json::to_value(&config.proxies).expect("it serialises");
    assert_eq!(again["inner"], serde_json::json!({ "kind": "haproxy", "address": "127.0.0.1:9999" }));
    for (text, problem) in [
        ("proxies:\n  e: { kind: nginx }", "aegis.yaml:2:14: proxies.e.kind: unknown value \"nginx\""),
        ("proxies:\n  e: { kind: haproxy, sokcet: /a }", "unknown key \"sokcet\"; did you mean \"socket\"?"),
        ("proxies:\n  e: { kind: haproxy }", "aegis.yaml:2:6: proxies.e: kind haproxy needs either socket"),
        ("proxies:\n  e: { kind: haproxy, socket: a.sock }", "socket: \"a.sock\" is not an absolute path"),
        ("proxies:\n  e: { kind: haproxy, address: \"10.0.0.1:9999\" }", "is not on this machine"),
        ("proxies:\n  e: { kind: haproxy, address: localhost }", "\"localhost\" is not an address"),
        ("proxies:\n  e: { kind: traefik, socket: /a }", "kind traefik needs directory"),
        ("proxies:\n  e: { kind: traefik, directory: /a, socket: /b }", "and nothing else"),
        ("proxies:\n  'a b': { kind: traefik, directory: /a }", "\"a b\" is not a name for a proxy"),
    ] {
        let found = load(text, &[]).expect_err(problem);
        assert!(found.contains(problem), "{text}: {found}");
    }
}

#[test]
fn the_shipped_file_names_every_key() {
    let defaults = serde_json::to_value(Config::default()).expect("it serialises");
    let sections = defaults.as_object().expect("a mapping");
    for (section, keys) in sections {
        assert!(DEFAULT_FILE.contains(&format!("\n{section}:")), "{section}");
        for key in keys.as_object().expect("a mapping").keys() {
            assert!(DEFAULT_FILE.contains(&format!("\n  {key}: ")), "{section}.{key}");
            let dotted = format!("{section}.{key}");
            assert!(SETTINGS.iter().any(|(known, _)| *known == dotted), "{dotted} has no environment variable");
        }
    }
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    let cases = [
        (
            "http:\n  lisen: x\n",
            "aegis.yaml:2:3: http.lisen: unknown key \"lisen\"; did you mean \"listen\"?\n  2 |   lisen …\n    |   ^",
        ),
        (
            "fs:\n  roots:\n    data: data/files\n",
            "aegis.yaml:3:11: fs.roots.data: \"data/files\" is not an absolute path: write it from the top, such as \"/var/backups/aegis\"\n  3 |     data: data/files\n    |           ^",
        ),
        ("htp: {}\n", "aegis.yaml:1:1: htp: unknown key \"htp\"; did you mean \"http\"?\n  1 | htp …\n    | ^"),
        (
            "runner: { lanes: many }\n",
            "aegis.yaml:1:18: runner.lanes: expected a whole number\n  1 | runner: { lanes: many }\n    |                  ^",
        ),
        (
            "runner:\n  lanes: 0\n",
            "aegis.yaml:2:10: runner.lanes: 0 lanes are out of range: write 1 to 64\n  2 |   lanes: 0\n    |          ^",
        ),
        (
            "runner:\n  shutdown_grace: 5 parsecs\n",
            "aegis.yaml:2:19: runner.shutdown_grace: \"5 parsecs\" is not a duration: write a number and a unit such as \"250ms\", \"30s\", \"5m\", \"2h\" or \"7d\"\n  2 |   shutdown_grace: 5 parsecs\n    |                   ^",
        ),
        (
            "http:\n  listen: localhost\n",
            "aegis.yaml:2:11: http.listen: \"localhost\" is not an address to listen on: write IP:PORT, such as \"127.0.0.1:8080\" or \"[::1]:8080\"\n  2 |   listen: localhost\n    |           ^",
        ),
        (
            "log:\n  format: jsno\n",
            "aegis.yaml:2:11: log.format: \"jsno\" is not a log format: write auto, text or json; did you mean \"json\"?\n  2 |   format: jsno\n    |           ^",
        ),
        (
            "nfs:\n  clients: [10.0.0.0/8, all]\n",
            "aegis.yaml:2:25: nfs.clients[1]: \"all\" is no network: write it as \"10.0.0.0/8\" or as an address\n  2 |   clients: [10.0.0.0/8, all]\n    |                         ^",
        ),
        (
            "nfs:\n  audit: change\n",
            "aegis.yaml:2:10: nfs.audit: \"change\" is no audit of volumes: write none, changes or all; did you mean \"changes\"?\n  2 |   audit: change\n    |          ^",
        ),
        (
            "store: [x]\n",
            "aegis.yaml:1:8: store: expected keys with values, such as `key: value`\n  1 | store: [x]\n    |        ^",
        ),
        (
            "outgoing:\n  deny: x\n",
            "aegis.yaml:2:9: outgoing.deny: expected a list, such as `[a, b]`\n  2 |   deny: x\n    |         ^",
        ),
        ("http: {\n", "aegis.yaml:1:7: http: unclosed bracket '{'\n  1 | http: {\n    |       ^"),
        (
            "scripts:\n  dir: a\n  dir: b\n",
            "aegis.yaml:3:3: scripts: the key \"dir\" is there twice\n  3 |   dir: b\n    |   ^",
        ),
        (
            "store:\n  url: mysql://root:hunter2@db/x\n",
            "aegis.yaml:2:8: store.url: \"mysql://root:***@db/x\" is not a database Aegis can use: write \"sqlite://path/to/file.db\" or \"postgres://user@host/name\"\n  2 |   url: mysql://root:***@db/x\n    |        ^",
        ),
        (
            "runner:\n  lanes: 8\n  max_running: 4\n",
            "runner.max_running: 4 is less than runner.lanes (8): some lanes would never work",
        ),
        (
            "retention:\n  logs: 91d\n",
            "retention.logs: logs cannot be kept longer than their runs: lower retention.logs or raise retention.runs",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(load(text, &[]), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_calendar_is_told_with_its_place() {
    let cases = [
        (
            "calendars:\n  h: { zone: Europe/Berlyn, days: [\"12-25\"] }\n",
            "aegis.yaml:2:14: calendars.h.zone: \"Europe/Berlyn\" is not a time zone; did you mean \"Europe/Berlin\"?; use an IANA name such as \"UTC\" or \"Europe/Berlin\"\n  2 |   h: { zone: Europe/Berlyn, days: [\"12-25\"] }\n    |              ^",
        ),
        (
            "calendars:\n  h:\n    days: [\"12-25\", \"12-32\"]\n",
            "aegis.yaml:3:21: calendars.h.days[1]: \"12-32\" is not a day: write \"2026-12-25\", or \"12-25\" for every year\n  3 |     days: [\"12-25\", \"12-32\"]\n    |                     ^",
        ),
        (
            "calendars:\n  h:\n    windows: [{ cron: \"0 2 * * SUN\", for: 0s }]\n",
            "aegis.yaml:3:43: calendars.h.windows[0].for: a window lasts longer than nothing and at most 366 days, such as \"4h\"\n  3 |     windows: [{ cron: \"0 2 * * SUN\", for: 0s }]\n    |                                           ^",
        ),
        ("calendars: { h: {} }\n", "calendars.h: it is never closed; give it days or windows"),
    ];
    for (text, expected) in cases {
        assert_eq!(load(text, &[]), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_mistake_does_not_show_secrets() {
    let cases = [
        "notify:\n  routes:\n    ops:\n      - ntfy: { url: 'https://ntfy.test', topic: x, tokn: hunter2 }\n",
        "notify:\n  routes:\n    ops:\n      - slack: https://hooks.test/hunter2\n        titel: x\n",
        "notify: { routes: { ops: [{ ntfy: { topic: hunter2, tokn: x } }] } }\n",
        "notify:\n  routes: 'hunter2\n",
        "sql:\n  main: { url: 'oracle://u:hunter2@h/x' }\n",
        "sql:\n  main: { url: 'postgres://u:p@h/x', urll: hunter2 }\n",
        "store:\n  urll: hunter2\n",
        "store: { url: 'postgres://u:hunter2/x@db/x', urll: hunter2 }\n",
    ];
    for text in cases {
        let error = load(text, &[]).expect_err("a mistake");
        assert!(error.contains("aegis.yaml:") && !error.contains("hunter2"), "{error}");
    }
    let error = load("store:\n  urll: hunter2\n", &[]).expect_err("a mistake");
    assert!(error.ends_with("2 |   urll …\n    |   ^"), "{error}");
}

#[test]
fn a_configuration_can_be_printed() {
    let config = load("store: { url: \"postgres://aegis:hunter2@db/x\" }", &[]).expect("it loads");
    let printed = format!("{config:?} {}", serde_json::to_string(&config).expect("JSON"));
    assert!(printed.contains("aegis:***@db") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/aegis.yaml"))).expect_err("there is no such file");
    assert_eq!(
        error.to_string(),
        "cannot read the configuration /nowhere/aegis.yaml: No such file or directory (os error 2)"
    );
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "http: { listen: \"127.0.0.1:1\" }\nstore: { url: \"sqlite://file.db\" }\n";
    let environment = [("AEGIS_HTTP_LISTEN", "127.0.0.1:2"), ("AEGIS_STORE_URL", "sqlite://aegis.db")];
    let config = load(file, &environment).expect("it loads");
    assert_eq!((config.http.listen.port(), config.store.url.as_str()), (2, "sqlite://aegis.db"));
    let config = load(file, &[environment[1], ("DATABASE_URL", "postgres://db/x")]).expect("it loads");
    assert_eq!((config.http.listen.port(), config.store.url.as_str()), (1, "postgres://db/x"));

    let environment = Fixed([("AEGIS_HTTP_LISTEN", "127.0.0.1:2")].into());
    let flags = [("--listen", "http.listen", "127.0.0.1:3".to_owned())];
    let sources = Sources { file: None, environment: &environment, flags: &flags };
    assert_eq!(sources.load().expect("it loads").config.http.listen.port(), 3);
}

#[test]
fn every_variable_is_applied_and_a_slip_is_refused() {
    let all = [
        ("AEGIS_SCRIPTS_DIR", "/s"),
        ("AEGIS_SCRIPTS_POLICY", "/p.yaml"),
        ("AEGIS_STORE_URL", "sqlite://x"),
        ("AEGIS_ADMIN_SOCKET", "/x.sock"),
        ("AEGIS_HTTP_LISTEN", "[::1]:1"),
        ("AEGIS_HTTP_ALLOWED_HOSTS", "a.example, b.example"),
        ("AEGIS_DOCKER_HOST", "tcp://d:2375"),
        ("AEGIS_RUNNER_LANES", "3"),
        ("AEGIS_RUNNER_MAX_RUNNING", "9"),
        ("AEGIS_RUNNER_SHUTDOWN_GRACE", "1m"),
        ("AEGIS_OUTGOING_DENY", "x"),
        ("AEGIS_OUTGOING_CA_FILE", "/ca.pem"),
        ("AEGIS_LOG_LEVEL", "debug"),
        ("AEGIS_LOG_FORMAT", "json"),
        ("AEGIS_RETENTION_RUNS", "60d"),
        ("AEGIS_RETENTION_LOGS", "6d"),
        ("AEGIS_RETENTION_EVENTS", "7d"),
        ("AEGIS_RETENTION_AUDIT", "8d"),
        ("AEGIS_RETENTION_RUNS_PER_JOB_MIN", "1"),
        ("AEGIS_SECRETS_ENV_FILE", "/env"),
        ("AEGIS_SECRETS_CREDENTIALS", "/credentials"),
        ("AEGIS_SECRETS_AGE_IDENTITY", "/identity"),
        ("AEGIS_SECRETS_STORE", "/store"),
        ("AEGIS_METRICS_SAMPLES", "3h"),
        ("AEGIS_METRICS_MINUTES", "3d"),
        ("AEGIS_METRICS_HOURS", "30d"),
        ("AEGIS_ALERTS_DEFAULTS", "false"),
        ("AEGIS_ALERTS_GROUP_BY", "alert, host"),
        ("AEGIS_ALERTS_GROUP_WAIT", "1s"),
        ("AEGIS_ALERTS_GROUP_INTERVAL", "1m"),
        ("AEGIS_ALERTS_REPEAT_INTERVAL", "1h"),
        ("AEGIS_NFS_LISTEN", "127.0.0.1:2049"),
        ("AEGIS_NFS_ROOT", "/srv/volumes"),
        ("AEGIS_NFS_CLIENTS", "10.0.0.0/8, 192.0.2.1"),
        ("AEGIS_NFS_UID", "33"),
        ("AEGIS_NFS_GID", "33"),
        ("AEGIS_NFS_QUOTA_BYTES", "1GiB"),
        ("AEGIS_NFS_QUOTA_INODES", "1000"),
        ("AEGIS_NFS_DELETE_GRACE", "1d"),
        ("AEGIS_NFS_SYNC_NAMES", "true"),
        ("AEGIS_NFS_AUDIT", "changes"),
        ("AEGIS_EGRESS_ENABLED", "true"),
        ("AEGIS_EGRESS_MAX_BYTES", "1GiB"),
        ("AEGIS_NODE_NAME", "one"),
        ("AEGIS_NODE_LABELS", "gpu, eu"),
    ];
    assert_eq!(
        all.len() + 8,
        SETTINGS.len(),
        "routes, roots, programs, hosts, rules and OpenBao are the keys without a variable"
    );
    for one in all {
        assert!(SETTINGS.iter().any(|(key, _)| variable(key) == one.0), "{}", one.0);
        assert_ne!(load("", &[one]), Ok(Config::default()), "{} changes nothing", one.0);
    }
    let refused = [
        (("AEGIS_HTTP_LISTN", "x"), "AEGIS_HTTP_LISTN: there is no such setting; did you mean AEGIS_HTTP_LISTEN?"),
        (("AEGIS_HTTP_COLOURS", "x"), "AEGIS_HTTP_COLOURS: there is no such setting"),
        (("AEGIS_RUNNER_LANES", "two"), "AEGIS_RUNNER_LANES: \"two\" is not a whole number"),
    ];
    for (variable, expected) in refused {
        assert_eq!(load("", &[variable]), Err(expected.to_owned()));
    }
    assert_eq!(load("", &[("AEGIS_UNRELATED_THING", "x")]), Ok(Config::default()));
}

/// The commented examples below `key`, with their marks taken off.
fn example(key: &str) -> String {
    let (_, section) = DEFAULT_FILE.split_once(&format!("{key}\n")).expect("the key");
    section.lines().map_while(|line| line.strip_prefix("  # ")).collect::<Vec<_>>().join("\n  ")
}

const ROUTES: &str = "notify:\n  routes:\n    alerts: []\n    phone: []\n    sales: []\n";
/// What the examples of checks ask.
const SOURCES: &str =
    "sql: { main: { url: \"sqlite://main.db\" } }\nredis: { cache: { url: \"redis://127.0.0.1\" } }\n";

#[test]
fn the_shipped_examples_of_rules_and_checks_can_be_used_as_they_are() {
    let text = format!("{ROUTES}{SOURCES}alerts:\n  {}\nchecks:\n  {}\n", example("  rules: {}"), example("checks:"));
    let config = load(&text, &[]).expect("the examples are understood");
    let own: Vec<String> = config.alerts.rules.keys().cloned().collect();
    assert_eq!(own, ["backup_missing", "orders_slow", "queue_long", "refunds_many"]);
    let shipped = crate::model::alerts::defaults().len();
    assert_eq!(config.alerts.rules().len(), shipped + own.len());
    let kinds: Vec<&str> =
        config.checks.iter().map(|(name, check)| check.plan(name).expect("a plan").probe.kind()).collect();
    assert_eq!(kinds, ["container", "redis", "tls", "tcp", "dns", "sql", "http"]);
    let without = load("alerts: { defaults: false }", &[]).expect("understood");
    assert_eq!(without.alerts.rules(), []);
}

#[test]
fn wrong_rules_and_checks_name_the_place_and_the_remedy() {
    let rule = |rule: &str| format!("alerts:\n  rules:\n    x: {{ {rule} }}\n");
    let check = |check: &str| format!("checks:\n  x: {{ {check} }}\n");
    let cases = [
        (rule("metric: up"), "a rule needs one of above, below and absent"),
        (rule("metric: up, above: 1, below: 2"), "a rule needs one of above, below and absent"),
        (rule("metric: up, above: 1, clear: 2"), "clear: 2 is more than above: 1"),
        (rule("metric: up, percent_of: all, above: 1"), "percent_of: needs window"),
        (rule("metric: up, above: 1, for: soon"), "\"soon\" is not a duration"),
        (rule("metric: a b, above: 1"), "metric: \"a b\" is not a metric's name"),
        (rule("metric: up, abvoe: 1"), "unknown key \"abvoe\""),
        (rule("metric: up, above: 1, routes: [ops]"), "alerts.rules.x.routes: there is no route \"ops\""),
        ("alerts: { routes: { warning: [ops] } }".to_owned(), "alerts.routes.warning: there is no route \"ops\""),
        (check("interval: 5s"), "a check needs one of http, tcp, dns, container, tls, sql and redis"),
        (check("tcp: web"), "tcp: \"web\" is not host:port"),
        (check("tls: \"web:x\""), "tls: \"web:x\" is neither a host nor host:port"),
        (check("tcp: \"a:1\", days: 3"), "days: and server_name are for tls"),
        (check("tcp: \"a:1\", query: SELECT 1"), "query: is for sql"),
        (check("sql: main"), "checks.x.sql: there is no source \"main\" in sql"),
        (check("redis: cache"), "checks.x.redis: there is no source \"cache\" in redis"),
        (check("http: web"), "http: this is not a URL"),
        (check("tcp: \"a:1\", interval: 1s"), "interval: write 5s to 1h"),
        (check("tcp: \"a:1\", interval: 5s, timeout: 10s"), "timeout: write more than 0 and at most the interval, 5s"),
        (check("tcp: \"a:1\", down_after: 0"), "down_after: write 1 to 100"),
        (check("tcp: \"a:1\", status: [200]"), "status: and contains are for http"),
        ("metrics: { samples: 1m }".to_owned(), "metrics.samples: at least 1h must be kept"),
    ];
    for (text, problem) in cases {
        let found = load(&text, &[]).expect_err(problem);
        assert!(found.contains(problem), "{text}: {found}");
    }
}
