//! Times as Zoho writes them, in Unix milliseconds. Pure; the current time always comes in as an argument.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Parses `2026-11-22T17:25:10.000Z` (with or without fraction).
pub fn parse(text: &str) -> Option<u64> {
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_millisecond()).ok()
}

/// Parses an HTTP date, `Sun, 22 Nov 2026 17:25:10 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<u64> {
    let timestamp = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(timestamp.as_millisecond()).ok()
}

/// Writes `2026-11-22T17:25:10.000Z`, the form that ranges in queries take.
pub fn format(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .map(|timestamp| format!("{timestamp:.3}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_and_written_to_the_millisecond() {
        assert_eq!(parse("2026-11-22T17:25:10.042Z"), Some(1_795_368_310_042));
        assert_eq!(parse("2026-11-22T17:25:10Z"), Some(1_795_368_310_000));
        assert_eq!(format(1_795_368_310_042), "2026-11-22T17:25:10.042Z");
        assert_eq!(format(1_795_368_310_000), "2026-11-22T17:25:10.000Z");
        assert_eq!(parse("22.11.2026"), None);
    }

    #[test]
    fn http_dates_are_parsed() {
        assert_eq!(parse_http_date("Sun, 22 Nov 2026 17:25:10 GMT"), Some(1_795_368_310_000));
        assert_eq!(parse_http_date("2026-11-22T17:25:10Z"), None);
    }
}
