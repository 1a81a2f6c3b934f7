//! Rollouts on a real Docker Engine: killed after each step, brought back when the new version is ill, gone back to.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::app::free_port;
use crate::support::docker::{Containers, IMAGE, docker};
use crate::support::{TestApp, Value, json, settles};

/// Three services: one that may run twice, one that may not, and one whose health is `health`.
fn files(colour: &str, health: &str) -> String {
    format!(
        "x-base: &base
  image: {IMAGE}
  command: [sleep, '600']
  init: true
  stop_grace_period: 1s
  environment: {{ COLOUR: {colour} }}
services:
  api: {{ <<: *base, healthcheck: {{ test: [CMD, 'true'], interval: 300ms }} }}
  db: {{ <<: *base, volumes: ['data:/data'] }}
  web: {{ <<: *base, depends_on: [api, db], healthcheck: {{ test: [CMD, '{health}'], interval: 300ms, retries: 2 }} }}
volumes: {{ data: }}
"
    )
}

struct Shop {
    app: TestApp,
    folder: PathBuf,
    stack: String,
    _gone: Gone,
}

impl Shop {
    /// A stack that is up, blue and well.
    async fn open() -> Self {
        let stack = Containers::new().prefix.clone();
        let builder = TestApp::builder().real_docker().shipped("deploy", &[]).shipped("rollback", &[]);
        let folder = builder.dir().join("shop");
        std::fs::create_dir(&folder).expect("a folder");
        let gone = Gone(stack.clone());
        let app = builder.config(&format!("/stacks/{stack}/folder"), json!(folder)).start().await;
        let shop = Self { app, folder, stack, _gone: gone };
        for job in ["deploy", "rollback"] {
            shop.app.api.job_appears(job).await;
        }
        shop.write(&files("blue", "true"));
        shop.app.cli.ok(&["stack", "up", &shop.stack, "--wait"]).await;
        shop
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.join("compose.yaml"), text).expect("written");
    }

    /// Every container of the stack: name, id, image and state.
    fn containers(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.stack);
        let format = "{{.Names}} {{.ID}} {{.Image}} {{.State}}";
        let found = docker(&["ps", "-a", "--no-trunc", "--filter", &label, "--format", format]).expect("a list");
        let mut lines: Vec<String> = found.lines().map(|line| line.replace(&self.stack, "shop")).collect();
        lines.sort();
        lines
    }

    fn names(&self) -> Vec<String> {
        self.containers().iter().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
    }

    fn colours(&self) -> Vec<String> {
        let colour = |service: &str| {
            let name = format!("{}-{service}-1", self.stack);
            let found = docker(&["inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", &name]);
            let found = found.expect("the container is there");
            found.lines().find_map(|line| line.strip_prefix("COLOUR=")).unwrap_or_default().to_owned()
        };
        ["api", "db", "web"].map(colour).to_vec()
    }

    async fn steps(&self, run: &str) -> usize {
        let found = self.app.api.get(&format!("/api/v1/runs/{run}/steps")).await.body;
        let steps = crate::support::api::items(&found, "steps");
        steps.iter().filter(|step| step["state"] == "done" || step["state"] == "failed").count()
    }

    async fn has_ended(&self, run: &str) -> Option<Value> {
        let found = self.app.api.run(run).await;
        found["finished_at"].is_string().then_some(found)
    }

    /// Kills the daemon whenever one more step is on disk, until the run has ended. Gives it, and how often that was.
    async fn killed_all_the_way(&mut self, params: Value) -> (Value, usize) {
        let run = self.app.api.trigger("deploy", params).await;
        let (mut seen, mut kills) = (0, 0);
        loop {
            let ended = settles(Duration::from_secs(120), "one more step is done, or the run", || async {
                match self.has_ended(&run).await {
                    Some(ended) => Some(Some(ended)),
                    None => (self.steps(&run).await > seen).then_some(None),
                }
            })
            .await;
            if let Some(ended) = ended {
                return (ended, kills);
            }
            seen = self.steps(&run).await;
            self.app.kill().await;
            kills += 1;
            self.app.restart().await;
        }
    }

    fn params(&self) -> Value {
        json!({ "stack": self.stack, "min_healthy": "1s", "healthy_deadline": "30s" })
    }
}

/// Removes what a test leaves.
pub struct Gone(pub String);

impl Drop for Gone {
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={}", self.0);
        let images = format!("reference=aegis-rollback/{}-*", self.0);
        let named = "{{.Repository}}:{{.Tag}}";
        for (list, remove) in [
            (vec!["ps", "-aq", "--filter", &label], vec!["rm", "-fv"]),
            (vec!["network", "ls", "-q", "--filter", &label], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q", "--filter", &label], vec!["volume", "rm", "-f"]),
            (vec!["image", "ls", "--format", named, "--filter", &images], vec!["rmi"]),
        ] {
            let found = docker(&list).unwrap_or_default();
            let ids: Vec<&str> = found.split_whitespace().collect();
            if !ids.is_empty() {
                let _ = docker(&[remove, ids].concat());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_is_killed_after_each_step_comes_to_the_same_end() {
    let mut shop = Shop::open().await;
    shop.write(&files("red", "true"));
    let (ended, kills) = shop.killed_all_the_way(shop.params()).await;
    assert_eq!((&ended["state"], &ended["result"]["changed"]), (&json!("succeeded"), &json!(true)), "{ended:#}");
    assert!(kills >= 10, "it was killed {kills} times only");
    assert_eq!(shop.names(), ["shop-api-1", "shop-db-1", "shop-web-1"]);
    assert_eq!(shop.colours(), ["red"; 3]);
    let planned = shop.app.cli.json(&["stack", "plan", &shop.stack]).await;
    assert_eq!(planned["actions"], json!([]), "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_rollout_that_is_killed_after_each_step_leaves_what_was_there() {
    let mut shop = Shop::open().await;
    let before = shop.containers();
    shop.write(&files("red", "false"));
    let (ended, kills) = shop.killed_all_the_way(shop.params()).await;
    assert_eq!(ended["state"], "failed", "{ended:#}");
    let message = ended["error"]["message"].as_str().unwrap_or_default().replace(&shop.stack, "shop");
    assert!(message.starts_with("shop is as it was before: web: the new container shop-web-1.next."), "{message}");
    assert!(message.ends_with("is unhealthy; restored shop-api-1, shop-db-1"), "{message}");
    assert!(kills >= 10, "it was killed {kills} times only");
    assert_eq!(shop.containers(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_rollout_leaves_what_was_there() {
    let shop = Shop::open().await;
    let before = shop.containers();
    // Never healthy, and not unhealthy for long: it waits.
    shop.write(&files("red", "false").replace("retries: 2", "retries: 900"));
    let run = shop.app.api.trigger("deploy", shop.params()).await;
    settles(Duration::from_secs(60), "the last service is waited for", || async {
        shop.names().iter().any(|name| name.starts_with("shop-web-1.next.")).then_some(())
    })
    .await;
    for act in ["up", "restart"] {
        let refused = shop.app.cli.run(&["stack", act, &shop.stack]).await.expect_code(1);
        refused.expect_said(&["is being deployed by the run", &run]);
    }
    shop.app.cli.ok(&["cancel", &run]).await;
    let ended = settles(Duration::from_secs(60), "the run has ended", || shop.has_ended(&run)).await;
    assert_eq!(ended["state"], "cancelled", "{ended:#}");
    assert_eq!(shop.containers(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_told_and_nothing_is_touched() {
    let shop = Shop::open().await;
    let before = shop.containers();
    let port = std::net::TcpListener::bind(("0.0.0.0", free_port())).expect("a port");
    let number = port.local_addr().expect("an address").port();
    let red = files("red", "true");
    for (text, expected) in [
        (
            red.replace("web: { <<: *base,", &format!("web: {{ <<: *base, ports: ['{number}:80'],")),
            format!("web: port {number} of the host is taken by"),
        ),
        (red.replacen(IMAGE, "nonesuch.invalid/x:1", 1), "nothing had been switched".to_owned()),
        (
            red.replace("data: }", "data: { external: true, name: nonesuch-data } }"),
            "the volume \"nonesuch-data\", which is external".to_owned(),
        ),
    ] {
        shop.write(&text);
        let told = shop.app.cli.run(&["deploy", &shop.stack, "-p", "min_healthy=1s"]).await.expect_code(3);
        told.expect_said(&[&expected]);
        assert_eq!(shop.containers(), before, "{expected}");
    }
    shop.write(&red);
    let told = shop.app.cli.run(&["deploy", &shop.stack, "-p", "disk_free=1000TB"]).await.expect_code(3);
    told.expect_said(&["Docker's disk", "less than"]);
    assert_eq!(shop.containers(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_somebody_else_writes_to_is_told() {
    let shop = Shop::open().await;
    let others = Containers::new();
    let volume = format!("{}_data:/data", shop.stack);
    let other = others.start("other", &["-v", &volume], &["sleep", "600"]);
    shop.write(&files("red", "true"));
    let run = shop.app.api.trigger("deploy", shop.params()).await;
    let ended = settles(Duration::from_secs(120), "the run has ended", || shop.has_ended(&run)).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let log = shop.app.cli.ok(&["logs", &run]).await;
    let warning = format!("db writes to {}_data, and so does the container {other}", shop.stack);
    assert!(log.contains(&warning), "{log}");
}

/// An image of the test's own, whose name goes on to the next version.
struct Image(String);

impl Image {
    fn publish(&self, version: &str) {
        let maker = format!("{}-maker", self.0.replace(':', "-"));
        docker(&["create", "--name", &maker, IMAGE, "true"]).expect("a container");
        docker(&["commit", "-c", &format!("ENV VERSION={version}"), &maker, &self.0]).expect("an image");
        docker(&["rm", &maker]).expect("it is removed");
    }

    fn id(&self) -> String {
        docker(&["image", "inspect", "--format", "{{.Id}}", &self.0]).expect("the image is there")
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "-f", &self.0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_deploys_tells_the_history_and_goes_back() {
    let shop = Shop::open().await;
    let stack = shop.stack.as_str();
    let image = Image(format!("{stack}-app:1"));
    shop.app.cli.run(&["deploy", "history", stack]).await.expect_code(0).expect_said(&["was not deployed yet"]);
    shop.write(&files("red", "true").replace(IMAGE, &image.0));
    image.publish("one");
    let one = image.id();
    let forecast = shop.app.cli.run(&["deploy", stack, "--dry-run"]).await.expect_code(0);
    forecast.expect_said(&["start-first: two of it can run at once", "stop-first: it writes to"]);
    assert_eq!(shop.colours(), ["blue"; 3]);
    shop.app.cli.ok(&["deploy", stack, "-p", "min_healthy=1s"]).await;
    assert_eq!(shop.colours(), ["red"; 3]);
    image.publish("two");
    let two = image.id();
    shop.app.cli.ok(&["deploy", stack, "-p", "min_healthy=1s"]).await;
    // What goes back is made from the image itself, whose name may be another one's by then.
    let named = image.0.replace(stack, "shop");
    let is_of = |line: &&String, id: &str| line.contains(&named) || line.contains(id);
    let images = |id: &str| shop.containers().iter().filter(|line| is_of(line, id)).count() == 3 && image.id() == id;
    assert!(images(&two), "{:?}", shop.containers());

    let forecast = shop.app.cli.run(&["deploy", "rollback", stack, "--dry-run"]).await.expect_code(0);
    forecast.expect_said(&[&format!("recreate {stack}-web-1: back to {}", image.0)]);
    assert!(images(&two), "{:?}", shop.containers());
    shop.app.cli.ok(&["deploy", "rollback", stack]).await;
    assert!(images(&one), "{:?}", shop.containers());
    let history = shop.app.cli.json(&["deploy", "history", stack]).await;
    let records = history.as_array().expect("a list");
    let outcomes: Vec<&str> = records.iter().filter_map(|record| record["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["succeeded", "succeeded", "succeeded", "found"], "{history:#}");
    assert_eq!(records[0]["back_to"], records[2]["id"]);
    assert_eq!(records[1]["services"]["web"]["image_id"], json!(two));
    // Once more, it goes to the one before that: with other settings today, and the image of then.
    let first = records[3]["id"].as_str().expect("an id").to_owned();
    shop.app.cli.ok(&["deploy", "rollback", stack, "--to", &first]).await;
    let name = format!("{stack}-web-1");
    let runs = docker(&["inspect", "--format", "{{.Image}}", &name]).expect("the container is there");
    assert_eq!(runs, docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]).expect("the image is there"));

    shop.app.cli.run(&["deploy", "rollback", stack, "--to", "nonesuch"]).await.expect_code(3);
    shop.app.cli.run(&["deploy", "history", "nonesuch"]).await.expect_code(5);
}
