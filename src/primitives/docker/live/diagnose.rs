//! Containers that are broken in every way that one meets.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Diagnosis, Listening};
use super::{Lab, docker, options};

async fn diagnose(lab: &Lab, name: &str) -> Diagnosis {
    lab.docker.diagnose(&lab.permit, name, Vec::new()).await.expect("a diagnosis")
}

/// Starts it, which may fail, and waits until it has ended.
async fn broken(lab: &Lab, name: &str, more: Value) -> Diagnosis {
    let name = lab.create(name, more).await;
    if lab.docker.start(&lab.permit, &name, options(json!({}))).await.is_ok() {
        lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "30s"}))).await.expect("it ends");
    }
    diagnose(lab, &name).await
}

#[track_caller]
fn has(found: &Diagnosis, code: &str, words: &[&str]) {
    let finding = found.findings.iter().find(|finding| finding.code == code);
    let finding = finding.unwrap_or_else(|| panic!("no {code} in {found:#?}"));
    for word in words {
        assert!(finding.message.contains(word), "{word:?} is not in {finding:?}");
    }
    assert!(!finding.remedy.is_empty() && !found.ok);
}

#[tokio::test]
async fn ends_are_told_with_their_code_and_last_words() {
    let lab = Lab::open();
    let plain = broken(&lab, "plain", json!({"command": ["sh", "-c", "echo no config; exit 3"]})).await;
    has(&plain, "exit_code", &["code 3", "no config"]);
    assert_eq!((plain.exit_code, plain.state.as_str(), plain.log.len()), (Some(3), "exited", 1));
    let killed = broken(&lab, "killed", json!({"init": false, "command": ["sh", "-c", "kill -9 $$; sleep 5"]})).await;
    assert!(killed.exit_code.is_some(), "{killed:?}");
    let name = lab.run("shot", json!({"mem_limit": "64MiB"})).await;
    lab.docker.kill(&lab.permit, &name, options(json!({}))).await.expect("killed");
    lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "20s"}))).await.expect("ended");
    let shot = diagnose(&lab, &name).await;
    has(&shot, "exit_code", &["137", "from outside"]);
    assert!(!shot.summary.contains("memory"), "{shot:?}");
    assert!(!shot.oom_killed && shot.exit_meaning.is_some());
    let done = broken(&lab, "done", json!({"command": ["true"]})).await;
    assert!(done.ok && done.findings.is_empty() && done.summary.contains("did its work"), "{done:?}");
}

#[tokio::test]
async fn a_want_of_memory_is_told() {
    let lab = Lab::open();
    let script = "x=0123456789; while true; do x=$x$x; done";
    let more = json!({"init": false, "mem_limit": "8MiB", "memswap_limit": "8MiB", "command": ["sh", "-c", script]});
    let found = broken(&lab, "hungry", more).await;
    assert_eq!(found.exit_code, Some(137));
    // The engine does not always learn why: the group that counts the memory can be gone before it looks.
    match found.oom_killed {
        true => {
            has(&found, "oom_killed", &["8.0 MiB"]);
            assert!(found.exit_meaning.is_some_and(|text| text.contains("memory limit")));
        }
        false => has(&found, "exit_code", &["not by the engine", "memory limit of 8.0 MiB"]),
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_or_not_executable_is_told() {
    let lab = Lab::open();
    let absent = broken(&lab, "absent", json!({"init": false, "command": ["no-such-program"]})).await;
    has(&absent, "command_not_found", &["no-such-program"]);
    let folder = broken(&lab, "folder", json!({"init": false, "command": ["/etc"]})).await;
    has(&folder, "command_not_executable", &["/etc"]);
    let in_shell = broken(&lab, "shell", json!({"command": ["sh", "-c", "nothing-here"]})).await;
    has(&in_shell, "command_not_found", &["nothing-here"]);
}

#[tokio::test]
async fn a_port_conflict_names_the_holder() {
    let lab = Lab::open();
    let holder = lab.run("holder", json!({"ports": ["127.0.0.1::8080"]})).await;
    let port = docker(&["port", &holder, "8080/tcp"]);
    let port = port.rsplit(':').next().unwrap_or_default().to_owned();
    let ports = json!({"ports": [format!("127.0.0.1:{port}:80")]});
    let second = broken(&lab, "second", ports).await;
    has(&second, "port_taken", &[&format!("127.0.0.1:{port}/tcp"), &holder]);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let name = lab.create("third", json!({"ports": [format!("127.0.0.1:{port}:80")]})).await;
    lab.docker.start(&lab.permit, &name, options(json!({}))).await.expect_err("the port is taken");
    has(&diagnose(&lab, &name).await, "port_taken", &["something on the host"]);
    let listening =
        vec![Listening { protocol: "tcp".into(), address: "127.0.0.1".into(), port, process: Some("demo".into()) }];
    let named = lab.docker.diagnose(&lab.permit, &name, listening).await.expect("a diagnosis");
    has(&named, "port_taken", &["the program \"demo\""]);
}

#[tokio::test]
async fn a_network_a_volume_and_a_folder_that_are_gone_are_told() {
    let lab = Lab::open();
    let network = lab.name("net");
    docker(&["network", "create", &network]);
    let name = lab.create("lost", json!({"networks": [network]})).await;
    docker(&["network", "rm", &network]);
    lab.docker.start(&lab.permit, &name, options(json!({}))).await.expect_err("its network is gone");
    has(&diagnose(&lab, &name).await, "network_missing", &[&network]);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    std::fs::create_dir(&path).expect("a folder");
    let bind = json!({"volumes": [{"type": "bind", "source": path, "target": "/data"}]});
    let name = lab.create("bound", bind).await;
    std::fs::remove_dir(&path).expect("removed");
    lab.docker.start(&lab.permit, &name, options(json!({}))).await.expect_err("its folder is gone");
    has(&diagnose(&lab, &name).await, "bind_missing", &[&path.display().to_string()]);

    let volume = lab.name("vol");
    let device = format!("device={}", path.display());
    docker(&["volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", &device, &volume]);
    let mounted = broken(&lab, "mounted", json!({"volumes": [format!("{volume}:/data")]})).await;
    has(&mounted, "volume_unusable", &["no such file"]);
}

#[tokio::test]
async fn an_image_that_is_gone_or_for_another_processor_is_told() {
    let lab = Lab::open();
    let image = format!("{}/gone:1", lab.mark);
    docker(&["tag", super::super::testing::IMAGE, &image]);
    // A layer of its own, so that no other name keeps the image.
    let base = lab.run("base", json!({"command": ["sh", "-c", "echo x > /tmp/x"]})).await;
    lab.docker.wait(&lab.permit, &base, options(json!({"timeout": "20s"}))).await.expect("ended");
    docker(&["commit", &base, &image]);
    let name = lab.create("orphan", json!({"image": image})).await;
    docker(&["rmi", "-f", &image]);
    has(&diagnose(&lab, &name).await, "image_missing", &[&image]);

    // The head of a program for 64-bit ARM.
    let mut program = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    program.extend([0; 8]);
    program.extend([2, 0, 0xb7, 0, 1, 0, 0, 0]);
    program.extend([0; 40]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("arm");
    std::fs::write(&path, program).expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let volumes = json!([{"type": "bind", "source": path, "target": "/arm", "read_only": true}]);
    let foreign = broken(&lab, "foreign", json!({"init": false, "command": ["/arm"], "volumes": volumes})).await;
    has(&foreign, "wrong_architecture", &["another processor"]);
}

#[tokio::test]
async fn a_failing_health_check_and_endless_restarts_are_told() {
    let lab = Lab::open();
    let test = json!(["CMD-SHELL", "echo database away; exit 1"]);
    let check = json!({"test": test, "interval": "200ms", "timeout": "2s", "retries": 1});
    let sick = lab.run("sick", json!({"healthcheck": check})).await;
    let looping = lab.run("loop", json!({"command": ["sh", "-c", "exit 4"], "restart": "always"})).await;
    let frozen = lab.run("frozen", json!({})).await;
    lab.docker.pause(&lab.permit, &frozen, options(json!({}))).await.expect("paused");
    has(&diagnose(&lab, &frozen).await, "paused", &[]);
    let both = async {
        loop {
            let found = (diagnose(&lab, &sick).await, diagnose(&lab, &looping).await);
            if !found.0.ok && found.1.findings.iter().any(|finding| finding.code == "restart_loop") {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (sick, looping) = tokio::time::timeout(Duration::from_secs(40), both).await.expect("in time");
    has(&sick, "unhealthy", &["database away", "code 1"]);
    has(&looping, "restart_loop", &["always"]);
    assert!(looping.restart_count > 0);
}

#[tokio::test]
async fn a_container_that_runs_is_fine_and_one_that_is_not_there_is_an_error() {
    let lab = Lab::open();
    let name = lab.run("fine", json!({})).await;
    let fine = diagnose(&lab, &name).await;
    assert!(fine.ok && fine.exit_code.is_none() && fine.summary.contains("runs"), "{fine:?}");
    let created = lab.create("new", json!({})).await;
    assert!(diagnose(&lab, &created).await.summary.contains("never started"));
    let absent = lab.docker.diagnose(&lab.permit, &lab.name("none"), Vec::new()).await.expect_err("not there");
    assert_eq!(absent.code(), "docker.not_found");
}
