//! The machine: its clock, its time zones, the user.

use std::path::Path;

use super::Finding;
use crate::base::Timestamp;

/// A clock that stands before this was never set.
const NEWEST_PAST: &str = "2026-01-01T00:00:00Z";

pub(super) fn check(now: Timestamp) -> Vec<Finding> {
    vec![clock(now), zones(), user(rustix::process::geteuid().is_root())]
}

fn clock(now: Timestamp) -> Finding {
    let past: Timestamp = NEWEST_PAST.parse().unwrap_or_default();
    if now < past {
        let fix = "set it: `timedatectl set-ntp true`; schedules fire by it";
        return Finding::problem("clock", format!("it says {now}, which is past"), fix);
    }
    // Written by systemd-timesyncd with the first answer of a time server.
    let is_systemd = Path::new("/run/systemd/system").exists();
    if is_systemd
        && Path::new("/run/systemd/timesync").exists()
        && !Path::new("/run/systemd/timesync/synchronized").exists()
    {
        let fix = "see `timedatectl timesync-status`; schedules fire by this clock";
        return Finding::warning("clock", format!("{now:.0}, not synchronised"), fix);
    }
    Finding::ok("clock", format!("{now:.0}"))
}

/// Schedules name zones; without the database none can be looked up.
fn zones() -> Finding {
    let local = jiff::tz::TimeZone::system();
    match jiff::tz::TimeZone::get("Europe/Berlin") {
        Ok(_) => Finding::ok("time zones", format!("known; local is {}", local.iana_name().unwrap_or("unnamed"))),
        Err(error) => {
            Finding::problem("time zones", format!("cannot be looked up: {error}"), "install the package tzdata")
        }
    }
}

fn user(is_root: bool) -> Finding {
    match is_root {
        true => Finding::warning(
            "user",
            "root",
            "run the daemon as a user of its own in the group docker; it needs no more",
        ),
        false => Finding::ok("user", format!("uid {}", rustix::process::geteuid().as_raw())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_a_problem() {
        assert_eq!(clock(Timestamp::UNIX_EPOCH).verdict, Verdict::Problem);
        assert_ne!(clock(NEWEST_PAST.parse().expect("a time")).verdict, Verdict::Problem);
        assert_eq!((user(true).verdict, user(false).verdict), (Verdict::Warning, Verdict::Ok));
    }
}
