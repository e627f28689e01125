//! The spellings of a secret: every encoding in which it occurs in texts. Pure.
//!
//! As it is, percent-encoded, in a form, in JSON, in JSON within JSON, and in Base64, as Basic authentication
//! has it, with the text before and after it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Shortest Base64 that is searched for; a shorter one occurs in other words by chance.
const BASE64_CHARS_MIN: usize = 8;

/// A secret in every encoding in which it may occur in text.
pub(super) fn spellings(secret: &str) -> Vec<String> {
    let json = json_escaped(secret);
    let mut all = vec![
        percent_encoded(secret, Hex::Upper),
        percent_encoded(secret, Hex::Lower),
        percent_encoded(secret, Hex::Upper).replace("%20", "+"),
        percent_encoded(secret, Hex::Lower).replace("%20", "+"),
        json_escaped(&json),
        json,
        secret.to_owned(),
    ];
    all.extend((0..3).flat_map(|before| base64(secret, before)));
    all.sort_unstable();
    all.dedup();
    all
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hex {
    Upper,
    Lower,
}

fn percent_encoded(text: &str, hex: Hex) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else if hex == Hex::Upper {
            encoded.push_str(&format!("%{byte:02X}"));
        } else {
            encoded.push_str(&format!("%{byte:02x}"));
        }
    }
    encoded
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// The characters that the secret alone decides when this many bytes are before it, or three more: each has
/// six bits. In both alphabets.
fn base64(secret: &str, before: usize) -> impl Iterator<Item = String> {
    let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
    let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    let texts = [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)];
    let is_long = end.saturating_sub(start) >= BASE64_CHARS_MIN;
    texts.into_iter().filter(move |_| is_long).filter_map(move |text| text.get(start..end).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::spellings;

    const SECRET: &str = "p/ss w\"rd\u{fc}?>~";

    #[track_caller]
    fn is_found(text: &str) {
        assert!(spellings(SECRET).iter().any(|spelling| text.contains(spelling)), "{text}");
    }

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        let json = json!({ "k": SECRET }).to_string();
        is_found(SECRET);
        is_found("p%2Fss%20w%22rd%C3%BC%3F%3E~");
        is_found("p%2fss%20w%22rd%c3%bc%3f%3e~");
        is_found("grant=p%2Fss+w%22rd%C3%BC%3F%3E~&x=1");
        is_found(&json);
        is_found(&json!({ "body": json }).to_string());
    }

    #[test]
    fn a_secret_is_found_in_base64_at_every_place() {
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "z", "yz", "xyz"] {
                let text = format!("{before}{SECRET}{after}");
                is_found(&format!("Basic {}", STANDARD.encode(&text)));
                is_found(&URL_SAFE_NO_PAD.encode(&text));
            }
        }
    }

    #[test]
    fn plain_secrets_have_few_spellings_and_short_ones_none_by_chance() {
        assert_eq!(spellings("1000.abcdef0123").len(), 4, "itself, and Base64 after 0, 1 and 2 bytes");
        assert_eq!(spellings("abcd"), ["abcd"]);
        assert_eq!(spellings("\"ends\"").len(), 5, "no quote of its own is lost");
    }
}
