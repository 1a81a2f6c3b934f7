//! What goes wrong around a deployment, with a Docker Engine of the test's own: its disk is full, it is started again.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::docker::IMAGE;
use crate::support::dockerd::OwnDocker;
use crate::support::{TestApp, Value, json, settles};

/// MiB, of which the image takes a few.
const SMALL_DISK: u32 = 48;

/// Two services; `web` is well as soon as there is a file `/ready` in it.
fn files(colour: &str, restart: &str, health: &str) -> String {
    format!(
        "x-base: &base
  image: {IMAGE}
  command: [sleep, '600']
  init: true
  network_mode: none
  restart: '{restart}'
  stop_grace_period: 1s
  environment: {{ COLOUR: {colour} }}
services:
  api: {{ <<: *base, healthcheck: {{ test: [CMD, 'true'], interval: 300ms }} }}
  web: {{ <<: *base, depends_on: [api], healthcheck: {{ test: [CMD, {health}], interval: 300ms, retries: 900 }} }}
"
    )
}

const WELL: &str = "'true'";
const NOT_YET: &str = "busybox, test, '-f', /ready";

struct Shop {
    app: TestApp,
    docker: OwnDocker,
    folder: PathBuf,
}

impl Shop {
    /// A stack that is up, blue and well.
    async fn open(text: &str) -> Self {
        let docker = OwnDocker::start(SMALL_DISK);
        let builder = TestApp::builder().shipped("deploy", &[]).config("/docker/host", json!(docker.host()));
        let folder = builder.dir().join("shop");
        std::fs::create_dir(&folder).expect("a folder");
        let app = builder.config("/stacks/shop/folder", json!(folder)).start().await;
        app.api.job_appears("deploy").await;
        let shop = Self { app, docker, folder };
        shop.write(text);
        shop.app.cli.ok(&["stack", "up", "shop", "--wait"]).await;
        shop
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.join("compose.yaml"), text).expect("written");
    }

    /// Every container: name, id, image and state.
    fn containers(&self) -> Vec<String> {
        let format = "{{.Names}} {{.ID}} {{.Image}} {{.State}}";
        let own = "label=com.docker.compose.project=shop";
        let listed = self.docker.docker(&["ps", "-a", "--no-trunc", "--filter", own, "--format", format]);
        let found = listed.expect("a list");
        let mut lines: Vec<String> = found.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn named(&self, begin: &str) -> Option<String> {
        let names = self.docker.docker(&["ps", "-a", "--format", "{{.Names}}"]).unwrap_or_default();
        names.lines().find(|name| name.starts_with(begin)).map(str::to_owned)
    }

    fn params(&self) -> Value {
        json!({ "stack": "shop", "min_healthy": "1s", "healthy_deadline": "60s", "disk_free": 0, "keep": 1 })
    }

    /// The network that a container sees.
    fn network(&self, name: &str) -> PathBuf {
        let process = self.docker.docker(&["inspect", "--format", "{{.State.Pid}}", name]).expect("it is there");
        std::fs::read_link(format!("/proc/{process}/ns/net")).expect("it runs")
    }

    async fn ended(&self, run: &str) -> Value {
        settles(Duration::from_secs(180), "the run has ended", || async {
            let found = self.app.api.run(run).await;
            found["finished_at"].is_string().then_some(found)
        })
        .await
    }

    /// Begins a deployment whose last container is not well yet, and starts Docker again in the middle of it.
    async fn interrupted(&mut self, restart: &str) -> String {
        self.write(&files("red", restart, NOT_YET));
        let run = self.app.api.trigger("deploy", self.params()).await;
        settles(Duration::from_secs(60), "the last service is waited for", || async {
            let name = self.named("shop-web-1.next.")?;
            let state = self.docker.docker(&["inspect", "--format", "{{.State.Running}}", &name]).ok()?;
            (state == "true").then_some(())
        })
        .await;
        self.docker.down();
        self.docker.up();
        run
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_docker_is_told_and_touches_nothing() {
    let shop = Shop::open(&files("blue", "no", WELL)).await;
    let before = shop.containers();
    shop.write(&files("red", "no", WELL));
    let filler = shop.docker.fill();
    let full = shop.ended(&shop.app.api.trigger("deploy", shop.params()).await).await;
    assert_eq!((&full["state"], &full["error"]["code"]), (&json!("failed"), &json!("docker.disk_full")), "{full:#}");
    let message = full["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("shop is as it was before: ") && message.contains("Docker's disk is full"),
        "{message}"
    );
    assert_eq!(shop.containers(), before);
    drop(filler);

    // An image that does not find room.
    let build = format!(
        "build: {{ network: none, dockerfile_inline: \"FROM {IMAGE}\\nRUN dd if=/dev/zero of=/big bs=1M count=200\\n\" }}"
    );
    shop.write(&files("red", "no", WELL).replacen(&format!("image: {IMAGE}"), &build, 1));
    let unbuilt = shop.ended(&shop.app.api.trigger("deploy", shop.params()).await).await;
    assert_eq!(unbuilt["state"], "failed", "{unbuilt:#}");
    assert!(unbuilt["error"]["message"].as_str().is_some_and(|said| said.contains("nothing had been switched")));
    assert_eq!(shop.containers(), before);

    shop.write(&files("red", "no", WELL));
    let done = shop.ended(&shop.app.api.trigger("deploy", shop.params()).await).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_when_docker_has_been_started_again() {
    let mut shop = Shop::open(&files("blue", "unless-stopped", WELL)).await;
    let run = shop.interrupted("unless-stopped").await;
    let name = settles(Duration::from_secs(60), "the new container runs again", || async {
        let name = shop.named("shop-web-1.next.")?;
        shop.docker.docker(&["exec", &name, "touch", "/ready"]).ok().map(|_| name)
    })
    .await;
    let done = shop.ended(&run).await;
    assert_eq!(done["state"], "succeeded", "{name}: {done:#}");
    let running: Vec<String> = shop.containers().into_iter().filter(|line| line.ends_with(" running")).collect();
    assert!(running.len() == 2 && running[0].starts_with("shop-api-1 "), "{running:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_docker_does_not_start_again_is_brought_back_as_it_was() {
    let mut shop = Shop::open(&files("blue", "no", WELL)).await;
    let before = shop.containers();
    let run = shop.interrupted("no").await;
    let failed = shop.ended(&run).await;
    assert_eq!(
        (&failed["state"], &failed["error"]["code"]),
        (&json!("failed"), &json!("rollout.unwell")),
        "{failed:#}"
    );
    assert!(failed["error"]["message"].as_str().is_some_and(|said| said.contains("restored shop-api-1")), "{failed:#}");
    assert_eq!(shop.containers(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_aside_stays_down_when_docker_is_started_again() {
    let mut shop = Shop::open(&files("blue", "always", WELL)).await;
    shop.write(&files("red", "always", WELL));
    let done = shop.ended(&shop.app.api.trigger("deploy", shop.params()).await).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    shop.docker.down();
    shop.docker.up();
    settles(Duration::from_secs(60), "those that serve run again", || async {
        let running = shop.docker.docker(&["ps", "--format", "{{.Names}}"]).ok()?;
        let mut names: Vec<&str> = running.lines().collect();
        names.sort_unstable();
        assert!(names.iter().all(|name| !name.contains(".kept.")), "{names:?}");
        (names == ["shop-api-1", "shop-web-1"]).then_some(())
    })
    .await;
    let kept = shop.named("shop-web-1.kept.").expect("it is kept");
    let policy = shop.docker.docker(&["inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", &kept]);
    assert_eq!(policy.as_deref(), Ok("no"));
    // A host that starts again gives policies their moment: so does a second start of Docker.
    assert_eq!(shop.app.cli.json(&["stack", "plan", "shop"]).await["actions"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shares_a_network_is_in_it_again_after_the_way_back() {
    let text = |colour: &str, health: &str| {
        format!(
            "services:
  app:
    image: {IMAGE}
    command: [sleep, '600']
    init: true
    stop_grace_period: 1s
    environment: {{ COLOUR: {colour} }}
    healthcheck: {{ test: [CMD, '{health}'], interval: 300ms, retries: 2 }}
  side:
    image: {IMAGE}
    command: [sleep, '600']
    init: true
    stop_grace_period: 1s
    network_mode: service:app
"
        )
    };
    let shop = Shop::open(&text("blue", "true")).await;
    let before = shop.containers();
    assert_eq!(shop.network("shop-side-1"), shop.network("shop-app-1"));
    shop.write(&text("red", "false"));
    let failed = shop.ended(&shop.app.api.trigger("deploy", shop.params()).await).await;
    assert_eq!(failed["error"]["code"], "rollout.unwell", "{failed:#}");
    assert_eq!(shop.containers(), before);
    assert_eq!(shop.network("shop-side-1"), shop.network("shop-app-1"), "not in one that nobody else is in");
}
