//! Time and randomness as the rest of the crate sees them, and times as text.
//!
//! Knows nothing of what they are for. Pure code takes both as arguments.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, now.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A number in `0.0..1.0`. Without a source of randomness it is the middle, which only makes waits even.
pub fn random_unit() -> f64 {
    let mut bytes = [0_u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`, or none for a time that no calendar has.
pub fn rfc3339_ms(unix_ms: u64) -> Option<String> {
    let timestamp = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    Some(format!("{timestamp:.3}"))
}

/// The time that [`rfc3339_ms`] wrote.
pub fn ms_of_rfc3339(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::{ms_of_rfc3339, random_unit, rfc3339_ms};

    #[test]
    fn times_have_three_decimals_and_a_z() {
        assert_eq!(rfc3339_ms(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(rfc3339_ms(1_700_000_000_120).as_deref(), Some("2023-11-14T22:13:20.120Z"));
        assert_eq!(rfc3339_ms(u64::MAX), None);
        assert_eq!(ms_of_rfc3339("2023-11-14T22:13:20.120Z"), Some(1_700_000_000_120));
        assert_eq!(ms_of_rfc3339("yesterday"), None);
    }

    #[test]
    fn random_numbers_stay_below_one() {
        for _ in 0..100 {
            assert!((0.0..1.0).contains(&random_unit()));
        }
    }
}
