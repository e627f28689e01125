//! Decimal numbers in the binary form of PostgreSQL's `numeric`: every digit, in groups of four.
//!
//! Pure. Knows nothing of JSON and of bounds: those are the caller's.

/// Digits of a group.
const GROUP: i64 = 4;
/// The sign of a number below zero.
const NEGATIVE: u16 = 0x4000;

/// The bytes of a number that is written in digits, with or without a sign, a point and an exponent; none if
/// the text is not such a number, or has more digits than the form can count.
///
/// The form (`numeric_send` of PostgreSQL): the number of groups, the power of 10,000 of the first, the sign,
/// the digits behind the point that are shown, and the groups, all in 16 bits.
pub(super) fn numeric(text: &str) -> Option<Vec<u8>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.bytes().chain(fraction.bytes());
    let digits: Vec<u8> =
        digits.map(|byte| byte.is_ascii_digit().then(|| byte - b'0')).collect::<Option<_>>()?;
    if digits.is_empty() {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    // The digits before the point, counted from the first that is not 0.
    let point = count(whole.len())?.checked_add(exponent)?.checked_sub(count(zeros)?)?;
    let weight = point.checked_sub(1)?.div_euclid(GROUP);
    let padding = weight.checked_add(1)?.checked_mul(GROUP)?.checked_sub(point)?;
    let padding = std::iter::repeat_n(0, usize::try_from(padding).ok()?);
    let padded: Vec<u8> = padding.chain(digits.into_iter().skip(zeros)).collect();
    let mut groups: Vec<u16> = padded.chunks(4).map(group).collect();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let is_zero = groups.is_empty();
    let sign = if text.starts_with('-') && !is_zero { NEGATIVE } else { 0 };
    let scale = count(fraction.len())?.checked_sub(exponent)?.max(0);
    let head = [
        u16::try_from(groups.len()).ok()?,
        i16::try_from(if is_zero { 0 } else { weight }).ok()?.cast_unsigned(),
        sign,
        u16::try_from(scale).ok()?,
    ];
    Some(head.into_iter().chain(groups).flat_map(u16::to_be_bytes).collect())
}

fn count(length: usize) -> Option<i64> {
    i64::try_from(length).ok()
}

/// Up to four digits; those that lack at the end are 0.
fn group(digits: &[u8]) -> u16 {
    let digit = |at: usize| u16::from(digits.get(at).copied().unwrap_or(0));
    (0..4).fold(0, |value, at| value * 10 + digit(at))
}

#[cfg(test)]
mod tests {
    use super::numeric;

    /// Groups, weight, sign and scale.
    fn parts(text: &str) -> (Vec<u16>, i16, u16, u16) {
        let bytes = numeric(text).unwrap_or_else(|| panic!("{text}"));
        let words: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!(usize::from(words[0]), words.len() - 4, "{text}");
        (words[4..].to_vec(), words[1].cast_signed(), words[2], words[3])
    }

    #[test]
    fn every_digit_is_in_its_group() {
        for (text, groups, weight, sign, scale) in [
            ("0", vec![], 0, 0, 0),
            ("-0.00", vec![], 0, 0, 2),
            ("0e5", vec![], 0, 0, 0),
            ("1", vec![1], 0, 0, 0),
            ("-1", vec![1], 0, 0x4000, 0),
            ("+10000", vec![1], 1, 0, 0),
            ("12345.678", vec![1, 2345, 6780], 1, 0, 3),
            ("12.50", vec![12, 5000], 0, 0, 2),
            ("0.00012", vec![1, 2000], -1, 0, 5),
            ("1e3", vec![1000], 0, 0, 0),
            ("1.5E-3", vec![15], -1, 0, 4),
            ("1.2345e+2", vec![123, 4500], 0, 0, 2),
            ("00012", vec![12], 0, 0, 0),
            ("1e-308", vec![1], -77, 0, 308),
            ("1e308", vec![1], 77, 0, 0),
            ("12345678901234567890.12", vec![1234, 5678, 9012, 3456, 7890, 1200], 4, 0, 2),
        ] {
            assert_eq!(parts(text), (groups, weight, sign, scale), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_number_or_too_long_are_none() {
        for text in ["", "-", ".", "1e", "1e1.5", "--1", "1 2", "0x1", "NaN", "1e999999999999999999999"] {
            assert_eq!(numeric(text), None, "{text:?}");
        }
        for exponent in ["9223372036854775807", "-9223372036854775808", "200000", "-70000"] {
            assert_eq!(numeric(&format!("1.5e{exponent}")), None, "{exponent}");
        }
    }
}
