//! Percentiles, the disk's own speed, and the table.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const FSYNC_TIME: Duration = Duration::from_secs(2);

/// How often a second a block can be overwritten and be safely on disk: what bounds commits one after another.
pub fn fsync_rate(folder: &Path) -> f64 {
    let mut file = tempfile::tempfile_in(folder).expect("a file");
    let block = [7_u8; 4_096];
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < FSYNC_TIME {
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&block)).expect("a block is written");
        file.sync_data().expect("fsync");
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// The `share` (0 to 1) of the sorted samples lies at or under the result.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

pub fn show(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1_000.0;
    match millis {
        0.0..10.0 => format!("{millis:.2} ms"),
        10.0..10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1_000.0),
    }
}

/// `p50 1.2 ms, p99 3.4 ms, max 5.6 ms`.
pub fn spread(samples: &mut [Duration], shares: &[f64]) -> String {
    samples.sort_unstable();
    let mut parts: Vec<String> =
        shares.iter().map(|share| format!("p{:.0} {}", share * 100.0, show(percentile(samples, *share)))).collect();
    parts.push(format!("max {}", show(percentile(samples, 1.0))));
    parts.join(", ")
}

#[derive(Debug, Default)]
pub struct Table(Vec<(String, String)>);

impl Table {
    pub fn row(&mut self, what: impl Into<String>, value: impl Into<String>) {
        let (what, value) = (what.into(), value.into());
        // As it comes, so that a run that is cut short has said something.
        eprintln!("{what}: {value}");
        self.0.push((what, value));
    }

    pub fn print(&self) {
        let width = self.0.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
        println!("\n| {:<width$} | result |\n|{}|---|", "measured", "-".repeat(width + 2));
        for (what, value) in &self.0 {
            println!("| {what:<width$} | {value} |");
        }
    }
}
