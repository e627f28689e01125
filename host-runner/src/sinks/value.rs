//! One JSON value as the value of a typed column.
//!
//! Pure, and independent of any database. A value that does not convert is none; the caller counts it, and
//! the row's JSON still has it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ColumnType {
    Text,
    Integer,
    Real,
    Boolean,
    /// RFC 3339, UTC, milliseconds.
    Time,
    /// An object or a list, as JSON text.
    Json,
}

/// The value of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Boolean(bool),
    Text(Cow<'a, str>),
}

/// Converts the raw text of a JSON value; none if it does not fit.
pub(super) fn convert(column_type: ColumnType, raw: &str) -> Option<Value<'_>> {
    if raw == "null" {
        return Some(Value::Null);
    }
    match column_type {
        ColumnType::Json => Some(Value::Text(Cow::Borrowed(raw))),
        ColumnType::Text => text(raw).map(Value::Text),
        ColumnType::Time => match text(raw)? {
            empty if empty.is_empty() => Some(Value::Null),
            text => time(text).map(Value::Text),
        },
        ColumnType::Integer | ColumnType::Real | ColumnType::Boolean => {
            match (column_type, unquoted(raw)?.trim()) {
                (_, "") => Some(Value::Null),
                (ColumnType::Integer, number) => integer(number).map(Value::Integer),
                (ColumnType::Real, number) => real(number).map(Value::Real),
                (_, word) => boolean(word).map(Value::Boolean),
            }
        }
    }
}

/// The text of a number or a truth value, which sources write in quotes, too. May have white space around it.
pub(super) fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with('"') { text(raw) } else { Some(Cow::Borrowed(raw)) }
}

/// A JSON string without its quotes; any other value as its JSON text.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some(Cow::Borrowed(raw));
    };
    if inner.as_bytes().contains(&b'\\') {
        // A lone surrogate is legal JSON and no Unicode text: it does not convert.
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

fn integer(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    // 12.0 and 1e3 are whole numbers too; beyond 2^53 a float does not hold every one.
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

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
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

/// Whether the text is already `YYYY-MM-DDTHH:MM:SS.sssZ`, with numbers that a calendar and a clock have.
fn is_normal(text: &[u8]) -> bool {
    const FORM: &[u8; 24] = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
    if text.len() != FORM.len() || !text.iter().zip(FORM).all(fits) {
        return false;
    }
    let pair = |at: usize| (text[at] - b'0') * 10 + (text[at + 1] - b'0');
    // Days 29 to 31 take the slow path: not every month has them.
    (1..=12).contains(&pair(5))
        && (1..=28).contains(&pair(8))
        && pair(11) <= 23
        && pair(14) <= 59
        && pair(17) <= 59
}

#[cfg(test)]
mod tests {
    use super::{ColumnType, Value, convert};

    fn shown(column_type: ColumnType, raw: &str) -> String {
        match convert(column_type, raw) {
            None => "does not convert".into(),
            Some(Value::Null) => "null".into(),
            Some(Value::Integer(value)) => value.to_string(),
            Some(Value::Boolean(value)) => value.to_string(),
            Some(Value::Real(value)) => format!("{value:?}"),
            Some(Value::Text(text)) => format!("'{text}'"),
        }
    }

    #[test]
    fn values_are_converted_as_the_schema_says() {
        for (column_type, raw, expected) in [
            (ColumnType::Text, r#""a""#, "'a'"),
            (ColumnType::Text, r#""a\"b\u00e9\n""#, "'a\"bé\n'"),
            (ColumnType::Text, r#""\ud800""#, "does not convert"),
            (ColumnType::Text, "12", "'12'"),
            (ColumnType::Text, r#"{"a":1}"#, r#"'{"a":1}'"#),
            (ColumnType::Text, "null", "null"),
            (ColumnType::Text, r#""""#, "''"),
            (ColumnType::Integer, "12", "12"),
            (ColumnType::Integer, r#""12""#, "12"),
            (ColumnType::Integer, r#"" 12 ""#, "12"),
            (ColumnType::Integer, "12.0", "12"),
            (ColumnType::Integer, "1e3", "1000"),
            (ColumnType::Integer, "12.5", "does not convert"),
            (ColumnType::Integer, r#""many""#, "does not convert"),
            (ColumnType::Integer, r#""""#, "null"),
            (ColumnType::Integer, "9223372036854775807", "9223372036854775807"),
            (ColumnType::Integer, "9223372036854775808", "does not convert"),
            (ColumnType::Integer, "[1]", "does not convert"),
            (ColumnType::Real, "1.5", "1.5"),
            (ColumnType::Real, r#""-1.5e2""#, "-150.0"),
            (ColumnType::Real, r#""inf""#, "does not convert"),
            (ColumnType::Real, r#""NaN""#, "does not convert"),
            (ColumnType::Real, "1e999", "does not convert"),
            (ColumnType::Boolean, "true", "true"),
            (ColumnType::Boolean, r#""false""#, "false"),
            (ColumnType::Boolean, "1", "true"),
            (ColumnType::Boolean, r#""yes""#, "does not convert"),
            (ColumnType::Json, r#"{"a": [1]}"#, r#"'{"a": [1]}'"#),
            (ColumnType::Json, r#""text""#, r#"'"text"'"#),
        ] {
            assert_eq!(shown(column_type, raw), expected, "{column_type:?} {raw}");
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
            assert_eq!(shown(ColumnType::Time, &format!("\"{raw}\"")), expected, "{raw}");
        }
        assert_eq!(shown(ColumnType::Time, "1700000000000"), "does not convert");
    }
}
