//! Durations and sizes as text: `30s`, `8MiB`. Parsing, formatting and serde for configuration and flags.
//!
//! One whole number and one unit; formatting picks the largest unit that divides the value, so that
//! formatted text parses back to the same value. Knows nothing of keys, bounds or defaults.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::clock::millis;

/// Unit names and their milliseconds, largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Unit names and their bytes, largest first.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Why a text is not a duration or a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitError {
    /// The text and the expected form.
    pub message: String,
    /// Accepted forms, with examples.
    pub hint: &'static str,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl std::error::Error for UnitError {}

/// Parses `500ms`, `30s`, `5m`, `72h` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    parse(text, &TIME_UNITS).map(Duration::from_millis).ok_or_else(|| UnitError {
        message: format!("`{text}` is not a duration"),
        hint: "write a whole number and a unit (ms, s, m, h, d), for example \"30s\" or \"5m\"",
    })
}

/// Parses `512B`, `64KiB`, `8MiB` or `1GiB`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    parse(text, &SIZE_UNITS).ok_or_else(|| UnitError {
        message: format!("`{text}` is not a size"),
        hint: "write a whole number and a unit (B, KiB, MiB, GiB), for example \"64KiB\" or \"8MiB\"",
    })
}

/// The text of a duration, in whole milliseconds.
pub(crate) fn format_duration(duration: Duration) -> String {
    format(millis(duration), &TIME_UNITS, "s")
}

/// A time to wait, rounded up: `45 s`, `12 min`, `3 h 5 min`.
pub(crate) fn format_wait(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{} min", seconds.div_ceil(60)),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// The text of a size.
pub(crate) fn format_bytes(bytes: u64) -> String {
    format(bytes, &SIZE_UNITS, "B")
}

/// For `#[serde(deserialize_with = …)]`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// For an optional field; give it `default` too.
pub(crate) fn some_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// For a field of any integer type that the value fits.
pub(crate) fn bytes<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    let bytes = parse_bytes(&String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    T::try_from(bytes).map_err(|_| D::Error::custom(format_args!("{} is too large", format_bytes(bytes))))
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn format(value: u64, units: &[(&str, u64)], unit_of_zero: &str) -> String {
    let fits = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((name, factor)) if value > 0 => format!("{}{name}", value / factor),
        _ => format!("0{unit_of_zero}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("72h", 259_200_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "5", "s", "5 m", "5min", "-5s", "+5s", "1.5h", "1h30m", "5S", "99999999999999999999s"]
        {
            let error = parse_duration(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("`{text}` is not a duration; ")), "{error}");
            assert!(error.contains("\"5m\""), "no example: {error}");
        }
    }

    #[test]
    fn sizes_are_a_whole_number_and_a_binary_unit() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("8MiB", 8 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["8", "8MB", "8mib", "8 MiB", "0.5GiB", "20000000000GiB"] {
            let error = parse_bytes(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("`{text}` is not a size; ")), "{error}");
            assert!(error.contains("\"8MiB\""), "no example: {error}");
        }
    }

    #[test]
    fn formatted_text_parses_back_to_the_same_value() {
        for ms in
            [0, 1, 999, 1_000, 1_500, 60_000, 61_000, 90_000, 3_600_000, 86_400_000, 604_800_000, u64::MAX]
        {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            assert_eq!(parse_bytes(&format_bytes(ms)), Ok(ms));
        }
        assert_eq!(format_duration(Duration::from_secs(300)), "5m");
        assert_eq!(format_bytes(8 << 20), "8MiB");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn waits_are_rounded_up() {
        let read = |ms| format_wait(Duration::from_millis(ms));
        let (short, long) = ([read(1), read(45_000), read(61_000)], [read(3_600_000), read(11_100_000)]);
        assert_eq!(short, ["1 s", "45 s", "2 min"]);
        assert_eq!(long, ["1 h", "3 h 5 min"]);
    }
}
