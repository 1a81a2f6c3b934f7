use super::*;

const BERLIN: &str = "Europe/Berlin";
const HOUR: Duration = Duration::from_secs(3_600);

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn days(zone: &str, days: &[&str]) -> Calendar {
    Calendar::new(zone, days.iter().map(|day| day.parse().expect("a day")), []).expect("a calendar")
}

fn window(zone: &str, cron: &str, lasts: Duration) -> Calendar {
    Calendar::new(zone, [], [(cron.to_owned(), lasts)]).expect("a calendar")
}

/// Which of `moments` are closed.
fn closed(calendar: &Calendar, moments: &[&str]) -> Vec<bool> {
    moments.iter().map(|moment| calendar.is_closed(at(moment))).collect()
}

#[test]
fn days_are_whole_days_of_the_zone() {
    let moments = ["2026-12-24T22:59:59Z", "2026-12-24T23:00:00Z", "2026-12-25T22:59:59Z", "2026-12-25T23:00:00Z"];
    assert_eq!(closed(&days(BERLIN, &["2026-12-25"]), &moments), [false, true, true, false]);
    assert_eq!(closed(&days("UTC", &["2026-12-25"]), &moments), [false, false, true, true]);
    assert_eq!(closed(&days("UTC", &["2026-12-25"]), &["2027-12-25T12:00:00Z"]), [false]);
}

#[test]
fn a_day_with_a_change_of_the_clock_is_23_or_25_hours_long() {
    let spring = days(BERLIN, &["2026-03-29"]);
    let moments = ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"];
    assert_eq!(closed(&spring, &moments), [false, true, true, false]);
    let autumn = days(BERLIN, &["10-25"]);
    let moments = ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"];
    assert_eq!(closed(&autumn, &moments), [false, true, true, false]);
}

#[test]
fn yearly_days_come_every_year_and_the_leap_day_in_leap_years() {
    let calendar = days("UTC", &["02-29", "05-01"]);
    let moments = ["2026-05-01T12:00:00Z", "2031-05-01T00:00:00Z", "2027-03-01T00:00:00Z", "2028-02-29T12:00:00Z"];
    assert_eq!(closed(&calendar, &moments), [true, true, false, true]);
}

#[test]
fn windows_of_a_day_a_week_and_a_month() {
    let daily = window("UTC", "0 0 * * *", HOUR * 6);
    let moments = ["2026-03-01T00:00:00Z", "2026-03-01T05:59:59Z", "2026-03-01T06:00:00Z", "2026-03-01T23:59:59Z"];
    assert_eq!(closed(&daily, &moments), [true, true, false, false]);
    // 1 March 2026 is a Sunday.
    let weekly = window("UTC", "0 2 * * SUN", HOUR * 4);
    let moments = ["2026-03-01T01:59:59Z", "2026-03-01T02:00:00Z", "2026-03-01T05:59:59Z", "2026-03-02T03:00:00Z"];
    assert_eq!(closed(&weekly, &moments), [false, true, true, false]);
    let monthly = window("UTC", "0 3 * * SUN#1", HOUR);
    let moments = ["2026-03-01T03:30:00Z", "2026-03-08T03:30:00Z", "2026-04-05T03:30:00Z", "2026-04-05T04:00:00Z"];
    assert_eq!(closed(&monthly, &moments), [true, false, true, false]);
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let weekend = window("UTC", "0 18 * * FRI", HOUR * 60);
    let moments = ["2026-02-27T17:59:59Z", "2026-02-27T18:00:00Z", "2026-03-02T05:59:59Z", "2026-03-02T06:00:00Z"];
    assert_eq!(closed(&weekend, &moments), [false, true, true, false]);
}

#[test]
fn a_window_lasts_for_elapsed_time_over_changes_of_the_clock() {
    // From 01:00 local time, four hours: 00:00 to 04:00 UTC in winter, which is 06:00 on the clock after the change.
    let window = window(BERLIN, "0 1 * * *", HOUR * 4);
    let spring = ["2026-03-28T23:59:59Z", "2026-03-29T00:00:00Z", "2026-03-29T03:59:59Z", "2026-03-29T04:00:00Z"];
    assert_eq!(closed(&window, &spring), [false, true, true, false]);
    let autumn = ["2026-10-24T22:59:59Z", "2026-10-24T23:00:00Z", "2026-10-25T02:59:59Z", "2026-10-25T03:00:00Z"];
    assert_eq!(closed(&window, &autumn), [false, true, true, false]);
}

#[test]
fn a_window_that_begins_in_a_gap_begins_when_the_gap_closes_and_in_an_overlap_once() {
    let window = window(BERLIN, "30 2 * * *", HOUR / 2);
    let gap = ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:29:59Z", "2026-03-29T01:30:00Z"];
    assert_eq!(closed(&window, &gap), [false, true, true, false]);
    let overlap = ["2026-10-25T00:30:00Z", "2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"];
    assert_eq!(closed(&window, &overlap), [true, true, false, false]);
}

#[test]
fn the_calendar_that_closes_is_named() {
    let calendars: Calendars =
        [("holidays".to_owned(), days("UTC", &["12-25"])), ("nights".to_owned(), window("UTC", "0 0 * * *", HOUR))]
            .into_iter()
            .collect();
    let both = ["holidays".to_owned(), "nights".to_owned()];
    let hold = |names: &[String], moment| calendars.hold(names, at(moment));
    assert_eq!(hold(&both, "2026-12-25T12:00:00Z").as_deref(), Some("the calendar \"holidays\" is closed"));
    assert_eq!(hold(&both, "2026-12-26T00:30:00Z").as_deref(), Some("the calendar \"nights\" is closed"));
    assert_eq!(hold(&both[..1], "2026-12-26T00:30:00Z"), None);
    assert_eq!(hold(&["gone".to_owned()], "2026-12-25T12:00:00Z"), None);
}

#[test]
fn days_are_read_and_shown_alike_and_others_are_refused() {
    for day in ["2026-12-25", "12-25", "02-29", "2028-02-29"] {
        assert_eq!(day.parse::<Day>().expect("a day").to_string(), day);
    }
    for bad in ["", "2026-02-29", "13-01", "02-30", "25.12.2026", "2026-12-2", "Christmas", "2026-1-05", "+12-25"] {
        let refused = bad.parse::<Day>().expect_err("no day").to_string();
        assert!(refused.contains("write \"2026-12-25\""), "{refused}");
    }
}

#[test]
fn windows_have_a_length() {
    assert!(check_window(Duration::ZERO).is_err());
    assert!(check_window(limits::CALENDAR_WINDOW_MAX).is_ok());
    assert!(check_window(limits::CALENDAR_WINDOW_MAX + HOUR).is_err());
}
