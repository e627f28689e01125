//! JSON values as values of PostgreSQL: which of them fit, and the text of a key.
//!
//! Pure. A value that does not fit is none; the row's JSON has it.

use std::borrow::Cow;

use super::encode::{Cell, SqlType};
use super::numeric::numeric;
use crate::sinks::value::{ColumnType, Value, convert, unquoted};

/// Levels of a JSON value that the server's parser takes with its smallest stack: it recurses, and fails
/// near 6,000 with the default of 2 MiB.
pub(super) const DEPTH_MAX: usize = 1_000;
/// Bytes of a key: a page of an index takes 2,704.
pub(super) const KEY_BYTES_MAX: usize = 2_400;
/// The largest exponent of a number, which a `numeric` and a `jsonb` write out: that of a double.
const EXPONENT_MAX: i64 = 308;
/// The most characters of a number.
const NUMBER_BYTES_MAX: usize = 1_000;
/// Microseconds from 1970 to 2000, PostgreSQL's epoch.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The first day that a `timestamptz` has: in the year 4713 BC.
const FIRST_MICROS: i64 = -211_813_488_000_000_000;

/// The type of a column.
pub(super) const fn sql_type(column_type: ColumnType) -> SqlType {
    match column_type {
        ColumnType::Text => SqlType::Text,
        ColumnType::Integer => SqlType::Integer,
        ColumnType::Real => SqlType::Numeric,
        ColumnType::Boolean => SqlType::Boolean,
        ColumnType::Time => SqlType::Time,
        ColumnType::Json => SqlType::Jsonb,
    }
}

/// A JSON value as the value of a column; none if it does not fit.
pub(super) fn cell(column_type: ColumnType, raw: &str) -> Option<Cell<'_>> {
    Some(match (convert(column_type, raw)?, column_type) {
        (Value::Null, _) => Cell::Null,
        (Value::Integer(value), _) => Cell::Integer(value),
        (Value::Real(_), _) => Cell::Numeric(decimal(raw)?),
        (Value::Boolean(value), _) => Cell::Boolean(value),
        (Value::Text(text), ColumnType::Time) => Cell::Time(micros(&text)?),
        (Value::Text(text), ColumnType::Json) => Cell::Jsonb(fits_jsonb(&text).then_some(text)?),
        (Value::Text(text), _) => Cell::Text((!text.contains('\0')).then_some(text)?),
    })
}

/// The digits of a number as a source wrote them, as a `numeric`.
fn decimal(raw: &str) -> Option<Vec<u8>> {
    let text = unquoted(raw)?;
    let text = text.trim();
    if fits_number(text) { numeric(text) } else { None }
}

/// A time in RFC 3339 as a `timestamptz`.
fn micros(text: &str) -> Option<i64> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    time(timestamp.as_microsecond())
}

/// Microseconds since 1970 as a `timestamptz`.
fn time(micros: i64) -> Option<i64> {
    let since = micros.checked_sub(EPOCH_MICROS)?;
    (since >= FIRST_MICROS).then_some(since)
}

/// Milliseconds since 1970 as a `timestamptz`; null beyond its range.
pub(super) fn time_of_ms(ms: Option<u64>) -> Cell<'static> {
    let micros = ms.and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1_000));
    // The years beyond 9999 have no RFC 3339.
    let last = jiff::Timestamp::MAX.as_microsecond();
    micros.filter(|micros| *micros <= last).and_then(time).map_or(Cell::Null, Cell::Time)
}

/// The text of a key's member or of a cursor, which may hold a NUL; a PostgreSQL text may not.
///
/// `␀` stands for itself and a NUL: `␀0` is a NUL, `␀␀` is a `␀`. No two texts become the same.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{2400}']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\u{2400}', "\u{2400}\u{2400}").replace('\0', "\u{2400}0"))
}

/// The text before [`escaped`].
pub(super) fn unescaped(text: &str) -> String {
    let mut parts = text.split('\u{2400}');
    let mut result = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        match part.strip_prefix('0') {
            Some(rest) => {
                result.push('\0');
                result.push_str(rest);
            }
            None => {
                result.push('\u{2400}');
                result.push_str(parts.next().unwrap_or_default());
            }
        }
    }
    result
}

/// Whether a JSON text nests so little that the server can parse it.
pub(super) fn fits_depth(raw: &str) -> bool {
    let opens = raw.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    opens <= DEPTH_MAX || scan(raw).is_some_and(|scan| scan.depth <= DEPTH_MAX)
}

/// Whether a `jsonb` can hold a JSON text: it holds neither `\u0000` nor a lone surrogate, and its numbers
/// have a largest exponent.
fn fits_jsonb(raw: &str) -> bool {
    scan(raw).is_some_and(|scan| scan.depth <= DEPTH_MAX && scan.fits)
}

struct Scan {
    depth: usize,
    fits: bool,
}

/// Walks over a JSON text that is known to be valid.
fn scan(raw: &str) -> Option<Scan> {
    let bytes = raw.as_bytes();
    let (mut at, mut open, mut result) = (0, 0_usize, Scan { depth: 0, fits: true });
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                open += 1;
                result.depth = result.depth.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            b'"' => {
                let (end, fits) = string(bytes, at)?;
                result.fits &= fits;
                at = end;
            }
            b'-' | b'0'..=b'9' => {
                let number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                let end =
                    bytes.get(at..)?.iter().position(|byte| !number(byte)).map_or(bytes.len(), |n| at + n);
                result.fits &= fits_number(raw.get(at - 1..end)?);
                at = end;
            }
            _ => {}
        }
    }
    Some(result)
}

/// The end of a string that starts before `at`, and whether a `jsonb` can hold it.
fn string(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let (mut fits, mut high) = (true, false);
    loop {
        let byte = *bytes.get(at)?;
        let mut unit = None;
        match byte {
            b'"' => return Some((at + 1, fits && !high)),
            b'\\' => {
                at += 1;
                if *bytes.get(at)? == b'u' {
                    let digits = std::str::from_utf8(bytes.get(at + 1..at + 5)?).ok()?;
                    unit = Some(u16::from_str_radix(digits, 16).ok()?);
                    at += 4;
                }
            }
            _ => {}
        }
        at += 1;
        let is_low = unit.is_some_and(|unit| (0xDC00..=0xDFFF).contains(&unit));
        fits &= unit != Some(0) && high == is_low;
        high = unit.is_some_and(|unit| (0xD800..=0xDBFF).contains(&unit));
    }
}

fn fits_number(number: &str) -> bool {
    let exponent = number.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    let exponent: Option<i64> = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok();
    number.len() <= NUMBER_BYTES_MAX && exponent.is_some_and(|exponent| exponent.abs() <= EXPONENT_MAX)
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, cell, escaped, fits_depth, fits_jsonb, unescaped};
    use crate::sinks::postgres::encode::Cell;
    use crate::sinks::value::ColumnType;

    #[test]
    fn a_jsonb_takes_what_it_can_hold() {
        for fits in [
            r#"{"a":[1,-2.5e3,"x\u0001\\u0000\"",null]}"#,
            r#""\ud83e\udd80""#,
            r#"["\\","\ud83e\udd80x"]"#,
            "1e308",
            "-0.0",
            "[]",
        ] {
            assert!(fits_jsonb(fits), "{fits}");
        }
        for not in [
            r#""\u0000""#,
            r#"{"\u0000":1}"#,
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800x\udc00""#,
            r#""\ud800\ud800\udc00""#,
            "1e309",
            "[1E-400]",
            "1e99999999999999999999",
            &"1".repeat(1_001),
        ] {
            assert!(!fits_jsonb(not), "{not}");
        }
    }

    #[test]
    fn deep_values_do_not_fit() {
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(fits_depth(&deep(DEPTH_MAX)) && fits_jsonb(&deep(DEPTH_MAX)));
        assert!(!fits_depth(&deep(DEPTH_MAX + 1)) && !fits_jsonb(&deep(DEPTH_MAX + 1)));
        assert!(fits_depth(&format!("[{}1]", "[],".repeat(2 * DEPTH_MAX))));
    }

    #[test]
    fn keys_with_a_nul_stay_apart() {
        let texts =
            ["a", "a\0b", "a\u{2400}0b", "a\u{2400}b", "\u{2400}\0", "\0\u{2400}", "\u{2400}\u{2400}0"];
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(unescaped(&escaped(text)), *text);
            assert!(!escaped(text).contains('\0'));
            assert!(texts[..index].iter().all(|other| escaped(other) != escaped(text)), "{text:?}");
        }
    }

    #[test]
    fn values_that_do_not_fit_are_none() {
        assert_eq!(cell(ColumnType::Text, r#""a\u0000b""#), None);
        assert_eq!(cell(ColumnType::Time, r#""2000-01-01T00:00:01Z""#), Some(Cell::Time(1_000_000)));
        assert_eq!(cell(ColumnType::Time, r#""-009000-01-01T00:00:00Z""#), None);
        assert_eq!(cell(ColumnType::Integer, "9223372036854775808"), None);
        for number in ["1e400", "1e-400", "\"1,5\"", "\"NaN\"", &"1".repeat(1_001)] {
            assert_eq!(cell(ColumnType::Real, number), None, "{number}");
        }
        let number = |raw: &str| match cell(ColumnType::Real, raw) {
            Some(Cell::Numeric(bytes)) => bytes,
            other => panic!("{raw}: {other:?}"),
        };
        assert_eq!(number("\" 12.50 \""), number("12.50"));
        assert_eq!(cell(ColumnType::Real, "\"\""), Some(Cell::Null));
        assert_eq!(cell(ColumnType::Json, r#"["\u0000"]"#), None);
        assert_eq!(cell(ColumnType::Boolean, "true"), Some(Cell::Boolean(true)));
    }
}
