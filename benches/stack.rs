//! A stack of ten services up, up again and down: `aegis.stack` against Compose, in the same run.
//!
//! `cargo bench --bench stack -- [SERVICES] [IMAGE]`: ten services of `aegis-test/busybox:1` unless said otherwise, each
//! of which waits for the start of the one before the last. Compose is `docker-compose`, or what `DOCKER_COMPOSE` names;
//! what is not installed is said.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints, and fails loudly")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aegis::base::Clock;
use aegis::model::Grants;
use aegis::model::grants::Access;
use aegis::primitives::docker::{Docker, Options};
use aegis::primitives::permit;
use aegis::primitives::stack::{DownOptions, Source, Stacks, Told, UpOptions};

const NAME: &str = "aegis-bench-stack";
const ROUNDS: usize = 3;

/// Up from nothing, up again, down.
type Times = [Duration; 3];

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let count: usize = given.first().and_then(|count| count.parse().ok()).unwrap_or(10);
    let image = given.get(1).map_or("aegis-test/busybox:1", String::as_str);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("compose.yaml"), text(count, image)).expect("written");
    println!("{count} services; the best of {ROUNDS} rounds; up, up again, down");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (mut ours, mut theirs) = (None, None);
    for _ in 0..ROUNDS {
        ours = best(ours, Some(runtime.block_on(aegis(folder.path()))));
        theirs = best(theirs, compose(folder.path()));
    }
    report("aegis", ours);
    report("docker-compose", theirs);
}

fn text(count: usize, image: &str) -> String {
    let mut text = "services:\n".to_owned();
    for index in 0..count {
        let needs = if index < 2 { String::new() } else { format!(", depends_on: [s{}]", index - 2) };
        let keys = "command: [sleep, '600'], init: true, stop_grace_period: 1s, volumes: ['data:/data']";
        writeln!(text, "  s{index}: {{ image: '{image}', {keys}{needs} }}").expect("written");
    }
    text + "volumes: { data: }\n"
}

async fn aegis(folder: &Path) -> Times {
    let docker = Docker::new(Options { host: String::new(), clock: Clock::system() });
    let sources = BTreeMap::from([(NAME.to_owned(), Source { folder: folder.to_owned(), ..Source::default() })]);
    let stacks = Stacks::new(sources, docker, Clock::system());
    let permit = permit::stack(&Grants::all(), NAME, Access::Admin).expect("all is granted");
    let mut times = [Duration::ZERO; 3];
    for time in &mut times[..2] {
        let began = Instant::now();
        stacks.up(&permit, &UpOptions::default(), Told(&|_| {})).await.expect("it is up");
        *time = began.elapsed();
    }
    let began = Instant::now();
    let options = DownOptions { volumes: true, ..DownOptions::default() };
    stacks.down(&permit, &options, Told(&|_| {})).await.expect("it is down");
    times[2] = began.elapsed();
    times
}

fn compose(folder: &Path) -> Option<Times> {
    let program = std::env::var("DOCKER_COMPOSE").unwrap_or_else(|_| "docker-compose".to_owned());
    let timed = |arguments: &[&str]| {
        let began = Instant::now();
        let mut command = Command::new(&program);
        command.args(["-p", NAME]).args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let is_done = command.status().ok()?.success();
        is_done.then(|| began.elapsed())
    };
    Some([timed(&["up", "-d"])?, timed(&["up", "-d"])?, timed(&["down", "-v"])?])
}

fn best(one: Option<Times>, other: Option<Times>) -> Option<Times> {
    match (one, other) {
        (Some(one), Some(other)) => Some([0, 1, 2].map(|index| one[index].min(other[index]))),
        (one, other) => one.or(other),
    }
}

fn report(name: &str, times: Option<Times>) {
    match times {
        None => println!("{name:16} is not installed, or failed"),
        Some([up, again, down]) => println!("{name:16} {up:>9.2?} {again:>9.2?} {down:>9.2?}"),
    }
}
