//! Appends JSON to bytes, for rows that are rendered by the million.
//!
//! Text and numbers only; `serde_json` renders everything that is not on the hot path.

use std::io::Write;

/// Appends a JSON string. U+2028 and U+2029 are escaped, all other characters beyond ASCII are not.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let separator = *byte == 0xE2
            && bytes.get(at + 1) == Some(&0x80)
            && matches!(bytes.get(at + 2), Some(&0xA8 | &0xA9));
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' && !separator {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0xE2 => {
                let escaped: &[u8] = if bytes[at + 2] == 0xA8 { b"\\u2028" } else { b"\\u2029" };
                out.extend_from_slice(escaped);
                done = at + 3;
            }
            other => unicode(out, u16::from(*other)),
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Appends a JSON string in which every character beyond ASCII is escaped, as a surrogate pair if need be.
pub(crate) fn text_ascii(out: &mut Vec<u8>, value: &str) {
    let start = out.len();
    text(out, value);
    if out[start..].is_ascii() {
        return;
    }
    let raw = String::from_utf8_lossy(&out[start..]).into_owned();
    out.truncate(start);
    for character in raw.chars() {
        if character.is_ascii() {
            out.push(character as u8);
        } else {
            let mut units = [0u16; 2];
            for unit in character.encode_utf16(&mut units) {
                unicode(out, *unit);
            }
        }
    }
}

fn unicode(out: &mut Vec<u8>, unit: u16) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[usize::from(unit >> shift & 0xF)]);
    }
}

/// Appends a whole number.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a whole number in quotation marks, as ids and counts are.
pub(crate) fn quoted(out: &mut Vec<u8>, value: u64) {
    out.push(b'"');
    number(out, value);
    out.push(b'"');
}

/// Appends any value.
pub(crate) fn value(out: &mut Vec<u8>, value: &serde_json::Value) {
    // Writing a `Value` to memory cannot fail: its keys are strings.
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok());
}

/// Appends formatted text in quotation marks. The text must not need escaping.
pub(crate) fn plain(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    out.push(b'"');
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::{number, quoted, text, text_ascii};

    #[test]
    fn both_forms_of_a_string_parse_back_to_it() {
        let long = "x".repeat(5000);
        let cases = ["", "plain", "q\"b\\s", "tab\tnew\nbell\u{7}", "a\u{2028}b\u{2029}", "😀 שלום", &long];
        for case in cases {
            let (mut raw, mut ascii) = (Vec::new(), Vec::new());
            text(&mut raw, case);
            text_ascii(&mut ascii, case);
            assert!(ascii.is_ascii());
            assert_eq!(serde_json::from_slice::<String>(&raw).expect("raw"), case);
            assert_eq!(serde_json::from_slice::<String>(&ascii).expect("ascii"), case);
        }
    }

    #[test]
    fn line_separators_are_escaped_in_both_forms() {
        let (mut raw, mut ascii) = (Vec::new(), Vec::new());
        text(&mut raw, "a\u{2028}b\u{2029}☃");
        text_ascii(&mut ascii, "a\u{2028}b\u{2029}☃");
        assert_eq!(raw, "\"a\\u2028b\\u2029☃\"".as_bytes());
        assert_eq!(ascii, br#""a\u2028b\u2029\u2603""#);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for value in [0, 7, 10, u64::MAX] {
            let (mut bare, mut between) = (Vec::new(), Vec::new());
            number(&mut bare, value);
            quoted(&mut between, value);
            assert_eq!(bare, value.to_string().into_bytes());
            assert_eq!(between, format!("\"{value}\"").into_bytes());
        }
    }
}
