//! Logs, exec, statistics, processes.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use super::super::FollowItem;
use super::{Lab, docker, options};

#[tokio::test]
async fn logs_keep_streams_order_and_times() {
    let lab = Lab::open();
    let script = "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three";
    let name = lab.run("talk", json!({"command": ["sh", "-c", script]})).await;
    lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "20s"}))).await.expect("ended");
    let logs = lab.docker.logs(&lab.permit, &name, options(json!({}))).await.expect("logs");
    let texts: Vec<_> = logs.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert!(logs.lines.windows(2).all(|pair| pair[0].at < pair[1].at) && !logs.truncated);
    let errors = lab.docker.logs(&lab.permit, &name, options(json!({"stdout": false, "timestamps": false}))).await;
    let errors = errors.expect("logs").lines;
    assert_eq!((errors.len(), errors[0].text.as_str(), errors[0].at), (1, "two", None));
    let tail = lab.docker.logs(&lab.permit, &name, options(json!({"tail": 1}))).await.expect("logs");
    assert_eq!(tail.lines[0].text, "three");
    let since = logs.lines[1].at.map(|at| at.to_string());
    let later = lab.docker.logs(&lab.permit, &name, options(json!({"since": since}))).await.expect("logs");
    assert_eq!(later.lines.len(), 2, "{:?}", later.lines);
    let earlier = lab.docker.logs(&lab.permit, &name, options(json!({"before": since}))).await.expect("logs");
    assert_eq!(earlier.lines[0].text, "one");
    assert!(earlier.lines.len() < 3, "{:?}", earlier.lines);
}

#[tokio::test]
async fn a_terminal_s_endless_line_is_cut() {
    let lab = Lab::open();
    let script = "i=0; while [ $i -lt 200 ]; do printf '%01000d' 0; i=$((i+1)); done; echo; echo end";
    let name = lab.run("tty", json!({"command": ["sh", "-c", script], "tty": true})).await;
    lab.docker.wait(&lab.permit, &name, options(json!({"timeout": "30s"}))).await.expect("ended");
    let logs = lab.docker.logs(&lab.permit, &name, options(json!({}))).await.expect("logs");
    assert_eq!(logs.lines.len(), 2);
    assert!(logs.lines[0].text.ends_with("(line cut)") && logs.lines[0].text.len() < 20_000);
    assert_eq!(logs.lines[1].text, "end");
}

#[tokio::test]
async fn following_ends_with_the_container() {
    let lab = Lab::open();
    let script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done";
    let name = lab.run("count", json!({"command": ["sh", "-c", script]})).await;
    let lines = lab.docker.follow_logs(&lab.permit, &name, options(json!({}))).await.expect("a stream");
    let items = tokio::time::timeout(Duration::from_secs(20), lines.collect::<Vec<_>>()).await.expect("it ends");
    let texts: Vec<_> = items
        .into_iter()
        .map(|item| match item {
            FollowItem::Line(line) => line.text,
            FollowItem::Interrupted(error) => panic!("{error}"),
        })
        .collect();
    assert_eq!(texts, ["line 1", "line 2", "line 3", "line 4", "line 5"]);
}

#[tokio::test]
async fn exec_gives_status_and_both_outputs() {
    let lab = Lab::open();
    let name = lab.run("exec", json!({})).await;
    let command = json!({"command": ["sh", "-c", "echo out $WHO; echo err >&2; id -u; exit 3"], "environment": {"WHO": "me"},
        "user": "1000", "working_dir": "/tmp"});
    let done = lab.docker.exec(&lab.permit, &name, options(command)).await.expect("ran");
    assert_eq!((done.exit_code, done.stdout.as_str(), done.stderr.as_str()), (Some(3), "out me\n1000\n", "err\n"));
    let missing = lab.docker.exec(&lab.permit, &name, options(json!({"command": "nothing-here"}))).await;
    match missing {
        // 20.10 reports it through the exit code, later engines refuse to start it.
        Ok(done) => assert!(matches!(done.exit_code, Some(126 | 127)), "{done:?}"),
        Err(error) => assert!(error.to_string().contains("nothing-here"), "{error}"),
    }
    let dry = lab.docker.exec(&lab.permit, &name, options(json!({"command": "touch /tmp/x", "dry_run": true}))).await;
    assert_eq!(dry.expect("a plan").command, ["touch", "/tmp/x"]);
    let files = lab.docker.exec(&lab.permit, &name, options(json!({"command": "ls /tmp"}))).await.expect("ran").stdout;
    assert_eq!(files, "");
}

#[tokio::test]
async fn an_exec_that_runs_too_long_is_killed() {
    let lab = Lab::open();
    let name = lab.run("slow", json!({})).await;
    let late = lab.docker.exec(&lab.permit, &name, options(json!({"command": "sleep 400", "timeout": "300ms"}))).await;
    let late = crate::base::Fault::from(late.expect_err("too slow"));
    assert_eq!(late.code, "docker.timeout");
    assert!(late.hint.as_deref().is_some_and(|hint| hint.contains("was killed")), "{late:?}");
    assert!(!docker(&["top", &name]).contains("sleep 400"));
}

#[tokio::test]
async fn an_exec_whose_caller_goes_away_is_killed() {
    let lab = Lab::open();
    let name = lab.run("left", json!({})).await;
    {
        let running = lab.docker.exec(&lab.permit, &name, options(json!({"command": "sleep 300"})));
        let _ = tokio::time::timeout(Duration::from_millis(500), running).await;
    }
    let mut left = true;
    for _ in 0..100 {
        left = docker(&["top", &name]).contains("sleep 300");
        if !left {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!left, "its process goes on");
}

#[tokio::test]
async fn statistics_see_a_busy_container() {
    let lab = Lab::open();
    let busy = lab.run("busy", json!({"command": ["sh", "-c", "while true; do :; done"], "mem_limit": "32m"})).await;
    let idle = lab.run("idle", json!({})).await;
    let started = std::time::Instant::now();
    let stats = lab.docker.stats(&lab.permit, &busy).await.expect("stats");
    assert!(started.elapsed() < Duration::from_secs(5), "one shot does not wait for the engine's own second reading");
    assert!(stats.cpu_percent.is_some_and(|percent| percent > 5.0), "{stats:?}");
    assert_eq!(stats.memory_limit_bytes, Some(32 << 20));
    assert!(stats.pids.is_some_and(|pids| pids >= 1));
    let quiet = lab.docker.stats(&lab.permit, &idle).await.expect("stats");
    assert!(quiet.cpu_percent.is_some_and(|percent| percent < 5.0), "{quiet:?}");
    lab.docker.kill(&lab.permit, &busy, options(json!({}))).await.expect("killed");
    let ended = lab.docker.stats(&lab.permit, &busy).await.expect("stats");
    assert_eq!((ended.running, ended.cpu_percent), (false, None));
}

#[tokio::test]
async fn processes_are_listed() {
    let lab = Lab::open();
    let name = lab.run("top", json!({})).await;
    let top = lab.docker.top(&lab.permit, &name).await.expect("processes");
    let command = top.titles.iter().position(|title| title == "CMD").expect("a column of commands");
    assert!(top.processes.iter().any(|row| row[command].contains("sleep 600")), "{top:?}");
}

#[tokio::test]
async fn lines_are_followed_call_by_call_without_a_loss() {
    let lab = Lab::open();
    let script = "for i in $(seq 1 12); do echo line $i; sleep 0.15; done";
    let name = lab.run("count", json!({"command": ["sh", "-c", script]})).await;
    let (mut texts, mut after, mut calls) = (Vec::new(), None, 0);
    loop {
        let ask = json!({"after": after, "wait": "20s", "tail": 5});
        let answer = lab.docker.logs(&lab.permit, &name, options(ask)).await.expect("logs");
        calls += 1;
        assert!(answer.lines.len() <= 5, "{answer:?}");
        texts.extend(answer.lines.into_iter().map(|line| line.text));
        after = answer.next.map(|at| at.to_string());
        if !answer.running && texts.len() >= 12 {
            break;
        }
    }
    let expected: Vec<_> = (1..=12).map(|number| format!("line {number}")).collect();
    assert_eq!(texts, expected);
    assert!(calls > 2, "{calls}");
    // Nothing comes any more: no waiting for a container that has ended.
    let ask = json!({"after": after, "wait": "10m"});
    let rest = lab.docker.logs(&lab.permit, &name, options(ask)).await.expect("logs");
    assert!(rest.lines.is_empty() && !rest.running);
}

#[tokio::test]
async fn readings_come_one_after_the_other_until_the_end() {
    let lab = Lab::open();
    let name = lab.run("busy", json!({"command": ["sh", "-c", "sleep 8"]})).await;
    let wait = || options(json!({"wait": "500ms"}));
    let began = std::time::Instant::now();
    let first = lab.docker.stats_after(&lab.permit, &name, wait()).await.expect("a reading");
    assert!(first.running && began.elapsed() >= Duration::from_millis(500));
    let mut readings = 1;
    while lab.docker.stats_after(&lab.permit, &name, wait()).await.expect("a reading").running {
        readings += 1;
    }
    assert!((2..20).contains(&readings), "{readings}");
    let wrong = lab.docker.stats_after(&lab.permit, &name, options(json!({"wait": "30d"}))).await;
    assert_eq!(wrong.expect_err("too long").code(), "docker.invalid");
}
