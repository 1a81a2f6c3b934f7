//! Schedules in words.

use super::cron::{CronRule, zone};
use super::{Rule, ScheduleSpec};
use crate::base::quantity::show_duration;

pub(super) fn phrase(spec: &ScheduleSpec) -> String {
    let rule = match &spec.rule {
        Rule::Cron { expression, timezone } => cron(expression, timezone),
        Rule::Every { interval } => format!("every {}", show_duration(*interval)),
        Rule::At { at } => format!("once at {}", at.strftime("%Y-%m-%d %H:%M:%S UTC")),
    };
    if spec.jitter.is_zero() { rule } else { format!("{rule}, up to {} later", show_duration(spec.jitter)) }
}

fn cron(expression: &str, timezone: &str) -> String {
    let Some(rule) = zone(timezone).ok().and_then(|zone| CronRule::parse(expression, zone).ok()) else {
        return format!("{expression} {timezone}");
    };
    let described = rule.croner().describe();
    let text = described.trim_end_matches('.');
    let (head, tail) = text.split_once(", ").map_or((text, None), |(head, tail)| (head, Some(tail)));
    // The zone matters only where an hour is named.
    let zone = if rule.is_regular() { String::new() } else { format!(" {timezone}") };
    match (head.strip_prefix("At "), tail) {
        (Some("minute 0 past every hour"), None) => "every hour".to_owned(),
        (Some(rest), None) if rest.starts_with("every ") => format!("{rest}{zone}"),
        (Some(time), None) if rule.is_regular() => {
            format!("every hour at {}", time.trim_end_matches(" past every hour"))
        }
        (Some(time), None) => format!("every day at {time}{zone}"),
        (Some(rest), Some(tail)) if rest.starts_with("every ") => format!("{rest}, {tail}{zone}"),
        (Some(rest), Some(tail)) => format!("at {rest}{zone}, {tail}"),
        (None, _) => text.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn schedules_read_as_people_say_them() {
        let cron = |expression: &str| {
            let rule = Rule::Cron { expression: expression.into(), timezone: "Europe/Berlin".into() };
            ScheduleSpec::new(rule).describe()
        };
        for (expression, words) in [
            ("0 6 * * *", "every day at 06:00 Europe/Berlin"),
            ("*/30 * * * *", "every 30 minutes"),
            ("* * * * *", "every minute"),
            ("0 * * * *", "every hour"),
            ("15 * * * *", "every hour at minute 15"),
            ("*/10 * * * * *", "every 10 seconds"),
            ("0 3 * * SUN#1", "at 03:00 Europe/Berlin, on the 1st Sunday of the month"),
            ("0 0 * * 1", "at 00:00 Europe/Berlin, on Monday"),
        ] {
            assert_eq!(cron(expression), words, "{expression}");
        }
        let every = Rule::Every { interval: Duration::from_secs(300) };
        let spec = ScheduleSpec { jitter: Duration::from_secs(20), ..ScheduleSpec::new(every) };
        assert_eq!(spec.describe(), "every 5m, up to 20s later");
        let at = "2027-01-01T00:00:00Z".parse().expect("a time");
        assert_eq!(ScheduleSpec::new(Rule::At { at }).describe(), "once at 2027-01-01 00:00:00 UTC");
    }
}
