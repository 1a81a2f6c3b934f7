use super::*;

fn rule(expression: &str, zone_name: &str) -> CronRule {
    CronRule::parse(expression, zone(zone_name).expect("a zone")).expect("an expression")
}

/// The due times after `from`, as local readings with their offset; `+` marks those that a gap moved.
fn local(expression: &str, zone_name: &str, from: &str, count: usize) -> Vec<String> {
    let rule = rule(expression, zone_name);
    let mut at: Timestamp = from.parse().expect("a time");
    let mut found = Vec::new();
    for _ in 0..count {
        let Some((due, shifted)) = rule.next_after(at) else { break };
        let mark = if shifted { "+" } else { "" };
        found.push(format!("{mark}{}", due.to_zoned(rule.zone.clone()).strftime("%d %H:%M %:z")));
        at = due;
    }
    found
}

const BERLIN: &str = "Europe/Berlin";
const SPRING: &str = "2026-03-28T12:00:00Z";
const AUTUMN: &str = "2026-10-24T12:00:00Z";

#[test]
fn a_time_of_day_in_a_gap_is_due_when_it_closes() {
    assert_eq!(local("30 2 * * *", BERLIN, SPRING, 2), ["+29 03:00 +02:00", "30 02:30 +02:00"]);
    assert_eq!(local("10,40 2 * * *", BERLIN, SPRING, 2), ["+29 03:00 +02:00", "30 02:10 +02:00"]);
    assert_eq!(local("0 */2 * * *", BERLIN, "2026-03-28T23:30:00Z", 2), ["+29 03:00 +02:00", "29 04:00 +02:00"]);
    // Due there in its own right as well: one due time, not moved.
    assert_eq!(local("0 2,3 * * *", BERLIN, SPRING, 2), ["29 03:00 +02:00", "30 02:00 +02:00"]);
    assert_eq!(local("30 2 * * *", BERLIN, "2026-03-29T01:00:00Z", 1), ["30 02:30 +02:00"]);
}

#[test]
fn a_time_of_day_that_exists_twice_is_due_the_first_time() {
    assert_eq!(local("30 2 * * *", BERLIN, AUTUMN, 2), ["25 02:30 +02:00", "26 02:30 +01:00"]);
    assert_eq!(local("0 2-3 * * *", BERLIN, AUTUMN, 3), ["25 02:00 +02:00", "25 03:00 +01:00", "26 02:00 +01:00"]);
    // Asked in the middle of the second pass.
    assert_eq!(local("45 2 * * *", BERLIN, "2026-10-25T01:10:00Z", 1), ["26 02:45 +01:00"]);
    assert_eq!(local("0 3 * * *", BERLIN, "2026-10-25T01:10:00Z", 1), ["25 03:00 +01:00"]);
}

#[test]
fn regular_times_stay_regular() {
    let minutes = |expression: &str, from: &str, count| {
        let rule = rule(expression, BERLIN);
        let from: Timestamp = from.parse().expect("a time");
        let dues = std::iter::successors(Some((from, false)), |(at, _)| rule.next_after(*at)).take(count);
        let dues: Vec<_> = dues.collect();
        assert!(dues.iter().all(|(_, shifted)| !shifted));
        let gap = |pair: &[(Timestamp, bool)]| pair[1].0.duration_since(pair[0].0).as_mins();
        dues.windows(2).map(gap).collect::<Vec<_>>()
    };
    for from in ["2026-03-28T22:00:00Z", "2026-10-24T22:00:00Z"] {
        assert!(minutes("*/30 * * * *", from, 20).iter().all(|gap| *gap == 30), "{from}");
        assert!(minutes("0 * * * *", from, 12).iter().all(|gap| *gap == 60), "{from}");
        assert!(minutes("15 * * * *", from, 12).iter().skip(1).all(|gap| *gap == 60), "{from}");
    }
}

#[test]
fn half_an_hours_change_loses_no_hour() {
    // Lord Howe: 02:00 becomes 02:30 on 4 October 2026; 02:00 becomes 01:30 on 5 April 2026.
    let spring = local("0 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", 3);
    assert_eq!(spring, ["04 01:00 +10:30", "+04 02:30 +11:00", "04 03:00 +11:00"]);
    let autumn = local("*/30 * * * *", "Australia/Lord_Howe", "2026-04-04T13:45:00Z", 5);
    assert_eq!(autumn, ["05 01:00 +11:00", "05 01:30 +11:00", "05 01:30 +10:30", "05 02:00 +10:30", "05 02:30 +10:30"]);
}

#[test]
fn a_gap_before_midnight_belongs_to_the_day_it_was_asked_for() {
    // Nuuk: Saturday 23:00 becomes Sunday 00:00 on 28 March 2026. A Saturday's time must not be lost.
    assert_eq!(local("30 23 * * SAT", "America/Nuuk", SPRING, 1), ["+29 00:00 -01:00"]);
}

#[test]
fn days_are_counted_as_people_count_them() {
    let first = |expression: &str| local(expression, "UTC", "2026-02-03T00:00:00Z", 1).remove(0);
    assert_eq!(first("0 3 * * SUN#1"), "01 03:00 +00:00");
    assert_eq!(first("0 3 L * *"), "28 03:00 +00:00");
    assert_eq!(first("0 3 * * 5L"), "27 03:00 +00:00");
    assert_eq!(first("0 3 15W * *"), "16 03:00 +00:00");
    assert_eq!(first("0 3 29 2 *"), "29 03:00 +00:00");
    assert_eq!(first("@weekly"), "08 00:00 +00:00");
    assert_eq!(first("20 0 0 * * mon"), "09 00:00 +00:00");
}

#[test]
fn a_wrong_field_is_named() {
    let wrong = |expression: &str| {
        CronRule::parse(expression, TimeZone::UTC).err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (expression, says) in [
        ("0 25 * * *", "the hour field \"25\""),
        ("60 * * * *", "the minute field \"60\""),
        ("* 61 * * * *", "the minute field \"61\""),
        ("*/70 * * * * *", "the second field \"*/70\""),
        ("0 0 32 * *", "the day field \"32\""),
        ("0 0 * FOO *", "the month field \"FOO\""),
        ("0 0 * * MONDAY", "the weekday field \"MONDAY\""),
        ("0 0 * * 1#6", "the weekday field \"1#6\""),
        ("0 1,,2 * * *", "the hour field \"1,,2\""),
        ("0 5-1 * * *", "the hour field \"5-1\""),
        ("*/0 * * * *", "the minute field \"*/0\""),
        ("0 0 30 2 *", "never due"),
        ("@reboot", "no cron nickname"),
        ("* * * *", "has 4 fields"),
        ("0 0 0 1 1 * 2030", "has 7 fields"),
        ("", "has 0 fields"),
    ] {
        assert!(wrong(expression).contains(says), "{expression}: {}", wrong(expression));
    }
}

#[test]
fn a_zone_is_suggested() {
    let error = zone("Europe/Berln").expect_err("no such zone").to_string();
    assert!(error.contains("did you mean \"Europe/Berlin\""), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[-0-9*/,#LW?@ A-Z]{0,24}") {
        let _ = CronRule::parse(&text, TimeZone::UTC);
    }

    #[test]
    fn due_times_rise(minute in 0..60_u8, hour in 0..24_u8, start in 1_577_836_800..2_208_988_800_i64) {
        let rule = rule(&format!("{minute} {hour} * * *"), BERLIN);
        let from = Timestamp::from_second(start).expect("in range");
        let (due, _) = rule.next_after(from).expect("daily");
        proptest::prop_assert!(due > from);
        proptest::prop_assert!(due.duration_since(from).as_hours() <= 25);
    }
}
