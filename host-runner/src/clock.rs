//! The system's clock and randomness, and times as text.
//!
//! Knows nothing of their use. Pure code takes both as arguments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The current time in milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// A time in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A random number in `0.0..1.0`. If the system has no randomness it is 0.5: backoff is then without jitter.
pub fn random_unit() -> f64 {
    let mut bytes = [0_u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => unit(bytes),
        Err(_) => 0.5,
    }
}

/// Four bytes as a number in `0.0..1.0`.
fn unit(bytes: [u8; 4]) -> f64 {
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`, or none after the year 9999.
pub fn rfc3339_ms(unix_ms: u64) -> Option<String> {
    let timestamp = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    Some(format!("{timestamp:.3}"))
}

/// Milliseconds since 1970 of a time as [`rfc3339_ms`] writes it.
pub fn ms_of_rfc3339(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()
}

/// Milliseconds since 1970 of a `Date` header.
pub fn ms_of_http_date(text: &str) -> Option<u64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::{ms_of_rfc3339, rfc3339_ms, unit};

    #[test]
    fn times_have_three_decimals_and_a_z() {
        assert_eq!(rfc3339_ms(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(rfc3339_ms(1_700_000_000_120).as_deref(), Some("2023-11-14T22:13:20.120Z"));
        assert_eq!(rfc3339_ms(u64::MAX), None);
        assert_eq!(ms_of_rfc3339("2023-11-14T22:13:20.120Z"), Some(1_700_000_000_120));
        assert_eq!(ms_of_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_date_header_has_seconds() {
        assert_eq!(super::ms_of_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        for text in ["", "now", "Sun, 06 Nov 1960 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(super::ms_of_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_map_to_zero_up_to_but_not_including_one() {
        assert_eq!(unit([0; 4]), 0.0);
        assert_eq!(unit([0, 0, 0, 0x80]), 0.5);
        assert!(unit([0xff; 4]) < 1.0, "the largest number is rounded up to one");
    }
}
