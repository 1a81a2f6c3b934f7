//! Stacks on the real engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::{
    DownOptions, Event, ExecOptions, LogOptions, Orchestrator, RestartOptions, Source, Stacks, Stage, Told, UpOptions,
};
use crate::base::{Clock, Fault};
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::docker::testing::{IMAGE, Lab, docker, options};
use crate::primitives::option::{Argv, Texts};
use crate::primitives::permit::{self, StackPermit};

/// A stack of one file, whose project is called as the lab's things are, so that they go with the lab.
pub(super) struct Site {
    pub(super) lab: Lab,
    pub(super) folder: tempfile::TempDir,
    pub(super) stacks: Stacks,
    pub(super) permit: StackPermit,
    pub(super) told: Mutex<Vec<Event>>,
}

impl Site {
    fn open(text: &str) -> Self {
        Self::run_by(Orchestrator::Compose, text)
    }

    pub(super) fn run_by(orchestrator: Orchestrator, text: &str) -> Self {
        let lab = Lab::open();
        let folder = tempfile::tempdir().expect("a folder");
        let source = Source { folder: PathBuf::from(folder.path()), orchestrator, ..Source::default() };
        let sources = BTreeMap::from([(lab.mark.clone(), source)]);
        let stacks = Stacks::new(sources, lab.docker.clone(), Clock::system());
        let permit = permit::stack(&Grants::all(), &lab.mark, Access::Admin).expect("all is granted");
        let site = Self { lab, folder, stacks, permit, told: Mutex::default() };
        site.write(text);
        site
    }

    /// `IMAGE` in the text stands for the one image that there is.
    pub(super) fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("compose.yaml"), text.replace("IMAGE", IMAGE)).expect("written");
    }

    pub(super) async fn up_with(&self, more: Value) -> Result<Vec<String>, Fault> {
        let tell = |event| self.told.lock().expect("no thread panicked").push(event);
        let outcome = self.stacks.up(&self.permit, &options::<UpOptions>(more), Told(&tell)).await?;
        let shown = |action: &super::plan::Action| action.to_string().replace(&self.lab.mark, "shop");
        Ok(outcome.actions.iter().map(shown).collect())
    }

    pub(super) async fn up(&self) -> Vec<String> {
        self.up_with(json!({})).await.unwrap_or_else(|fault| panic!("{fault}"))
    }

    pub(super) async fn down(&self, more: Value) -> usize {
        let options = options::<DownOptions>(more);
        self.stacks.down(&self.permit, &options, Told(&|_| {})).await.expect("it goes down").actions.len()
    }

    /// A field of a container of the stack, as the command line prints it.
    fn of(&self, container: &str, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.lab.name(container)])
    }

    fn id(&self, container: &str) -> String {
        self.of(container, "{{.Id}}")
    }

    fn left(&self) -> [usize; 3] {
        let label = format!("label=com.docker.compose.project={}", self.lab.mark);
        let count = |arguments: &[&str]| docker(&[arguments, &["--filter", &label]].concat()).lines().count();
        [count(&["ps", "-aq"]), count(&["network", "ls", "-q"]), count(&["volume", "ls", "-q"])]
    }
}

const SHOP: &str = "services:
  web:
    image: IMAGE
    command: [sleep, '600']
    init: true
    stop_grace_period: 1s
    environment: { COLOUR: blue }
    depends_on: { db: { condition: service_healthy }, job: { condition: service_completed_successfully } }
    networks: { front: { aliases: [shop] }, default: }
  db:
    image: IMAGE
    command: [sleep, '600']
    init: true
    stop_grace_period: 1s
    healthcheck: { test: [CMD, 'true'], interval: 200ms, retries: 3 }
    volumes: ['data:/data', '/scratch']
  job:
    image: IMAGE
    command: [echo, done]
networks: { front: }
volumes: { data: }
";

#[tokio::test]
async fn a_stack_comes_up_stays_and_goes() {
    let site = Site::open(SHOP);
    let plan = site.stacks.plan(&site.permit, &UpOptions::default()).await.expect("a plan");
    assert_eq!((plan.actions.len(), site.left()), (6, [0, 0, 0]), "a plan changes nothing");
    assert_eq!(site.up_with(json!({ "wait": true })).await.expect("it is up").len(), 6);
    assert_eq!(site.of("web-1", "{{.State.Status}}"), "running");
    assert_eq!(site.of("db-1", "{{.State.Health.Status}}"), "healthy");
    assert_eq!(site.of("job-1", "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    let before = [site.id("web-1"), site.id("db-1"), site.id("job-1")];
    assert_eq!(site.up().await, [""; 0], "nothing is left to do");
    assert_eq!([site.id("web-1"), site.id("db-1"), site.id("job-1")], before);
    let told = site.told.lock().expect("no thread panicked").clone();
    let waited = |event: &Event| event.stage == Stage::Waiting && event.what.contains("web waits for db");
    assert!(told.iter().any(waited), "{told:?}");
    assert_eq!(site.down(json!({})).await, 5);
    assert_eq!(site.left(), [0, 0, 1], "data is kept");
    site.up().await;
    site.down(json!({ "volumes": true })).await;
    assert_eq!(site.left(), [0, 0, 0]);
    assert_eq!(site.down(json!({})).await, 0, "and again");
}

#[tokio::test]
async fn containers_are_what_compose_would_have_made() {
    let site = Site::open(SHOP);
    site.up().await;
    let mark = &site.lab.mark;
    let label = |container: &str, key: &str| site.of(container, &format!("{{{{index .Config.Labels {key:?}}}}}"));
    assert_eq!(label("web-1", "com.docker.compose.project"), *mark);
    assert_eq!(label("web-1", "com.docker.compose.service"), "web");
    assert_eq!(label("web-1", "com.docker.compose.container-number"), "1");
    assert_eq!(label("web-1", "com.docker.compose.oneoff"), "False");
    assert_eq!(label("web-1", "com.docker.compose.config-hash").len(), 64);
    assert_eq!(label("web-1", "com.docker.compose.image"), site.of("web-1", "{{.Image}}"));
    assert_eq!(
        label("web-1", "com.docker.compose.depends_on"),
        "db:service_healthy:false,job:service_completed_successfully:false"
    );
    let folder = site.folder.path().to_string_lossy();
    assert_eq!(label("web-1", "com.docker.compose.project.working_dir"), folder);
    assert_eq!(label("web-1", "com.docker.compose.project.config_files"), format!("{folder}/compose.yaml"));
    let networks = site.of("web-1", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}");
    assert_eq!(networks.trim(), format!("{mark}_default {mark}_front"));
    let aliases = site.of("web-1", &format!("{{{{(index .NetworkSettings.Networks \"{mark}_front\").Aliases}}}}"));
    assert!(aliases.starts_with(&format!("[{mark}-web-1 web shop")), "{aliases}");
    let mounts = site.of("db-1", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}}\n{{end}}");
    let data = format!("volume {mark}_data /data");
    assert!(mounts.lines().any(|mount| mount == data), "the engine lists them in any order: {mounts}");
    let network = format!("{mark}_front");
    let of_network =
        |key: &str| docker(&["network", "inspect", "--format", &format!("{{{{index .Labels {key:?}}}}}"), &network]);
    assert_eq!(
        [of_network("com.docker.compose.project"), of_network("com.docker.compose.network")],
        [mark.clone(), "front".into()]
    );
}

#[tokio::test]
async fn a_change_makes_anew_what_must_be_and_data_goes_on() {
    let site = Site::open(SHOP);
    site.up().await;
    let write = ExecOptions { command: Argv(vec!["touch".into(), "/scratch/kept".into()]), ..ExecOptions::default() };
    site.stacks.exec(&site.permit, "db", write).await.expect("written");
    let before = [site.id("web-1"), site.id("db-1")];
    site.write(&SHOP.replace("COLOUR: blue", "COLOUR: red"));
    assert_eq!(site.up().await, ["recreate container shop-web-1: other settings: environment"]);
    assert!(site.of("web-1", "{{.Config.Env}}").contains("COLOUR=red"));
    assert_ne!(site.id("web-1"), before[0]);
    assert_eq!(site.id("db-1"), before[1]);
    site.write(&SHOP.replace("retries: 3", "retries: 4"));
    let done = site.up().await;
    assert_eq!(done.len(), 2, "{done:?}");
    assert_ne!(site.id("db-1"), before[1]);
    let look = ExecOptions { command: Argv(vec!["ls".into(), "/scratch".into()]), ..ExecOptions::default() };
    assert_eq!(site.stacks.exec(&site.permit, "db", look).await.expect("looked").stdout, "kept\n");
    site.write(
        &SHOP
            .replace("networks: { front: }", "networks: { front: { internal: true } }")
            .replace("retries: 3", "retries: 4"),
    );
    let done = site.up().await;
    assert_eq!(done.len(), 2, "{done:?}");
    assert_eq!(
        docker(&["network", "inspect", "--format", "{{.Internal}}", &format!("{}_front", site.lab.mark)]),
        "true"
    );
    assert_eq!(site.up().await, [""; 0]);
}

#[tokio::test]
async fn a_dependency_that_fails_is_named_and_nothing_is_begun_behind_it() {
    let site = Site::open(&SHOP.replace("command: [echo, done]", "command: [sh, -c, 'echo no room; exit 3']"));
    let fault = site.up_with(json!({})).await.expect_err("the job fails");
    assert_eq!(fault.code, "stack.dependency");
    for word in ["web waits for job (service_completed_successfully)", "ended with exit code 3", "no room"] {
        assert!(fault.message.contains(word), "{fault}");
    }
    assert_eq!(site.id("web-1"), "", "web was not made");
    site.write(&SHOP.replace("test: [CMD, 'true']", "test: [CMD, 'false']"));
    let fault = site.up_with(json!({})).await.expect_err("db never gets healthy");
    assert!(fault.message.contains("is unhealthy"), "{fault}");
    let late = site.up_with(json!({ "timeout": "1ms" })).await.expect_err("too short");
    assert_eq!(late.code, "stack.timeout");
    site.write(SHOP);
    site.up().await;
    assert_eq!(site.of("web-1", "{{.State.Status}}"), "running", "it goes on from where it was");
}

#[tokio::test]
async fn configs_of_the_files_and_secrets_of_variables_are_in_the_container() {
    let site = Site::open(
        "services: { web: { image: IMAGE, command: [sleep, '600'], init: true, stop_grace_period: 1s,
            configs: [{ source: site, target: /etc/site }], secrets: [{ source: key, mode: 0400 }] } }
configs: { site: { content: 'listen ${PORT}' } }
secrets: { key: { environment: KEY } }
",
    );
    std::fs::write(site.folder.path().join(".env"), "PORT=80\nKEY=s3cret\n").expect("written");
    site.up().await;
    let show = |file: &str| ExecOptions { command: Argv(vec!["cat".into(), file.into()]), ..ExecOptions::default() };
    for (file, content) in [("/etc/site", "listen 80"), ("/run/secrets/key", "s3cret")] {
        assert_eq!(site.stacks.exec(&site.permit, "web", show(file)).await.expect("read").stdout, content);
    }
    assert!(!site.of("web-1", "{{json .}}").contains("s3cret"), "nobody reads it from outside");
    assert_eq!(site.up().await, [""; 0]);
    std::fs::write(site.folder.path().join(".env"), "PORT=80\nKEY=0ther\n").expect("written");
    assert_eq!(site.up().await, ["recreate container shop-web-1: other settings: files"]);
}

#[tokio::test]
async fn what_was_cut_short_goes_on() {
    let site = Site::open(
        &SHOP.replace("test: [CMD, 'true']", "test: [CMD, ls, /data/ready]").replace("retries: 3", "retries: 900"),
    );
    let waits = tokio::sync::Notify::new();
    let tell = |event: Event| {
        if event.stage == Stage::Waiting {
            waits.notify_one();
        }
    };
    let options = UpOptions::default();
    tokio::select! {
        outcome = site.stacks.up(&site.permit, &options, Told(&tell)) => panic!("it does not wait: {outcome:?}"),
        () = waits.notified() => {}
    }
    assert_eq!(site.id("web-1"), "", "what was waited for did not come");
    let ready = ExecOptions { command: Argv(vec!["touch".into(), "/data/ready".into()]), ..ExecOptions::default() };
    site.stacks.exec(&site.permit, "db", ready).await.expect("ready");
    assert_eq!(site.up().await, ["create container shop-web-1: there is none"]);
    // As if the daemon had ended between two steps of making it anew.
    docker(&["rename", &site.lab.name("web-1"), &site.lab.name("web-1.new")]);
    let done = site.up().await;
    assert_eq!(done, ["rename container shop-web-1: it is left over from a change that was interrupted"]);
    assert_eq!(site.of("web-1", "{{.State.Status}}"), "running");
}

#[tokio::test]
async fn what_cannot_be_made_leaves_what_runs() {
    let site = Site::open(SHOP);
    site.up().await;
    let before = site.id("web-1");
    site.write(
        &SHOP
            .replace("COLOUR: blue", "COLOUR: red")
            .replace("stop_grace_period: 1s\n    environment", "runtime: nonesuch\n    environment"),
    );
    let fault = site.up_with(json!({})).await.expect_err("there is no such runtime");
    assert!(fault.message.starts_with("the service \"web\": "), "{fault}");
    assert_eq!((site.id("web-1"), site.of("web-1", "{{.State.Status}}")), (before.clone(), "running".into()));
    site.write(&SHOP.replace(
        "image: IMAGE\n    command: [sleep, '600']\n    init: true\n    stop_grace_period: 1s\n    environment",
        "image: nonesuch.invalid/x:1\n    environment",
    ));
    let fault = site.up_with(json!({})).await.expect_err("there is no such image");
    assert!(fault.code.starts_with("docker."), "{fault}");
    assert_eq!(site.id("web-1"), before);
}

#[tokio::test]
async fn the_grant_decides_what_a_stack_may_do() {
    let site = Site::open(&SHOP.replace("'/scratch'", "'./host:/host'"));
    let mark = site.lab.mark.clone();
    let grant = |level: Access| {
        let names = vec![format!("{mark}-*"), format!("{mark}_*")];
        let docker = Some(DockerGrant::Named(BTreeMap::from([(level, names)])));
        Grants { docker, stack: vec![mark.clone()], ..Grants::default() }
    };
    assert!(
        permit::stack(&Grants { stack: vec!["other".into()], ..grant(Access::Admin) }, &mark, Access::Read).is_err()
    );
    assert!(permit::stack(&grant(Access::Read), &mark, Access::Write).is_err());
    let write = permit::stack(&grant(Access::Write), &mark, Access::Write).expect("granted");
    let fault = site.stacks.up(&write, &UpOptions::default(), Told(&|_| {})).await.expect_err("a path of the host");
    assert_eq!(fault.code, "permission.denied");
    let admin = permit::stack(&grant(Access::Admin), &mark, Access::Write).expect("granted");
    site.stacks.up(&admin, &UpOptions::default(), Told(&|_| {})).await.expect("it is up");
    let shown = site.stacks.config(&admin).await.expect("shown");
    assert_eq!(shown["services"]["web"]["environment"]["COLOUR"], "<hidden>");
    assert_eq!(
        site.stacks.config(&site.permit).await.expect("shown")["services"]["web"]["environment"]["COLOUR"],
        "blue"
    );
}

#[tokio::test]
async fn replicas_logs_restarts_and_shared_namespaces() {
    let site = Site::open(
        "services:
  web: { image: IMAGE, command: [sh, -c, 'echo hello; sleep 600'], init: true, stop_grace_period: 1s, scale: 2 }
  side: { image: IMAGE, command: [sleep, '600'], init: true, stop_grace_period: 1s, network_mode: 'service:web' }
",
    );
    site.up().await;
    assert_eq!(site.of("side-1", "{{.HostConfig.NetworkMode}}"), format!("container:{}", site.id("web-1")));
    let lines = site
        .stacks
        .logs(&site.permit, &LogOptions { services: Texts(vec!["web".into()]), ..LogOptions::default() })
        .await;
    let mut from: Vec<String> =
        lines.expect("lines").into_iter().map(|line| format!("{} {}", line.container, line.text)).collect();
    from.sort();
    assert_eq!(from, [format!("{}-web-1 hello", site.lab.mark), format!("{}-web-2 hello", site.lab.mark)]);
    let started = site.of("web-1", "{{.State.StartedAt}}");
    let asked = RestartOptions { services: Texts(vec!["web".into()]), ..RestartOptions::default() };
    assert_eq!(site.stacks.restart(&site.permit, &asked, Told(&|_| {})).await.expect("restarted").len(), 2);
    assert_ne!(site.of("web-1", "{{.State.StartedAt}}"), started);
    let unknown = RestartOptions { services: Texts(vec!["wbe".into()]), ..RestartOptions::default() };
    let fault = site.stacks.restart(&site.permit, &unknown, Told(&|_| {})).await.expect_err("no such service");
    assert!(fault.code == "stack.no_service" && fault.message.contains("did you mean \"web\""), "{fault}");
    let hold = site.stacks.hold(&site.lab.mark).expect("free");
    assert_eq!(site.up_with(json!({})).await.expect_err("busy").code, "stack.busy");
    drop(hold);
    site.write("services: { web: { image: IMAGE, command: [sleep, '600'], init: true, stop_grace_period: 1s } }");
    let done = site.up_with(json!({ "remove_orphans": true })).await.expect("it is up");
    assert!(done.contains(&"remove container shop-side-1: the files have no such service".to_owned()), "{done:?}");
    assert!(done.contains(&"remove container shop-web-2: 1 are enough".to_owned()), "{done:?}");
}

#[tokio::test]
async fn an_image_is_built_from_the_stack_s_folder() {
    let site = Site::open(
        "services: { web: { build: { context: ./app, args: { WORD: hi } }, init: true, stop_grace_period: 1s } }",
    );
    let app = site.folder.path().join("app");
    std::fs::create_dir(&app).expect("a folder");
    let text = format!("FROM {IMAGE}\nARG WORD\nENV SAID=$WORD\nCOPY word /word\nCMD [\"sleep\", \"600\"]\n");
    std::fs::write(app.join("Dockerfile"), text).expect("written");
    std::fs::write(app.join("word"), "x").expect("written");
    let image = format!("{}-web", site.lab.mark);
    let done = site.up().await;
    assert_eq!(done[0], "build image shop-web: there is none");
    assert!(site.of("web-1", "{{.Config.Env}}").contains("SAID=hi"));
    assert_eq!(site.up().await, [""; 0]);
    std::fs::write(app.join("word"), "y").expect("written");
    let built = site.stacks.build(&site.permit, &options(json!({})), Told(&|_| {})).await.expect("built");
    assert!(built[0].changed);
    assert_eq!(site.up().await, ["recreate container shop-web-1: shop-web is another image now"]);
    site.down(json!({})).await;
    docker(&["image", "rm", "-f", &image]);
}
