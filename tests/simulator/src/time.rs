//! The text forms of a time: ISO 8601 in records, RFC 9110 in the `Date` header, and back.
//!
//! Own code because list rows are formatted by the million. Times are Unix milliseconds, UTC.

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Year, month and day of a number of days since 1970-01-01 (Gregorian).
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to a date.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn digits(out: &mut [u8], mut value: u64) {
    for slot in out.iter_mut().rev() {
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// `yyyy-MM-ddTHH:mm:ss.SSSZ`, the form in records (reference, §3.3).
pub(crate) fn iso_bytes(ms: i64) -> [u8; 24] {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let rest = ms.rem_euclid(DAY_MS) as u64;
    let mut out = *b"0000-00-00T00:00:00.000Z";
    digits(&mut out[0..4], year as u64);
    digits(&mut out[5..7], u64::from(month));
    digits(&mut out[8..10], u64::from(day));
    digits(&mut out[11..13], rest / 3_600_000);
    digits(&mut out[14..16], rest / 60_000 % 60);
    digits(&mut out[17..19], rest / 1000 % 60);
    digits(&mut out[20..23], rest % 1000);
    out
}

/// [`iso_bytes`] as a string.
pub(crate) fn iso(ms: i64) -> String {
    iso_bytes(ms).iter().map(|byte| char::from(*byte)).collect()
}

/// `Sun, 22 Nov 2026 17:25:10 GMT`, the form of the `Date` header (RFC 9110, §5.6.7).
pub(crate) fn http_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = ms.div_euclid(DAY_MS);
    let (year, month, day) = civil(days);
    let weekday = DAYS[usize::try_from(days.rem_euclid(7)).unwrap_or(0)];
    let month = MONTHS[(month as usize).clamp(1, 12) - 1];
    let time: String = iso(ms).chars().skip(11).take(8).collect();
    format!("{weekday}, {day:02} {month} {year} {time} GMT")
}

/// `yyyy-MM-dd`, the form in contracts.
pub(crate) fn date(ms: i64) -> String {
    iso(ms).chars().take(10).collect()
}

/// Parses `yyyy-MM-ddTHH:mm:ss[.SSS]Z`, the form in range filters.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let bytes = text.as_bytes();
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !text.ends_with('Z') || fixed.iter().any(|(at, want)| bytes.get(*at) != Some(want)) {
        return None;
    }
    let milliseconds = match bytes.len() {
        20 => 0,
        24 if bytes[19] == b'.' => number(20, 23)?,
        _ => return None,
    };
    let (month, day) = (number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_of(number(0, 4)?, month, day);
    Some(days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, http_date, iso, parse_iso};
    use crate::clock::{DATA_END_MS, DATA_START_MS};

    #[test]
    fn the_date_header_has_the_form_of_rfc_9110() {
        assert_eq!(http_date(1_795_368_310_042), "Sun, 22 Nov 2026 17:25:10 GMT");
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn times_parse_back_from_their_iso_form() {
        assert_eq!(iso(DATA_START_MS), "2024-01-01T00:00:00.000Z");
        assert_eq!(iso(DATA_END_MS), "2026-11-01T00:00:00.000Z");
        for day in 0..2000 {
            let ms = DATA_START_MS - 1000 * DAY_MS + day * DAY_MS + day * 7_654_321;
            assert_eq!(parse_iso(&iso(ms)), Some(ms));
        }
    }

    #[test]
    fn times_in_another_form_are_not_parsed() {
        for text in ["", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+01:00", "éééé"] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }
}
