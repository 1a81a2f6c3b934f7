//! Hours in which people sleep.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::model::schedule;

/// From one time of day to another, over midnight if the second is the earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Quiet {
    from: Time,
    to: Time,
    zone: TimeZone,
    timezone: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    from: String,
    to: String,
    #[serde(default = "utc")]
    timezone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl TryFrom<Raw> for Quiet {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let time = |text: &str| Time::strptime("%H:%M", text).map_err(|_| format!("{text:?} is no time such as 22:30"));
        let (from, to) = (time(&raw.from)?, time(&raw.to)?);
        if from == to {
            return Err("quiet hours begin and end at the same time: take them out, or set a severity".into());
        }
        let zone = schedule::zone(&raw.timezone).map_err(|bad| bad.to_string())?;
        Ok(Self { from, to, zone, timezone: raw.timezone })
    }
}

impl From<Quiet> for Raw {
    fn from(quiet: Quiet) -> Self {
        let text = |time: Time| time.strftime("%H:%M").to_string();
        Self { from: text(quiet.from), to: text(quiet.to), timezone: quiet.timezone }
    }
}

impl Quiet {
    /// When the quiet in which `now` lies ends.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(self.zone.clone());
        let (date, time) = (local.date(), local.time());
        let date = match (self.from < self.to, time >= self.from, time < self.to) {
            (true, true, true) | (false, _, true) => date,
            (false, true, false) => date.tomorrow().ok()?,
            _ => return None,
        };
        // An hour that the clocks leave out ends when they have.
        date.to_datetime(self.to).to_zoned(self.zone.clone()).ok().map(|end| end.timestamp()).filter(|end| *end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(text: &str) -> Quiet {
        serde_saphyr::from_str(text).expect("quiet hours")
    }

    #[test]
    fn quiet_ends_at_the_local_time_that_it_says() {
        let night = quiet("{ from: '22:00', to: '07:00', timezone: Europe/Berlin }");
        let noon = quiet("{ from: '12:00', to: '13:30' }");
        let cases = [
            (&night, "2027-01-10T20:59:59Z", None),
            (&night, "2027-01-10T21:00:00Z", Some("2027-01-11T06:00:00Z")),
            (&night, "2027-01-11T05:59:59Z", Some("2027-01-11T06:00:00Z")),
            (&night, "2027-01-11T06:00:00Z", None),
            (&night, "2027-07-10T20:00:00Z", Some("2027-07-11T05:00:00Z")),
            // The night in which the clocks go forward.
            (&night, "2027-03-27T23:00:00Z", Some("2027-03-28T05:00:00Z")),
            (&noon, "2027-01-10T12:00:00Z", Some("2027-01-10T13:30:00Z")),
            (&noon, "2027-01-10T13:30:00Z", None),
            (&noon, "2027-01-10T11:59:59Z", None),
        ];
        for (hours, now, expected) in cases {
            let end = hours.until(now.parse().expect("a time"));
            assert_eq!(end, expected.map(|text| text.parse().expect("a time")), "{now}");
        }
    }

    #[test]
    fn wrong_hours_are_named() {
        for (text, expected) in [
            ("{ from: '25:00', to: '07:00' }", "\"25:00\" is no time"),
            ("{ from: '07:00', to: '07:00' }", "at the same time"),
            ("{ from: '22:00', to: '07:00', timezone: Europe/Berln }", "Europe/Berlin"),
            ("{ from: '22:00' }", "to"),
        ] {
            let problem = serde_saphyr::from_str::<Quiet>(text).expect_err(text).to_string();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
        let shown = serde_json::to_string(&quiet("{ from: '22:00', to: '07:05' }")).expect("JSON");
        assert_eq!(shown, r#"{"from":"22:00","to":"07:05","timezone":"UTC"}"#);
    }
}
