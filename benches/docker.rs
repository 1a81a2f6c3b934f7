//! A sweep over many real containers, each inspected and its use read: `aegis.docker` against docker-py and the docker
//! command line, in the same run.
//!
//! `cargo bench --bench docker -- [COUNT] [IMAGE]`: 100 containers of `aegis-test/busybox:1` unless said otherwise. They
//! are made for it and removed after it. What is not installed is said; docker-py is Python's package `docker`.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints, and fails loudly")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aegis::base::Clock;
use aegis::model::Grants;
use aegis::model::grants::Access;
use aegis::primitives::docker::{Docker, ListOptions, Options};
use aegis::primitives::permit;

const LABEL: &str = "aegis.bench=sweep";
const ROUNDS: usize = 3;

/// Inspect and one-shot use of each, so many at a time; `one_shot` is not to be had in older releases.
const DOCKER_PY: &str = r#"
import sys, time, docker
from concurrent.futures import ThreadPoolExecutor
threads, rounds = int(sys.argv[1]), int(sys.argv[2])
client = docker.from_env(max_pool_size=threads)
def look(entry):
    inspected = client.api.inspect_container(entry["Id"])
    used = client.api.stats(entry["Id"], stream=False, one_shot=True)
    assert inspected["State"]["Running"] and used["memory_stats"]
best = 1e9
for _ in range(rounds):
    began = time.perf_counter()
    entries = client.api.containers(filters={"label": "aegis.bench=sweep"})
    with ThreadPoolExecutor(threads) as pool:
        assert len(list(pool.map(look, entries))) == len(entries)
    best = min(best, time.perf_counter() - began)
print(best)
"#;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let count: usize = given.first().and_then(|count| count.parse().ok()).unwrap_or(100);
    let image = given.get(1).map_or("aegis-test/busybox:1", String::as_str);
    let crowd = Crowd::gather(count, image);
    println!("{count} containers; the best of {ROUNDS} sweeps");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (first, best) = runtime.block_on(sweeps(count));
    report("aegis, first", Some(first), best);
    report("aegis", Some(best), best);
    report("docker-py, all at once", python(count, ROUNDS), best);
    report("docker-py, 8 threads", python(8, ROUNDS), best);
    report("docker-py, 1 thread", python(1, 1), best);
    report("docker command", command_line(count), best);
    drop(crowd);
}

/// The first sweep needs two readings of each CPU, the later ones remember the one before.
async fn sweeps(count: usize) -> (Duration, Duration) {
    let docker = Docker::new(Options { host: String::new(), clock: Clock::system() });
    let permit = permit::docker(&Grants::all(), Access::Read, None).expect("all is granted");
    let mut took = Vec::new();
    for _ in 0..=ROUNDS {
        let began = Instant::now();
        let mut wanted = ListOptions { all: false, ..ListOptions::default() };
        wanted.labels.0 = vec![LABEL.to_owned()];
        let listed = docker.list(&permit, wanted).await.expect("a list");
        assert_eq!(listed.len(), count);
        let used = docker.stats_all(&permit).await.expect("their use");
        assert!(used.len() >= count);
        took.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let best = took.iter().skip(1).min().copied().unwrap_or_default();
    (took.first().copied().unwrap_or_default(), best)
}

fn python(threads: usize, rounds: usize) -> Option<Duration> {
    let output = Command::new("python3")
        .args(["-c", DOCKER_PY, &threads.to_string(), &rounds.to_string()])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let seconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().ok()?;
    Some(Duration::from_secs_f64(seconds))
}

/// One process for all of them, twice: the quickest that it can do.
fn command_line(count: usize) -> Option<Duration> {
    let names = lines(&["ps", "-q", "--filter", &format!("label={LABEL}")]);
    assert_eq!(names.len(), count);
    let all = |words: &[&str]| {
        let done = Command::new("docker").args(words).args(&names).stdout(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    let one = || {
        let began = Instant::now();
        (all(&["inspect"]) && all(&["stats", "--no-stream"])).then(|| began.elapsed())
    };
    (0..ROUNDS).filter_map(|_| one()).min()
}

fn report(name: &str, took: Option<Duration>, against: Duration) {
    match took {
        Some(took) => {
            let ratio = took.as_secs_f64() / against.as_secs_f64();
            println!("{name:<22} {:>9.1} ms {ratio:>8.2} x", took.as_secs_f64() * 1e3);
        }
        None => println!("{name:<22} not installed"),
    }
}

/// The containers; removed when it is dropped.
struct Crowd;

impl Crowd {
    fn gather(count: usize, image: &str) -> Self {
        let crowd = Self;
        let mut starting = Vec::new();
        for _ in 0..count {
            let child = Command::new("docker")
                .args(["run", "-d", "--init", "--network", "none", "--label", LABEL, image, "sleep", "3600"])
                .stdout(Stdio::null())
                .spawn()
                .expect("the docker command");
            starting.push(child);
            if starting.len() == 4 {
                starting.drain(..).for_each(|mut child| assert!(child.wait().expect("it ends").success()));
            }
        }
        starting.into_iter().for_each(|mut child| assert!(child.wait().expect("it ends").success()));
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let ids = lines(&["ps", "-aq", "--filter", &format!("label={LABEL}")]);
        if !ids.is_empty() {
            let removed = Command::new("docker").args(["rm", "-f"]).args(&ids).stdout(Stdio::null()).status();
            assert!(removed.is_ok_and(|status| status.success()), "containers with the label {LABEL} are left");
        }
    }
}

fn lines(words: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(words).output().expect("the docker command");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
