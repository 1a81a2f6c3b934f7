//! The machine itself, its memory and its pressure.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use super::rates::percent;
use super::{HostError, Source, strange};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    pub name: String,
    /// Such as `Debian GNU/Linux 13 (trixie)`.
    pub os: String,
    pub kernel: String,
    pub architecture: String,
    pub cpus: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    pub memory_bytes: u64,
    pub boot_time: Timestamp,
    pub uptime_seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    pub total_bytes: u64,
    /// What is not available.
    pub used_bytes: u64,
    /// What programs can have without swapping.
    pub available_bytes: u64,
    pub free_bytes: u64,
    pub buffers_bytes: u64,
    pub cached_bytes: u64,
    pub used_percent: f64,
    pub swap_total_bytes: u64,
    pub swap_used_bytes: u64,
    pub swap_free_bytes: u64,
    pub swap_used_percent: f64,
}

/// How much of the time tasks waited for something, in percent, over the last 10, 60 and 300 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pressure {
    pub some_10: f64,
    pub some_60: f64,
    pub some_300: f64,
    pub full_10: f64,
    pub full_60: f64,
    pub full_300: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pressures {
    pub cpu: Pressure,
    pub memory: Pressure,
    pub io: Pressure,
}

pub(super) fn info(files: &Source) -> Result<Info, HostError> {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let release = files.maybe("etc/os-release").unwrap_or_default();
    let os = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"'));
    let processors = files.maybe("proc/cpuinfo").unwrap_or_default();
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(':'));
    let uptime = files.read("proc/uptime")?;
    let uptime = uptime.split_whitespace().next().and_then(|seconds| seconds.parse().ok());
    Ok(Info {
        name: text(system.nodename()),
        os: os.unwrap_or("Linux").to_owned(),
        kernel: text(system.release()),
        architecture: text(system.machine()),
        cpus: stat_lines(files)?.iter().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count(),
        cpu_model: model.map(|(_, name)| name.trim().to_owned()),
        memory_bytes: memory(files)?.total_bytes,
        boot_time: Timestamp::from_second(boot_second(files)?).map_err(|_| strange("proc/stat"))?,
        uptime_seconds: uptime.ok_or_else(|| strange("proc/uptime"))?,
    })
}

fn stat_lines(files: &Source) -> Result<Vec<String>, HostError> {
    Ok(files.read("proc/stat")?.lines().map(str::to_owned).collect())
}

/// Since the epoch.
pub(super) fn boot_second(files: &Source) -> Result<i64, HostError> {
    let text = files.read("proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|second| second.trim().parse().ok()).ok_or_else(|| strange("proc/stat"))
}

pub(super) fn memory(files: &Source) -> Result<Memory, HostError> {
    const PATH: &str = "proc/meminfo";
    let text = files.read(PATH)?;
    let entry = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let kibibytes: u64 = value.split_whitespace().next()?.parse().ok()?;
        Some((name.to_owned(), kibibytes.saturating_mul(1024)))
    };
    let found: HashMap<String, u64> = text.lines().filter_map(entry).collect();
    let of = |name: &str| found.get(name).copied();
    let total_bytes = of("MemTotal").ok_or_else(|| strange(PATH))?;
    let free_bytes = of("MemFree").unwrap_or(0);
    // Kernels before 3.14 do not tell it.
    let available_bytes = of("MemAvailable").unwrap_or(free_bytes);
    let used_bytes = total_bytes.saturating_sub(available_bytes);
    let (swap_total_bytes, swap_free_bytes) = (of("SwapTotal").unwrap_or(0), of("SwapFree").unwrap_or(0));
    let swap_used_bytes = swap_total_bytes.saturating_sub(swap_free_bytes);
    Ok(Memory {
        total_bytes,
        used_bytes,
        available_bytes,
        free_bytes,
        buffers_bytes: of("Buffers").unwrap_or(0),
        cached_bytes: of("Cached").unwrap_or(0),
        used_percent: percent(used_bytes, total_bytes),
        swap_total_bytes,
        swap_used_bytes,
        swap_free_bytes,
        swap_used_percent: percent(swap_used_bytes, swap_total_bytes),
    })
}

pub(super) fn pressures(files: &Source) -> Option<Pressures> {
    // A kernel that has it switched off has the files and refuses to read them.
    let of = |what: &str| files.maybe(&format!("proc/pressure/{what}")).map(|text| pressure(&text));
    Some(Pressures { cpu: of("cpu")?, memory: of("memory")?, io: of("io")? })
}

fn pressure(text: &str) -> Pressure {
    let of = |kind: &str, span: &str| {
        let line = text.lines().find(|line| line.starts_with(kind));
        let field = line.and_then(|line| line.split_whitespace().find_map(|field| field.strip_prefix(span)));
        field.and_then(|number| number.parse().ok()).unwrap_or(0.0)
    };
    Pressure {
        some_10: of("some", "avg10="),
        some_60: of("some", "avg60="),
        some_300: of("some", "avg300="),
        full_10: of("full", "avg10="),
        full_60: of("full", "avg60="),
        full_300: of("full", "avg300="),
    }
}
