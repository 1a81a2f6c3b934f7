//! Images that changed in a real registry, and real containers that are replaced and put back.

use std::process::{Child, Command, Stdio};

use super::{ended, succeeded};
use crate::support::app::free_port;
use crate::support::docker::{Containers, IMAGE, docker};
use crate::support::{TestApp, Value, eventually, json};

/// A registry of its own on loopback, which Docker trusts without TLS. Ends with the test.
struct Registry {
    server: Child,
    images: Vec<String>,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Registry {
    async fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let config = folder.path().join("registry.yml");
        let root = folder.path().join("images");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            root.display()
        );
        std::fs::write(&config, text).expect("a configuration");
        let server = Command::new("docker-registry")
            .args(["serve", &config.to_string_lossy()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed; tests/run does that");
        eventually("the registry answers", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        Self { server, images: Vec::new(), _folder: folder, port }
    }

    fn name(&self, app: &str) -> String {
        format!("127.0.0.1:{}/{app}:1", self.port)
    }

    /// Makes an image that runs `command`, and pushes it under the name that it always has. What is on this host under
    /// that name stays what it was.
    fn publish(&mut self, app: &str, version: &str, command: &str) {
        let (name, maker) = (self.name(app), format!("aegis-it-maker-{}-{app}-{version}", self.port));
        let before = docker(&["image", "inspect", "--format", "{{.Id}}", &name]).ok();
        docker(&["create", "--name", &maker, IMAGE, "true"]).expect("a container");
        let cmd = format!("CMD {}", json!(["sh", "-c", command]));
        let env = format!("ENV VERSION={version} SHELL_OF={version}");
        self.images.push(docker(&["commit", "-c", &cmd, "-c", &env, &maker, &name]).expect("an image"));
        docker(&["rm", &maker]).expect("it is removed");
        docker(&["push", &name]).expect("it is pushed");
        if let Some(id) = before {
            docker(&["tag", &id, &name]).expect("the old name");
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        for image in &self.images {
            let _ = docker(&["rmi", "-f", image]);
        }
    }
}

const SERVE: &str = "trap 'exit 0' TERM; while true; do sleep 0.2; done";

struct Bench {
    containers: Containers,
    registry: Registry,
    app: TestApp,
}

async fn bench() -> Bench {
    let (containers, mut registry) = (Containers::new(), Registry::start().await);
    registry.publish("web", "one", SERVE);
    registry.publish("sick", "one", SERVE);
    registry.publish("idle", "one", SERVE);
    let app = TestApp::builder().real_docker().shipped("update_images", &[]).start().await;
    app.api.job_appears("update_images").await;
    Bench { containers, registry, app }
}

impl Bench {
    /// `docker run -d` of an image of the registry.
    fn start(&self, short: &str, options: &[&str]) -> String {
        let (name, label) = (self.containers.name(short), format!("aegis.test={}", self.containers.prefix));
        let image = self.registry.name(short);
        let mut arguments = vec!["run", "-d", "--name", &name, "--label", &label, "--init"];
        arguments.extend(options);
        arguments.push(&image);
        docker(&arguments).unwrap_or_else(|error| panic!("docker {arguments:?}: {error}"));
        name
    }

    async fn update(&self, dry_run: bool) -> Value {
        let names = format!("{}-*", self.containers.prefix);
        let params = json!({ "names": [names], "steady": "2s", "deadline": "20s", "dry_run": dry_run });
        let run = self.app.api.trigger("update_images", params).await;
        ended(&self.app, &run).await
    }

    fn version(&self, short: &str) -> String {
        let environment = self.containers.inspect(short, "{{range .Config.Env}}{{println .}}{{end}}");
        let line = environment.lines().find_map(|line| line.strip_prefix("VERSION=")).unwrap_or_default();
        line.to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_an_older_image_is_replaced_and_comes_back_when_the_new_one_is_ill() {
    let mut bench = bench().await;
    let network = format!("{}-net", bench.containers.prefix);
    let volume = format!("{}-data", bench.containers.prefix);
    docker(&["network", "create", "--internal", &network]).expect("a network");
    let mount = format!("{volume}:/data");
    let update = ["--label", "aegis.update=true"];
    let more = ["--network", &network, "--network-alias", "www", "-v", &mount, "-e", "OWN=kept", "--memory", "64m"];
    let web = bench.start("web", &[&update[..], &more, &["--restart", "unless-stopped"]].concat());
    let sick = bench.start("sick", &[&update[..], &["--network", "none"]].concat());
    bench.start("idle", &["--network", "none"]);
    let before = bench.containers.inspect("sick", "{{.Id}}");

    let nothing = bench.update(false).await;
    assert_eq!(succeeded(&nothing)["plan"], json!([]), "{nothing:#}");
    bench.registry.publish("web", "two", SERVE);
    bench.registry.publish("sick", "two", "exit 7");
    bench.registry.publish("idle", "two", SERVE);
    let planned = bench.update(true).await;
    assert_eq!((&succeeded(&planned)["dry_run"], bench.version("web").as_str()), (&json!(true), "one"));

    let updated = bench.update(false).await;
    let result = succeeded(&updated);
    let changed = result["images"].as_array().expect("images").iter().filter(|image| image["changed"] == true).count();
    assert_eq!(changed, 3, "{result:#}");
    assert_eq!(result["failed"], 1, "{result:#}");
    assert_eq!((bench.version("web").as_str(), bench.version("sick").as_str()), ("two", "one"));
    assert_eq!(bench.version("idle"), "one", "it has no label");
    assert_eq!(bench.containers.inspect("sick", "{{.Id}} {{.State.Running}}"), format!("{before} true"));
    let kept =
        "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}} {{(index .Mounts 0).Name}} {{.State.Running}}";
    assert_eq!(bench.containers.inspect("web", kept), format!("{} unless-stopped {volume} true", 64 << 20));
    let aliases =
        bench.containers.inspect("web", &format!("{{{{(index .NetworkSettings.Networks {network:?}).Aliases}}}}"));
    assert!(aliases.contains("www"), "{aliases}");
    let environment = bench.containers.inspect("web", "{{.Config.Env}}");
    assert!(environment.contains("OWN=kept") && environment.contains("SHELL_OF=two"), "{environment}");
    for left in [&web, &sick] {
        assert!(docker(&["inspect", &format!("{left}-before-update")]).is_err(), "{left} has left its old one behind");
    }

    docker(&["rm", "-f", &web]).expect("it is removed");
    docker(&["network", "rm", &network]).expect("the network is removed");
    docker(&["volume", "rm", &volume]).expect("the volume is removed");
}
