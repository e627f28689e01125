//! When the tables are discovered again while `serve` runs: `schema_refresh` under `[serve]`. Pure.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::units::parse_duration;

const DAY_MS: u64 = 86_400_000;
/// Shortest time between two discoveries: each costs a call for every module with custom fields.
const EVERY_MIN: Duration = Duration::from_secs(60);
const EVERY_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Columns of all tables up to which they are discovered several times a day by default: comparing more, and
/// adding them to a database, is left to the night.
const COLUMNS_BY_DAY: usize = 1_000;

/// The accepted values, for people.
pub(crate) const FORMS: &str =
    "\"hourly\", \"daily at HH:MM\" (UTC), \"manual\", or a duration from 1m to 7d";

/// See the file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaRefresh {
    /// So long after each discovery.
    Every(Duration),
    /// At this minute of each day, UTC.
    Daily(u64),
    /// By a start, and by `discover`.
    Manual,
}

impl SchemaRefresh {
    /// None for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "hourly" => return Some(Self::Every(Duration::from_secs(3_600))),
            "manual" => return Some(Self::Manual),
            _ => {}
        }
        if let Some((hours, minutes)) = text.strip_prefix("daily at ").and_then(|time| time.split_once(':')) {
            let number = |text: &str, below: u64| {
                let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse::<u64>().ok().filter(|number| is_plain && *number < below)
            };
            return Some(Self::Daily(number(hours, 24)? * 60 + number(minutes, 60)?));
        }
        let every = parse_duration(text).ok()?;
        (EVERY_MIN..=EVERY_MAX).contains(&every).then_some(Self::Every(every))
    }

    /// The default for tables with so many columns.
    pub(crate) fn of_columns(columns: usize) -> Self {
        if columns > COLUMNS_BY_DAY { Self::Daily(150) } else { Self::Every(Duration::from_secs(6 * 3_600)) }
    }

    /// How long to wait after a discovery at this time, milliseconds since 1970; none: never again.
    pub(crate) fn wait(self, now_ms: u64) -> Option<Duration> {
        match self {
            Self::Every(every) => Some(every),
            Self::Daily(minute) => {
                let at_ms = minute * 60_000;
                let passed_ms = now_ms % DAY_MS;
                let wait_ms = if passed_ms < at_ms { at_ms - passed_ms } else { DAY_MS + at_ms - passed_ms };
                Some(Duration::from_millis(wait_ms))
            }
            Self::Manual => None,
        }
    }
}

impl<'de> Deserialize<'de> for SchemaRefresh {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not one of {FORMS}")))
    }
}

#[cfg(test)]
mod tests {
    use super::SchemaRefresh::{Daily, Every, Manual};
    use super::*;

    #[test]
    fn every_form_is_read_and_others_are_refused() {
        for (text, expected) in [
            ("hourly", Every(Duration::from_secs(3_600))),
            ("6h", Every(Duration::from_secs(6 * 3_600))),
            ("1m", Every(EVERY_MIN)),
            ("7d", Every(EVERY_MAX)),
            ("daily at 02:30", Daily(150)),
            ("daily at 00:00", Daily(0)),
            ("daily at 23:59", Daily(1_439)),
            ("manual", Manual),
        ] {
            assert_eq!(SchemaRefresh::parse(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "daily",
            "daily at 2:30",
            "daily at 24:00",
            "daily at 02:60",
            "daily at +2:30",
            "59s",
            "8d",
            "6",
        ] {
            assert_eq!(SchemaRefresh::parse(text), None, "{text}");
        }
    }

    #[test]
    fn many_columns_are_discovered_at_night_by_default() {
        assert_eq!(SchemaRefresh::parse("6h"), Some(SchemaRefresh::of_columns(1_000)));
        assert_eq!(SchemaRefresh::parse("daily at 02:30"), Some(SchemaRefresh::of_columns(1_001)));
    }

    #[test]
    fn the_next_discovery_is_after_the_duration_or_at_the_time_of_day() {
        let minute_ms = 60_000;
        let wait = |refresh: SchemaRefresh, now_ms| refresh.wait(now_ms).map(|wait| wait.as_millis() as u64);
        assert_eq!(wait(Every(EVERY_MIN), 7), Some(60_000));
        assert_eq!(wait(Manual, 7), None);
        let day = 20_000 * DAY_MS;
        for (passed_ms, expected_ms) in [
            (0, 150 * minute_ms),
            (149 * minute_ms, minute_ms),
            // Just discovered: tomorrow.
            (150 * minute_ms, DAY_MS),
            (151 * minute_ms, DAY_MS - minute_ms),
            (DAY_MS - 1, 150 * minute_ms + 1),
        ] {
            assert_eq!(wait(Daily(150), day + passed_ms), Some(expected_ms), "{passed_ms}");
        }
    }
}
