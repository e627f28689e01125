//! Halves of surrogate pairs in JSON text: legal there, and no Unicode, so that DuckDB, Python's `orjson` and
//! others refuse the whole document. They become `\ufffd`, the replacement character; for some readers NUL
//! does, too.
//!
//! Pure. The text is known to be JSON.

use std::borrow::Cow;

/// An escape with its four digits.
const ESCAPE_BYTES: usize = 6;

/// The text without halves of pairs.
pub(super) fn without_halves(text: Cow<'_, str>) -> Cow<'_, str> {
    replace(text, |code| matches!(code, 0xd800..0xe000))
}

/// The text without halves of pairs and NUL, which no `jsonb` of PostgreSQL takes.
pub(super) fn without_halves_and_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    replace(text, |code| matches!(code, 0 | 0xd800..0xe000))
}

/// The text without the escapes whose codes are wrong; whole pairs stay.
fn replace(text: Cow<'_, str>, is_wrong: fn(u32) -> bool) -> Cow<'_, str> {
    let mut clean = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        let next = at + ESCAPE_BYTES;
        let (step, is_replaced) = match (code(&text, at), code(&text, next)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (2 * ESCAPE_BYTES, false),
            (Some(code), _) if is_wrong(code) => (ESCAPE_BYTES, true),
            // Any other escape, for example of a backslash.
            _ => (2, false),
        };
        if is_replaced {
            clean.push_str(text.get(copied..at).unwrap_or_default());
            clean.push_str("\\ufffd");
            copied = next;
        }
        at += step;
    }
    if copied == 0 {
        return text;
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// The number of an escape `\uXXXX`.
fn code(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + ESCAPE_BYTES)?.strip_prefix("\\u")?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{without_halves, without_halves_and_nul};

    #[test]
    fn halves_become_the_replacement_character_and_nothing_else_changes() {
        for (text, expected) in [
            (r#"{"a":"\ud83e\udd80 \\ud83e \n"}"#, None),
            (r#""\u0041\\""#, None),
            (r#""\ud83e""#, Some(r#""\ufffd""#)),
            (r#""\ud83e\ud83e\udd80\udd80x""#, Some(r#""\ufffd\ud83e\udd80\ufffdx""#)),
            (r#""\\\uDD80\\""#, Some(r#""\\\ufffd\\""#)),
            (r#""é\ud83eé""#, Some(r#""é\ufffdé""#)),
        ] {
            let found = without_halves(text.into());
            assert_eq!(found, expected.unwrap_or(text));
            assert!(serde_json::from_str::<serde_json::Value>(&found).is_ok());
        }
    }

    #[test]
    fn nul_becomes_the_replacement_character_where_it_is_asked_for() {
        let text = r#"{"\u0000":"a\u0000\\u0000\ud83e\udd80\udd80"}"#;
        let expected = r#"{"\ufffd":"a\ufffd\\u0000\ud83e\udd80\ufffd"}"#;
        assert_eq!(without_halves_and_nul(text.into()), expected);
        assert!(without_halves(text.into()).contains(r#"{"\u0000":"a\u0000"#));
    }
}
