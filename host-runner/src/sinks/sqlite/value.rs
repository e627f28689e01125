//! One JSON value into one column: the conversions, and nothing but them.
//!
//! Pure. What does not convert is none; the caller counts it and the document still has it.

use std::borrow::Cow;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Text,
    Integer,
    Real,
    Boolean,
    /// RFC 3339, UTC, milliseconds.
    Time,
    /// An object or a list, as JSON text.
    Json,
}

impl Kind {
    /// The type in the table's definition.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Text | Self::Time | Self::Json => "TEXT",
            Self::Integer | Self::Boolean => "INTEGER",
            Self::Real => "REAL",
        }
    }
}

/// A value ready to be bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
}

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// Converts the raw text of a JSON value; none if it does not fit.
pub(super) fn convert(kind: Kind, raw: &str) -> Option<Bound<'_>> {
    if raw == "null" {
        return Some(Bound::Null);
    }
    match kind {
        Kind::Json => Some(Bound::Text(Cow::Borrowed(raw))),
        Kind::Text => text(raw).map(Bound::Text),
        Kind::Time => match text(raw)? {
            empty if empty.is_empty() => Some(Bound::Null),
            text => time(text).map(Bound::Text),
        },
        Kind::Integer | Kind::Real | Kind::Boolean => {
            let unquoted = if raw.starts_with('"') { text(raw)? } else { Cow::Borrowed(raw) };
            match (kind, unquoted.trim()) {
                (_, "") => Some(Bound::Null),
                (Kind::Integer, number) => integer(number).map(Bound::Integer),
                (Kind::Real, number) => real(number).map(Bound::Real),
                (_, word) => boolean(word).map(Bound::Integer),
            }
        }
    }
}

/// A JSON string without its quotes; any other value as its JSON text.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some(Cow::Borrowed(raw));
    };
    if memchr_backslash(inner) {
        // A lone surrogate is legal JSON and no text; it ends up as not converted.
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

fn memchr_backslash(text: &str) -> bool {
    text.as_bytes().contains(&b'\\')
}

fn integer(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    // 12.0 and 1e3 are whole numbers too; beyond 2^53 a float no longer says which.
    let value = real(text)?;
    let exact = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    exact.then_some(value as i64)
}

fn real(text: &str) -> Option<f64> {
    let plausible =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
    if !plausible {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn boolean(text: &str) -> Option<i64> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(1),
        "false" | "False" | "FALSE" | "0" => Some(0),
        _ => None,
    }
}

/// RFC 3339 with any offset, as UTC with milliseconds.
fn time(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if is_normal(text.as_bytes()) {
        return Some(text);
    }
    let timestamp: jiff::Timestamp = text.trim().parse().ok()?;
    Some(Cow::Owned(format!("{timestamp:.3}")))
}

/// Whether it is already `YYYY-MM-DDTHH:MM:SS.sssZ`, with numbers that a calendar and a clock have.
fn is_normal(text: &[u8]) -> bool {
    const FORM: &[u8; 24] = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
    if text.len() != FORM.len() || !text.iter().zip(FORM).all(fits) {
        return false;
    }
    let pair = |at: usize| (text[at] - b'0') * 10 + (text[at + 1] - b'0');
    // Days 29 to 31 are looked at closely elsewhere: not every month has them.
    (1..=12).contains(&pair(5))
        && (1..=28).contains(&pair(8))
        && pair(11) <= 23
        && pair(14) <= 59
        && pair(17) <= 59
}

#[cfg(test)]
mod tests {
    use super::{Bound, Kind, convert};

    fn shown(kind: Kind, raw: &str) -> String {
        match convert(kind, raw) {
            None => "does not convert".into(),
            Some(Bound::Null) => "null".into(),
            Some(Bound::Integer(value)) => value.to_string(),
            Some(Bound::Real(value)) => format!("{value:?}"),
            Some(Bound::Text(text)) => format!("'{text}'"),
        }
    }

    #[test]
    fn values_are_converted_as_the_schema_says() {
        for (kind, raw, expected) in [
            (Kind::Text, r#""a""#, "'a'"),
            (Kind::Text, r#""a\"b\u00e9\n""#, "'a\"bé\n'"),
            (Kind::Text, r#""\ud800""#, "does not convert"),
            (Kind::Text, "12", "'12'"),
            (Kind::Text, r#"{"a":1}"#, r#"'{"a":1}'"#),
            (Kind::Text, "null", "null"),
            (Kind::Text, r#""""#, "''"),
            (Kind::Integer, "12", "12"),
            (Kind::Integer, r#""12""#, "12"),
            (Kind::Integer, r#"" 12 ""#, "12"),
            (Kind::Integer, "12.0", "12"),
            (Kind::Integer, "1e3", "1000"),
            (Kind::Integer, "12.5", "does not convert"),
            (Kind::Integer, r#""many""#, "does not convert"),
            (Kind::Integer, r#""""#, "null"),
            (Kind::Integer, "9223372036854775807", "9223372036854775807"),
            (Kind::Integer, "9223372036854775808", "does not convert"),
            (Kind::Integer, "[1]", "does not convert"),
            (Kind::Real, "1.5", "1.5"),
            (Kind::Real, r#""-1.5e2""#, "-150.0"),
            (Kind::Real, r#""inf""#, "does not convert"),
            (Kind::Real, r#""NaN""#, "does not convert"),
            (Kind::Real, "1e999", "does not convert"),
            (Kind::Boolean, "true", "1"),
            (Kind::Boolean, r#""false""#, "0"),
            (Kind::Boolean, "1", "1"),
            (Kind::Boolean, r#""yes""#, "does not convert"),
            (Kind::Json, r#"{"a": [1]}"#, r#"'{"a": [1]}'"#),
            (Kind::Json, r#""text""#, r#"'"text"'"#),
        ] {
            assert_eq!(shown(kind, raw), expected, "{kind:?} {raw}");
        }
    }

    #[test]
    fn times_become_utc_with_milliseconds() {
        for (raw, expected) in [
            ("2024-02-28T10:20:30.123Z", "'2024-02-28T10:20:30.123Z'"),
            ("2024-02-29T10:20:30.123Z", "'2024-02-29T10:20:30.123Z'"),
            ("2023-02-29T10:20:30.123Z", "does not convert"),
            ("2024-02-28T10:20:30Z", "'2024-02-28T10:20:30.000Z'"),
            ("2024-02-28T10:20:30.1239Z", "'2024-02-28T10:20:30.123Z'"),
            ("2024-02-28T10:20:30+05:30", "'2024-02-28T04:50:30.000Z'"),
            ("2024-02-28T10:20:30+0530", "'2024-02-28T04:50:30.000Z'"),
            ("2024-13-01T10:20:30.123Z", "does not convert"),
            ("2024-02-28T25:20:30.123Z", "does not convert"),
            ("2024-02-28", "does not convert"),
            ("soon", "does not convert"),
            ("", "null"),
        ] {
            assert_eq!(shown(Kind::Time, &format!("\"{raw}\"")), expected, "{raw}");
        }
        assert_eq!(shown(Kind::Time, "1700000000000"), "does not convert");
    }
}
