//! A stack from the command line, through a real daemon, on a real Docker Engine.

use crate::support::docker::{Containers, IMAGE, docker};
use crate::support::{TestApp, Value, json};

fn text(colour: &str) -> String {
    format!(
        "services:
  web:
    image: {IMAGE}
    command: [sh, -c, 'echo I am {colour}; sleep 600']
    init: true
    stop_grace_period: 1s
    depends_on: {{ db: {{ condition: service_healthy }} }}
  db:
    image: {IMAGE}
    command: [sleep, '600']
    init: true
    stop_grace_period: 1s
    healthcheck: {{ test: [CMD, 'true'], interval: 300ms }}
    volumes: ['data:/data']
volumes: {{ data: }}
"
    )
}

fn rows(output: &str) -> Vec<Vec<&str>> {
    output.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_planned_brought_up_changed_and_taken_away() {
    // Its label is not on what a stack makes, but its prefix is a name that nobody else has.
    let names = Containers::new();
    let stack = names.prefix.as_str();
    let builder = TestApp::builder().real_docker();
    let folder = builder.dir().join("shop");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("compose.yaml"), text("blue")).unwrap();
    let app = builder.config(&format!("/stacks/{stack}/folder"), json!(folder)).start().await;
    let _gone = Gone(stack.to_owned());

    let planned = app.cli.ok(&["stack", "plan", stack]).await;
    let verbs: Vec<&str> = rows(&planned).iter().map(|row| row[0]).collect();
    assert_eq!(verbs, ["create"; 4], "{planned}");
    let up = app.cli.run(&["stack", "up", stack, "--wait"]).await.expect_code(0);
    up.expect_said(&["web waits for db (service_healthy)", &format!("create container {stack}-web-1 done")]);
    let again = app.cli.json(&["stack", "up", stack]).await;
    assert_eq!((&again["changed"], &again["actions"]), (&json!(false), &json!([])));

    let shown = app.cli.ok(&["stack", "ps", stack]).await;
    assert!(rows(&shown).iter().any(|row| row[1] == "db" && row[2] == "healthy"), "{shown}");
    let printed = app.cli.ok(&["stack", "logs", stack, "web"]).await;
    assert!(printed.contains("I am blue"), "{printed}");
    assert!(app.cli.ok(&["stack", "list"]).await.contains("2 of 2"));

    std::fs::write(folder.join("compose.yaml"), text("red")).unwrap();
    let planned = app.cli.json(&["stack", "plan", stack]).await;
    assert_eq!(planned["actions"].as_array().map(Vec::len), Some(1), "{planned}");
    assert_eq!(planned["actions"][0]["reasons"], json!(["other settings: command"]));
    app.cli.ok(&["stack", "up", stack]).await;
    assert!(app.cli.ok(&["stack", "logs", stack, "web"]).await.contains("I am red"));

    std::fs::write(folder.join("compose.yaml"), "services: { web: { image: [] } }").unwrap();
    let refused = app.cli.run(&["stack", "up", stack]).await.expect_code(2);
    refused.expect_said(&["compose.yaml:1:27: services.web.image: this is a list"]);
    app.cli.run(&["stack", "up", "nonesuch"]).await.expect_code(5).expect_said(&["no stack \"nonesuch\""]);
    app.cli.ok(&["stack", "down", stack, "--volumes"]).await;
    assert_eq!(left(stack), "");

    let records = app.cli.ok(&["audit", "tail", "--json"]).await;
    let acts: Vec<Value> = records.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of =
        |action: &str| acts.iter().filter(|record| record["action"] == action && record["object"] == stack).count();
    assert_eq!((of("stack.up"), of("stack.down")), (4, 1), "{records}");
}

/// What is left of a stack, by id.
fn left(stack: &str) -> String {
    let label = format!("label=com.docker.compose.project={stack}");
    let lists = [vec!["ps", "-aq"], vec!["network", "ls", "-q"], vec!["volume", "ls", "-q"]];
    lists.map(|list| docker(&[list, vec!["--filter", &label]].concat()).unwrap()).concat()
}

/// Removes what a failed test leaves.
struct Gone(String);

impl Drop for Gone {
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={}", self.0);
        for (list, remove) in [
            (vec!["ps", "-aq"], vec!["rm", "-fv"]),
            (vec!["network", "ls", "-q"], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q"], vec!["volume", "rm", "-f"]),
        ] {
            let found = docker(&[list, vec!["--filter", &label]].concat()).unwrap_or_default();
            let ids: Vec<&str> = found.split_whitespace().collect();
            if !ids.is_empty() {
                let _ = docker(&[remove, ids].concat());
            }
        }
    }
}
