//! The second reading of values that the reference gives in two forms.

/// The member whose value changes.
const ID: &[u8] = b"\"id\":\"";

/// JSON in which each `id` of digits is a number. Inside a text the quotes are escaped, so that only members
/// match.
pub(crate) fn ids_as_numbers(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.windows(ID.len()).position(|window| window == ID) {
        let value = &rest[at + ID.len()..];
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || value.get(digits) != Some(&b'"') {
            out.extend_from_slice(&rest[..at + ID.len()]);
            rest = value;
            continue;
        }
        out.extend_from_slice(&rest[..at + ID.len() - 1]);
        out.extend_from_slice(&value[..digits]);
        rest = &value[digits + 1..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::ids_as_numbers;

    #[test]
    fn ids_of_digits_become_numbers_and_nothing_else_does() {
        let cases = [
            (r#"{"data":[{"id":"12"},{"id":"13"}]}"#, r#"{"data":[{"id":12},{"id":13}]}"#),
            (
                r#"{"product":{"id":"3"},"extId":"4","id2":"5"}"#,
                r#"{"product":{"id":3},"extId":"4","id2":"5"}"#,
            ),
            (r#"{"x":"\"id\":\"7\""}"#, r#"{"x":"\"id\":\"7\""}"#),
            (r#"{"a":{"id":"b"}}"#, r#"{"a":{"id":"b"}}"#),
        ];
        for (body, want) in cases {
            assert_eq!(String::from_utf8_lossy(&ids_as_numbers(body.as_bytes())), want);
        }
    }
}
