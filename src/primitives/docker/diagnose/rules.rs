//! From what is known to what is wrong: pure, the cause before its consequences.

use serde_json::Value;

use super::Finding;
use super::facts::{Facts, HostPort, string};
use crate::base::quantity::show_size;

/// Restarts that are more than one bad moment.
const RESTARTS_ODD: u64 = 3;

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let rules: [fn(&Facts) -> Vec<Finding>; 13] = [
        ports,
        networks,
        partner,
        binds,
        volumes,
        architecture,
        command,
        memory,
        image,
        health,
        frozen,
        restarts,
        exit,
    ];
    let mut findings: Vec<Finding> = rules.iter().flat_map(|rule| rule(facts)).collect();
    // What none of them knows is told in the engine's own words.
    let error = facts.error();
    if findings.iter().all(|finding| finding.code == "exit_code") && !error.is_empty() {
        findings.insert(
            0,
            finding(
                "engine_error",
                format!("the engine could not start it: {error}"),
                "the engine's own log (journalctl -u docker) has more",
            ),
        );
    }
    findings
}

fn finding(code: &'static str, message: String, remedy: impl Into<String>) -> Finding {
    Finding { code, message, remedy: remedy.into() }
}

fn ports(facts: &Facts) -> Vec<Finding> {
    if facts.is_running() {
        return Vec::new();
    }
    let error = facts.error();
    let refused = error.contains("port is already allocated") || error.contains("address already in use");
    let wanted = facts.wanted_ports();
    let mut found: Vec<Finding> = wanted.iter().filter_map(|port| held(facts, port, refused)).collect();
    if found.is_empty() && refused {
        let message = match wanted.iter().find(|port| error.contains(&format!(":{}", port.port))) {
            Some(port) => format!("the port {port} of the host was taken when it was started, and is free now"),
            None => format!("a port of the host was taken when it was started: {error}"),
        };
        found.push(finding("port_taken", message, "start it again"));
    }
    found
}

fn held(facts: &Facts, wanted: &HostPort, refused: bool) -> Option<Finding> {
    let container = facts.taken.iter().find(|taken| taken.port.collides(wanted)).map(|taken| taken.holder.clone());
    let program = || {
        let collides = |listener: &&super::Listening| {
            let (protocol, address) = (listener.protocol.clone(), listener.address.clone());
            HostPort { protocol, address, port: listener.port }.collides(wanted)
        };
        let process = facts.listening.iter().find(collides)?.process.clone();
        Some(
            process
                .map_or_else(|| "a program of the host".to_owned(), |name| format!("the program {name:?} of the host")),
        )
    };
    let unknown = || {
        let named = refused && facts.error().contains(&format!(":{}", wanted.port));
        named.then(|| "something on the host that cannot be seen from here (ss -ltnup shows it)".to_owned())
    };
    let holder = container.or_else(program).or_else(unknown)?;
    let remedy = format!("stop what holds it, or publish another port of the host than {}", wanted.port);
    Some(finding("port_taken", format!("the port {wanted} of the host is held by {holder}"), remedy))
}

fn networks(facts: &Facts) -> Vec<Finding> {
    let gone = |(name, id): &(String, String)| {
        // By its id where it has one: another network of that name is another network.
        let known = if id.is_empty() { name } else { id };
        !facts.networks.contains(known)
    };
    let missing = |(name, _): (String, String)| {
        let remedy = format!(
            "create it again (aegis.docker.create_network({name:?})) and make the container anew, or disconnect it"
        );
        finding("network_missing", format!("the network {name:?} that it is on does not exist any more"), remedy)
    };
    facts.wanted_networks().into_iter().filter(gone).map(missing).collect()
}

fn partner(facts: &Facts) -> Vec<Finding> {
    let Some((other, running)) = &facts.shares_with else { return Vec::new() };
    let message = format!("it shares the network of the container {other:?}, which does not run");
    let remedy = format!("start {other:?} first; when it was made anew, make this one anew too");
    if *running { Vec::new() } else { vec![finding("network_missing", message, remedy)] }
}

fn binds(facts: &Facts) -> Vec<Finding> {
    if facts.is_running() {
        return Vec::new();
    }
    let mut absent = facts.absent_sources.clone();
    if let Some((_, path)) = facts.error().split_once("bind source path does not exist: ") {
        let path = path.lines().next().unwrap_or_default().trim().to_owned();
        if !absent.contains(&path) {
            absent.push(path);
        }
    }
    let missing = |path: String| {
        let message = format!("the path {path:?} of the host that it mounts does not exist");
        finding("bind_missing", message, "make the folder, or mount another one")
    };
    absent.into_iter().map(missing).collect()
}

fn volumes(facts: &Facts) -> Vec<Finding> {
    let error = facts.error();
    let marks = ["failed to mount local volume", "error while mounting volume", "no such volume"];
    if !marks.iter().any(|mark| error.contains(mark)) {
        return Vec::new();
    }
    let remedy = "look at the volume's driver options (aegis.docker.volume) and at what they point to";
    vec![finding("volume_unusable", format!("a volume of it cannot be mounted: {error}"), remedy)]
}

fn architecture(facts: &Facts) -> Vec<Finding> {
    let of_image = facts.image.as_ref().map(|image| string(image, "Architecture")).unwrap_or_default();
    let said = |text: &str| text.to_ascii_lowercase().contains("exec format error");
    let refused = said(&facts.error()) || facts.log.iter().any(|line| said(&line.text));
    let differs = !of_image.is_empty() && !facts.architecture.is_empty() && of_image != facts.architecture;
    if facts.is_running() || !(refused || differs && facts.exit_code().is_some_and(|code| code != 0)) {
        return Vec::new();
    }
    let (message, remedy) = match differs {
        true => (
            format!("the image is for {of_image}, and this host is {}", facts.architecture),
            format!("pull it with platform = \"linux/{}\", or build it for that", facts.architecture),
        ),
        false => (
            "the kernel cannot execute the command: it is for another processor, or a script without its first line"
                .to_owned(),
            "check what the command is (a script begins with #!/bin/sh), and for which processor it was built"
                .to_owned(),
        ),
    };
    vec![finding("wrong_architecture", message, remedy)]
}

fn command(facts: &Facts) -> Vec<Finding> {
    let words = facts.raw.get("Args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let path = facts.text("/Path");
    let shown: Vec<&str> = std::iter::once(path.as_str()).chain(words).take(4).collect();
    let shown = shown.join(" ");
    // The engine's word where it has one: a shell that did not find a program ends with 127 too.
    match facts.exit_code() {
        Some(127) => {
            let message = match facts.error().is_empty() {
                true => format!("a command was not found, in what it runs: {shown}"),
                false => format!("the command {path:?} is not in the image"),
            };
            vec![finding(
                "command_not_found",
                message,
                "correct command or entrypoint, or install the program in the image",
            )]
        }
        Some(126) => {
            let message = format!("the command cannot be executed: {shown}");
            vec![finding(
                "command_not_executable",
                message,
                "make the file executable (chmod +x) for the container's user",
            )]
        }
        _ => Vec::new(),
    }
}

fn memory(facts: &Facts) -> Vec<Finding> {
    if !facts.oom_killed() {
        return Vec::new();
    }
    let limit = match facts.number("/HostConfig/Memory") {
        0 => "the host ran out of memory, for it has no limit of its own".to_owned(),
        bytes => format!("it reached its memory limit of {}", show_size(bytes)),
    };
    let remedy = "raise mem_limit, or find out what needs so much: aegis.docker.stats shows its use";
    vec![finding("oom_killed", format!("the kernel killed it: {limit}"), remedy)]
}

fn image(facts: &Facts) -> Vec<Finding> {
    if facts.image.is_some() {
        return Vec::new();
    }
    let name = facts.text("/Config/Image");
    let remedy = format!("fetch or build it again: aegis.docker.pull({name:?})");
    vec![finding("image_missing", format!("its image {name:?} is not on this host any more"), remedy)]
}

fn health(facts: &Facts) -> Vec<Finding> {
    if facts.text("/State/Health/Status") != "unhealthy" {
        return Vec::new();
    }
    let latest = facts.raw.pointer("/State/Health/Log").and_then(Value::as_array).and_then(|log| log.last());
    let (code, said) = latest.map_or((0, String::new()), |probe| {
        (probe.get("ExitCode").and_then(Value::as_i64).unwrap_or_default(), string(probe, "Output"))
    });
    let said = said.trim();
    let said = if said.is_empty() { "it said nothing".to_owned() } else { format!("it said: {said}") };
    let streak = facts.number("/State/Health/FailingStreak");
    let message = format!("its health check failed {streak} times in a row, last with code {code}; {said}");
    vec![finding("unhealthy", message, "run the check's command in it (aegis.docker.exec), and see what it wants")]
}

fn frozen(facts: &Facts) -> Vec<Finding> {
    match facts.state().as_str() {
        "paused" => {
            vec![finding(
                "paused",
                "it is paused: its processes are frozen".to_owned(),
                "aegis.docker.unpause lets them go on",
            )]
        }
        "dead" => {
            let message = "the engine could not remove it whole: it is dead".to_owned();
            vec![finding("dead", message, "remove it by force, after whatever holds its files has ended")]
        }
        _ => Vec::new(),
    }
}

fn restarts(facts: &Facts) -> Vec<Finding> {
    let count = facts.number("/RestartCount");
    if facts.state() != "restarting" && count < RESTARTS_ODD {
        return Vec::new();
    }
    let policy = facts.text("/HostConfig/RestartPolicy/Name");
    let message = format!("the engine restarted it {count} times by its policy {policy:?}");
    vec![finding(
        "restart_loop",
        message,
        "stop it while you look for the cause: it is in the other findings and its log",
    )]
}

/// Only what no other rule has explained.
fn exit(facts: &Facts) -> Vec<Finding> {
    let Some(code) = facts.exit_code().filter(|code| !matches!(code, 0 | 126 | 127)) else { return Vec::new() };
    if facts.oom_killed() || !facts.error().is_empty() {
        return Vec::new();
    }
    let meaning =
        super::exit::meaning(code, false).map_or_else(String::new, |meaning| format!(", which means: {meaning}"));
    let limit = show_size(facts.number("/HostConfig/Memory"));
    let suspect = match facts.perhaps_out_of_memory() {
        true => format!(", and not by the engine: perhaps it reached its memory limit of {limit}"),
        false => String::new(),
    };
    let said = facts.last_line().map_or_else(String::new, |line| format!("; its last words: {line}"));
    let remedy = match code {
        137 if facts.perhaps_out_of_memory() => {
            "the kernel's log (dmesg) tells whether memory was short: raise mem_limit"
        }
        137 => "look for who killed it: a stop whose grace was too short, an operator, or the kernel (dmesg)",
        143 => "it was asked to stop: start it again if nobody meant to",
        _ => "its log has the reason: aegis.docker.logs",
    };
    vec![finding("exit_code", format!("it ended with code {code}{meaning}{suspect}{said}"), remedy)]
}
