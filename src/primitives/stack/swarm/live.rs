//! Stacks on a real swarm of one node.

use serde_json::{Value, json};

use crate::base::Fault;
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::docker::testing::{LabSwarm, docker, options};
use crate::primitives::docker::{DockerError, ObjectKind};
use crate::primitives::option::{Argv, Texts};
use crate::primitives::permit;
use crate::primitives::stack::live::Site;
use crate::primitives::stack::{
    DownOptions, ExecOptions, LogOptions, MakeOptions, Orchestrator, RestartOptions, ServicesOptions, Stage, Told,
    UpOptions,
};

const SHOP: &str = "services:
  web:
    image: IMAGE
    command: [sh, -c, 'echo I am $$COLOUR; sleep 600']
    init: true
    stop_grace_period: 1s
    environment: { COLOUR: blue }
    networks: { front: { aliases: [shop] }, default: }
    secrets: [token]
    configs: [{ source: site, target: /etc/site }]
    volumes: ['data:/data']
    deploy:
      replicas: 2
      update_config: { parallelism: 2, monitor: 300ms }
      restart_policy: { delay: 100ms }
  db:
    image: IMAGE
    command: [sleep, '600']
    init: true
    stop_grace_period: 1s
    healthcheck: { test: [CMD, 'true'], interval: 200ms }
    deploy: { update_config: { monitor: 300ms } }
networks: { front: }
volumes: { data: }
secrets: { token: { file: ./token } }
configs: { site: { content: listen 80 } }
";

/// A stack and the swarm that runs it. The stack goes before its swarm does.
struct Land {
    site: Site,
    _swarm: LabSwarm,
}

impl Land {
    fn open(text: &str) -> Self {
        let swarm = LabSwarm::open();
        let site = Site::run_by(Orchestrator::Swarm, text);
        std::fs::write(site.folder.path().join("token"), "s3cret").expect("written");
        Self { site, _swarm: swarm }
    }

    fn spec(&self, service: &str) -> Value {
        let name = format!("{}_{service}", self.site.lab.mark);
        let shown: Value = serde_json::from_str(&docker(&["service", "inspect", &name])).expect("a service");
        shown[0]["Spec"].clone()
    }

    /// Names of what bears the stack's label, of each kind.
    fn left(&self) -> Vec<String> {
        let label = format!("label=com.docker.stack.namespace={}", self.site.lab.mark);
        let of = |kind: &str| docker(&[kind, "ls", "-q", "--filter", &label]);
        let kinds = ["service", "network", "secret", "config", "volume", "container"].map(of);
        kinds.iter().flat_map(|names| names.lines()).map(str::to_owned).collect()
    }

    async fn fault(&self) -> Fault {
        self.site.up_with(json!({ "timeout": "1m" })).await.expect_err("it fails")
    }
}

fn quiet() -> Told<'static> {
    Told(&|_| {})
}

#[tokio::test]
async fn a_stack_comes_up_stays_is_changed_and_goes() {
    let land = Land::open(SHOP);
    let site = &land.site;
    let plan = site.stacks.plan(&site.permit, &UpOptions::default()).await.expect("a plan");
    assert_eq!((plan.actions.len(), land.left()), (6, vec![]), "a plan changes nothing: {plan}");
    let done = site.up_with(json!({ "timeout": "1m" })).await.expect("it is up");
    assert_eq!(done[0], "create network shop_default: there is none");
    assert_eq!(done[5], "create service shop_web: there is none");
    assert_eq!(site.up().await, [""; 0], "nothing is left to do");
    let told = site.told.lock().expect("no thread panicked").clone();
    let is_done = |what: &str| told.iter().any(|one| one.stage == Stage::Done && one.what == what);
    assert!(is_done(&format!("service {}_db", site.lab.mark)), "{told:?}");

    site.write(&SHOP.replace("COLOUR: blue", "COLOUR: red"));
    assert_eq!(site.up().await, ["update service shop_web: other settings: environment"]);
    let shown = site.stacks.ps(&site.permit).await.expect("tasks");
    let states: Vec<_> = shown.iter().map(|one| (one.service.as_str(), one.container.state.as_str())).collect();
    assert_eq!(states, [("db", "running"), ("web", "running"), ("web", "running")]);
    assert!(shown[1].node.is_some() && shown[1].error.is_none(), "{shown:?}");

    // What people change by hand comes back, and goes with the next change of the files.
    docker(&["service", "scale", "--detach", &format!("{}_web=1", site.lab.mark)]);
    assert_eq!(site.up().await, ["update service shop_web: somebody else changed replicas"]);
    site.write(&SHOP.replace("COLOUR: blue", "COLOUR: red").replace("replicas: 2", "replicas: 3"));
    assert_eq!(site.up().await, ["update service shop_web: other settings: deploy.replicas"]);
    assert_eq!(site.stacks.ps(&site.permit).await.expect("tasks").len(), 4);
    assert_eq!(
        site.up_with(json!({ "force": true, "services": ["db"] })).await.expect("up"),
        ["update service shop_db: as asked"]
    );

    let without_db = SHOP.replace("  db:", "  other:");
    site.write(&without_db.replace("COLOUR: blue", "COLOUR: red").replace("replicas: 2", "replicas: 3"));
    assert_eq!(site.up().await, ["create service shop_other: there is none"]);
    let done = site.up_with(json!({ "remove_orphans": true })).await.expect("up");
    assert_eq!(done, ["remove service shop_db: the files have no such service"]);

    assert_eq!(site.down(json!({ "volumes": true })).await, 7);
    assert_eq!(land.left(), [""; 0]);
    assert_eq!(site.down(json!({})).await, 0, "and again");
}

#[tokio::test]
async fn what_services_are_given_is_made_anew_with_its_content() {
    let land = Land::open(&SHOP.replace("replicas: 2", "replicas: 1"));
    let site = &land.site;
    site.up().await;
    let read = |path: &str| ExecOptions { command: Argv(vec!["cat".into(), path.into()]), ..ExecOptions::default() };
    for (path, expected) in [("/run/secrets/token", "s3cret"), ("/etc/site", "listen 80")] {
        let said = site.stacks.exec(&site.permit, "web", read(path)).await.expect("it is read");
        assert_eq!(said.stdout, expected);
    }
    std::fs::write(site.folder.path().join("token"), "other").expect("written");
    site.write(&SHOP.replace("replicas: 2", "replicas: 1").replace("listen 80", "listen 81"));
    let digest = |line: &String| {
        let (head, rest) = line.split_once('.').map_or((line.as_str(), ""), |(head, rest)| (head, rest));
        format!("{head}{}", rest.split_once(':').map_or("", |(_, why)| why))
    };
    let done: Vec<String> = site.up().await.iter().map(digest).collect();
    assert_eq!(
        done,
        [
            "create secret shop_token there is none",
            "create config shop_site there is none",
            "update service shop_web: other settings: configs, secrets",
            "remove secret shop_token no service uses it any more",
            "remove config shop_site no service uses it any more",
        ]
    );
    let said = site.stacks.exec(&site.permit, "web", read("/run/secrets/token")).await.expect("it is read");
    assert_eq!(said.stdout, "other");
    let kept = site.lab.docker.swarm_objects(&site.lab.permit, ObjectKind::Secret).await.expect("secrets");
    assert_eq!(kept.keys().filter(|name| name.starts_with(&site.lab.mark)).count(), 1);
    site.down(json!({})).await;
    assert_eq!(land.left().len(), 1, "data is kept");
}

#[tokio::test]
async fn what_fails_is_told_with_its_service_task_and_node() {
    let bad = SHOP.replace("image: IMAGE\n    command: [sh", "image: aegis-test/nonesuch:1\n    command: [sh");
    let land = Land::open(&bad);
    let site = &land.site;
    let fault = land.fault().await;
    assert_eq!(fault.code, "swarm.task_failed", "{fault}");
    for word in ["_web", "No such image: aegis-test/nonesuch:1"] {
        assert!(fault.message.contains(word), "{fault}");
    }
    assert_eq!(fault.details["state"], "rejected");
    let shown = site.stacks.ps(&site.permit).await.expect("tasks");
    assert!(shown.iter().any(|one| one.error.as_ref().is_some_and(|why| why.contains("No such image"))), "{shown:?}");

    site.write(SHOP);
    site.up().await;
    // An update that fails is paused by the swarm, and so it stays until the files are other ones.
    let fails = SHOP.replace("echo I am $$COLOUR; sleep 600", "echo no room; exit 3");
    site.write(&fails);
    let fault = land.fault().await;
    assert_eq!(fault.code, "swarm.update_paused", "{fault}");
    assert!(fault.message.contains("non-zero exit (3)"), "{fault}");
    let said = LogOptions { services: Texts(vec!["web".into()]), ..LogOptions::default() };
    let lines = site.stacks.logs(&site.permit, &said).await.expect("lines");
    assert!(lines.iter().any(|line| line.text == "no room" && line.service == "web"), "{lines:?}");
    let plan = site.stacks.plan(&site.permit, &UpOptions::default()).await.expect("a plan");
    assert!(plan.actions[0].to_string().ends_with("its last update is paused"), "{plan}");
    site.write(&SHOP.replace("monitor: 300ms }", "monitor: 300ms, failure_action: rollback }"));
    site.up().await;
    site.write(&fails.replace("monitor: 300ms }", "monitor: 300ms, failure_action: rollback }"));
    let fault = land.fault().await;
    assert_eq!(fault.code, "swarm.rolled_back", "{fault}");
    assert_eq!(land.spec("web")["TaskTemplate"]["ContainerSpec"]["Args"][2], "echo I am $COLOUR; sleep 600");
    let late = site.up_with(json!({ "timeout": "600ms" })).await.expect_err("too short");
    assert_eq!(late.code, "stack.timeout", "{late}");
}

#[tokio::test]
async fn it_is_looked_after_as_other_stacks_are_and_refuses_what_has_no_meaning() {
    let land = Land::open(&SHOP.replace("replicas: 2", "replicas: 1"));
    let site = &land.site;
    site.up().await;
    let all = RestartOptions { services: Texts(vec!["web".into()]), ..RestartOptions::default() };
    let before = site.stacks.ps(&site.permit).await.expect("tasks")[1].container.id.clone();
    let restarted = site.stacks.restart(&site.permit, &all, quiet()).await.expect("restarted");
    assert_eq!(restarted, [format!("{}_web", site.lab.mark)]);
    assert_ne!(site.stacks.ps(&site.permit).await.expect("tasks")[1].container.id, before);
    assert_eq!(site.up().await, [""; 0], "a restart is no other setting");
    let lines = site.stacks.logs(&site.permit, &LogOptions::default()).await.expect("lines");
    assert_eq!(lines.iter().filter(|line| line.text == "I am blue").count(), 2, "of both tasks: {lines:?}");
    assert!(lines[0].container.starts_with(&format!("{}_web.1.", site.lab.mark)), "{lines:?}");

    let (services, made) = (ServicesOptions::default(), MakeOptions::default());
    let timed = RestartOptions { timeout: Some(serde_json::from_value(json!("1s")).expect("a span")), ..all };
    let refused = [
        (site.stacks.build(&site.permit, &services, quiet()).await.err(), "push it"),
        (site.stacks.pull(&site.permit, &services, quiet()).await.err(), "--force"),
        (site.stacks.services(&site.permit).await.err(), "aegis stack up"),
        (site.stacks.prepare(&site.permit, &options(json!({})), quiet()).await.err(), "aegis stack up"),
        (site.stacks.make(&site.permit, "web", &made, quiet()).await.err(), "aegis stack up"),
        (site.stacks.restart(&site.permit, &timed, quiet()).await.err(), "stop_grace_period"),
    ];
    for (fault, word) in refused {
        let fault = fault.expect("it is refused");
        assert_eq!(fault.code, "swarm.unsupported");
        assert!(fault.hint.as_ref().is_some_and(|hint| hint.contains(word)), "{fault:?}");
    }
    let two = ExecOptions { command: Argv(vec!["ls".into()]), number: Some(2), ..ExecOptions::default() };
    assert_eq!(site.stacks.exec(&site.permit, "web", two).await.expect_err("there is one").code, "stack.missing");
    let unknown = RestartOptions { services: Texts(vec!["wbe".into()]), ..RestartOptions::default() };
    let fault = site.stacks.restart(&site.permit, &unknown, quiet()).await.expect_err("no such service");
    assert!(fault.code == "stack.no_service" && fault.message.contains("did you mean \"web\""), "{fault}");
    site.write("services: { web: { build: ., networks: [none] } }\nnetworks: { none: { external: true } }");
    assert_eq!(land.fault().await.code, "swarm.unsupported");
    site.write("services: { web: { image: IMAGE, networks: [far] } }\nnetworks: { far: { external: true } }");
    assert_eq!(land.fault().await.code, "stack.missing");
}

#[tokio::test]
async fn somebody_else_s_change_is_not_lost_and_grants_hold() {
    let land = Land::open(&SHOP.replace("replicas: 2", "replicas: 1"));
    let site = &land.site;
    site.up().await;
    let (docker_, all) = (&site.lab.docker, &site.lab.permit);
    let name = format!("{}_web", site.lab.mark);
    let seen = docker_.swarm_service(all, &name).await.expect("the service");
    let mut other = seen.spec.clone();
    other["Labels"]["by"] = json!("hand");
    docker_.update_service(all, &seen, &other).await.expect("updated");
    let late = docker_.update_service(all, &seen, &other).await.expect_err("it is another version now");
    assert!(matches!(late, DockerError::Conflict { .. }), "{late}");

    let granted = |levels: &[(Access, &str)]| {
        let named = |(access, pattern): &(Access, &str)| (*access, vec![pattern.replace("SHOP", &site.lab.mark)]);
        let docker = Some(DockerGrant::Named(levels.iter().map(named).collect()));
        let grants = Grants { docker, stack: vec![site.lab.mark.clone()], ..Grants::default() };
        permit::stack(&grants, &site.lab.mark, Access::Read).expect("a permit")
    };
    let mine = granted(&[(Access::Write, "SHOP*")]);
    let all_of_it = RestartOptions::default();
    assert_eq!(site.stacks.restart(&mine, &all_of_it, quiet()).await.expect("it may").len(), 2);
    let red = SHOP.replace("replicas: 2", "replicas: 1").replace("blue", "red");
    let theirs = red.replace("secrets: {", "secrets: { theirs: { external: true, name: theirs },");
    let theirs = theirs.replace("[token]", "[token, theirs]");
    docker(&["secret", "create", "theirs", &site.folder.path().join("token").to_string_lossy()]);
    for (permit, text, code, word) in [
        (granted(&[(Access::Read, "SHOP*")]), &red, "permission.denied", "_web"),
        // The secrets of others are not there for it.
        (mine.clone(), &theirs, "stack.missing", "the secret \"theirs\""),
        (
            granted(&[(Access::Write, "SHOP*"), (Access::Read, "theirs")]),
            &theirs,
            "permission.denied",
            "giving \"theirs\" to a service",
        ),
        (mine.clone(), &red.replace("'data:/data'", "'/etc:/data'"), "permission.denied", "a path of the host"),
    ] {
        site.write(text);
        let fault = site.stacks.up(&permit, &UpOptions::default(), quiet()).await.expect_err("it may not");
        assert!(fault.code == code && fault.message.contains(word), "{word}: {fault}");
    }
    let read = granted(&[(Access::Read, "SHOP*")]);
    let fault = site.stacks.down(&read, &DownOptions::default(), quiet()).await.expect_err("it may not");
    assert_eq!(fault.code, "permission.denied");
    assert_eq!(site.stacks.ps(&granted(&[(Access::Read, "SHOP_db*")])).await.expect("tasks").len(), 1);
    site.write(&red);
    assert_eq!(site.stacks.up(&mine, &UpOptions::default(), quiet()).await.expect("it may").actions.len(), 1);
    site.down(json!({})).await;
    docker(&["secret", "rm", "theirs"]);
}

#[tokio::test]
async fn an_engine_without_a_swarm_says_how_to_make_one() {
    let _turn = LabSwarm::turn();
    let site = Site::run_by(Orchestrator::Swarm, SHOP);
    let fault = site.up_with(json!({})).await.expect_err("there is none");
    assert_eq!(fault.code, "swarm.inactive");
    assert!(fault.hint.is_some_and(|hint| hint.contains("docker swarm init")));
    assert_eq!(site.stacks.ps(&site.permit).await.expect_err("there is none").code, "swarm.inactive");
}

/// A service as `docker stack deploy` and as Aegis have it: without ids, digests and our own labels.
fn comparable(value: &Value, project: &str) -> Value {
    match value {
        Value::Object(map) => {
            let is_told = |key: &str, value: &Value| {
                // A mount's target is a path, a network's is an id.
                let is_id = matches!(key, "SecretID" | "ConfigID")
                    || (key == "Target" && value.as_str().is_some_and(|text| !text.starts_with('/')));
                // Clients of other versions say more or less of what is not so.
                let is_nothing = value.is_null() || [json!(false), json!(0), json!("vip")].contains(value);
                !key.starts_with("aegis.") && !is_id && !is_nothing
            };
            let kept = map.iter().filter(|(key, value)| is_told(key, value));
            let kept = kept.map(|(key, value)| (key.clone(), comparable(value, project)));
            Value::Object(kept.filter(|(_, value)| *value != json!({})).collect())
        }
        Value::Array(list) => {
            let mut kept: Vec<Value> = list.iter().map(|one| comparable(one, project)).collect();
            // That client gives files of one secret in any order.
            if list.iter().all(|one| one.get("File").is_some()) {
                kept.sort_by_key(Value::to_string);
            }
            Value::Array(kept)
        }
        Value::String(text) => {
            let text = text.replace(project, "STACK");
            let named = text.rsplit_once('.').filter(|(head, digest)| head.starts_with("STACK_") && digest.len() == 12);
            json!(named.map_or(text.as_str(), |(head, _)| head))
        }
        other => other.clone(),
    }
}

fn services_of(project: &str) -> Value {
    let label = format!("label=com.docker.stack.namespace={project}");
    let names = docker(&["service", "ls", "--filter", &label, "--format", "{{.Name}}"]);
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    let inspected = docker(&[&["service", "inspect"], names.as_slice()].concat());
    let shown: Vec<Value> = serde_json::from_str(&inspected).expect("services");
    shown.iter().map(|one| comparable(&one["Spec"], project)).collect()
}

const COMPARED: [&str; 4] = [
    "services:
  web:
    image: IMAGE
    command: [sleep, '600']
    init: true
    environment: { B: two, A: one }
    labels: { own: label }
    networks: { front: { aliases: [shop] }, default: }
    ports: [{ target: 80, published: 18080 }, { target: 81, published: 18081, mode: host, protocol: udp }]
    secrets: [token, { source: token, target: /etc/x, mode: 0400, uid: '5' }]
    configs: [site]
    volumes: ['data:/data', '/scratch', { type: tmpfs, target: /t, tmpfs: { size: 1048576 } }, '/tmp:/host:ro']
    deploy: { replicas: 0, labels: { svc: label } }
networks: { front: { driver_opts: { encrypted: '' } } }
volumes: { data: }
secrets: { token: { file: ./token } }
configs: { site: { file: ./token } }
",
    "services:
  web:
    image: IMAGE
    entrypoint: [sleep]
    command: ['600']
    cap_add: [NET_ADMIN]
    cap_drop: [CHOWN]
    ulimits: { nofile: 1000 }
    sysctls: { net.ipv4.tcp_syncookies: 0 }
    extra_hosts: ['db:10.0.0.1']
    dns: [1.1.1.1]
    dns_search: [x.y]
    hostname: h
    user: '0'
    working_dir: /tmp
    read_only: true
    tty: true
    stdin_open: true
    stop_signal: SIGINT
    stop_grace_period: 3s
    healthcheck: { test: [CMD, 'true'], interval: 1s, timeout: 2s, start_period: 3s, retries: 3 }
    logging: { driver: json-file, options: { max-size: 1m } }
    deploy: { mode: global, placement: { constraints: [node.role == worker] } }
",
    "services:
  web:
    image: IMAGE
    deploy:
      replicas: 0
      endpoint_mode: dnsrr
      update_config: { delay: 1s, monitor: 2s, order: start-first, failure_action: rollback, max_failure_ratio: 0.25 }
      rollback_config: { parallelism: 0, order: stop-first }
      restart_policy: { condition: on-failure, delay: 1s, max_attempts: 3, window: 2s }
      resources: { limits: { cpus: '0.5', memory: 64M, pids: 50 }, reservations: { cpus: '0.1', memory: 16M } }
      placement: { preferences: [{ spread: node.labels.zone }], max_replicas_per_node: 2 }
",
    "services:
  one: { image: IMAGE, restart: always, deploy: { replicas: 0 } }
  two: { image: IMAGE, restart: 'on-failure:3', volumes: ['nfs:/n'], deploy: { replicas: 0 } }
volumes: { nfs: { driver: local, driver_opts: { type: nfs, o: addr=10.0.0.1, device: ':/x' } } }
",
];

#[tokio::test]
async fn services_are_what_docker_stack_deploy_would_have_made() {
    let land = Land::open("services: {}");
    let site = &land.site;
    let path = site.folder.path().join("compose.yaml");
    for text in COMPARED {
        site.write(&format!("version: '3.9'\n{text}"));
        let theirs = format!("{}t", site.lab.mark);
        docker(&["stack", "deploy", "-c", &path.to_string_lossy(), &theirs]);
        let expected = services_of(&theirs);
        docker(&["stack", "rm", &theirs]);
        site.up().await;
        let found = services_of(&site.lab.mark);
        assert!(found.as_array().is_some_and(|services| !services.is_empty()), "{text}");
        assert_eq!(found, expected, "{text}");
        site.down(json!({ "volumes": true })).await;
    }
}
