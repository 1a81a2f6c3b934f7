//! Speed of masking: a log line without and with secrets in it, and making the automaton anew.
//!
//! `cargo bench --bench mask`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints and may panic")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aegis::base::Masker;

const SECRETS: usize = 100;
const MEASURED_FOR: Duration = Duration::from_millis(500);

/// Nanoseconds that `work` takes.
fn nanos(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < MEASURED_FOR {
        for _ in 0..16 {
            work();
        }
        count += 16;
    }
    began.elapsed().as_nanos() as f64 / f64::from(count)
}

/// Of 32 characters, such as keys of services are.
fn secret(number: usize) -> String {
    blake3::hash(&number.to_le_bytes()).to_hex()[..32].replace(['a', 'b'], "Zq")
}

fn main() {
    let secrets: Vec<String> = (0..SECRETS).map(secret).collect();
    let masker = Masker::default();
    let set = nanos(|| assert!(black_box(&masker).set(secrets.iter().map(String::as_str))));
    println!("{SECRETS} secrets, all forms: {:.1} ms to make the automaton", set / 1e6);
    let plain = "2026-03-01T10:00:00Z GET /api/v1/orders/7f3a9c1e answered 200 in 12 ms for user 4711 from 10.0.0.7 \
                 (cache miss, 3 retries)";
    let with = format!("{plain} key={}", secrets[SECRETS / 2]);
    let text: String = (0..64).map(|n| format!("{plain} {n}\n")).collect();
    let idle = Masker::default();
    for (name, masker, line) in [
        ("a line, nothing is secret", &idle, plain),
        ("a line without a secret", &masker, plain),
        ("a line with a secret", &masker, &with),
        ("64 lines without a secret", &masker, &text),
    ] {
        let took = nanos(|| drop(black_box(masker.text(black_box(line)))));
        println!("{name:<28} {:>6} B {took:>10.0} ns {:>8.0} MB/s", line.len(), line.len() as f64 / took * 1e3);
    }
}
